"""Intervals around a predicted age that contain the true age as often as they say.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018, J Am Stat Assoc 113:1094): the
half-width is a quantile of absolute errors on scans that took no part in the prediction. If
those and the new scan are exchangeable, the interval contains the true age with at least
the chosen probability, whatever the distribution of errors. People are exchangeable, repeated
scans of one person are not quite.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

COVERAGE = 0.9


def conformal_half_width(residuals: np.ndarray, level: float = COVERAGE) -> float:
    """Half-width of a split conformal interval.

    Parameters
    ----------
    residuals : (n,) array of float
        Predicted minus true age in years, on rows that neither trained nor fitted anything.
    level : float
        Coverage, between 0 and 1.

    Returns
    -------
    float
        The ⌈(n + 1) · level⌉-th smallest absolute residual in years; infinite where n is
        too small for the level (below 9 for 0.9).

    Examples
    --------
    >>> conformal_half_width([3, -1, 2, -5, 4, 1, -2, 6, 0.5], level=0.8)
    5.0
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level}; coverage lies between 0 and 1")
    ordered = np.sort(np.abs(np.asarray(residuals, dtype=float)))
    # Twelve digits, so that (9 + 1) · 0.9 is 9 and not 9.000000000000002.
    rank = math.ceil(round((len(ordered) + 1) * level, 12))
    return float(ordered[rank - 1]) if rank <= len(ordered) else math.inf


def fold_intervals(rows: pd.DataFrame, level: float = COVERAGE) -> pd.DataFrame:
    """Interval of each tested scan, with the half-width of the other folds.

    Parameters
    ----------
    rows : DataFrame
        Stacked rows of one recipe, mode "sound" and model with role test: fold, diagnosis,
        age and stacked_age (years). Half-widths come from controls only.
    level : float

    Returns
    -------
    DataFrame
        Index of ``rows``; interval_low, interval_high (years), covered (bool).
    """
    error = rows["stacked_age"] - rows["age"]
    control = rows["diagnosis"] == "control"
    width = pd.Series(np.nan, index=rows.index)
    for fold in rows["fold"].unique():
        other = control & (rows["fold"] != fold)
        width[rows["fold"] == fold] = conformal_half_width(error[other], level)
    return pd.DataFrame(
        {
            "interval_low": rows["stacked_age"] - width,
            "interval_high": rows["stacked_age"] + width,
            "covered": error.abs() <= width,
        }
    )
