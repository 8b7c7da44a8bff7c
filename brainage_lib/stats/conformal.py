"""Intervals around a predicted age that contain the true age as often as they say.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018, J Am Stat Assoc 113:1094): the
half-width is a quantile of absolute errors on scans that took no part in the prediction. If
those and the new scan are exchangeable, the interval contains the true age with at least
the chosen probability, whatever the distribution of errors. People are exchangeable, repeated
scans of one person are not quite.

The locally weighted kind (Lei et al. 2018, section 5.2) divides errors by what is usual at that
predicted age, so that the interval is wide where the model errs much. What is usual is learned
from one half of the calibration people, the quantile from the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from brainage_lib.stats.bias import smoothed
from brainage_lib.stats.other_folds import by_other_folds

COVERAGE = 0.9
Kind = Literal["constant", "local"]

_KNOTS = 11
# A curve through few errors is noise.
_FEWEST = 20
# No interval is taken to be nearly sure because a few scans were hit by luck.
_LEAST_SHARE = 0.3


@dataclass(frozen=True)
class LocalWidth:
    """Half-width of an interval over the predicted age, by its knots.

    Attributes
    ----------
    predicted : tuple of float
        Predicted ages (years), increasing.
    half_width : tuple of float
        Years at each of them; infinite where the scans are too few for the level. Between
        them it is linear, beyond the last it stays level.
    n_scans : int
        That gave the quantile.
    """

    predicted: tuple[float, ...]
    half_width: tuple[float, ...]
    n_scans: int

    def at(self, predicted: np.ndarray) -> np.ndarray:
        """Half-width in years at predicted ages."""
        predicted = np.asarray(predicted, dtype=float)
        if not np.isfinite(self.half_width).all():
            return np.full(predicted.shape, np.inf)
        return np.interp(predicted, self.predicted, self.half_width)


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


def local_half_width(rows: pd.DataFrame, level: float = COVERAGE) -> LocalWidth:
    """Half-width over the predicted age, of the locally weighted kind.

    Parameters
    ----------
    rows : DataFrame
        participant_id, age and stacked_age (years) of controls that neither trained nor
        fitted anything.
    level : float

    Returns
    -------
    LocalWidth
        With fewer than 20 scans in the first half of the people, the same width everywhere.
    """
    first = _first_half(rows["participant_id"])
    predicted = rows["stacked_age"].to_numpy(dtype=float)
    error = np.abs(predicted - rows["age"].to_numpy(dtype=float))
    knots, usual = _usual(predicted[first], error[first])
    scaled = error[~first] / np.interp(predicted[~first], knots, usual)
    factor = conformal_half_width(scaled, level)
    return LocalWidth(
        tuple(map(float, knots)), tuple(float(factor * value) for value in usual), len(scaled)
    )


def fold_intervals(
    rows: pd.DataFrame, level: float = COVERAGE, kind: Kind = "constant"
) -> pd.DataFrame:
    """Interval of each tested scan, with the half-width of the other folds.

    Parameters
    ----------
    rows : DataFrame
        Stacked rows of one recipe, mode and model with role test or apart: participant_id
        (for ``local``), fold, role, diagnosis, age and stacked_age (years). Half-widths come
        from tested controls only; rows without a fold (people set apart) get that of all folds.
    level : float
    kind : {"constant", "local"}
        One half-width for all, or one that depends on the predicted age.

    Returns
    -------
    DataFrame
        Index of ``rows``; interval_low, interval_high (years), covered (bool).
    """
    if kind not in ("constant", "local"):
        raise ValueError(f"kind={kind!r}; an interval is constant or local")
    error = rows["stacked_age"] - rows["age"]
    width = pd.Series(np.nan, index=rows.index)
    for here, other in by_other_folds(rows):
        if kind == "local":
            width[here] = local_half_width(other, level).at(rows.loc[here, "stacked_age"])
        else:
            width[here] = conformal_half_width(other["stacked_age"] - other["age"], level)
    return pd.DataFrame(
        {
            "interval_low": rows["stacked_age"] - width,
            "interval_high": rows["stacked_age"] + width,
            "covered": error.abs() <= width,
        }
    )


def _first_half(participants: pd.Series) -> np.ndarray:
    """Every second person by name, so that both halves have all studies."""
    codes, _ = pd.factorize(participants.to_numpy(), sort=True)
    return codes % 2 == 0


def _usual(predicted: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knots over the predicted age (years) and the mean absolute error (years) at each."""
    if len(predicted) == 0:
        return np.zeros(1), np.ones(1)
    mean = max(float(error.mean()), 1e-9)
    knots = np.unique(np.quantile(predicted, np.linspace(0, 1, _KNOTS)))
    if len(predicted) < _FEWEST or len(knots) < 3:
        return knots[:1], np.full(1, mean)
    curve = smoothed(predicted, error, knots)
    curve = np.where(np.isfinite(curve), curve, mean)
    return knots, np.maximum(curve, _LEAST_SHARE * mean)
