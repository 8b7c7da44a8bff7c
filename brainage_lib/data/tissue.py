"""Tissue maps of every scan of a run, for networks that read them in place of T1w.

They are made on a fine grid, where a voxel is rarely of two tissues, and then put on the run's.
Only the box about their mask is kept: the empty margin would be half of a network's work.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from brainage_lib.data.cohort import cohort_folder, open_scan
from brainage_lib.data.store import VolumeStore, VolumeWriter
from brainage_lib.errors import BadImage
from brainage_lib.files import digest_file, replacing
from brainage_lib.imaging import Grid, grid, resample
from brainage_lib.imaging.tissue import TISSUES, inner, tissue_maps
from brainage_lib.run import Run, code_digest, progress, scatter

FINE_MM = 2
"""Voxel of the grid on which tissues are told apart, unless the run's is finer."""

SIDE = 8
"""Sides of the box are multiples of this many voxels, so that three halvings stay whole."""

STORE = ("volumes", "tissue")
OUTPUTS = ["volumes/tissue/index.csv", "volumes/tissue/failed.csv"]


def brain_box(target: Grid) -> tuple[slice, slice, slice]:
    """Box about what tissue maps show, its sides multiples of `SIDE`, within the grid.

    Examples
    --------
    >>> [side.stop - side.start for side in brain_box(grid(4))]
    [32, 48, 40]
    """
    sides = []
    for axis, voxels in enumerate(target.shape):
        across = tuple(other for other in range(3) if other != axis)
        there = np.flatnonzero(inner(target).any(axis=across))
        size = int(there[-1] - there[0] + 1)
        side = min(SIDE * math.ceil(size / SIDE), voxels)
        start = int(np.clip(there[0] - (side - size) // 2, 0, voxels - side))
        sides.append(slice(start, start + side))
    return tuple(sides)


def tissue_of_scan(
    scan: Mapping[str, Any],
    folder: str | None,
    mm: int,
    cache: str | os.PathLike | None,
    register_again: bool,
) -> np.ndarray:
    """Tissue maps of one scan, as a network reads them.

    Parameters
    ----------
    scan : mapping
        A manifest row.
    folder, cache, register_again
        As for `open_scan`.
    mm : {1, 2, 3, 4}
        Voxel of the run's grid.

    Returns
    -------
    (3, x, y, z) array of float16, 0–1
        Grey matter, white matter, fluid (`imaging.tissue.tissue_maps`), in the `brain_box` of
        the grid.

    Raises
    ------
    BadImage, BadInput
        As `open_scan`, and where tissues cannot be told apart.
    """
    target, fine = grid(mm), grid(min(mm, FINE_MM))
    # One thread: sums in another order would differ in their last bits.
    with threadpool_limits(1):
        volume, _ = open_scan(scan, folder, fine, cache, register_again)
        maps = tissue_maps(volume, fine)
        if fine is not target:
            maps = np.stack([resample(each, fine.affine, target) for each in maps])
    return maps[(slice(None), *brain_box(target))].astype(np.float16)


def prepare_tissue(run: Run, scans: list[dict]) -> dict[str, str]:
    """Make and store the tissue maps of some scans.

    Writes ``volumes/tissue``. A killed run goes on after its last full shard, a finished one is
    not done again.

    Parameters
    ----------
    run : Run
        With ``volumes/t1w``.
    scans : list of dict
        Manifest rows: scan_id, path, t1w_state.

    Returns
    -------
    dict of str to str
        The reason, by scan_id, of each scan whose tissues cannot be told apart.
    """
    mm, where = run.profile.grid_mm, run.path(*STORE)
    key = {
        # Digests of the T1w volumes stand for the scans' files.
        "volumes": digest_file(run.path("volumes", "t1w", "index.csv")),
        "scans": [scan["scan_id"] for scan in scans],
        "grid_mm": mm,
        "code": code_digest("imaging", "data/tissue.py", "data/cohort.py", "data/native.py"),
    }
    if not run.up_to_date("tissue", key, OUTPUTS):
        shape = (len(TISSUES), *(side.stop - side.start for side in brain_box(grid(mm))))
        folder = cohort_folder(run)
        again = run.profile.preprocessing.register_again
        reasons: dict[str, str] = {}
        with VolumeWriter(where, shape, key=json.dumps(key, sort_keys=True)) as writer:
            left = [scan for scan in scans if scan["scan_id"] not in writer.done]
            asked = [
                (scan, None if folder is None else str(folder), mm, str(run.preprocessed), again)
                for scan in left
            ]
            found = scatter(_try, asked, run.profile.workers)
            for scan, result in zip(left, progress(found, "Tissue maps", len(left)), strict=True):
                if isinstance(result, str):
                    reasons[scan["scan_id"]] = result
                else:
                    writer.add(scan["scan_id"], result)
        table = pd.DataFrame({"scan_id": reasons.keys(), "reason": reasons.values()}, dtype=str)
        with replacing(run.path(OUTPUTS[1])) as temporary:
            table.to_csv(temporary, index=False)
        run.finish("tissue", key, OUTPUTS)
    failed = pd.read_csv(run.path(OUTPUTS[1]), dtype=str, keep_default_na=False)
    VolumeStore(where)  # whole, or an error that says what is not
    return dict(zip(failed["scan_id"], failed["reason"], strict=True))


def _try(scan: dict, folder: str | None, mm: int, cache: str, again: bool) -> np.ndarray | str:
    try:
        return tissue_of_scan(scan, folder, mm, cache, again)
    except BadImage as error:
        return error.reason
