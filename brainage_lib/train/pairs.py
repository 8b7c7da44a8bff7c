"""Pairs of real scans before and after contrast agent, from which a generator can learn.

In the steady state after an injection, the signal that the agent adds to a voxel belongs to its
blood, so that CBV = 100 (S_post − S_pre) / (S_post − S_pre of pure blood), in ml/100 ml. Pure
blood is sought in the sinuses (the straight and the transverse ones survive skull stripping more
often than the sagittal). The two scans share no scale: the one after is
scaled so that white matter has the blood volume that it is known to have on average, because a
factor that makes white matter equal would take its blood away from every voxel.

Exact if water does not cross the vessels' walls; if it crosses fast, grey matter is read too high
by a third (the book's page on AICBV).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brainage_lib.data import VolumeStore, VolumeWriter
from brainage_lib.errors import BadImage, BadInput
from brainage_lib.files import digest_file
from brainage_lib.imaging import (
    Grid,
    brain_mask,
    grid,
    normalise,
    open_image,
    resample,
    template,
    to_grid,
)  # fmt: skip
from brainage_lib.models import LARGEST_CBV
from brainage_lib.run import progress, scatter
from brainage_lib.simulate import vein_corridor
from brainage_lib.simulate.person import CBV_WHITE
from brainage_lib.train.people import Pairs

COLUMNS = ("pre", "post")

WHITE = 0.9
"""Probability in the template from which a voxel is taken as white matter."""

BLOOD_SHARE = 0.005
"""Share of the veins' corridor, where contrast adds most, that is taken as pure blood."""

FINE_MM = 2
"""Blood is measured on this grid at most: a sinus is some 5 mm wide."""

ALIKE = 0.5
"""Correlation of a pair below which the two do not show one brain in one place."""


class ContrastPair(NamedTuple):
    """A pair on a grid, as a generator learns from it.

    Attributes
    ----------
    t1w : (x, y, z) array of float16
        The scan before contrast, normalised, 0 outside the brain.
    cbv : (x, y, z) array of float32
        ml/100 ml, 0–100, 0 outside the brain.
    """

    t1w: np.ndarray
    cbv: np.ndarray


