"""A head around a brain: CSF, skull, scalp, a front without a face, a neck.

For trying what is done to raw heads. It is anatomy only in so far as brain extraction and
registration meet it: layers in the right order, of plausible thickness and signal.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

LAYERS_MM = (
    (2.5, "csf"),
    (4.5, "outer table"),
    (7.0, "marrow"),
    (8.5, "outer table"),
    (14.0, "scalp"),
)
"""Outer distance from the brain of each layer: subarachnoid space 2–4 mm, skull 6–7 mm (table,
marrow, table), scalp 5–6 mm. Rounded from anatomy textbooks; not measured here."""

SIGNAL = {"csf": 0.25, "outer table": 0.06, "marrow": 0.5, "scalp": 1.05, "muscle": 0.55,
          "eye": 0.2, "airway": 0.04}  # fmt: skip
"""T1w signal, white matter 1: fat and marrow bright, bone and air dark, muscle between."""

LOWEST_MM = 55.0
"""How far below the brain the neck goes on."""


def put_head_around(t1w: np.ndarray, mask: np.ndarray, mm: float) -> np.ndarray:
    """Put a head around a brain.

    Parameters
    ----------
    t1w : (x, y, z) array
        A brain, RAS+, any unit, with room around it: 20 mm at the sides, `LOWEST_MM` below.
    mask : (x, y, z) array of bool
        The brain.
    mm : float
        Side of the voxels.

    Returns
    -------
    (x, y, z) array of float32
        The brain's voxels are unchanged; outside the head it is 0.
    """
    white = float(np.percentile(t1w[mask], 90))
    distance = ndimage.distance_transform_edt(~mask) * mm
    head = np.zeros(t1w.shape, np.float32)
    inner = 0.0
    for outer, layer in LAYERS_MM:
        head[(distance > inner) & (distance <= outer)] = SIGNAL[layer]
        inner = outer
    _add_neck(head, mask, mm)
    return np.where(mask, t1w, head * np.float32(white)).astype(np.float32)


def _add_neck(head: np.ndarray, mask: np.ndarray, mm: float) -> None:
    """Lower face and neck: a column of muscle in skin, with an airway, and two eyes."""
    places = np.argwhere(mask)
    low, high = places.min(axis=0), places.max(axis=0)
    middle = (low + high) / 2
    half = (high - low) / 2
    x, y, z = (np.arange(side, dtype=np.float32) for side in head.shape)
    x, y = (x - middle[0])[:, None, None], (y - middle[1])[None, :, None]
    below = (z[None, None, :] < low[2] + 0.35 * (high[2] - low[2])) & (
        z[None, None, :] > low[2] - LOWEST_MM / mm
    )
    column = (x / (0.8 * half[0])) ** 2 + ((y - 0.1 * half[1]) / (0.75 * half[1])) ** 2
    empty = head == 0
    outside = ~ndimage.binary_dilation(mask, iterations=max(1, round(14 / mm)))
    head[empty & outside & below & (column <= 1.0)] = SIGNAL["muscle"]
    head[empty & outside & below & (column > 1.0) & (column <= 1.15)] = SIGNAL["scalp"]
    airway = (x / (0.12 * half[0])) ** 2 + ((y - 0.3 * half[1]) / (0.1 * half[1])) ** 2 <= 1
    head[outside & below & airway] = SIGNAL["airway"]
    for side in (-1, 1):
        centre = middle + np.array([side * 0.45 * half[0], 0.98 * half[1], -0.45 * half[2]])
        squared = (x + middle[0] - centre[0]) ** 2 + (y + middle[1] - centre[1]) ** 2
        eye = squared + (z[None, None, :] - centre[2]) ** 2 <= (12 / mm) ** 2
        head[eye & ~mask] = SIGNAL["eye"]
