"""Hits of maps against voxels that are known to carry age."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from brainage_lib.errors import WrongUsage


class Hits(NamedTuple):
    """How well one map finds known voxels; all 0–1.

    Attributes
    ----------
    pointing : float
        1 if the map's highest voxel is one of them (Zhang et al. 2018), shared out among
        voxels of equal height.
    mass : float
        Share of the map's sum that lies on them (relevance mass, Arras et al. 2022).
    rank : float
        Share of them among as many highest voxels of the map (relevance rank).
    chance : float
        Share of the brain that they are: what a map gets that knows nothing, in all three.
    """

    pointing: float
    mass: float
    rank: float
    chance: float


def hits(found: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> Hits:
    """Compare a map, by its absolute value within the brain, with known voxels.

    Parameters
    ----------
    found : (x, y, z) array
        A map.
    truth : (x, y, z) array of bool
        Voxels that carry age; those outside the brain do not count.
    mask : (x, y, z) array of bool
        The brain.

    Returns
    -------
    Hits
        A map that is the same everywhere gets the chance in all three.

    Raises
    ------
    WrongUsage
        The arrays are of different grids, or no known voxel lies in the brain.

    Examples
    --------
    >>> brain = np.ones((4, 4, 4), bool)
    >>> known = np.zeros_like(brain)
    >>> known[0, 0, :2] = True
    >>> hits(known.astype(float), known, brain)[:3]
    (1.0, 1.0, 1.0)
    """
    if not found.shape == truth.shape == mask.shape:
        raise WrongUsage(f"map {found.shape}, truth {truth.shape} and brain {mask.shape} differ")
    values, known = np.abs(found[mask]).astype(float), truth[mask]
    n = int(known.sum())
    if n == 0:
        raise WrongUsage("none of the voxels that carry age lies in the brain")
    total = values.sum()
    chance = n / len(values)
    if total == 0:
        return Hits(chance, chance, chance, chance)
    return Hits(
        float(known[values == values.max()].mean()),
        float(values[known].sum() / total),
        _among_highest(values, known, n),
        chance,
    )


def _among_highest(values: np.ndarray, known: np.ndarray, n: int) -> float:
    """Count known voxels among the n highest; those equal to the last share its places."""
    edge = np.partition(values, len(values) - n)[len(values) - n]
    above, level = values > edge, values == edge
    places = n - int(above.sum())
    return float((known[above].sum() + places * known[level].mean()) / n)
