"""AICBV of one scan, from a raw T1w to a map in MNI152 space."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
from threadpoolctl import threadpool_limits

from brainage_lib.data import open_scan
from brainage_lib.data.cohort import SIMULATED
from brainage_lib.data.volumes import SEPARATOR
from brainage_lib.errors import BadInput, Refused, WrongUsage
from brainage_lib.files import replacing
from brainage_lib.imaging import Grid, grid, judge, measure_quality, normalise, resample
from brainage_lib.models import TrainedGenerator, open_generator
from brainage_lib.run import QualitySettings, Run
from brainage_lib.train import aicbv
from brainage_lib.train.memory import keep_freed_memory

QUALITY_MM = 2
"""Finest grid on which a scan's quality is measured."""

SUFFIXES = (".nii", ".nii.gz")


@dataclass(frozen=True)
class CbvMap:
    """The AICBV map of one scan.

    Attributes
    ----------
    cbv, t1w : (x, y, z) arrays of float32
        ml/100 ml, and the normalised T1w from which it was made; 0 outside the brain.
    grid_mm : int
        Voxel of the grid on which both lie.
    verdict : {"keep", "look"}
    reasons : tuple of str
        Of the verdict "look".
    """

    cbv: np.ndarray = field(repr=False)
    t1w: np.ndarray = field(repr=False)
    grid_mm: int
    verdict: str
    reasons: tuple[str, ...]


def generator_of(run: Run) -> TrainedGenerator:
    """Open the generator of a run, with the patch and overlap of its profile.

    Raises
    ------
    BadInput
        The run has none yet.
    """
    path = run.path(aicbv.WEIGHTS)
    if not path.is_file():
        finding = f"{aicbv.WEIGHTS} is missing; run chapter 03, which makes it"
        raise BadInput(str(run.folder), [finding])
    settings = run.profile.generator
    return open_generator(path, settings.patch, settings.overlap)


def cbv_of_scan(
    t1w: str | os.PathLike,
    generator: TrainedGenerator,
    t1w_state: str = "native-head",
    cache: str | os.PathLike | None = None,
    progress: Callable | None = None,
) -> CbvMap:
    """Make the AICBV map of one scan.

    Parameters
    ----------
    t1w : path, or str that begins with ``sim:``
        A NIfTI file, a folder with one DICOM series, or a simulated scan.
    generator : TrainedGenerator
    t1w_state : {"native-head", "native-brain", "mni152-brain"}
        What was done to the scan. A head is stripped, corrected for its bias field and
        registered; a brain in MNI152 is taken as it is.
    cache : path, optional
        Where preprocessed scans are kept; not at all unless given.
    progress : callable, optional
        As for `models.synthesise`.

    Returns
    -------
    CbvMap
        On the grid of the generator's training.

    Raises
    ------
    BadImage
        The scan cannot be opened, or is not in the state that it is said to be in.
    Refused
        Its quality does not allow a result: not brain-extracted, cut off, badly registered.
    """
    keep_freed_memory()
    simulated = os.fspath(t1w).startswith(SIMULATED)
    image = None if simulated else Path(os.path.realpath(t1w))
    scan = {
        "path": os.fspath(t1w) if image is None else image.name,
        "t1w_state": "simulated" if image is None else t1w_state,
    }
    target = grid(generator.grid_mm)
    # One thread: sums in another order would differ in their last bits.
    with threadpool_limits(1):
        volume, mask = open_scan(scan, image and image.parent, target, cache)
        measures = measure_quality(*_coarse(volume, target))
        verdict, reasons = judge(measures, QualitySettings())
        if verdict == "drop":
            raise Refused(f"{t1w}: {SEPARATOR.join(reasons)}")
        # Half precision, as a run stores it: a scan of a cohort gets its cohort's map.
        scaled = normalise(np.where(mask, volume, np.float32(0))).astype(np.float16)
    t1w_found = scaled.astype(np.float32)
    cbv = generator.cbv(t1w_found, progress)
    return CbvMap(cbv, t1w_found, generator.grid_mm, verdict, tuple(reasons))


def _coarse(volume: np.ndarray, target: Grid) -> tuple[np.ndarray, Grid]:
    """Volume for the quality measures: at 1 mm they would take as long as half the map."""
    coarse = grid(max(target.mm, QUALITY_MM))
    if coarse is target:
        return volume, target
    return resample(volume, target.affine, coarse), coarse


def check_output(path: str | os.PathLike) -> None:
    """Refuse a name under which no map can be written, before anything is computed."""
    if not os.fspath(path).endswith(SUFFIXES):
        raise WrongUsage(f"{path}: a map is written as {' or '.join(SUFFIXES)}; change --out")


def save_map(found: CbvMap, path: str | os.PathLike) -> None:
    """Write a map as NIfTI: float32, ml/100 ml, MNI152 space.

    Raises
    ------
    WrongUsage
        The name does not end in .nii or .nii.gz.
    """
    check_output(path)
    img = nib.Nifti1Image(found.cbv, grid(found.grid_mm).affine)
    img.header.set_xyzt_units("mm")
    img.header["descrip"] = b"AICBV ml/100 ml, simulation-trained prior"
    for name in ("set_sform", "set_qform"):
        getattr(img, name)(img.affine, code="mni")
    with replacing(path) as temporary:
        nib.save(img, temporary)
