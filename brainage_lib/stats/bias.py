"""Taking out the slope of the gap on age: young brains come out too old, old ones too young.

Regression towards the mean makes the gap (predicted − chronological age) fall with age in
every model. Corrected gaps are for comparing people of different ages. They use the true
age, so a corrected "prediction" is no prediction, and never enters an accuracy table
(`brainage_lib.stats.corrected`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from brainage_lib.stats.corrected import CORRECTED_NAMES
from brainage_lib.stats.other_folds import by_other_folds

Kind = Literal["linear", "lowess"]
_FRACTION = 2 / 3
_KNOTS = 25


@dataclass(frozen=True)
class LinearBias:
    """The mean gap as a line over age: slope · age + intercept, in years.

    Beheshti et al. 2019, NeuroImage: Clinical 24:102063.
    """

    slope: float
    intercept: float
    n_scans: int

    def mean_gap(self, age: np.ndarray) -> np.ndarray:
        """Mean gap of controls of that age, in years."""
        return self.slope * np.asarray(age, dtype=float) + self.intercept

    def corrected_gap(self, age: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Gap less the mean gap of controls of that age, in years."""
        return _less_mean(self, age, predicted)


@dataclass(frozen=True)
class LowessBias:
    """The mean gap as a smooth curve over age, by its knots; beyond the last it stays level.

    Cleveland 1979, J Am Stat Assoc 74:829.
    """

    age: tuple[float, ...]
    gap: tuple[float, ...]
    n_scans: int

    def mean_gap(self, age: np.ndarray) -> np.ndarray:
        """Mean gap of controls of that age, in years."""
        return np.interp(np.asarray(age, dtype=float), self.age, self.gap)

    def corrected_gap(self, age: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Gap less the mean gap of controls of that age, in years."""
        return _less_mean(self, age, predicted)


def fit_bias(
    age: np.ndarray, predicted: np.ndarray, kind: Kind = "linear"
) -> LinearBias | LowessBias:
    """Fit the mean gap over age on controls that were predicted out of fold.

    Parameters
    ----------
    age, predicted : (n,) array of float
        Years; at least two different ages.
    kind : {"linear", "lowess"}
        A line, or a locally weighted regression over two thirds of the scans.

    Examples
    --------
    >>> bias = fit_bias([20, 40, 60], [30, 45, 60])
    >>> round(bias.slope, 9), round(bias.intercept, 9)
    (-0.25, 15.0)
    >>> bias.corrected_gap([40], [50]).round(9)
    array([5.])
    """
    age = np.asarray(age, dtype=float)
    gap = np.asarray(predicted, dtype=float) - age
    if age.shape != gap.shape or len(np.unique(age)) < 2:
        raise ValueError("a line over age needs predictions at two different ages or more")
    centred = age - age.mean()
    slope = float((centred * gap).sum() / (centred**2).sum())
    line = LinearBias(slope, float(gap.mean() - slope * age.mean()), len(age))
    if kind == "linear":
        return line
    if kind != "lowess":
        raise ValueError(f"kind={kind!r}; a bias is linear or lowess")
    knots = np.unique(np.quantile(age, np.linspace(0, 1, _KNOTS)))
    curve = smoothed(age, gap, knots)
    # With too few different ages around a knot there is no local line; the line stands in.
    curve = np.where(np.isfinite(curve), curve, line.mean_gap(knots))
    return LowessBias(tuple(map(float, knots)), tuple(map(float, curve)), len(age))


def smoothed(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Locally weighted mean of y over x, at some places; NaN where it has no solution.

    Without the steps that take weight from far points: a mean is wanted, as of the line.

    Parameters
    ----------
    x, y : (n,) array of float
    at : (k,) array of float
        Increasing.
    """
    from statsmodels.nonparametric.smoothers_lowess import lowess

    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(lowess(y, x, frac=_FRACTION, it=0, xvals=at))


def fold_corrected_gaps(rows: pd.DataFrame, kind: Kind = "linear") -> pd.Series:
    """Corrected gap of each tested scan, with the bias of the other folds.

    Parameters
    ----------
    rows : DataFrame
        Stacked rows of one recipe, mode and model with role test or apart: fold, role,
        diagnosis, age and stacked_age (years). Fitted on tested controls only; rows without
        a fold (people set apart) get the bias of all folds.
    kind : {"linear", "lowess"}

    Returns
    -------
    Series
        Years; index of ``rows``. Missing where the other folds' controls are all of one age.
    """
    corrected = pd.Series(np.nan, index=rows.index, name=CORRECTED_NAMES[kind == "lowess"])
    for here, other in by_other_folds(rows):
        if other["age"].nunique() > 1:
            bias = fit_bias(other["age"], other["stacked_age"], kind)
            part = rows[here]
            corrected[here] = bias.corrected_gap(part["age"], part["stacked_age"])
    return corrected


def _less_mean(bias: LinearBias | LowessBias, age: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    age = np.asarray(age, dtype=float)
    return np.asarray(predicted, dtype=float) - age - bias.mean_gap(age)
