"""Simulated people outside every cohort, on whom the generator is trained and measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from brainage_lib import simulate
from brainage_lib.data import VolumeStore, VolumeWriter
from brainage_lib.imaging import grid, normalise
from brainage_lib.run import progress, scatter


class Truth(NamedTuple):
    """A simulated scan as the networks see it, with its truth.

    Attributes
    ----------
    t1w : (x, y, z) array of float16
        Normalised as a run stores it.
    cbv : (x, y, z) array of float32
        ml/100 ml.
    tissue : (3, x, y, z) array of float32
        Shares of grey matter, white matter, CSF; the rest of a brain voxel is vessels.
    mask : (x, y, z) array of bool
    """

    t1w: np.ndarray
    cbv: np.ndarray
    tissue: np.ndarray
    mask: np.ndarray


def open_truth(uri: str, mm: int) -> Truth:
    """Simulate the scan of a ``sim:`` URI on the grid of ``mm``, normalised as in a run."""
    # One thread: sums in another order would differ in their last bits.
    with threadpool_limits(1):
        scan = simulate.open_scan(uri, grid(mm))
        t1w = normalise(np.where(scan.mask, scan.t1w, np.float32(0))).astype(np.float16)
    return Truth(t1w, scan.cbv, scan.tissue, scan.mask)


class Pairs(Sequence):
    """Pairs of T1w and CBV of simulated people, for `fit_generator`.

    Parameters
    ----------
    store : VolumeStore
        Volumes (2, x, y, z): T1w normalised, CBV in ml/100 ml.
    """

    def __init__(self, store: VolumeStore):
        self.store = store
        self.names = store.scan_ids

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """T1w, CBV and brain of one person."""
        t1w, cbv = self.store[self.names[row]]
        return t1w, cbv, t1w > 0


def prepare_people(
    folder: str | os.PathLike, uris: Sequence[str], mm: int, key: str, workers: int = 1
) -> Pairs:
    """Simulate people and store their pairs in a folder; a killed call goes on.

    Parameters
    ----------
    folder : path
    uris : sequence of str
        Of `simulate.training_people`.
    mm : {1, 2, 3, 4}
        Voxel of the grid.
    key : str
        Digest of all that the pairs depend on.
    workers : int
        Processes.
    """
    with VolumeWriter(folder, (2, *grid(mm).shape), key=key) as writer:
        done = set(writer.done)
        left = [(f"{row:06d}", uri) for row, uri in enumerate(uris) if f"{row:06d}" not in done]
        made = scatter(open_truth, [(uri, mm) for _, uri in left], workers)
        for (name, _), truth in zip(
            left, progress(made, "Simulated people", len(left)), strict=True
        ):
            writer.add(name, np.stack([truth.t1w, truth.cbv.astype(np.float16)]))
    return Pairs(VolumeStore(folder))
