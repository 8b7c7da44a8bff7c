"""The stacked rows of each table and model, and bootstraps of means and their differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from brainage_lib.stats.metrics import bootstrap_p, percentile_interval, resampled_sums
from brainage_lib.stats.other_folds import OTHER_FOLDS, OTHER_HALF, halved
from brainage_lib.stats.stacking import FITTED_ON, Stacked

SMALL = 10
"""Groups with fewer scans than this are marked."""


def by_model(
    stacked: Stacked, roles: Sequence[str] = ("test",), seed: int = 0
) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Yield the stacked rows of each model, of each mode's main fit.

    Parameters
    ----------
    stacked : Stacked
    roles : sequence of str
        Which rows.
    seed : int
        Of the halves of a paper mode.

    Yields
    ------
    key : dict
        recipe, mode, fitted_on, model.
    rows : DataFrame
        With ``error`` (stacked − true age, years). ``fold`` names rows that may be calibrated
        on one another's others: the folds of the sound mode, two halves of the people in
        paper mode.
    """
    keys = ["recipe", "mode", "fitted_on", "model"]
    for values, block in stacked.rows.groupby(keys, sort=False):
        key = dict(zip(keys, values, strict=True))
        if key["fitted_on"] != FITTED_ON[key["mode"]][0]:
            continue
        rows = block[block["role"].isin(roles)].reset_index(drop=True)
        rows["error"] = rows["stacked_age"] - rows["age"]
        if key["mode"] == "paper":
            rows["fold"] = halved(rows, seed)
        yield key, rows


def calibrated_on(mode: str) -> str:
    """Say where the numbers of a mode's intervals and corrections come from."""
    return OTHER_FOLDS if mode == "sound" else OTHER_HALF


def resampled_means(
    participants: Sequence,
    values: np.ndarray,
    members: np.ndarray,
    replicates: int,
    seed: int,
) -> np.ndarray:
    """Bootstrap the mean of each column over its own rows, all columns with the same draws.

    Parameters
    ----------
    participants : (n,) sequence
    values, members : (n, k) array
        What is averaged, and over which rows (bool).
    replicates, seed : int

    Returns
    -------
    (replicates, k) array of float
        NaN where a replicate has no row of a column.
    """
    inside = np.asarray(members, dtype=float)
    columns = np.concatenate([inside, np.where(inside > 0, values, 0.0)], axis=1)
    sums = resampled_sums(participants, columns, replicates, seed)
    count, total = sums[:, : inside.shape[1]], sums[:, inside.shape[1] :]
    means = np.full_like(total, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means


def compared_means(
    participants: pd.Series,
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    replicates: int,
    seed: int,
) -> dict[str, float]:
    """Difference of two means with its interval; people in both are drawn together.

    Parameters
    ----------
    participants : (n,) Series
    first, second : (values, member)
        (n,) array of float and (n,) array of bool: the mean is over the members.
    replicates, seed : int

    Returns
    -------
    dict
        first, second, difference (first − second), low, high, p (two-sided). Interval and p
        are NaN where one of the two has fewer than two people.
    """
    values = np.column_stack([first[0], second[0]]).astype(float)
    members = np.column_stack([first[1], second[1]]).astype(bool)
    means = [values[members[:, k], k].mean() if members[:, k].any() else np.nan for k in (0, 1)]
    found = {"first": means[0], "second": means[1], "difference": means[0] - means[1]}
    people = [participants[members[:, k]].nunique() for k in (0, 1)]
    if min(people) < 2:
        return found | dict.fromkeys(("low", "high", "p"), np.nan)
    draws = resampled_means(participants, values, members, replicates, seed)
    draws = draws[:, 0] - draws[:, 1]
    low, high = percentile_interval(draws)
    p = bootstrap_p(draws[~np.isnan(draws)], found["difference"])
    return found | {"low": float(low), "high": float(high), "p": p}
