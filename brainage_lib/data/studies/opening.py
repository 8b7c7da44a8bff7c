"""Opening a study's tables: finding them by name, reading every cell as cleaned text."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from brainage_lib.data.studies.specification import Study, Table
from brainage_lib.errors import BadInput, WrongUsage

MISSING = ("", "n/a", "na", "nan", "none", "null")
QUOTES = "'\"\u00a0"

FILE, LINE = "_file", "_line"
"""Columns that say where a row stands."""


def find_tables(study: Study, given: Sequence[str]) -> dict[str, list[Path]]:
    """Say which of the given files is which table of the study.

    Parameters
    ----------
    study : Study
    given : sequence of str
        Files, folders that hold them, or ``name=path`` where a file's name tells nothing.

    Returns
    -------
    dict of table name to list of Path

    Raises
    ------
    WrongUsage
        A file does not exist or fits no table, a table is missing, or two files fit one.
    """
    found: dict[str, list[Path]] = {name: [] for name in study.tables}
    needed = [name for name, table in study.tables.items() if table.required]
    for text in given:
        name, _, rest = text.partition("=")
        if rest and name in found:
            found[name].append(_existing(rest))
            continue
        path = _existing(text)
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        fits = [(_table_of(study, file.name), file) for file in inside if file.is_file()]
        if not path.is_dir() and fits[0][0] is None:
            # With one table only, a file that was renamed can be no other.
            if len(study.tables) == 1:
                fits = [(needed[0], path)]
            else:
                raise WrongUsage(
                    f"{path}: its name fits no table of {study.project}; give it as NAME=PATH "
                    f"with one of {_expected(study)}"
                )
        for table, file in fits:
            if table is not None:
                found[table].append(file)
    problems = [
        f"{name}: give --table with a file named like {' or '.join(study.tables[name].files)}, "
        f"or {name}=PATH"
        for name in needed
        if not found[name]
    ]
    for name, files in found.items():
        if len(files) > 1 and not study.tables[name].many:
            problems.append(
                f"{name}: {len(files)} files fit ({', '.join(file.name for file in files)}); "
                f"give one of them as {name}=PATH"
            )
    if problems:
        lines = [f"tables of {study.project}:", *(f"  {problem}" for problem in problems)]
        raise WrongUsage("\n".join(lines))
    return {name: files for name, files in found.items() if files}


def _existing(text: str) -> Path:
    path = Path(text)
    if not path.exists():
        raise WrongUsage(f"{text}: the table does not exist")
    return path


def _table_of(study: Study, file: str) -> str | None:
    """Name of the table whose pattern fits a file; the longest pattern says most."""
    fits = [
        (len(pattern), name)
        for name, table in study.tables.items()
        for pattern in table.files
        if fnmatch.fnmatch(file.lower(), pattern.lower())
    ]
    return max(fits)[1] if fits else None


def _expected(study: Study) -> str:
    return ", ".join(f"{name} ({', '.join(table.files)})" for name, table in study.tables.items())


def open_tables(
    study: Study, files: dict[str, list[Path]]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Read the tables of a study.

    Returns
    -------
    tables : dict of name to DataFrame
        Cells are text, "" where nothing is known; columns ``_file`` and ``_line`` say where a
        row stands. Rows without any value are gone. Optional columns that are not in a file
        are there, empty.
    notes : list of str
        Numbers of rows that differ from the published table's.

    Raises
    ------
    BadInput
        With every file that cannot be read and every column that is missing.
    """
    findings: list[str] = []
    notes: list[str] = []
    tables: dict[str, pd.DataFrame] = {}
    for name, paths in files.items():
        table = study.tables[name]
        parts = []
        for path in paths:
            part = _read(path, table, findings)
            if part is None:
                continue
            missing = [column for column in table.columns if column not in part]
            for column in missing:
                findings.append(
                    f"{path.name}, line 1, {column}: column is missing; take the study's own "
                    f"file, or rename the column (there are: {', '.join(part.columns)})"
                )
            if missing:
                continue
            for column in table.optional:
                if column not in part:
                    part[column] = ""
            if table.rows and len(part) != table.rows:
                notes.append(
                    f"{path.name} has {len(part)} rows, the published table {table.rows}: "
                    "copies on the web drop rows; compare it with the study's own"
                )
            parts.append(part.assign(**{FILE: path.name}))
        if parts:
            tables[name] = pd.concat(parts, ignore_index=True)
    if findings:
        raise BadInput(f"tables of {study.project}", findings)
    return tables, notes


def _read(path: Path, table: Table, findings: list[str]) -> pd.DataFrame | None:
    try:
        if path.suffix.lower() in (".xls", ".xlsx"):
            frame = pd.read_excel(
                path,
                sheet_name=0 if table.sheet is None else table.sheet,
                dtype=str,
                keep_default_na=False,
            )
        else:
            frame = pd.read_csv(
                path,
                sep="\t" if path.suffix.lower() == ".tsv" else ",",
                dtype=str,
                keep_default_na=False,
                skip_blank_lines=False,
                encoding=table.encoding,
            )
    except (ValueError, KeyError, OSError, pd.errors.ParserError) as error:
        # pandas' own errors and those of the workbook readers are kinds of these.
        findings.append(f"{path.name}: cannot be read as a table: {error}; open and save it again")
        return None
    except Exception as error:  # xlrd and zipfile have error classes of their own
        if type(error).__module__.partition(".")[0] not in ("xlrd", "zipfile", "openpyxl"):
            raise
        findings.append(f"{path.name}: not a workbook: {error}; download it again")
        return None
    frame.columns = [str(column).strip() for column in frame.columns]
    frame[LINE] = frame.index + 2
    cells = [column for column in frame.columns if column != LINE]
    missing = {*MISSING, *(word.lower() for word in table.missing)}
    for column in cells:
        text = frame[column].fillna("").astype(str).str.strip()
        text = text.str.strip(f"{QUOTES}{table.strip} \t")
        frame[column] = text.where(~text.str.lower().isin(missing), "")
    return frame[(frame[cells] != "").any(axis=1)].reset_index(drop=True)
