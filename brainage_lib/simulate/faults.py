"""What goes wrong with scans, planted: for the quality verdict to find.

Each fault is gross, as the eye sees it on a contact sheet; its size is ours.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from brainage_lib.imaging import Grid
from brainage_lib.simulate.head import put_head_around

TILT_DEGREES = 35.0
SHIFT_MM = 24.0
CUT = 0.3
"""Share of the brain's height that the field of view misses at the top."""

SCALE = 1.2


def _resampled(volume: np.ndarray, linear: np.ndarray, shift: np.ndarray) -> np.ndarray:
    middle = (np.array(volume.shape) - 1) / 2
    return ndimage.affine_transform(
        volume, linear, offset=middle - linear @ middle + shift, order=1
    )


def _tilted(t1w: np.ndarray, mask: np.ndarray, target: Grid) -> np.ndarray:
    angle = np.deg2rad(TILT_DEGREES)
    turn = np.eye(3)
    turn[1, 1] = turn[2, 2] = np.cos(angle)
    turn[1, 2], turn[2, 1] = -np.sin(angle), np.sin(angle)
    return _resampled(t1w, turn, np.zeros(3))


def _misplaced(t1w: np.ndarray, mask: np.ndarray, target: Grid) -> np.ndarray:
    return _resampled(t1w, np.eye(3), np.array([0.0, SHIFT_MM, -SHIFT_MM]) / target.mm)


def _enlarged(t1w: np.ndarray, mask: np.ndarray, target: Grid) -> np.ndarray:
    return _resampled(t1w, np.eye(3) / SCALE, np.zeros(3))


def _cut(t1w: np.ndarray, mask: np.ndarray, target: Grid) -> np.ndarray:
    heights = np.flatnonzero(mask.any(axis=(0, 1)))
    kept = heights[0] + round((1 - CUT) * len(heights))
    cut = t1w.copy()
    cut[:, :, kept:] = 0
    return cut


def _unstripped(t1w: np.ndarray, mask: np.ndarray, target: Grid) -> np.ndarray:
    return put_head_around(t1w, mask, target.mm)


_MAKERS = {
    "tilted": _tilted,
    "misplaced": _misplaced,
    "enlarged": _enlarged,
    "cut": _cut,
    "unstripped": _unstripped,
}


def put_fault(fault: str, t1w: np.ndarray, mask: np.ndarray, target: Grid) -> np.ndarray:
    """Spoil a simulated scan.

    Parameters
    ----------
    fault : str
        One of ``simulate.uri.FAULTS``.
    t1w : (x, y, z) array of float32
        0 outside the brain.
    mask : (x, y, z) array of bool
        The brain.
    target : Grid

    Returns
    -------
    (x, y, z) array of float32
    """
    return _MAKERS[fault](t1w, mask, target).astype(np.float32)
