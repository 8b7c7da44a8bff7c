"""Nested F tests between the stacked models: T or A within TA, TA within TAS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainage_lib.stats.metrics import REPLICATES, bootstrap_p, resampled_sums
from brainage_lib.stats.regression import MODEL_TERMS, least_squares
from brainage_lib.stats.stacking import FITTED_ON, Stacked, evaluated

NESTED = (("T", "TA"), ("A", "TA"), ("TA", "TAS"))
"""The comparisons of Table 1."""


@dataclass(frozen=True)
class NestedF:
    """An F test of a smaller against a larger model; f and p are NaN where it cannot be done."""

    n_scans: int
    df_residual: int
    f: float
    p: float


def nested_f(rows: pd.DataFrame, smaller: str, larger: str) -> NestedF:
    """Fit both models on ``rows`` and compare them, as R's ``anova(smaller, larger)``.

    Parameters
    ----------
    rows : DataFrame
        age, T, A (years), sex (F or M).
    smaller, larger : str
        Models of Table 1, one within the other.

    Returns
    -------
    NestedF
        Exact where errors are independent and normal with one variance; scans of one
        person are not independent.
    """
    from statsmodels.stats.anova import anova_lm

    small, _ = least_squares(rows, smaller)
    large, _ = least_squares(rows, larger)
    degrees = int(large.df_resid)
    if small.df_resid == large.df_resid or degrees < 1:
        return NestedF(len(rows), max(degrees, 0), float("nan"), float("nan"))
    last = anova_lm(small, large).iloc[1]
    return NestedF(len(rows), degrees, float(last["F"]), float(last["Pr(>F)"]))


def f_from_errors(smaller: float, larger: float, n: int, terms: int) -> tuple[float, float]:
    """F and p as if two mean squared errors were minimised sums of squares.

    Parameters
    ----------
    smaller, larger : float
        MSE (years²) of the smaller and of the larger model on the same rows; they differ
        by one term.
    n : int
        Number of rows.
    terms : int
        Coefficients of the larger model, with the intercept.

    Returns
    -------
    f, p : float
        F may be negative (the larger model is worse); then p is 1.

    Examples
    --------
    >>> f, p = f_from_errors(29.02, 26.07, n=288, terms=3)
    >>> f"{f:.2f} {p:.1e}"
    '32.25 3.3e-08'
    """
    from scipy.stats import f as f_distribution

    degrees = n - terms
    ratio = (smaller - larger) / (larger / degrees)
    return ratio, float(f_distribution.sf(ratio, 1, degrees))


def anova(stacked: Stacked, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """Compare T with TA, A with TA and TA with TAS.

    Two kinds of row:

    ``fitted``
        The nested F test of R's ``anova`` on the rows that fit the stacking: training and
        validation rows in paper mode, which is what the paper did; in sound mode the
        out-of-fold rows of all folds (controls), each once.
    ``test``
        The stacked test predictions as they stand, nothing refitted. ``f`` is
        (MSE smaller − MSE larger) / (MSE larger / df) with df = n − coefficients of the
        larger model, the same quantity that the ledger forms from the paper's printed
        errors; it is negative where the larger model is worse. Such an f follows no F
        distribution, so ``p`` is that of a participant-cluster bootstrap of the difference
        in squared error: the probability of so large a gain if there were none (one-sided;
        at least 1 / (replicates + 1)).

    Parameters
    ----------
    stacked : Stacked
    replicates, seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        Schema ``ANOVA``. f and p are missing where the larger model could not be told from
        the smaller one (one sex, constant predictions).
    """
    tests = {
        (key["recipe"], key["mode"], key["fitted_on"]): rows for key, rows in evaluated(stacked)
    }
    found = []
    for (recipe, mode), block in stacked.inputs.groupby(["recipe", "mode"], sort=False):
        fitted = _fitted_rows(block, mode)
        # In paper mode the main fit is the in-sample one; the fit on validation rows alone
        # stands in Table 1.
        test = tests[recipe, mode, FITTED_ON[mode][0]]
        named = {"recipe": recipe, "mode": mode}
        for smaller, larger in NESTED:
            result = nested_f(fitted, smaller, larger)
            found.append({**named, "rows": "fitted", **_row(smaller, larger, result)})
        for smaller, larger in NESTED:
            result = _on_test(test, smaller, larger, replicates, seed)
            found.append({**named, "rows": "test", **_row(smaller, larger, result)})
    return pd.DataFrame(found)


def _fitted_rows(block: pd.DataFrame, mode: str) -> pd.DataFrame:
    if mode == "paper":
        return block[block["role"].isin(["train", "validation"])]
    return block[(block["role"] == "test") & (block["diagnosis"] == "control")]


def _on_test(test: pd.DataFrame, smaller: str, larger: str, replicates: int, seed: int) -> NestedF:
    squared = test[[smaller, larger]].sub(test["age"], axis=0).to_numpy() ** 2
    gain = squared[:, 0] - squared[:, 1]
    terms = 1 + len(MODEL_TERMS[larger])
    degrees = len(test) - terms
    same = np.allclose(test[smaller], test[larger], rtol=0, atol=1e-9)
    if degrees < 1 or same or test["participant_id"].nunique() < 2:
        return NestedF(len(test), max(degrees, 0), float("nan"), float("nan"))
    f, _ = f_from_errors(squared[:, 0].mean(), squared[:, 1].mean(), len(test), terms)
    columns = np.column_stack([np.ones(len(test)), gain])
    sums = resampled_sums(test["participant_id"], columns, replicates, seed)
    p = bootstrap_p(sums[:, 1] / sums[:, 0], gain.mean(), one_sided=True)
    return NestedF(len(test), degrees, f, p)


def _row(smaller: str, larger: str, result: NestedF) -> dict:
    return {
        "smaller": smaller,
        "larger": larger,
        "n_scans": result.n_scans,
        "df_residual": result.df_residual,
        "f": result.f,
        "p": result.p,
    }
