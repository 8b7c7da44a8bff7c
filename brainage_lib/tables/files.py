"""Reading and writing tables: checked against their schema, written whole or not at all."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pandas as pd
from pandera.errors import SchemaErrors
from pandera.pandas import Column, DataFrameSchema

from brainage_lib.errors import BadInput
from brainage_lib.files import replacing

# A message that lists thousands of rows hides the others.
_LISTED = 10

MISSING = ["", "n/a", "NA", "NaN", "nan"]


def read_table(path: str | os.PathLike, schema: DataFrameSchema) -> pd.DataFrame:
    """Read a CSV table and check it.

    Parameters
    ----------
    path : path
        A CSV file with a header line.
    schema : DataFrameSchema
        One of ``brainage_lib.tables``.

    Returns
    -------
    DataFrame
        With the schema's columns and types.

    Raises
    ------
    BadInput
        The file is missing, empty, or breaks the schema; every finding has its line.
    """
    path = Path(path)
    texts = {name: str for name, column in schema.columns.items() if _is_text(column)}
    try:
        table = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=MISSING)
    except FileNotFoundError:
        raise BadInput(str(path), ["the file does not exist"]) from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise BadInput(str(path), [f"not a CSV table: {error}"]) from None
    return check_table(table, schema, where=str(path))


def check_table(table: pd.DataFrame, schema: DataFrameSchema, where: str) -> pd.DataFrame:
    """Return ``table`` with the schema's types, or raise `BadInput` with every finding."""
    try:
        return schema.validate(table, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.to_dict("records")
        # A check that could not be made, because the type was wrong: that is told already.
        told = [case for case in cases if not str(case["failure_case"]).startswith("TypeError(")]
        findings = [_finding(case, schema, table) for case in told if not _is_key(case)]
        if any(map(_is_key, cases)):
            findings += _repeated(table, list(schema.unique))
        raise BadInput(where, list(dict.fromkeys(findings))) from None


def _is_key(case: dict) -> bool:
    return case["check"] == "multiple_fields_uniqueness"


def _finding(case: dict, schema: DataFrameSchema, table: pd.DataFrame) -> str:
    """Put one of pandera's failure cases into words."""
    known, named = list(schema.columns), case["failure_case"]
    if case["check"] in ("column_in_dataframe", "add_missing_has_default"):
        return f"{named}: column is missing; {_meant(named, table.columns, known, 'rename')}"
    if case["check"] == "column_in_schema":
        return (
            f"{named}: unknown column; {_meant(named, known, table.columns, 'write')}"
            f"; the columns are {', '.join(known)}"
        )
    # Line 1 is the header, so row 0 stands on line 2.
    line = f"line {int(case['index']) + 2}, " if pd.notna(case["index"]) else ""
    column = case["column"] if pd.notna(case["column"]) else schema.name
    return f"{line}{column}: {_wrong(case, schema.columns.get(column))}"


def _wrong(case: dict, column: Column | None) -> str:
    """Say what is wrong with a cell, and what may stand in it."""
    check, value = str(case["check"]), case["failure_case"]
    if check == "not_nullable":
        return "is empty; every row needs a value"
    if check.startswith(("coerce_dtype", "dtype")) and column is not None:
        kind = "text" if _is_text(column) else "number"
        return f"{value!r} is no {'whole ' if 'int' in str(column.dtype) else ''}{kind}"
    allowed = [each.statistics["allowed_values"] for each in column.checks or []
               if each.name == "isin"] if column is not None else []  # fmt: skip
    if check.startswith("isin") and allowed:
        return f"{value!r} is not one of {', '.join(map(str, allowed[0]))}"
    if check == "field_uniqueness":
        return f"{value!r} stands there twice; keep one row"
    return f"{value!r} fails {check}"


def _meant(name: str, others, taken, verb: str) -> str:
    """Name the column that was probably meant, or say that one has to be added or removed."""
    free = [str(other) for other in others if other not in taken]
    near = difflib.get_close_matches(name, free, n=1)
    if near:
        return f"rename {near[0]}" if verb == "rename" else f"did you mean {near[0]}?"
    return "add it" if verb == "rename" else "remove it"


def _repeated(table: pd.DataFrame, key: list[str]) -> list[str]:
    """Name the lines that have one key, a finding a key."""
    key = [name for name in key if name in table.columns]
    twice = table[table.duplicated(key, keep=False)]
    found = []
    for values, rows in twice.groupby(key, sort=False, dropna=False):
        lines = [str(int(place) + 2) for place in rows.index]
        said = ", ".join(f"{name} {value}" for name, value in zip(key, values, strict=True))
        found.append(f"lines {' and '.join(lines)}: {said} stand there twice; keep one row")
        if len(found) == _LISTED:
            break
    return found


def write_table(table: pd.DataFrame, path: str | os.PathLike, schema: DataFrameSchema) -> None:
    """Check a table and write it as CSV, columns in the schema's order.

    Parameters
    ----------
    table : DataFrame
    path : path
        Replaced only when the whole table is written.
    schema : DataFrameSchema

    Raises
    ------
    BadInput
        If the table breaks its schema; nothing is written.
    """
    checked = check_table(table.reset_index(drop=True), schema, where=str(path))
    named = [name for name in schema.columns if name in checked.columns]
    free = [name for name in checked.columns if name not in named]
    with replacing(path) as temporary:
        # Nine significant digits: beyond the accuracy of float32 networks, so no number
        # of a run is rounded, and files of two runs compare byte by byte.
        checked[[*named, *free]].to_csv(temporary, index=False, float_format="%.9g")


def _is_text(column) -> bool:
    return column.dtype is not None and str(column.dtype) == "str"
