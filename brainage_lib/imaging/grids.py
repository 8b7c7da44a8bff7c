"""The grids on which everything is computed: MNI152 boxes of 1, 2, 3 and 4 mm."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from brainage_lib.errors import WrongUsage

CENTRE = (-0.5, -17.5, 18.5)
"""Centre of every grid in MNI152 millimetres (DESIGN "Grids")."""

SHAPES = {4: (48, 64, 48), 3: (64, 80, 64), 2: (96, 112, 96), 1: (182, 218, 182)}
"""Voxels a side. Multiples of 16 from 2 mm up, so that three halvings stay even for the
generator's orders; at 1 mm MNI152's own box, which the generator crosses in patches."""


class Grid(NamedTuple):
    """A box of cubic voxels in MNI152 space, axes towards right, anterior, superior (RAS+).

    Parameters
    ----------
    mm : int
        Side of a voxel in millimetres.
    shape : (int, int, int)
        Voxels a side.
    affine : (4, 4) array of float64
        From voxel indices to MNI152 millimetres; read-only.
    """

    mm: int
    shape: tuple[int, int, int]
    affine: np.ndarray


@cache
def grid(mm: int) -> Grid:
    """Return the grid with voxels of ``mm`` millimetres.

    Parameters
    ----------
    mm : {1, 2, 3, 4}

    Returns
    -------
    Grid

    Raises
    ------
    WrongUsage
        For any other size.

    Examples
    --------
    >>> grid(4).shape
    (48, 64, 48)
    >>> grid(4).affine[:3, 3]
    array([ -94.5, -143.5,  -75.5])
    """
    if mm not in SHAPES:
        raise WrongUsage(f"there is no grid of {mm!r} mm; use one of {sorted(SHAPES)}")
    shape = SHAPES[mm]
    affine = np.diag([float(mm)] * 3 + [1.0])
    affine[:3, 3] = np.asarray(CENTRE) - mm * (np.asarray(shape) - 1) / 2
    affine.flags.writeable = False
    return Grid(mm, shape, affine)
