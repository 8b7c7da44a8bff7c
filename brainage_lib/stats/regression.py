"""Ordinary least squares of age on the networks' predictions, as R's ``lm`` fits it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

MODEL_TERMS = {"T": ("T",), "A": ("A",), "TA": ("T", "A"), "TAS": ("T", "A", "sex")}
"""What each stacked model of Table 1 is a regression on, beside the intercept."""

SEX_CODE = {"F": 0.0, "M": 1.0}
"""The paper codes sex 0 female, 1 male."""

# R's lm drops a column whose part orthogonal to the earlier ones is below this share of it.
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    Attributes
    ----------
    model : str
        T, A, TA or TAS.
    estimates : dict
        By term; a term that could not be estimated (`dropped`) is held at 0.
    low, high, p : dict
        95 % confidence limits and two-sided p by term; NaN for dropped terms.
    dropped : tuple of str
        Terms that are constant or repeat earlier ones.
    n_scans : int
    df_residual : int
    residual_sd : float
        Years; root of the residual sum of squares over its degrees of freedom.
    """

    model: str
    estimates: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    p: dict[str, float]
    dropped: tuple[str, ...]
    n_scans: int
    df_residual: int
    residual_sd: float

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """Stacked ages in years, from columns T, A and sex (F or M)."""
        return apply_estimates(self.estimates, design(rows, self.model))

    def table(self) -> pd.DataFrame:
        """Give a row a term, with the columns of ``COEFFICIENTS`` from ``model`` on."""
        return pd.DataFrame(
            {
                "model": self.model,
                "term": list(self.estimates),
                "estimate": list(self.estimates.values()),
                "low": list(self.low.values()),
                "high": list(self.high.values()),
                "p": list(self.p.values()),
                "n_scans": self.n_scans,
                "residual_sd": self.residual_sd,
            }
        )


def design(rows: pd.DataFrame, model: str) -> pd.DataFrame:
    """Columns of the regression: intercept first, sex as 0 female, 1 male."""
    columns = {"intercept": np.ones(len(rows))}
    for term in MODEL_TERMS[model]:
        values = rows["sex"].map(SEX_CODE) if term == "sex" else rows[term]
        columns[term] = values.to_numpy(dtype=float)
    return pd.DataFrame(columns, index=rows.index)


def apply_estimates(estimates: dict[str, float], columns: pd.DataFrame) -> np.ndarray:
    """Sum of estimate × column over the terms of ``columns``."""
    return sum(estimates[term] * columns[term].to_numpy() for term in columns)


def least_squares(rows: pd.DataFrame, model: str):
    """Fit with statsmodels, leaving out terms that cannot be estimated.

    Parameters
    ----------
    rows : DataFrame
        age (years), T, A (years), sex (F or M).
    model : str

    Returns
    -------
    results : statsmodels RegressionResults
    dropped : tuple of str
    """
    from statsmodels.regression.linear_model import OLS

    columns = design(rows, model)
    kept, dropped = _independent(columns)
    return OLS(rows["age"].to_numpy(dtype=float), columns[kept]).fit(), tuple(dropped)


def fit_model(rows: pd.DataFrame, model: str) -> Fit:
    """Fit one model of Table 1.

    Parameters
    ----------
    rows : DataFrame
        age (years), T, A (years), sex (F or M); more rows than terms.
    model : str
        T, A, TA or TAS.
    """
    results, dropped = least_squares(rows, model)
    limits = results.conf_int(alpha=0.05)
    terms = ("intercept", *MODEL_TERMS[model])
    known = [term for term in terms if term not in dropped]
    missing = dict.fromkeys(terms, float("nan"))
    return Fit(
        model=model,
        estimates={**dict.fromkeys(terms, 0.0), **{t: float(results.params[t]) for t in known}},
        low={**missing, **{t: float(limits.loc[t, 0]) for t in known}},
        high={**missing, **{t: float(limits.loc[t, 1]) for t in known}},
        p={**missing, **{t: float(results.pvalues[t]) for t in known}},
        dropped=dropped,
        n_scans=len(rows),
        df_residual=int(results.df_resid),
        residual_sd=float(np.sqrt(results.mse_resid)),
    )


def _independent(columns: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Names of the columns that are no linear combination of earlier ones, and the others."""
    kept, dropped, basis = [], [], np.zeros((len(columns), 0))
    for name in columns:
        column = columns[name].to_numpy()
        rest = column - basis @ (basis.T @ column)
        # Twice, because one pass of Gram-Schmidt leaves rounding errors behind.
        rest = rest - basis @ (basis.T @ rest)
        length = np.linalg.norm(rest)
        if length > _TOLERANCE * np.linalg.norm(column):
            kept.append(name)
            basis = np.column_stack([basis, rest / length])
        else:
            dropped.append(name)
    return kept, dropped
