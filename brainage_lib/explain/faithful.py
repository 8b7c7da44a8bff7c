"""Whether a map says what moves the predicted age: insertion and deletion of what it marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from brainage_lib.explain.gradcam import batches, frozen
from brainage_lib.explain.methods import swift

SHARES = (0.0, 0.05, 0.15, 0.3, 0.6, 1.0)
"""Of the brain that is taken out or put in."""


class Curves(NamedTuple):
    """How far the age has moved once a share of the brain has been exchanged.

    Attributes
    ----------
    shares : (k,) array, 0–1
    deletion, insertion : (n, k) array
        Distance of the age from that of the whole scan, in units of the distance between
        scan and baseline. Deletion begins at 0: the scan's voxels become the baseline's,
        those first that the map marks most. Insertion begins at 1: the baseline's voxels
        become the scan's.
    """

    shares: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def deletion_area(self) -> np.ndarray:
        """Area under each deletion curve, (n,): the larger, the better the map."""
        return np.trapezoid(self.deletion, self.shares, axis=1)

    @property
    def insertion_area(self) -> np.ndarray:
        """Area under each insertion curve, (n,): the smaller, the better the map."""
        return np.trapezoid(self.insertion, self.shares, axis=1)


def exchange(
    model: nn.Module,
    volumes: Sequence[np.ndarray],
    maps: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    baseline: np.ndarray,
    shares: Sequence[float] = SHARES,
) -> Curves:
    """Exchange voxels of a scan with those of an average scan, in the order of its map.

    Parameters
    ----------
    model : Module
    volumes, maps, masks : sequences of (x, y, z) arrays
        Scans, their maps (by absolute value), their brains.
    baseline : (x, y, z) array
        What is put in their place.
    shares : sequence of float
        From 0 to 1.

    Returns
    -------
    Curves
    """
    deleted, inserted = [], []
    for volume, found, mask in zip(volumes, maps, masks, strict=True):
        scan = np.asarray(volume, np.float32)
        # Without the blur, order within cells of equal value would be that of the memory.
        order = np.argsort(-ndimage.gaussian_filter(np.abs(found), 1)[mask], kind="stable")
        places = np.flatnonzero(mask)[order]
        stack = []
        for begin, end in ((scan, baseline), (baseline, scan)):
            for share in shares:
                changed = np.array(begin, np.float32)
                some = places[: round(share * len(places))]
                changed.flat[some] = np.asarray(end, np.float32).flat[some]
                # Of what lies outside the brain nothing is asked.
                changed[~mask] = scan[~mask]
                stack.append(changed)
        ages = predicted(model, stack)
        deletion, insertion = np.split(ages, 2)
        whole, empty = deletion[0], insertion[0]
        # A scan whose age is the baseline's own has no way to go; years are its unit then.
        unit = max(abs(whole - empty), 1.0)
        deleted.append(np.abs(deletion - whole) / unit)
        inserted.append(np.abs(insertion - whole) / unit)
    return Curves(np.asarray(shares, float), np.array(deleted), np.array(inserted))


def predicted(model: nn.Module, volumes: Sequence[np.ndarray], batch: int = 8) -> np.ndarray:
    """Predicted ages in years, (n,)."""
    model = swift(model)
    with frozen(model), torch.no_grad():
        parts = [model(inputs).cpu().numpy() for inputs in batches(model, volumes, batch)]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