def read_pairs(path: str | os.PathLike) -> pd.DataFrame:
    """Read a pairs manifest.

    Parameters
    ----------
    path : path
        CSV with a row a pair: ``pre`` and ``post``, paths of brains in MNI152 space relative to
        the table's folder; other columns are not used.

    Returns
    -------
    DataFrame
        Columns pre, post: absolute paths.

    Raises
    ------
    BadInput
        With one finding a bad cell: line, column, what is wrong, what to do.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(str(path), ["no such file; give a CSV table with the columns pre, post"])
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise BadInput(str(path), [f"not a CSV table: {error}"]) from None
    missing = [name for name in COLUMNS if name not in table]
    if missing or table.empty:
        finding = "has no row" if not missing else f"column {', '.join(missing)} is missing"
        raise BadInput(str(path), [f"line 1: {finding}; a row a pair, with pre and post"])
    folder, findings, rows = path.resolve().parent, [], []
    for number, row in enumerate(table[list(COLUMNS)].itertuples(index=False), start=2):
        places = {}
        for name, value in zip(COLUMNS, row, strict=True):
            place = Path(os.path.realpath(folder / value.strip()))
            if not value.strip():
                findings.append(f"line {number}, {name}: is empty; give the path of a scan")
            elif not place.is_relative_to(folder):
                findings.append(f"line {number}, {name}: leaves the folder; move the scan below it")
            elif not place.is_file():
                findings.append(f"line {number}, {name}: {value} does not exist; correct the path")
            else:
                places[name] = str(place)
        if len(places) == 2 and places["pre"] == places["post"]:
            findings.append(f"line {number}: pre and post are one file; give both scans")
        rows.append(places)
    if findings:
        raise BadInput(str(path), findings)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def steady_state_cbv(
    pre: np.ndarray, post: np.ndarray, white: np.ndarray, corridor: np.ndarray
) -> np.ndarray:
    """Blood volume from a scan before and one after contrast.

    With w the mean of white matter, b that of blood and v white matter's blood volume, the scan
    after is scaled by (w_pre − v b_pre) / (w_post − v b_post).

    Parameters
    ----------
    pre, post : (x, y, z) arrays
        On one another, 0 outside the brain; each in a unit of its own.
    white, corridor : (x, y, z) arrays of bool
        White matter, and where the large veins may run.

    Returns
    -------
    (x, y, z) array of float32
        ml/100 ml, 0–100.

    Raises
    ------
    BadInput
        The two do not show one brain, or no blood is brighter after than before.
    """
    brain = (pre > 0) & (post > 0)
    white, corridor = white & brain, corridor & brain
    if white.sum() < 50 or corridor.sum() < 50:
        finding = (
            "white matter or the large veins lie outside both brains; are both scans brains in "
            "MNI152 space?"
        )
        raise BadInput("pair", [finding])
    if not np.corrcoef(pre[brain], post[brain])[0, 1] >= ALIKE:
        raise BadInput("pair", ["the two scans do not lie on one another; register post to pre"])
    w_pre, w_post = (float(np.median(volume[white])) for volume in (pre, post))
    brighter = post / w_post - pre / w_pre
    blood = corridor & (brighter >= np.quantile(brighter[corridor], 1 - BLOOD_SHARE))
    b_pre, b_post = (float(volume[blood].mean(dtype=np.float64)) for volume in (pre, post))
    v = CBV_WHITE / 100
    scale = (w_pre - v * b_pre) / (w_post - v * b_post)
    added = scale * b_post - b_pre
    if not (scale > 0 and added > w_pre / 2):
        finding = (
            "contrast makes no blood in the large veins brighter: are pre and post exchanged, or "
            "were the veins stripped away?"
        )
        raise BadInput("pair", [finding])
    cbv = 100 * (scale * post - pre) / added
    return np.where(brain, cbv, 0).clip(0, LARGEST_CBV).astype(np.float32)


def open_pair(pre: str | os.PathLike, post: str | os.PathLike, mm: int) -> ContrastPair:
    """Open a pair of brains in MNI152 space on the grid of ``mm``.

    Raises
    ------
    BadInput
        A scan cannot be used, or the pair cannot (`steady_state_cbv`).
    """
    target, fine = grid(mm), grid(min(mm, FINE_MM))
    try:
        before, after = open_image(pre), open_image(post)
        volumes = [to_grid(img, fine) for img in (before, after)]
        t1w = to_grid(before, target)
    except BadImage as error:
        raise BadInput("pair", [str(error)]) from None
    return make_pair(t1w, *volumes, fine, target)


def _try_pair(pre: str, post: str, mm: int) -> ContrastPair | list[str]:
    """Open a pair, or say what is wrong with it: an error would not come whole from a process."""
    try:
        return open_pair(pre, post, mm)
    except BadInput as error:
        return error.findings


def make_pair(
    t1w: np.ndarray, pre: np.ndarray, post: np.ndarray, fine: Grid, target: Grid
) -> ContrastPair:
    """Put the blood volume of a pair on a grid beside its T1w.

    Parameters
    ----------
    t1w : (x, y, z) array
        The scan before contrast on ``target``.
    pre, post : (x, y, z) arrays
        Both on ``fine``.
    """
    cbv = steady_state_cbv(pre, post, template(fine).white > WHITE, vein_corridor(fine))
    if fine.mm != target.mm:
        cbv = resample(cbv, fine.affine, target)
    mask = brain_mask(t1w)
    scaled = normalise(np.where(mask, t1w, np.float32(0))).astype(np.float16)
    return ContrastPair(scaled, np.where(mask, cbv, np.float32(0)))


def prepare_pairs(
    table: pd.DataFrame, mm: int, folder: str | os.PathLike, key: str, workers: int = 1
) -> Pairs:
    """Store the pairs of `read_pairs` in a folder, for `fit_generator`; a killed call goes on.

    Parameters
    ----------
    table : DataFrame
    mm : {1, 2, 3, 4}
    folder : path
    key : str
        Digest of all that the volumes depend on.
    workers : int
        Processes.

    Raises
    ------
    BadInput
        With every pair that cannot be used, by its line in the manifest.
    """
    findings: list[str] = []
    with VolumeWriter(folder, (2, *grid(mm).shape), key=key) as writer:
        done = len(writer.done)
        left = list(table.itertuples(index=False))[done:]
        made = scatter(_try_pair, [(row.pre, row.post, mm) for row in left], workers)
        for row, pair in enumerate(progress(made, "Contrast pairs", len(left)), start=done):
            if isinstance(pair, list):
                findings += [f"line {row + 2}: {finding}" for finding in pair]
            elif not findings:
                writer.add(f"{row:06d}", np.stack([pair.t1w, pair.cbv.astype(np.float16)]))
    if findings:
        raise BadInput("pairs", findings)
    return Pairs(VolumeStore(folder))


def pairs_digest(table: pd.DataFrame) -> list[str]:
    """Hashes of the images of a table, in its order, for keys of what depends on them."""
    files: Sequence[str] = table[list(COLUMNS)].to_numpy().ravel().tolist()
    return [digest_file(name) for name in files]
