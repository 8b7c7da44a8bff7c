"""Whether a brain lies as the template does, or is turned, or front to back."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import ndimage

from brainage_lib.imaging.grids import Grid, grid
from brainage_lib.imaging.resampling import resample
from brainage_lib.imaging.template import template

BLOCK = 2
"""Voxels of 4 mm a side of a block: at 8 mm, outline and large structures are left."""

SMOOTH = 1.5
ANGLES = tuple(range(-40, 41, 10))
"""Degrees about each axis that are tried, beside the brain as it lies."""

HALF_TURN = 180.0
"""What is told of a brain that looks more like the template with an axis the other way round."""


def measure_turn(volume: np.ndarray, target: Grid) -> float:
    """Find the angle by which a brain would have to be turned to look most like the template.

    The brain is laid onto the template by their centres of mass, turned about one axis at a
    time in steps of 10°, and mirrored front to back, top to bottom, and both; the smoothed
    volumes are correlated. Left and right cannot be told apart.

    Parameters
    ----------
    volume : (x, y, z) array
        T1w, zero outside the brain, any unit.
    target : Grid
        The grid that it lies on.

    Returns
    -------
    float
        Degrees, 0–180; 180 if a mirrored brain is most alike; NaN for an empty volume.
    """
    if target.mm != 4:
        volume = resample(np.asarray(volume, np.float32), target.affine, grid(4))
    ours = _coarse(volume)
    if not ours.any():
        return float("nan")
    reference, centre = _reference()
    own = np.array(ndimage.center_of_mass(ours > 0.1 * ours.max()))
    best, found = -np.inf, 0.0
    for degrees, linear in _candidates():
        moved = ndimage.affine_transform(
            ours, linear, offset=own - linear @ centre, output_shape=reference.shape, order=1
        )
        either = (moved > 0.05 * ours.max()) | (reference > 0.05)
        alike = np.corrcoef(moved[either], reference[either])[0, 1]
        if alike > best:
            best, found = alike, degrees
    return found


def _coarse(volume: np.ndarray) -> np.ndarray:
    smooth = ndimage.gaussian_filter(np.asarray(volume, np.float32), SMOOTH)
    x, y, z = (side // BLOCK for side in smooth.shape)
    return smooth.reshape(x, BLOCK, y, BLOCK, z, BLOCK).mean(axis=(1, 3, 5))


@cache
def _reference() -> tuple[np.ndarray, np.ndarray]:
    made = template(grid(4))
    coarse = _coarse(np.where(made.mask, made.t1w, 0))
    return coarse, np.array(ndimage.center_of_mass(coarse > 0.1 * coarse.max()))


@cache
def _candidates() -> list[tuple[float, np.ndarray]]:
    """Degrees and matrix of each way to lay the brain, as it lies first."""
    found = [(0.0, np.eye(3))]
    for one, other in ((1, 2), (2, 0), (0, 1)):
        for degrees in ANGLES:
            turn = np.eye(3)
            angle = np.deg2rad(degrees)
            turn[one, one] = turn[other, other] = np.cos(angle)
            turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
            if degrees:
                found.append((float(abs(degrees)), turn))
    found += [(HALF_TURN, np.diag(signs)) for signs in ((1.0, -1, 1), (1.0, 1, -1), (1.0, -1, -1))]
    return found
