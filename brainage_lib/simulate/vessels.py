"""Vessels that fill a visible share of a voxel: sinuses, arteries of the base, pial vessels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage
from scipy.interpolate import make_interp_spline

from brainage_lib.imaging import Grid, grid
from brainage_lib.simulate.fields import smooth_field
from brainage_lib.simulate.sources import table

CORRIDOR_MM = 6.0

PIAL_SPACING_MM = 11.0
"""Distance of the control points of the field whose zeros are the pial vessels' courses."""

PIAL_SHARE = 0.35
"""Largest share of a voxel that a pial vessel of about 1 mm and its neighbours take."""

PIAL_ARTERIAL = 0.25
"""Share of arteries among them; the rest is veins (about 1 to 3 by volume)."""


@lru_cache(maxsize=2)
def _large(mm: int, kind: str) -> np.ndarray:
    """(x, y, z) share of each voxel that the vessels of vessels.csv fill."""
    target = grid(mm)
    volume = np.zeros(target.shape, dtype=np.float32)
    rows = table("vessels")
    for row in rows[rows.kind == kind].itertuples():
        points = np.array([p.split() for p in row.points.split(";")], dtype=float)
        knots = np.linspace(0, 1, len(points))
        curve = make_interp_spline(knots, points, k=min(3, len(points) - 1))
        course = curve(np.linspace(0, 1, 800))
        step = np.linalg.norm(np.diff(course, axis=0), axis=1)
        middle = (course[1:] + course[:-1]) / 2
        places = (middle - target.affine[:3, 3]) / target.mm
        _deposit(volume, places, np.pi * row.radius_mm**2 * step)
    # A vessel is not a line: its cross-section is spread over its own width.
    smooth = ndimage.gaussian_filter(volume, 1.0 / mm)
    return np.minimum(smooth / target.mm**3, 1).astype(np.float32)


def vein_corridor(target: Grid) -> np.ndarray:
    """(x, y, z) bool: within `CORRIDOR_MM` of where the sinuses and large veins run in MNI152.

    An affine registration leaves a person's sinuses somewhere in it.
    """
    course = _large(target.mm, "vein") > 0.02
    return ndimage.distance_transform_edt(~course, sampling=target.mm) <= CORRIDOR_MM


def _deposit(volume: np.ndarray, places: np.ndarray, amounts: np.ndarray) -> None:
    """Share amounts among the eight voxels about each place."""
    low = np.floor(places).astype(int)
    part = places - low
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, part, 1 - part), axis=1)
        np.add.at(volume, tuple((low + corner).T), amounts * weight)


def vessel_shares(
    seed: int, places: np.ndarray, csf: np.ndarray, mask: np.ndarray, target: Grid
) -> tuple[np.ndarray, np.ndarray]:
    """Share of arteries and of veins in each voxel of a brain.

    Parameters
    ----------
    seed : int
        The person: the pial vessels' courses are their own.
    places : (3, n) array
        Where in the template each voxel lies, so that the large vessels follow the anatomy.
    csf : (n,) array, 0–1
        Pial vessels run where CSF meets cortex.
    mask : (x, y, z) array of bool
    target : Grid

    Returns
    -------
    artery, vein : (n,) arrays of float32, 0–0.95 together
    """
    artery, vein = (
        ndimage.map_coordinates(_large(target.mm, kind), places, order=1)
        for kind in ("artery", "vein")
    )
    course = smooth_field(target, PIAL_SPACING_MM, np.random.default_rng([seed, 6]))[mask]
    surface = np.clip(4 * csf * (1 - csf), 0, 1)
    pial = PIAL_SHARE * surface * np.exp(-((course / 0.2) ** 2))
    artery, vein = artery + PIAL_ARTERIAL * pial, vein + (1 - PIAL_ARTERIAL) * pial
    over = np.maximum(1, (artery + vein) / 0.95)
    return (artery / over).astype(np.float32), (vein / over).astype(np.float32)
