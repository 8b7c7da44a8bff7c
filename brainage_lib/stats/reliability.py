"""Agreement of the gaps of repeated scans of the same people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


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
    if len(pairs) < 2:
        return None
    difference = (pairs["second"] - pairs["first"]).to_numpy()
    bias, spread = float(difference.mean()), float(difference.std(ddof=1))
    # Agreement, so a shift between the sessions counts as error of measurement.
    measurement = float(np.sqrt((difference**2).mean() / 2))
    return Reliability(
        n_participants=len(pairs),
        icc=intraclass_correlation(pairs.to_numpy()),
        bias=bias,
        limits=(bias - 1.96 * spread, bias + 1.96 * spread),
        smallest_detectable_change=1.96 * np.sqrt(2) * measurement,
    )
