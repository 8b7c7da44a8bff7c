"""The last look at a recording before it is put in place: nobody must be readable from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from brainage_lib.errors import BadInput
from brainage_lib.report.recorded_tables import ROUNDED_TO, Finished
from brainage_lib.stats.disclosure import LEAST, LEAST_QUANTILES, LEAST_TAILS, exposed_cells
from brainage_lib.tables import DECADES, age_group, decade, read_table
from brainage_lib.tables.recorded import CARD, RECORDED

FORBIDDEN_COLUMNS = ("scan_id", "participant_id", "path", "session", "age")
MOST_BYTES = 6_000_000
"""A recording is part of every clone."""

_WORDS = (re.compile(r"[\w./-]+"), re.compile(r"[\w-]+"), re.compile(r"[^\W_]+(?:_[^\W_]+)*"))


def check(folder: Path, finished: Finished) -> None:
    """Open every file of a recording and refuse it if it gives anybody away.

    Parameters
    ----------
    folder : Path
        The recording, before it is put in place.
    finished : Finished
        The run of its newest piece.

    Raises
    ------
    BadInput
        A name or path of the manifest stands somewhere, a column holds such, a group of few
        people is shown or follows from others, a file is of no known kind, or all are too
        large. The names themselves are not repeated.
    """
    findings = faults(folder, _names(finished))
    for name, table in _tables(folder).items():
        findings += [f"{name}.csv: {text}" for text in _follows(name, table, finished)]
    if findings:
        raise BadInput(f"recording {folder.name.strip('.')}", findings)


class Names(NamedTuple):
    """What must stand nowhere: as a word of its own, and as a part of any text."""

    words: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()


def faults(folder: Path, names: Names | None = None) -> list[str]:
    """List what is wrong with a recording as far as it can be told from its files alone.

    Parameters
    ----------
    folder : Path
    names : Names, optional
        Names and paths that must not occur; without its run nobody knows them.

    Returns
    -------
    list of str
        Files of no known kind, columns of single people, groups of few people that are shown,
        maps of few, and a size beyond `MOST_BYTES`; each with its file.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    found = [f"{path.name}: {text}" for path in files for text in _in_file(path, names or Names())]
    if size > MOST_BYTES:
        found.append(f"{size / 1e6:.1f} MB are more than {MOST_BYTES / 1e6:.0f} MB")
    tables = _tables(folder)
    for name, table in tables.items():
        found += [f"{name}.csv: {text}" for text in _shown_of_few(table)]
    if "error_quantiles" in tables:
        found += _quantiles(tables["error_quantiles"])
    if "age_density" in tables and tables["age_density"]["n_scans"].lt(LEAST).any():
        found.append(f"age_density.csv: a cell of fewer than {LEAST} scans")
    if "statements" in tables and (tables["statements"]["n_scans"] % ROUNDED_TO).gt(0).any():
        found.append(f"statements.csv: a count of scans that is no multiple of {ROUNDED_TO}")
    return found + _maps(folder, tables.get("attribution"))


def _tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {
        name: read_table(folder / f"{name}.csv", schema)
        for name, schema in RECORDED.items()
        if (folder / f"{name}.csv").is_file()
    }


def _names(finished: Finished) -> Names:
    """Names of scans and people, and their paths.

    Bare numbers cannot be told from counts, nor one or two letters from words.
    """
    rows = finished.manifest
    paths = set(rows["path"])
    words = set(rows["scan_id"]) | set(rows["participant_id"]) | paths
    words |= {Path(path).name for path in paths} | {Path(path).name.split(".")[0] for path in paths}
    words = {name for name in words if len(name) > 2 and re.search(r"[^\W\d]", name)}
    folders = {str(finished.run.folder), str(Path(finished.run.profile.cohort).parent)}
    odd = {name for name in words if not _WORDS[0].fullmatch(name)}
    return Names(frozenset(words), frozenset(odd | {name for name in folders if len(name) > 1}))


def _in_file(path: Path, names: Names) -> list[str]:
    if path.suffix == ".csv":
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        found = [f"a column {name}" for name in FORBIDDEN_COLUMNS if name in table.columns]
        if path.stem not in RECORDED:
            found.append("not a table of a recording")
        texts = [*table.columns, *(text for name in table for text in table[name].unique())]
    elif path.name == CARD:
        found, texts = [], list(_strings(json.loads(path.read_text(encoding="utf-8"))))
    elif path.suffix == ".npz":
        found, texts = _in_arrays(path)
    else:
        return ["not a file of a recording"]
    if any(_named(text, names) for text in texts):
        found.append("names a scan, a participant or a path of the manifest")
    return found


def _in_arrays(path: Path) -> tuple[list[str], list[str]]:
    found, texts = [], []
    with np.load(path, allow_pickle=False) as stored:
        for name in stored.files:
            array = stored[name]
            if array.dtype.kind == "U":
                texts += [str(text) for text in array.ravel()]
            elif array.dtype != np.float16 or array.ndim != 4:
                found.append(f"{name} is no set of mean volumes in half precision")
    return found, texts


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield key
            yield from _strings(below)
    elif isinstance(value, list):
        for below in value:
            yield from _strings(below)
    elif isinstance(value, str):
        yield value


