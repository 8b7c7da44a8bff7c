"""Intensity scale and brain mask of a volume on a grid."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

TOP = 0.01
"""Share of brightest values whose mean becomes 1 (the paper's normalisation)."""


def normalise(volume: np.ndarray) -> np.ndarray:
    """Divide a scan by the mean of its top 1 % of values, as the paper does.

    The top 1 % is taken of the non-zero values (ours; the paper does not say), so that a
    wider empty margin does not change the result.

    Parameters
    ----------
    volume : (x, y, z) array
        Any unit; zero outside the brain.

    Returns
    -------
    (x, y, z) array of float32
        Zero stays zero.

    Raises
    ------
    ValueError
        If no value is above zero.

    Examples
    --------
    >>> normalise(np.array([[[0.0, 1.0, 4.0]]]))
    array([[[0.  , 0.25, 1.  ]]], dtype=float32)
    """
    volume = np.asarray(volume, dtype=np.float32)
    return volume / top_mean(volume)


def top_mean(volume: np.ndarray) -> np.float32:
    """Mean of the top 1 % of non-zero values, by which `normalise` divides.

    Raises
    ------
    ValueError
        If no value is above zero.
    """
    values = np.asarray(volume, dtype=np.float32)
    values = values[values != 0]
    if not (values > 0).any():
        raise ValueError("no value above zero: the volume is empty on this grid")
    count = max(1, round(TOP * values.size))
    top = np.partition(values, values.size - count)[values.size - count :]
    return np.float32(top.mean(dtype=np.float64))


def brain_mask(volume: np.ndarray, threshold: float = 0.1) -> np.ndarray:
    """Find the brain in a skull-stripped volume.

    Parameters
    ----------
    volume : (x, y, z) array
        Zero, or nearly so, outside the brain.
    threshold : float
        Share of the 99th percentile of the positive values above which a voxel counts.

    Returns
    -------
    (x, y, z) array of bool
        The largest connected part, without holes.
    """
    positive = volume[volume > 0]
    if positive.size == 0:
        return np.zeros(volume.shape, dtype=bool)
    labels, count = ndimage.label(volume > threshold * np.percentile(positive, 99))
    if count > 1:
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        labels = labels == sizes.argmax()
    return ndimage.binary_fill_holes(labels > 0)
