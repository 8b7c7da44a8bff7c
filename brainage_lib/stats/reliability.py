"""Agreement of the gaps of repeated scans of the same people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainage_lib.stats.metrics import REPLICATES, percentile_interval
from brainage_lib.stats.stacking import Stacked
from brainage_lib.stats.tested import SMALL, by_model


@dataclass(frozen=True)
class Reliability:
    """Agreement of two sessions of the same people.

    Attributes
    ----------
    n_participants : int
    icc : float
        ICC(2,1): two-way random effects, absolute agreement, single measurement.
    bias : float
        Mean of second minus first session, years.
    limits : (low, high)
        Bland–Altman 95 % limits of agreement, years.
    smallest_detectable_change : float
        1.96 · √2 · standard error of measurement, years: a smaller difference between two
        scans of a person is within what repetition alone brings.
    """

    n_participants: int
    icc: float
    bias: float
    limits: tuple[float, float]
    smallest_detectable_change: float


def repeated_gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Pair the first two sessions of each person who has more than one.

    Parameters
    ----------
    rows : DataFrame
        Stacked rows of one recipe, mode and model, of one role: participant_id, session,
        age and stacked_age (years). Sessions are ordered by age, then by name. Of two
        scans of one session the first counts.

    Returns
    -------
    DataFrame
        Index participant_id; first, second: gaps in years, so that ageing between the
        sessions is no disagreement.
    """
    ordered = rows.sort_values(["participant_id", "age", "session"], kind="stable")
    ordered = ordered.drop_duplicates(["participant_id", "session"])
    ordered = ordered.assign(
        gap=ordered["stacked_age"] - ordered["age"],
        turn=ordered.groupby("participant_id").cumcount(),
    )
    pairs = ordered[ordered["turn"] < 2].pivot(index="participant_id", columns="turn", values="gap")
    return pairs.reindex(columns=[0, 1]).set_axis(["first", "second"], axis=1).dropna()


def intraclass_correlation(values: np.ndarray) -> float:
    """ICC(2,1) of Shrout and Fleiss 1979, Psychol Bull 86:420.

    Parameters
    ----------
    values : (n_participants, n_sessions) array of float
        Complete; at least two of each.

    Returns
    -------
    float
        At most 1; NaN where all values are equal.
    """
    values = np.asarray(values, dtype=float)
    n, k = values.shape
    grand = values.mean()
    of_people = k * ((values.mean(axis=1) - grand) ** 2).sum() / (n - 1)
    of_sessions = n * ((values.mean(axis=0) - grand) ** 2).sum() / (k - 1)
    total = ((values - grand) ** 2).sum()
    rest = (total - (n - 1) * of_people - (k - 1) * of_sessions) / ((n - 1) * (k - 1))
    below = of_people + (k - 1) * rest + k * (of_sessions - rest) / n
    return float((of_people - rest) / below) if below > 0 else float("nan")


def reliability(rows: pd.DataFrame) -> Reliability | None:
    """Measure the agreement of repeated scans; None with fewer than two repeated people.

    Parameters
    ----------
    rows : DataFrame
        As for `repeated_gaps`.
    """
    pairs = repeated_gaps(rows)
    return _agreement(pairs.to_numpy()) if len(pairs) > 1 else None


def repeated_scans(stacked: Stacked, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """Agreement of the tested controls' repeated scans, by model, with intervals.

    Parameters
    ----------
    stacked : Stacked
    replicates, seed : int
        Of a bootstrap of people, with their pair of scans.

    Returns
    -------
    DataFrame
        Schema ``RELIABILITY``; no row for a model that fewer than two people have two
        sessions of.
    """
    found = []
    for key, rows in by_model(stacked):
        pairs = repeated_gaps(rows[rows["diagnosis"] == "control"])
        if len(pairs) < 2:
            continue
        whole = _agreement(pairs.to_numpy())
        n = len(pairs)
        rng = np.random.default_rng([seed, n])
        drawn = _agreements(pairs.to_numpy()[rng.integers(0, n, (replicates, n))])
        ends = {name: percentile_interval(drawn[name]) for name in ("icc", "change")}
        found.append(
            {
                **key,
                "n_participants": n,
                "icc": whole.icc,
                "icc_low": float(ends["icc"][0]),
                "icc_high": float(ends["icc"][1]),
                "bias": whole.bias,
                "limit_low": whole.limits[0],
                "limit_high": whole.limits[1],
                "smallest_change": whole.smallest_detectable_change,
                "smallest_change_low": float(ends["change"][0]),
                "smallest_change_high": float(ends["change"][1]),
                "small": n < SMALL,
            }
        )
    return pd.DataFrame(found)


def pairs_of(stacked: Stacked, recipe: str, mode: str, model: str) -> pd.DataFrame:
    """Mean and difference of the two gaps of each repeated control, for a Bland–Altman plot.

    Returns
    -------
    DataFrame
        mean, difference (second − first session), in years; nobody's name.
    """
    for key, rows in by_model(stacked):
        if (key["recipe"], key["mode"], key["model"]) == (recipe, mode, model):
            pairs = repeated_gaps(rows[rows["diagnosis"] == "control"]).reset_index(drop=True)
            return pd.DataFrame(
                {
                    "mean": pairs.mean(axis=1),
                    "difference": pairs["second"] - pairs["first"],
                }
            )
    return pd.DataFrame({"mean": [], "difference": []}, dtype=float)


def _agreements(pairs: np.ndarray) -> dict[str, np.ndarray]:
    """ICC(2,1) and smallest detectable change (years) of (replicates, people, 2) gaps."""
    n = pairs.shape[1]
    difference = pairs[..., 1] - pairs[..., 0]
    centre = pairs.mean(axis=(1, 2), keepdims=True)
    # Mean squares of people, of sessions and of the rest, of a two-way table with two columns.
    people = 2 * ((pairs.mean(axis=2) - centre[..., 0]) ** 2).sum(axis=1) / (n - 1)
    sessions = n * ((pairs.mean(axis=1) - centre[:, 0]) ** 2).sum(axis=1)
    rest = ((difference - difference.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) / 2 / (n - 1)
    below = people + rest + 2 * (sessions - rest) / n
    icc = np.full(len(pairs), np.nan)
    np.divide(people - rest, below, out=icc, where=below > 0)
    return {"icc": icc, "change": 1.96 * np.sqrt((difference**2).mean(axis=1))}


def _agreement(pairs: np.ndarray) -> Reliability:
    """Agreement of (people, 2) gaps in years."""
    difference = pairs[:, 1] - pairs[:, 0]
    bias, spread = float(difference.mean()), float(difference.std(ddof=1))
    # Agreement, so a shift between the sessions counts as error of measurement.
    measurement = float(np.sqrt((difference**2).mean() / 2))
    return Reliability(
        n_participants=len(pairs),
        icc=intraclass_correlation(pairs),
        bias=bias,
        limits=(bias - 1.96 * spread, bias + 1.96 * spread),
        smallest_detectable_change=1.96 * np.sqrt(2) * measurement,
    )