def _named(text: str, names: Names) -> bool:
    words = {word for pattern in _WORDS for word in pattern.findall(text)}
    words |= {word.strip("./-") for word in words} | {text}
    return bool(words & names.words) or any(part in text for part in names.parts)


def _shown_of_few(table: pd.DataFrame) -> list[str]:
    found = []
    if "n_participants" in table:
        n = table["n_participants"].astype("Int64")
        if ((n > 0) & (n < LEAST)).any():
            found.append(f"a group of fewer than {LEAST} participants is shown")
    if "hidden" in table:
        numbers = table.loc[table["hidden"], _numbers(table)]
        if numbers.notna().any(axis=None):
            found.append("a hidden row has numbers")
    return found


def _numbers(table: pd.DataFrame) -> list[str]:
    """Columns that say something of the people of a row."""
    about = ("n_scans", "n_participants", "n_validation", "mae", "mae_low", "mae_high", "kl",
             "age_mean", "age_sd", "shared_participants", "validation_mae", "mass_outside",
             "sagittal", "coronal", "axial", "outside", "q05", "q25", "q50", "q75",
             "q95", "value", "null_low", "null_high", "p")  # fmt: skip
    return [name for name in about if name in table]


def _quantiles(table: pd.DataFrame) -> list[str]:
    n = table["n_participants"].astype("Int64").fillna(0)
    found = []
    for least, columns in ((LEAST_QUANTILES, ["q25", "q50", "q75"]), (LEAST_TAILS, ["q05", "q95"])):
        if table.loc[n < least, columns].notna().any(axis=None):
            found.append(f"error_quantiles.csv: {columns} of fewer than {least} participants")
    return found


def _maps(folder: Path, attribution: pd.DataFrame | None) -> list[str]:
    found = []
    for path in sorted(folder.glob("*.npz")):
        recipe = path.stem.removeprefix("maps-")
        with np.load(path, allow_pickle=False) as stored:
            decades = set(map(str, stored["decades"])) if "decades" in stored.files else set()
            sizes = {len(stored[name]) for name in stored.files}
        rows = pd.DataFrame() if attribution is None else attribution
        rows = rows[(rows["recipe"] == recipe) & (rows["n_participants"] >= LEAST_QUANTILES)]
        if sizes != {len(decades)} or not decades <= set(rows["decade"]):
            found.append(f"{path.name}: a map of fewer than {LEAST_QUANTILES} participants")
    return found


def _follows(name: str, table: pd.DataFrame, finished: Finished) -> list[str]:
    """Say what of the newest piece could be had by subtraction."""
    found: list[str] = []
    if name in ("table2", "table3", "error_quantiles", "age_density"):
        for key, block in _evaluated(finished):
            rows = table
            for column, value in key.items():
                rows = rows[rows[column] == value]
            if name == "age_density":
                for model, cells in rows.groupby("model"):
                    members = block.assign(predicted_decade=decade(block[model]).astype(str))
                    orders = (DECADES, DECADES)
                    leaks = exposed_cells(cells, members, "decade", "predicted_decade", orders)
                    found += [f"{model}, {text}" for text in leaks]
                continue
            group = {"table2": "age_group", "table3": "project"}.get(name, "decade")
            found += _rests(rows, block, group)
    elif name == "split_scores":
        for (mode, fold), rows in table.groupby(["mode", "fold"]):
            members = finished.split_members
            members = members[(members["mode"] == mode) & (members["fold"] == fold)]
            found += _rests(rows, members, "partition")
    elif name == "attribution":
        for mode, rows in table.groupby("mode"):
            members = finished.tested[finished.tested["mode"] == mode]
            found += _rests(rows, members, "decade")
    elif name == "statements":
        few = finished.statements
        few = few[few["n_participants"] < LEAST]
        key = RECORDED[name].unique
        if few.merge(table.loc[~table["hidden"], key], on=key).shape[0]:
            found.append(f"what is said of fewer than {LEAST} participants is shown")
    elif name == "cohort":
        cells = table[(table["who"] == "controls") & (table["sex"] != "all")]
        cells = cells[cells["decade"] != "all"]
        orders = (DECADES, ("F", "M"))
        leaks = exposed_cells(cells, finished.controls, "decade", "sex", orders)
        found += leaks
    return found


def _evaluated(finished: Finished) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    from brainage_lib.stats import evaluated

    for key, block in evaluated(finished.stacked):
        yield (
            key,
            block.assign(
                decade=decade(block["age"]).astype(str),
                age_group=age_group(block["age"]).astype(str),
            ),
        )


def _rests(rows: pd.DataFrame, members: pd.DataFrame, group: str) -> list[str]:
    """Say whether the total less the groups shown is one of few people."""
    shown = set(rows.loc[rows["n_scans"].fillna(0) > 0, group].astype(str))
    rest = members.loc[~members[group].astype(str).isin(shown), "participant_id"].nunique()
    if shown and 0 < rest < LEAST:
        return [f"what is hidden by {group} is of fewer than {LEAST} participants"]
    return []
