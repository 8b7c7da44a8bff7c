"""Everything that one predictions table can tell, at once."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pandera.pandas import DataFrameSchema

from brainage_lib.stats.conformal import COVERAGE
from brainage_lib.stats.corrected import refuse_corrected
from brainage_lib.stats.coverage import corrected_gaps, coverage, scan_intervals
from brainage_lib.stats.fairness import by_sex, guesses, left_out_studies, studies
from brainage_lib.stats.inflation import inflation
from brainage_lib.stats.ladder import ladder
from brainage_lib.stats.metrics import REPLICATES
from brainage_lib.stats.nested import anova
from brainage_lib.stats.network_errors import network_errors
from brainage_lib.stats.patients import bias_over_age, patients
from brainage_lib.stats.reliability import repeated_scans
from brainage_lib.stats.simulated import TABLES, false_alarms, ladder_null
from brainage_lib.stats.stacking import Stacked, stack
from brainage_lib.stats.summary import compare_models, table1, table2, table3
from brainage_lib.tables import (
    ANOVA,
    BIAS,
    BY_SEX,
    COEFFICIENTS,
    CORRECTED,
    DIFFERENCES,
    FALSE_ALARMS,
    GUESSES,
    INFLATION,
    LADDER,
    LADDER_NULL,
    LEFT_OUT,
    NETWORKS,
    PATIENTS,
    PREDICTIONS,
    RELIABILITY,
    SCANS,
    STUDIES,
    TABLE1,
    TABLE2,
    TABLE3,
    read_table,
)
from brainage_lib.tables import (
    COVERAGE as COVERAGE_TABLE,
)

FILES: dict[str, DataFrameSchema] = {
    "table1": TABLE1,
    "table2": TABLE2,
    "table3": TABLE3,
    "differences": DIFFERENCES,
    "anova": ANOVA,
    "coefficients": COEFFICIENTS,
    "inflation": INFLATION,
    "false_alarms": FALSE_ALARMS,
    "guesses": GUESSES,
    "networks": NETWORKS,
    "by_sex": BY_SEX,
    "studies": STUDIES,
    "left_out": LEFT_OUT,
    "coverage": COVERAGE_TABLE,
    "bias": BIAS,
    "reliability": RELIABILITY,
    "patients": PATIENTS,
    "ladder": LADDER,
    "ladder_null": LADDER_NULL,
    "scans": SCANS,
    "corrected": CORRECTED,
}
"""Tables of an analysis, by the name of their file without ``.csv``."""

PERSONAL = ("scans", "corrected")
"""Tables with rows of single people."""


@dataclass(frozen=True)
class Analysis:
    """What one predictions table tells.

    Attributes
    ----------
    stacked : Stacked
    tables : dict of str to DataFrame
        By the names of `FILES`; of those that cannot be made there is none.
    missing : dict of str to str
        By name: why a table could not be made.
    warnings : tuple of str
        What could not be done as described, or looks odd.
    headline : dict
        recipe, mode and fitted_on of which a page speaks first.
    """

    stacked: Stacked
    tables: dict[str, pd.DataFrame]
    missing: dict[str, str]
    warnings: tuple[str, ...]
    headline: dict[str, str]


def read_predictions(path: str | os.PathLike) -> pd.DataFrame:
    """Read anyone's predictions table.

    Raises
    ------
    BadInput
        As `read_table`; also a table of corrected values, which is none of predictions.
    """
    if Path(path).is_file():
        # A file that is no table: the reading below says so.
        with suppress(pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError):
            refuse_corrected(pd.read_csv(path, nrows=0), str(path))
    return read_table(path, PREDICTIONS)


def analyse(
    predictions: pd.DataFrame,
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = COVERAGE,
    simulated: int = TABLES,
) -> Analysis:
    """Make every table that the predictions allow.

    Parameters
    ----------
    predictions : DataFrame
        Schema ``PREDICTIONS``.
    replicates, seed : int
        Of the participant-cluster bootstraps.
    level : float
        Coverage of the intervals.
    simulated : int
        Tables that are simulated to see how often the tests are wrong.

    Returns
    -------
    Analysis

    Raises
    ------
    BadInput
        The table cannot be stacked (see `stack`).
    """
    stacked = stack(predictions)
    draws = {"replicates": replicates, "seed": seed}
    tables: dict[str, pd.DataFrame] = {
        "table1": table1(stacked, **draws),
        "table2": table2(stacked, **draws),
        "table3": table3(stacked, **draws),
        "differences": compare_models(stacked, **draws),
        "anova": anova(stacked, **draws),
        "coefficients": stacked.coefficients,
        "inflation": inflation(stacked, **draws),
        "guesses": guesses(stacked, **draws),
        "networks": network_errors(_with_recipe(predictions), **draws),
        "by_sex": by_sex(stacked, **draws),
        "studies": studies(stacked, **draws),
        "left_out": left_out_studies(stacked, **draws),
        "coverage": coverage(stacked, level, seed),
        "bias": bias_over_age(stacked, **draws),
        "reliability": repeated_scans(stacked, **draws),
        "patients": patients(stacked, **draws),
        "scans": scan_intervals(stacked, level, seed),
        "corrected": corrected_gaps(stacked, seed),
    }
    missing, warnings = {}, [*stacked.warnings, *copies_among(stacked)]
    tables |= _of_second_networks(predictions, stacked, draws, simulated, missing)
    for name in FILES:
        if name not in tables or tables[name].empty:
            tables.pop(name, None)
            missing.setdefault(name, _WHY.get(name, "nothing to compute it from"))
    return Analysis(
        stacked=stacked,
        tables={name: tables[name] for name in FILES if name in tables},
        missing=missing,
        warnings=tuple(dict.fromkeys(warnings)),
        headline=_headline(tables["table1"]),
    )


_FEW = "the predictions of a network are constant, or fewer than 10 scans are tested"
_WHY = {
    "ladder_null": "simulated for the sound mode alone",
    "left_out": "no study can be left out: it takes sound mode, and other studies to fit on",
    "reliability": "fewer than two tested controls have two sessions",
    "patients": "no patients are among the tested rows or the rows apart",
    "false_alarms": "fewer than 10 training rows: how networks err on what they learned from "
    "cannot be seen",
}


def copies_among(stacked: Stacked) -> list[str]:
    """Say which tested scans look like one and the same under two names.

    Age and both predictions agree to the last digit, in scans of different people: such a
    table counts somebody twice, and its intervals are too narrow.
    """
    test = stacked.inputs[stacked.inputs["role"] == "test"]
    told = []
    for (recipe, mode), rows in test.groupby(["recipe", "mode"], sort=False):
        if min(rows["T"].nunique(), rows["A"].nunique()) < len(rows) / 2:
            continue  # predictions repeat of themselves
        alike = rows.groupby(["age", "T", "A"], sort=False)["participant_id"].agg(["nunique"])
        pairs = int((alike["nunique"] > 1).sum())
        if pairs:
            told.append(
                f"{recipe}, {mode} mode: {pairs} tested scans have the age and both predictions "
                "of another person's scan, to the last digit; one person under two names is "
                "counted twice, and intervals come out too narrow"
            )
    return told


def _of_second_networks(
    predictions: pd.DataFrame, stacked: Stacked, draws: dict, simulated: int, missing: dict
) -> dict[str, pd.DataFrame]:
    """Climb the ladder of each recipe and mode, and simulate how often its tests are wrong."""
    found: dict[str, list[pd.DataFrame]] = {"ladder": [], "ladder_null": [], "false_alarms": []}
    named, seed = _with_recipe(predictions), draws["seed"]
    pairs = stacked.inputs[["recipe", "mode"]].drop_duplicates()
    for recipe, modes in pairs.groupby("recipe", sort=False)["mode"]:
        rows = named[named["recipe"] == recipe]
        found["ladder"] += [ladder(rows, recipe, mode, **draws) for mode in modes]
        if not all(_varied(stacked, recipe, mode) for mode in modes):
            missing["false_alarms"] = missing["ladder_null"] = _FEW
            continue
        found["false_alarms"].append(false_alarms(rows, recipe, tables=simulated, seed=seed))
        if "sound" in set(modes):
            found["ladder_null"].append(
                ladder_null(rows, recipe, "sound", tables=simulated, seed=seed)
            )
    whole = {}
    for name, parts in found.items():
        parts = [part for part in parts if len(part)]
        if parts:
            missing.pop(name, None)
            whole[name] = pd.concat(parts, ignore_index=True)
    return whole


def _varied(stacked: Stacked, recipe: str, mode: str) -> bool:
    """Whether both networks have errors that differ from scan to scan, in enough scans."""
    rows = stacked.inputs[(stacked.inputs["recipe"] == recipe) & (stacked.inputs["mode"] == mode)]
    test = rows[rows["role"] == "test"]
    return len(test) >= 10 and all(np.ptp(test[net]) > 0 for net in ("T", "A"))


def _with_recipe(predictions: pd.DataFrame) -> pd.DataFrame:
    if "recipe" in predictions.columns:
        return predictions
    return predictions.assign(recipe="given")


def _headline(table: pd.DataFrame) -> dict[str, str]:
    sound = table[table["mode"] == "sound"]
    row = (sound if len(sound) else table).iloc[0]
    return {name: row[name] for name in ("recipe", "mode", "fitted_on")}
