"""Preprocessed scans, kept beside the runs so that no scan is preprocessed twice.

An entry is a folder named after what it was made from (the image's bytes, its state, the code):
``brain.nii.gz`` (the brain in its own space, without bias field, its brightest voxel 32,767),
``mask.nii.gz`` and ``steps.json`` (each step with tool, version and settings, the unit of the
brain's values, and the matrix to MNI152). Any grid is one interpolation away, and a map can be
carried back.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from brainage_lib import imaging
from brainage_lib.errors import BadImage
from brainage_lib.files import digest_file, digest_files, read_json, write_json
from brainage_lib.imaging import Grid, NativeBrain, open_image, preprocess
from brainage_lib.run import code_digest

CODE = (
    "imaging/bias.py", "imaging/dicom.py", "imaging/extraction.py", "imaging/itk.py",
    "imaging/native.py", "imaging/opening.py", "imaging/orientation.py", "imaging/registration.py",
)  # fmt: skip
LARGEST = 32_767
FILES = ("brain.nii.gz", "mask.nii.gz", "steps.json")


def native_brain(image: Path, t1w_state: str, cache: Path | None) -> NativeBrain:
    """Preprocess a scan, or take it from the cache if that was done before.

    Parameters
    ----------
    image : path
        A NIfTI file, or a folder with one DICOM series.
    t1w_state : str
        As for `imaging.preprocess`.
    cache : path or None
        Folder of the entries; created if needed. None keeps nothing.

    Returns
    -------
    NativeBrain
        The same, bit for bit, whether it comes from the cache or not.

    Raises
    ------
    BadImage
        The scan cannot be used.
    """
    if cache is None:
        with tempfile.TemporaryDirectory(prefix="brainage-") as folder:
            return native_brain(image, t1w_state, Path(folder))
    entry = cache / _name(image, t1w_state)
    if not _whole(entry):
        _keep(preprocess(open_image(image), t1w_state), t1w_state, entry)
    facts = read_json(entry / "steps.json")
    brain = nib.load(entry / "brain.nii.gz")
    data = np.asarray(brain.dataobj, dtype=np.float32) * np.float32(facts["unit"])
    return NativeBrain(
        nib.Nifti1Image(data, brain.affine), np.array(facts["to_mni"]), facts["steps"]
    )


def steps_of(
    scan: Mapping[str, Any], folder: Path, cache: Path, register_again: bool
) -> list[dict[str, Any]]:
    """Tell what was done to a scan before it was put on a grid, from its entry in the cache.

    Parameters
    ----------
    scan : mapping
        A manifest row.
    folder, cache, register_again
        As for `place_scan`.

    Returns
    -------
    list of dict
        As in `NativeBrain`, with the matrix to MNI152 in the last one; empty for a brain that
        was taken as it is.
    """
    state = str(scan["t1w_state"])
    if state == "mni152-brain" and not register_again:
        return []
    entry = cache / _name(Path(os.path.realpath(folder / str(scan["path"]))), state)
    facts = read_json(entry / "steps.json")
    *before, last = facts["steps"]
    return [*before, last | {"to_mni": facts["to_mni"]}]


def carry_back(
    values: np.ndarray,
    source: Grid,
    scan: Mapping[str, Any],
    folder: Path,
    cache: Path,
    register_again: bool = False,
    order: int = 1,
) -> nib.Nifti1Image:
    """Put a map on a grid into the space of the scan that it was made from.

    Parameters
    ----------
    values : (x, y, z) array
        On the grid: an AICBV map, an attribution, a mask.
    source : Grid
    scan : mapping
        The scan's manifest row.
    folder, cache, register_again
        As for `place_scan`; the entry is made again where the cache lacks it.
    order : {0, 1, 3}
        Order of the spline; 0 keeps labels as they are.

    Returns
    -------
    Nifti1Image
        float32, in the voxels of the scan as it came.

    Raises
    ------
    BadImage
        The scan cannot be used.
    """
    image = Path(os.path.realpath(folder / str(scan["path"])))
    state = str(scan["t1w_state"])
    to_mni = np.eye(4)
    if state != "mni152-brain" or register_again:
        to_mni = native_brain(image, state, cache).to_mni
    return imaging.carry_back(values, source, to_mni, open_image(image), order)


def _whole(entry: Path) -> bool:
    return all((entry / name).is_file() for name in FILES)


def _name(image: Path, t1w_state: str) -> str:
    if image.is_dir():
        files = sorted(path for path in image.rglob("*") if path.is_file())
        content = digest_files(files)
    elif image.is_file():
        content = digest_file(image)
    else:
        raise BadImage("file does not exist", "correct the path, relative to the manifest's folder")
    made_from = json.dumps([content, t1w_state, code_digest(*CODE)])
    return hashlib.sha256(made_from.encode()).hexdigest()[:24]


def _keep(found: NativeBrain, t1w_state: str, entry: Path) -> None:
    """Write an entry under another name and rename it: it is there as a whole, or not at all."""
    with _temporary_beside(entry) as temporary:
        data = np.asarray(found.img.dataobj)
        # Whole numbers take a third of the space. The scale is kept apart: nibabel would choose
        # one with an offset, in which zero is not zero.
        unit = float(data.max()) / LARGEST
        brain = np.rint(data / unit).astype(np.int16)
        nib.save(nib.Nifti1Image(brain, found.img.affine), temporary / "brain.nii.gz")
        mask = nib.Nifti1Image((brain > 0).astype(np.uint8), found.img.affine)
        nib.save(mask, temporary / "mask.nii.gz")
        facts = {
            "t1w_state": t1w_state,
            "unit": unit,
            "to_mni": found.to_mni.tolist(),
            "steps": found.steps,
        }
        write_json(temporary / "steps.json", facts)
        if not _whole(entry):
            shutil.rmtree(entry, ignore_errors=True)
        try:
            os.rename(temporary, entry)
        except OSError:
            # Another process was quicker; what it wrote is the same.
            if not _whole(entry):
                raise


@contextmanager
def _temporary_beside(entry: Path) -> Iterator[Path]:
    """Give a folder that becomes the entry; what a killed process left of it is removed.

    A lock tells the living from the dead: the system releases it when its process ends.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    for left in entry.parent.glob(f".{entry.name}-*"):
        with suppress(OSError), _locked(left):
            shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    try:
        with _locked(temporary):
            # mkdtemp makes a private folder; an entry is as readable as any other.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o777 & ~umask)
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; OSError at once where another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
