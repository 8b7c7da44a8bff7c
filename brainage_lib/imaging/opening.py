"""Opening an image, and what is wrong with the ones that cannot be used."""

from __future__ import annotations

import errno
import gzip
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from brainage_lib.errors import BadImage
from brainage_lib.imaging.dicom import open_series

MAX_VOXELS = 512**3
"""A T1w scan of 0.4 mm has about 400 x 540 x 400 voxels; beyond this it is no scan."""

SIDE_MM = (0.2, 12.0)
"""Allowed voxel sides: from ex-vivo resolution to the coarsest clinical slices."""


MOST_PACKED = 1032
"""Deflate packs at most this many bytes into one (zlib's own account of its limit)."""

BEHIND_BYTES = 64 * 2**20
"""What may follow the last voxel of a file; more is no scan, and would take long to read."""


class Defect(NamedTuple):
    """One way in which an image can be broken: the reason, and what the user can do."""

    reason: str
    remedy: str


DEFECTS: dict[str, Defect] = {
    "missing": Defect("file does not exist", "correct the path, relative to the manifest's folder"),
    "empty": Defect("file is empty", "copy or download the scan again"),
    "truncated": Defect("file is cut off or damaged", "copy or download the scan again"),
    "format": Defect(
        "not a NIfTI image", "convert the scan to .nii or .nii.gz, for example with dcm2niix"
    ),
    "dimensions": Defect(
        "image is not three-dimensional",
        "give one volume a file; split a series, for example with fslroi or nilearn's index_img",
    ),
    "size": Defect(
        "image has an impossible size",
        f"expected 16 voxels a side or more, at most {MAX_VOXELS:,} in all, with sides of "
        f"{SIDE_MM[0]:g}–{SIDE_MM[1]:g} mm; convert the scan from its source again",
    ),
    "type": Defect(
        "voxels are not real numbers", "save the magnitude of the image as one number a voxel"
    ),
    "affine": Defect(
        "affine cannot be inverted", "set sform or qform; convert the scan from its source again"
    ),
    "nan": Defect(
        "image contains NaN or infinite values",
        "find the step that made them; if they lie outside the brain, set them to zero",
    ),
    "constant": Defect(
        "image is constant", "the scan holds no picture; export it from its source again"
    ),
    "space": Defect(
        "not on an MNI152 grid",
        "register the scan to MNI152, or give its true state (native-head or native-brain) "
        "in t1w_state",
    ),
}
"""What can be wrong with an image, in the order in which it is looked for."""


def bad_image(key: str, detail: str = "") -> BadImage:
    """Make the error for one of ``DEFECTS``; ``detail`` follows the reason in brackets."""
    defect = DEFECTS[key]
    return BadImage(f"{defect.reason} ({detail})" if detail else defect.reason, defect.remedy)


def open_image(path: str | os.PathLike) -> nib.Nifti1Image:
    """Open a scan and check that it is one picture.

    Parameters
    ----------
    path : path
        A NIfTI file (``.nii``, ``.nii.gz``, or a ``.hdr``/``.img`` pair), or a folder with one
        DICOM series.

    Returns
    -------
    Nifti1Image
        Three-dimensional, float32, finite, not constant, with an affine that can be
        inverted. A fourth dimension of length one is dropped. The orientation is the
        file's own.

    Raises
    ------
    BadImage
        With the reason and the remedy of ``DEFECTS``.
    """
    path = Path(path)
    img = open_series(path) if path.is_dir() else _open_file(path)
    data = np.asarray(img.dataobj, dtype=np.float32)
    finite = np.isfinite(data)
    if not finite.all():
        raise bad_image("nan", f"{np.count_nonzero(~finite)} voxels")
    if data.min() == data.max():
        raise bad_image("constant")
    return img


def _open_file(path: Path) -> nib.Nifti1Image:
    if not path.is_file():
        raise bad_image("missing")
    if path.stat().st_size == 0:
        raise bad_image("empty")
    try:
        img = nib.load(path)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise bad_image("truncated") from None
    except (ImageFileError, HeaderDataError, ValueError, OverflowError, OSError) as error:
        _leave_faults_of_the_system(error)
        # nibabel says the same of a damaged gz header and of a text file.
        raise bad_image("truncated" if _is_broken_gz(path) else "format") from None
    if not isinstance(img, nib.Nifti1Pair):
        raise bad_image("format", type(img).__name__)
    _check_header(img)
    _check_length(img)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            data = np.asarray(img.dataobj, dtype=np.float32)
        # nibabel stops at the last voxel, before the checksum: damage would go unseen.
        if path.suffix == ".gz":
            _read_to_end(path, _bytes_claimed(img) + BEHIND_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile, OSError, ValueError, OverflowError) as error:
        _leave_faults_of_the_system(error)
        raise bad_image("truncated") from None
    return nib.Nifti1Image(data.reshape(data.shape[:3]), img.affine)


def _leave_faults_of_the_system(error: Exception) -> None:
    """Raise again what the system said: a disk that does not answer is no damaged scan."""
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        raise BadImage("file may not be read", "ask for the right to read it") from None
    if isinstance(error, OSError) and number not in (None, errno.EINVAL):
        raise error


def _bytes_claimed(img: nib.Nifti1Pair) -> int:
    """Bytes up to the last voxel, as the header has it."""
    voxels = int(np.prod([int(n) for n in img.shape], dtype=object))
    return int(img.dataobj.offset) + voxels * img.get_data_dtype().itemsize


def _check_length(img: nib.Nifti1Pair) -> None:
    """Compare the size that is claimed with the file's, before memory is asked for."""
    path = Path(img.file_map["image"].filename)
    if not path.is_file():
        raise bad_image("missing")
    most = path.stat().st_size * (MOST_PACKED if path.suffix == ".gz" else 1)
    if path.suffix in (".gz", ".nii", ".img") and _bytes_claimed(img) > most:
        raise bad_image("truncated")


def _read_to_end(path: Path, most: int) -> None:
    with gzip.open(path) as stream:
        while stream.read(1 << 20):
            if stream.tell() > most:
                raise ValueError("far more than the header says")


def _is_broken_gz(path: Path) -> bool:
    if path.suffix != ".gz":
        return False
    try:
        with gzip.open(path) as stream:
            stream.read(4096)
    except (EOFError, zlib.error, OSError):
        return True
    return False


def _check_header(img: nib.Nifti1Pair) -> None:
    """Look at shape, type and affine before a voxel is read: a false size costs no memory."""
    shape = img.shape
    extra = shape[3:]
    if len(shape) < 3 or any(n != 1 for n in extra):
        raise bad_image("dimensions", " x ".join(map(str, shape)))
    dtype = img.get_data_dtype()
    if dtype.fields is not None or dtype.kind not in "biuf":
        raise bad_image("type", str(dtype))
    affine = img.affine
    # Columns scaled to length one, so that the test does not depend on the voxel's size.
    sides = np.linalg.norm(affine[:3, :3], axis=0) if affine is not None else np.zeros(3)
    if not np.isfinite(affine).all() or not sides.all():
        raise bad_image("affine")
    if abs(np.linalg.det(affine[:3, :3] / sides)) < 1e-3:
        raise bad_image("affine")
    low, high = SIDE_MM
    n_voxels = int(np.prod([int(n) for n in shape[:3]], dtype=object))
    if min(shape[:3]) < 16 or n_voxels > MAX_VOXELS or sides.min() < low or sides.max() > high:
        detail = f"{' x '.join(map(str, shape[:3]))} voxels of {sides.round(2).tolist()} mm"
        raise bad_image("size", detail)
