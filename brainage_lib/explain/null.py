"""Maps that know nothing, as coarse as a given one: what a number must be compared with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def surrogate(found: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Scatter a map over the brain, keeping its values and its smoothness.

    The phases of its Fourier transform are drawn anew, which keeps how fast it changes from
    place to place and forgets where; then its own values are put in the order of the result
    (amplitude-adjusted surrogates, Theiler et al. 1992, in three dimensions).

    Parameters
    ----------
    found : (x, y, z) array
        A map; its absolute value counts.
    mask : (x, y, z) array of bool
        The brain.
    rng : Generator

    Returns
    -------
    (x, y, z) array of float32, >= 0; 0 outside the brain.
    """
    values = np.abs(found).astype(np.float64)
    centred = np.where(mask, values - values[mask].mean(), 0)
    noise = np.fft.rfftn(rng.standard_normal(mask.shape))
    spectrum = np.abs(np.fft.rfftn(centred)) * noise / np.maximum(np.abs(noise), 1e-12)
    field = np.fft.irfftn(spectrum, s=mask.shape, axes=(0, 1, 2))[mask]
    scattered = np.zeros(mask.shape, np.float32)
    order = np.empty(len(field), int)
    order[np.argsort(field, kind="stable")] = np.arange(len(field))
    scattered[mask] = np.sort(values[mask])[order]
    return scattered


def against_surrogates(
    measure: Callable[[np.ndarray], np.ndarray | float],
    found: np.ndarray,
    mask: np.ndarray,
    n: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Measure a map, and n scattered ones.

    Parameters
    ----------
    measure : callable
        Of a map; a number, or several.
    found, mask
        As for `surrogate`.
    n, seed : int

    Returns
    -------
    value : (k,) array
    null : (n, k) array
    """
    rng = np.random.default_rng([seed, 41])
    value = np.atleast_1d(np.asarray(measure(np.abs(found)), float))
    null = [np.atleast_1d(measure(surrogate(found, mask, rng))) for _ in range(n)]
    return value, np.array(null, float).reshape(n, len(value))


def p_above(value: float, null: np.ndarray) -> float:
    """Share of a null distribution at or above a value, the value itself counted in.

    Examples
    --------
    >>> p_above(5.0, np.array([1.0, 2.0, 6.0]))
    0.5
    """
    return float((1 + (np.asarray(null) >= value).sum()) / (1 + len(null)))
