"""Smooth random fields: cubic B-splines with random coefficients on a lattice in MNI152 space.

The lattice is fixed in millimetres, so one set of coefficients is the same field on every
grid: a person keeps their shape from 4 to 2 mm.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from brainage_lib.imaging import Grid, grid

BOX_MM = np.array([[-96.0, 95.0], [-145.5, 110.5], [-77.5, 114.5]])
"""The lattice covers the box of all grids."""

_POINT_SD = (151 / 315) ** 1.5
"""Mean over a cell of the sum of squared cubic B-splines is 151/315 in one dimension; this is
the SD in three of a field with standard normal coefficients."""


def lattice_shape(spacing_mm: float) -> tuple[int, int, int]:
    """Control points a side of a lattice with the given spacing."""
    return tuple(int(np.ceil((high - low) / spacing_mm)) + 3 for low, high in BOX_MM)


@lru_cache(maxsize=64)
def _basis(mm: int, axis: int, spacing_mm: float) -> np.ndarray:
    """(voxels, control points) values of the cubic B-splines along one axis."""
    target = grid(mm)
    place = target.affine[axis, 3] + mm * np.arange(target.shape[axis])
    offset = (place - BOX_MM[axis, 0]) / spacing_mm
    distance = np.abs(offset[:, None] - (np.arange(lattice_shape(spacing_mm)[axis]) - 1)[None])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def smooth_field(target: Grid, spacing_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Draw one smooth field of mean 0 and SD 1.

    Parameters
    ----------
    target : Grid
    spacing_mm : float
        Distance of the control points; the field's full width at half maximum is about
        twice that.
    rng : Generator
        The same state gives the same field on every grid.

    Returns
    -------
    (x, y, z) array of float32
    """
    coefficients = rng.standard_normal(lattice_shape(spacing_mm), dtype=np.float32)
    return evaluate(coefficients / np.float32(_POINT_SD), target, spacing_mm)


def evaluate(coefficients: np.ndarray, target: Grid, spacing_mm: float) -> np.ndarray:
    """Values on a grid of a spline with the given coefficients."""
    field = coefficients
    for axis in range(3):
        # The first axis goes to the end each time; after three turns the order is x, y, z.
        field = np.tensordot(field, _basis(target.mm, axis, spacing_mm), axes=(0, 1))
    return field
