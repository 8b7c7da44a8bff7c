"""Reading and writing tables: checked against their schema, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
from pandera.errors import SchemaErrors
from pandera.pandas import DataFrameSchema

from brainage_lib.errors import BadInput
from brainage_lib.files import replacing

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
        findings = [_finding(case, schema) for case in error.failure_cases.to_dict("records")]
        raise BadInput(where, list(dict.fromkeys(findings))) from None


def _finding(case: dict, schema: DataFrameSchema) -> str:
    """Put one of pandera's failure cases into words."""
    if case["check"] in ("column_in_dataframe", "add_missing_has_default"):
        return f"{case['failure_case']}: column is missing; add it"
    if case["check"] == "column_in_schema":
        known = ", ".join(name for name in schema.columns)
        return f"{case['failure_case']}: unknown column; the columns are {known}"
    # Line 1 is the header, so row 0 stands on line 2.
    line = f"line {int(case['index']) + 2}, " if pd.notna(case["index"]) else ""
    column = case["column"] if pd.notna(case["column"]) else schema.name
    return f"{line}{column}: {case['failure_case']!r} fails {case['check']}"


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
