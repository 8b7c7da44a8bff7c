"""Whether intervals contain the true age as often as they say, and the intervals themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brainage_lib.stats.bias import fold_corrected_gaps
from brainage_lib.stats.conformal import COVERAGE, fold_intervals
from brainage_lib.stats.stacking import Stacked
from brainage_lib.stats.summary import projects_in_order
from brainage_lib.stats.tested import SMALL, by_model, calibrated_on
from brainage_lib.tables import DECADES, decade
from brainage_lib.tables.statistics import KINDS


def coverage(stacked: Stacked, level: float = COVERAGE, seed: int = 0) -> pd.DataFrame:
    """Share of tested controls whose interval contains their age: over all and by group.

    Parameters
    ----------
    stacked : Stacked
    level : float
        What the intervals promise.
    seed : int
        Of the halves in which a paper mode's test people calibrate each other.

    Returns
    -------
    DataFrame
        Schema ``COVERAGE``, of both kinds of interval, by decade, project and sex. The band
        is the central 95 % of a binomial of n scans at the level: it holds the luck of the
        tested scans, not that of those that gave the half-width, and takes scans as
        independent. ``half_width`` is the mean one. All of it is missing where too few
        scans could calibrate.
    """
    found = []
    for key, rows in by_model(stacked, seed=seed):
        rows = rows[rows["diagnosis"] == "control"]
        groups = _groups(rows)
        for kind in KINDS:
            told = fold_intervals(rows, level, kind)
            width = told["interval_high"] - rows["stacked_age"]
            for (by, name), inside in groups.items():
                found.append(
                    {
                        **key,
                        "kind": kind,
                        "level": level,
                        "calibrated_on": calibrated_on(key["mode"]),
                        "by": by,
                        "group": name,
                        "n_scans": int(inside.sum()),
                        "n_participants": rows.loc[inside, "participant_id"].nunique(),
                        **_share(told.loc[inside, "covered"], width[inside], level),
                        "small": bool(inside.sum() < SMALL),
                    }
                )
    return pd.DataFrame(found)


def coverage_band(n: int, level: float) -> tuple[float, float]:
    """Where the covered share of n independent scans lies in 95 of 100 samples.

    Examples
    --------
    >>> tuple(round(end, 3) for end in coverage_band(100, 0.9))
    (0.84, 0.95)
    """
    from scipy.stats import binom

    low, high = binom.ppf([0.025, 0.975], n, level) / n
    return float(low), float(high)


def scan_intervals(stacked: Stacked, level: float = COVERAGE, seed: int = 0) -> pd.DataFrame:
    """Give the prediction of each tested scan and of people set apart, with both intervals.

    Returns
    -------
    DataFrame
        Schema ``SCANS``; years. Missing ends: too few scans to calibrate on.
    """
    parts = []
    for key, rows in by_model(stacked, ("test", "apart"), seed):
        ends = {kind: fold_intervals(rows, level, kind) for kind in KINDS}
        named = rows.drop(columns=["fold", "error"]).rename(
            columns={"stacked_age": "predicted_age"}
        )
        names = {"constant": "interval", "local": "local"}
        for kind, name in names.items():
            for end in ("low", "high"):
                column = ends[kind][f"interval_{end}"]
                named[f"{name}_{end}"] = column.where(np.isfinite(column))
        parts.append(named.assign(**key))
    columns = [*key, "scan_id", "participant_id", "project", "role", "age", "predicted_age",
               "interval_low", "interval_high", "local_low", "local_high"]  # fmt: skip
    return pd.concat(parts, ignore_index=True)[columns]


def corrected_gaps(stacked: Stacked, seed: int = 0) -> pd.DataFrame:
    """Gap of each tested scan and of people set apart: raw, and corrected in two ways.

    Returns
    -------
    DataFrame
        Schema ``CORRECTED``; years. ``uses_true_age`` is true in every row: no function of
        this room takes such a table for an accuracy.
    """
    parts = []
    for key, rows in by_model(stacked, ("test", "apart"), seed):
        parts.append(
            rows[["scan_id", "participant_id", "diagnosis", "role"]].assign(
                **key,
                gap_raw=rows["error"],
                gap_corrected=fold_corrected_gaps(rows),
                gap_corrected_lowess=fold_corrected_gaps(rows, "lowess"),
                uses_true_age=True,
            )
        )
    table = pd.concat(parts, ignore_index=True)
    return table[[*key, *[name for name in table.columns if name not in key]]]


def _groups(rows: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    of_age = pd.Series(np.asarray(decade(rows["age"]).astype(str)), index=rows.index)
    found = {("all", "all"): pd.Series(True, index=rows.index)}
    found |= {("decade", name): of_age == name for name in DECADES if (of_age == name).any()}
    for name in projects_in_order(rows["project"].unique()):
        found["project", name] = rows["project"] == name
    return found | {("sex", sex): rows["sex"] == sex for sex in sorted(rows["sex"].unique())}


def _share(covered: pd.Series, width: pd.Series, level: float) -> dict:
    if len(covered) == 0 or not np.isfinite(width).all():
        unknown = dict.fromkeys(("covered", "band_low", "band_high", "half_width"), np.nan)
        return unknown | {"verdict": "not known"}
    low, high = coverage_band(len(covered), level)
    share = float(covered.mean())
    verdict = (
        "too few" if share < low - 1e-12 else "too many" if share > high + 1e-12 else "as said"
    )
    return {
        "covered": share,
        "band_low": low,
        "band_high": high,
        "verdict": verdict,
        "half_width": float(width.mean()),
    }
