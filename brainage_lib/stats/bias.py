"""Taking out the slope of the gap on age: young brains come out too old, old ones too young.

Regression towards the mean makes the gap (predicted − chronological age) fall with age in
every model. Corrected gaps are for comparing people of different ages. They use the true
age, so a corrected "prediction" is no prediction, and never enters an accuracy table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class LinearBias:
    """The mean gap as a line over age: slope · age + intercept, in years.

    Beheshti et al. 2019, NeuroImage: Clinical 24:102063.
    """

    slope: float
    intercept: float
    n_scans: int

    def corrected_gap(self, age: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Gap less the mean gap of controls of that age, in years."""
        age = np.asarray(age, dtype=float)
        return np.asarray(predicted, dtype=float) - age - (self.slope * age + self.intercept)


def fit_bias(age: np.ndarray, predicted: np.ndarray) -> LinearBias:
    """Fit the line on controls that were predicted out of fold.

    Parameters
    ----------
    age, predicted : (n,) array of float
        Years; at least two different ages.

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
    return LinearBias(slope, float(gap.mean() - slope * age.mean()), len(age))


def fold_corrected_gaps(rows: pd.DataFrame) -> pd.Series:
    """Corrected gap of each tested scan, with the line of the other folds.

    Parameters
    ----------
    rows : DataFrame
        Stacked rows of one recipe, mode "sound" and model with role test: fold, diagnosis,
        age and stacked_age (years). Lines are fitted on controls only.

    Returns
    -------
    Series
        Years; index of ``rows``.
    """
    corrected = pd.Series(np.nan, index=rows.index, name="gap_corrected")
    control = rows["diagnosis"] == "control"
    for fold in rows["fold"].unique():
        here = rows["fold"] == fold
        other = rows[control & ~here]
        bias = fit_bias(other["age"], other["stacked_age"])
        corrected[here] = bias.corrected_gap(rows.loc[here, "age"], rows.loc[here, "stacked_age"])
    return corrected
