"""A study's tables to visits: one row a person and session, checked, joined, unambiguous."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from brainage_lib.data.studies import cells
from brainage_lib.data.studies.left_out import LeftOut
from brainage_lib.data.studies.opening import FILE, LINE, find_tables, open_tables
from brainage_lib.data.studies.specification import Study, Table
from brainage_lib.errors import BadInput

ID, SESSION, IMAGE = "_id", "_session", "_image"
NOT_T1 = "the study's table says that this is not a T1w to be read"
DIFFER = "rows of the same scan differ"


class Visits(NamedTuple):
    """What the tables of a study say.

    Attributes
    ----------
    rows : DataFrame
        ``_id``, ``_session``, ``_image``, ``_file``, ``_line``, and the study's columns as
        text; one row a visit (or an image, where images are matched by number).
    sex : dict of str to str
        F or M by the canonical text of the code.
    preferred : set of str
        Image numbers that the study's quality control selected.
    left_out : list of LeftOut
    notes : list of str
    """

    rows: pd.DataFrame
    sex: dict[str, str]
    preferred: set[str]
    left_out: list[LeftOut]
    notes: list[str]


def read_visits(study: Study, given: Sequence[str | Path], sex_coding: str | None) -> Visits:
    """Read a study's tables.

    Parameters
    ----------
    study : Study
    given : sequence of path
        As for `find_tables`.
    sex_coding : str or None
        See `cells.sex_values`.

    Raises
    ------
    WrongUsage
        A table is missing, or the coding of sex must be said.
    BadInput
        With every cell of every table that is not what the study's documents say.
    """
    sex = cells.sex_values(study.sex, sex_coding)
    tables, notes = open_tables(study, find_tables(study, [str(path) for path in given]))
    findings: list[str] = []
    left_out: list[LeftOut] = []
    keyed: dict[str, pd.DataFrame] = {}
    for name, frame in tables.items():
        kept = _keep(study.tables[name], frame, left_out)
        keyed[name] = _key(study, study.tables[name], kept, findings, left_out)
        findings += _check(study, keyed[name], sex)
    if findings:
        raise BadInput(f"tables of {study.project}", findings)
    rows = _collapse(study, keyed[study.main], left_out)
    preferred: set[str] = set()
    for name, table in study.tables.items():
        if table.join == "image":
            if name in keyed:
                preferred |= set(keyed[name][IMAGE])
        elif table.join is not None:
            rows = _join(study, table, rows, keyed.get(name), left_out)
    rows = _expand(study, rows)
    return Visits(_one_sex(study, rows, left_out), sex, preferred, left_out, notes)


def _keep(table: Table, frame: pd.DataFrame, left_out: list[LeftOut]) -> pd.DataFrame:
    """Keep the rows that the specification asks for; list the others of the main table."""
    keep = pd.Series(True, index=frame.index)
    for column, patterns in table.keep.items():
        whole = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
        keep &= frame[column].map(lambda text, whole=whole: bool(whole.fullmatch(text)))
    if table.join is None:
        columns = ", ".join(table.keep)
        for row in frame[~keep].to_dict("records"):
            left_out.append(
                LeftOut(row[FILE], row[LINE], row[table.id], NOT_T1, f"see its {columns}")
            )
    return frame[keep].reset_index(drop=True)


def _key(
    study: Study,
    table: Table,
    frame: pd.DataFrame,
    findings: list[str],
    left_out: list[LeftOut],
) -> pd.DataFrame:
    """Add the keys: participant, session, image number."""
    # Only the main table's ids name a session beside the person.
    pattern = re.compile(study.id_pattern)
    main = table.join is None
    ids, sessions, fits = [], [], []
    for row in frame.to_dict("records"):
        found = pattern.fullmatch(row[table.id])
        if table.join == "image":
            # Quality tables write ids in a way of their own; the image number is enough.
            ids.append(""), sessions.append(""), fits.append(True)
            continue
        fits.append(found is not None)
        ids.append(found["id"] if found else "")
        column = study.session if main else table.session
        session = row[column] if column else ""
        if found and "session" in pattern.groupindex:
            session = found["session"]
        sessions.append(study.sessions.get(session, session))
        if found:
            continue
        if row[table.id]:
            findings.append(
                f"{row[FILE]}, line {row[LINE]}, {table.id}: {row[table.id]!r} is no id of "
                f"{study.project} (expected {study.id_pattern}); correct it"
            )
        else:
            left_out.append(LeftOut(row[FILE], row[LINE], "", "no id", "fill it in"))
    frame = frame.assign(**{ID: ids, SESSION: sessions})
    frame[IMAGE] = frame[table.image].map(image_number) if table.image else ""
    return frame[fits].reset_index(drop=True)


def image_number(text: str) -> str:
    """Digits of an image's number: LONI writes I123456 and 123456.

    Examples
    --------
    >>> image_number("I0123")
    '123'
    """
    return text.lstrip("ISis").split(".")[0].lstrip("0")


def _numbers(study: Study) -> list[str]:
    age = study.age
    columns = [*age.columns.values(), age.interval_days]
    if age.how != "birth":
        columns.append(age.column)
    return [column for column in columns if column]


def _check(study: Study, frame: pd.DataFrame, sex: dict[str, str]) -> list[str]:
    """Every filled cell that is not what its column should hold."""
    age = study.age
    rules: list[tuple[str, object, str]] = [
        (study.sex.column, lambda t: cells.canonical(t) in sex, f"one of {', '.join(sex)}")
    ]
    rules += [(column, lambda t: cells.number(t) is not None, "a number")
              for column in _numbers(study)]  # fmt: skip
    rules += [
        (column, lambda t: cells.date(t, study.dates) is not None,
         f"a date like {' or '.join(study.dates)}")
        for column in dict.fromkeys((study.date, age.since, age.date)) if column
    ]  # fmt: skip
    if age.how == "birth":
        like = "a year" if age.resolution == "year" else "MM/YYYY"
        rules.append((age.column, lambda t: cells.birth(t, str(age.resolution)) is not None, like))
    for rule in [] if study.diagnosis == "control" else study.diagnosis:
        if rule.other == "refuse":
            known = {cells.canonical(code) for code in rule.values}
            rules.append(
                (rule.column, lambda t, known=known: cells.canonical(t) in known,
                 f"one of {', '.join(rule.values)}")
            )  # fmt: skip
    findings = []
    for column, fits, expected in rules:
        if column not in frame:
            continue
        for text, file, line in zip(frame[column], frame[FILE], frame[LINE], strict=True):
            if text and not fits(text):
                findings.append(
                    f"{file}, line {line}, {column}: {text!r} is not {expected}; "
                    "correct it, or empty the cell to leave the row out"
                )
    return findings


def _judged(study: Study) -> list[str]:
    """Columns in which rows of one scan must agree."""
    rules = [] if study.diagnosis == "control" else [rule.column for rule in study.diagnosis]
    birth = [study.age.column] if study.age.how == "birth" else []
    names = [study.sex.column, *_numbers(study), *birth, study.age.since, *rules]
    return list(dict.fromkeys(name for name in names if name))


def _first_filled(
    frame: pd.DataFrame, keys: list[str], judged: list[str]
) -> tuple[pd.DataFrame, dict[tuple, list[str]]]:
    """One row a key with the first filled cell of each column; and columns that conflict."""
    filled = frame.where(frame != "")
    merged = filled.groupby(keys, sort=False, dropna=False).first().reset_index().fillna("")
    conflicts: dict[tuple, list[str]] = {}
    repeated = frame[frame.duplicated(keys, keep=False)]
    for column in (name for name in judged if name in frame and name not in keys):
        known = repeated[repeated[column] != ""]
        counts = known[column].map(cells.canonical).groupby([known[key] for key in keys]).nunique()
        for key in counts[counts > 1].index:
            whole = key if isinstance(key, tuple) else (key,)
            conflicts.setdefault(whole, []).append(column)
    return merged, conflicts


def _collapse(study: Study, frame: pd.DataFrame, left_out: list[LeftOut]) -> pd.DataFrame:
    """Join the rows of one visit; leave out those that contradict each other."""
    keys = [IMAGE] if study.images.match == "image" else [ID, SESSION]
    merged, conflicts = _first_filled(frame, keys, _judged(study))
    for key, columns in conflicts.items():
        same = (frame[keys] == list(key)).all(axis=1)
        for row in frame[same].to_dict("records"):
            left_out.append(
                LeftOut(row[FILE], row[LINE], " ".join(key), f"{DIFFER} in {', '.join(columns)}",
                        "find out which is right and remove the other")
            )  # fmt: skip
    keep = [key not in conflicts for key in merged[keys].itertuples(index=False, name=None)]
    return merged[keep].reset_index(drop=True)


def _join(
    study: Study,
    table: Table,
    rows: pd.DataFrame,
    other: pd.DataFrame | None,
    left_out: list[LeftOut],
) -> pd.DataFrame:
    """Add a table's columns to the visits; fill empty cells of those that are there."""
    keys = [ID] if table.join == "participant" else [ID, SESSION]
    names = [c for c in (*table.columns, *table.optional) if c not in (table.id, table.session)]
    for name in names:
        if name not in rows:
            rows[name] = ""
    if other is None:
        return rows
    judged = [name for name in _judged(study) if name != study.date]
    merged, conflicts = _first_filled(other, keys, judged)
    for key, columns in conflicts.items():
        same = (other[keys] == list(key)).all(axis=1)
        for row in other[same].to_dict("records"):
            left_out.append(
                LeftOut(row[FILE], row[LINE], " ".join(key), f"{DIFFER} in {', '.join(columns)}",
                        "find out which is right and remove the other")
            )  # fmt: skip
    whole = list(rows[keys].itertuples(index=False, name=None))
    rows = rows[[key not in conflicts for key in whole]].reset_index(drop=True)
    values = merged.set_index(keys)
    index = pd.MultiIndex.from_frame(rows[keys]) if len(keys) > 1 else pd.Index(rows[keys[0]])
    for name in names:
        found = values[name].reindex(index).fillna("").to_numpy()
        rows[name] = rows[name].where(rows[name] != "", found)
    return rows


def _expand(study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    """Make a row a session where a person is one row with a column of ages a session."""
    if study.age.how != "wide":
        return rows
    parts = [
        rows.assign(**{SESSION: session, "_age": rows[column]})
        for session, column in study.age.columns.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _one_sex(study: Study, rows: pd.DataFrame, left_out: list[LeftOut]) -> pd.DataFrame:
    """Carry a person's sex over their visits; leave out who has two."""
    column = study.sex.column
    known = rows[rows[column] != ""]
    counts = known[column].map(cells.canonical).groupby(known[ID]).nunique()
    two = set(counts[counts > 1].index)
    for row in rows[rows[ID].isin(two)].to_dict("records"):
        left_out.append(
            LeftOut(row[FILE], row[LINE], f"{row[ID]} {row[SESSION]}".strip(),
                    f"visits of one person differ in {column}", "find out which is right")
        )  # fmt: skip
    rows = rows[~rows[ID].isin(two)].reset_index(drop=True)
    first = known.groupby(ID)[column].first()
    filled = rows[ID].map(first).fillna("")
    rows[column] = rows[column].where(rows[column] != "", filled)
    return rows
