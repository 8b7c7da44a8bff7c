"""What can be computed from printed numbers: formulas of the ledger.

Each takes printed numbers and returns what they imply. Where a formula needs a
distribution of errors, it is the normal one, with mean zero; the docstring says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

Z = 1.96
"""Standard errors in half a 95 % interval."""


def rounding_range(
    function: Callable[..., float], values: Sequence[float], halves: Sequence[float]
) -> tuple[float, float]:
    """Lowest and highest result over the corners of what rounding allows.

    Parameters
    ----------
    function : callable
        Monotone in each argument, so that its extremes lie at corners.
    values, halves : sequence of float
        Printed values, and half of the last printed digit of each.
    """
    signs = itertools.product((-1, 1), repeat=len(values))
    found = [
        function(*(v + s * h for v, s, h in zip(values, corner, halves, strict=True)))
        for corner in signs
    ]
    return min(found), max(found)


def f_needed(p: float, degrees: int) -> float:
    """F with one numerator degree of freedom whose p value is ``p``."""
    from scipy.stats import f as f_distribution

    return float(f_distribution.isf(p, 1, degrees))


def rows_for_p(smaller: float, larger: float, p: float, terms: int) -> float:
    """Find the number of rows on which a ratio of MSEs would have the p value ``p``."""
    from scipy.optimize import brentq

    def excess(n: float) -> float:
        return (smaller / larger - 1) * (n - terms) - f_needed(p, n - terms)

    return float(brentq(excess, terms + 3, 1e7))


def t_of_p(p: float, degrees: float) -> float:
    """T whose two-sided p value is ``p``."""
    from scipy.stats import t as t_distribution

    return float(t_distribution.isf(p / 2, degrees))


def p_of_t(t: float, degrees: float) -> float:
    """Two-sided p value of t."""
    from scipy.stats import t as t_distribution

    return float(2 * t_distribution.sf(abs(t), degrees))


def p_of_z(z: float) -> float:
    """Two-sided p value of a normal z."""
    from scipy.stats import norm

    return float(2 * norm.sf(abs(z)))


def residual_sd_bound(standard_error: float, n: int) -> float:
    """Highest residual SD behind the standard error of the coefficient of a 0/1 column.

    SE = s / (√n · SD of the column left over by the others), and that SD is at most 1/2:
    equality at half women and a column unrelated to the others.
    """
    return standard_error * np.sqrt(n) / 2


def implied_variance(mse: float, r2: float) -> float:
    """Variance of the ages behind R² = 1 − MSE / variance."""
    return mse / (1 - r2)


def mae_standard_error(mse: float, mae: float, n: int) -> float:
    """Give the standard error of a mean absolute error: √(MSE − MAE²) / √n, exact."""
    return float(np.sqrt(mse - mae**2) / np.sqrt(n))


def absolute_difference_sd(sd_1: float, sd_2: float, correlation: float) -> float:
    """SD of |e₁| − |e₂| for normal errors with mean zero.

    E|e₁||e₂| = (2/π) s₁ s₂ (√(1−ρ²) + ρ arcsin ρ); E|e| = √(2/π) s.
    """
    product = (2 / np.pi) * sd_1 * sd_2
    product *= np.sqrt(1 - correlation**2) + correlation * np.arcsin(correlation)
    variance = sd_1**2 + sd_2**2 - 2 * product - (2 / np.pi) * (sd_1 - sd_2) ** 2
    return float(np.sqrt(variance))


def stacked_correlation(mse_part: float, mse_whole: float) -> float:
    """Error correlation of a model with the best linear stack that contains it.

    The stack's error is uncorrelated with the difference of both errors, so the covariance
    is the stack's MSE and the correlation √(MSE whole / MSE part). Errors have mean zero.
    """
    return float(np.sqrt(mse_whole / mse_part))


def error_correlation(mse_1: float, mse_2: float, mse_both: float) -> tuple[float, float]:
    """Highest error correlation of two models whose best linear stack has ``mse_both``.

    Solves s₁²s₂²(1−ρ²) / (s₁²+s₂²−2ρs₁s₂) = MSE of both; any other weighting is worse, so
    that ρ must be lower still. Errors have mean zero.

    Returns
    -------
    correlation : float
    weight : float
        Of the first model in the stack.
    """
    from scipy.optimize import brentq

    product = np.sqrt(mse_1 * mse_2)

    def excess(rho: float) -> float:
        return mse_1 * mse_2 * (1 - rho**2) / (mse_1 + mse_2 - 2 * rho * product) - mse_both

    # The stack equals the better model where ρ = s₁/s₂, and is best at the other end.
    highest = np.sqrt(min(mse_1, mse_2) / max(mse_1, mse_2))
    rho = float(brentq(excess, -0.999, highest - 1e-9))
    return rho, float((mse_2 - rho * product) / (mse_1 + mse_2 - 2 * rho * product))


def weighted_correlation(mse_1: float, mse_2: float, mse_both: float, weight: float) -> float:
    """Error correlation of two models whose mean with a given weight has ``mse_both``."""
    other = 1 - weight
    rest = mse_both - weight**2 * mse_1 - other**2 * mse_2
    return float(rest / (2 * weight * other * np.sqrt(mse_1 * mse_2)))


def scans_needed(difference: float, sd: float) -> float:
    """Count the scans for a paired difference to be 1.96 standard errors."""
    return float((Z * sd / difference) ** 2)


def sign_test(wins: int, n: int) -> float:
    """Two-sided p of ``wins`` out of ``n`` under a fair coin."""
    from scipy.stats import binomtest

    return float(binomtest(wins, n).pvalue)


def wilcoxon_p(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, by its normal approximation with ties."""
    from scipy.stats import wilcoxon

    # Rounded, so that ties of printed numbers are ties.
    return float(wilcoxon(np.round(differences, 6), method="approx").pvalue)


def convolution_geometry(shape: tuple[int, int, int], blocks: int) -> dict[str, float]:
    """Cells and receptive field of the last convolution of a VGG with pooling by 2.

    Kernels of 3³ with padding, one convolution a block.

    Returns
    -------
    dict
        ``cells`` of the last convolution, ``spacing`` and ``field`` in voxels, and
        ``pooled`` cells after the last pooling.
    """
    field, jump, side = 1, 1, tuple(shape)
    for block in range(blocks):
        field += 2 * jump
        if block < blocks - 1:
            field += jump
            jump *= 2
            side = tuple(length // 2 for length in side)
    pooled = tuple(length // 2 for length in side)
    return {
        "cells": int(np.prod(side)),
        "spacing": jump,
        "field": field,
        "pooled": int(np.prod(pooled)),
    }


def vgg8_parameters(pooled: int, channels: Sequence[int], dense: Sequence[int]) -> tuple[int, int]:
    """Parameters of VGG8 in all, and in its dense layers.

    Parameters
    ----------
    pooled : int
        Cells after the last pooling.
    channels : sequence of int
        Output channels of the blocks: convolution 3³ with bias, batch normalisation.
    dense : sequence of int
        Outputs of the fully connected layers.
    """
    convolutions = sum(
        27 * before * after + after + 2 * after
        for before, after in zip((1, *channels), channels, strict=False)
    )
    widths = (pooled * channels[-1], *dense)
    fully = sum(a * b + b for a, b in itertools.pairwise(widths))
    return convolutions + fully, fully
