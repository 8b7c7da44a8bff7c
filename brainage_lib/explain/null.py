"""Maps that know nothing, as coarse as a given one: what a number must be compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from scipy import ndimage


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
    return next(surrogates(found, mask, rng))


def surrogates(
    found: np.ndarray, mask: np.ndarray, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Scatter a map again and again: `surrogate`, without end."""
    # Only the box about the brain is transformed: a third of the voxels.
    box = ndimage.find_objects(mask.astype(np.int8))[0]
    inside, values = mask[box], np.abs(found[box]).astype(np.float64)
    spectrum = np.abs(np.fft.rfftn(np.where(inside, values - values[inside].mean(), 0)))
    ordered = np.sort(values[inside]).astype(np.float32)
    while True:
        noise = np.fft.rfftn(rng.standard_normal(inside.shape))
        phases = noise / np.maximum(np.abs(noise), 1e-12)
        field = np.fft.irfftn(spectrum * phases, s=inside.shape, axes=(0, 1, 2))[inside]
        placed = np.empty(len(field), np.float32)
        placed[np.argsort(field, kind="stable")] = ordered
        part = np.zeros(inside.shape, np.float32)
        part[inside] = placed
        scattered = np.zeros(mask.shape, np.float32)
        scattered[box] = part
        yield scattered


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
    null = [np.atleast_1d(measure(each)) for each in islice(surrogates(found, mask, rng), n)]
    return value, np.array(null, float).reshape(n, len(value))


def p_above(value: float, null: np.ndarray) -> float:
    """Share of a null distribution at or above a value, the value itself counted in.

    Examples
    --------
    >>> p_above(5.0, np.array([1.0, 2.0, 6.0]))
    0.5
    """
    return float((1 + (np.asarray(null) >= value).sum()) / (1 + len(null)))
