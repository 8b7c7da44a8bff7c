"""The manifest: a row a scan. Every bad row is found at once, with its line and its remedy."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from brainage_lib.errors import BadInput
from brainage_lib.tables.files import MISSING
from brainage_lib.tables.schemas import MANIFEST, T1W_STATES

COLUMNS = [name for name in MANIFEST.columns if not name.startswith("^")]
AGE_RANGE = (5.0, 110.0)

SCAN_ID = r"\w[\w.+-]*"
"""A scan's files are named after it: no separator of folders, no blank."""


def read_manifest(path: str | os.PathLike) -> pd.DataFrame:
    """Read a manifest; refuse it if any row is bad.

    Parameters
    ----------
    path : path
        CSV with the columns of ``MANIFEST``; free columns begin with ``x_``. Image paths
        are relative to the manifest's folder and may not leave it, or are ``sim:`` URIs.

    Returns
    -------
    DataFrame
        One row a scan, in the file's order; ``path`` is unchanged.

    Raises
    ------
    BadInput
        With one finding a bad cell: line, column, what is wrong, what to do.
    """
    table, findings = examine_manifest(path)
    if findings:
        ordered = sorted(findings, key=lambda finding: finding[0])
        raise BadInput(str(path), [text for _, text in ordered])
    return MANIFEST.validate(table)


def manifest_faults(
    path: str | os.PathLike, optional: Collection[str] = ()
) -> tuple[pd.DataFrame, dict[int, list[str]]]:
    """Read a manifest whose bad rows are to be put aside.

    Parameters
    ----------
    path, optional
        As for `examine_manifest`.

    Returns
    -------
    table : DataFrame
        All rows, as far as they could be read.
    faults : dict of int to list of str
        By the place of a bad row in the table: what is wrong with it, and the remedy.

    Raises
    ------
    BadInput
        The file cannot be read as a table with its columns.
    """
    table, findings = examine_manifest(path, optional)
    whole = [text for line, text in findings if line < 2]
    if whole:
        raise BadInput(str(path), whole)
    faults: dict[int, list[str]] = {}
    for line, text in findings:
        # The row's place is known; "line 3, " at the beginning would say it again.
        faults.setdefault(line - 2, []).append(text.split(", ", 1)[1])
    return table, faults


def examine_manifest(
    path: str | os.PathLike, optional: Collection[str] = ()
) -> tuple[pd.DataFrame, list[tuple[int, str]]]:
    """Read a manifest and list what is wrong with it.

    Parameters
    ----------
    path : path
    optional : collection of str
        Columns that may be missing, and whose cells may be empty; a cell that is filled is
        checked all the same.

    Returns
    -------
    table : DataFrame
        The rows as far as they could be read; ``age`` is a number or NaN.
    findings : list of (int, str)
        The line in the file (1 is the header; 0 stands for the file) and the finding.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except FileNotFoundError:
        raise BadInput(str(path), ["the file does not exist; give the path of a CSV"]) from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise BadInput(str(path), [f"not a CSV table: {error}"]) from None
    findings: list[tuple[int, str]] = []
    for name in table.columns:
        if name not in COLUMNS and not name.startswith("x_"):
            findings.append(
                (
                    1,
                    f"line 1, {name}: unknown column; rename it to x_{name} to keep "
                    "it, or remove it",
                )
            )
    for name in COLUMNS:
        if name in optional and name not in table.columns:
            table[name] = ""
        if name not in table.columns:
            findings.append((1, f"line 1, {name}: column is missing; add it"))
    if table.empty:
        findings.append((0, "no rows: the table needs at least one scan"))
    if table.empty or any(name not in table.columns for name in COLUMNS):
        return table, findings
    table = table.apply(lambda column: column.str.strip())
    empty = table["scan_id"].isin(MISSING)
    for name in ("scan_id", "participant_id", "project", "session", "diagnosis", "path"):
        if name in optional:
            continue
        for row in np.flatnonzero(table[name].isin(MISSING)):
            findings.append(_finding(row, name, "is empty", "fill it in"))
    for row in np.flatnonzero(~table["scan_id"].str.fullmatch(SCAN_ID) & ~empty):
        findings.append(
            _finding(
                row,
                "scan_id",
                f"{table['scan_id'][row]!r} cannot name a file",
                "use letters, digits, and . _ - + after the first one",
            )
        )
    for row, other in _duplicates(table["scan_id"]):
        findings.append(
            _finding(
                row,
                "scan_id",
                f"{table['scan_id'][row]!r} stands already on line {other + 2}",
                "give each scan its own scan_id",
            )
        )
    table["age"] = _ages(table["age"], findings, "age" in optional)
    for name, allowed in (("sex", ("F", "M")), ("t1w_state", T1W_STATES)):
        _choices(table[name], name, allowed, findings, name in optional)
    _paths(table["path"], path.parent, findings)
    return table, findings


def _finding(row: int, column: str, what: str, remedy: str) -> tuple[int, str]:
    return int(row) + 2, f"line {int(row) + 2}, {column}: {what}; {remedy}"


def _duplicates(values: pd.Series) -> list[tuple[int, int]]:
    first: dict[str, int] = {}
    found = []
    for row, value in enumerate(values):
        if value in MISSING:
            continue
        if value in first:
            found.append((row, first[value]))
        first.setdefault(value, row)
    return found


def _ages(texts: pd.Series, findings: list, may_be_empty: bool) -> pd.Series:
    ages = pd.to_numeric(texts, errors="coerce")
    low, high = AGE_RANGE
    good = ages.between(low, high) | (texts.isin(MISSING) & may_be_empty)
    for row in np.flatnonzero(~good):
        what = "is not a number" if np.isnan(ages[row]) else f"is outside {low:g}–{high:g}"
        findings.append(
            _finding(row, "age", f"{texts[row]!r} {what}", "give the age at the scan in years")
        )
    return ages


def _choices(
    texts: pd.Series, name: str, allowed: tuple[str, ...], findings: list, may_be_empty: bool
) -> None:
    for row in np.flatnonzero(~(texts.isin(allowed) | (texts.isin(MISSING) & may_be_empty))):
        findings.append(
            _finding(
                row, name, f"{texts[row]!r} is not allowed", f"use one of {', '.join(allowed)}"
            )
        )


def _paths(texts: pd.Series, folder: Path, findings: list) -> None:
    folder = folder.resolve()
    for row, text in enumerate(texts):
        if text in MISSING or text.startswith("sim:"):
            continue
        # Unlike Path.resolve, it does not fail at links that lead in a circle.
        target = Path(os.path.realpath(folder / text))
        if not target.is_relative_to(folder):
            findings.append(
                _finding(
                    row,
                    "path",
                    f"{text!r} leaves the manifest's folder",
                    "move the scan below it, or the manifest above it",
                )
            )
        elif not target.exists():
            findings.append(
                _finding(
                    row,
                    "path",
                    f"{text!r} does not exist",
                    "correct the path, relative to the manifest",
                )
            )
