"""Analyze 7.5 images to NIfTI: the format knows no orientation, so the study must say it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brainage_lib.errors import BadImage
from brainage_lib.files import replacing

DIRECTIONS = {
    "R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1),
    "I": (0, 0, -1),
}  # fmt: skip


def orientation_affine(
    orientation: str, shape: tuple[int, ...], zooms: tuple[float, ...]
) -> np.ndarray:
    """Affine of a volume whose axes run towards the given directions, its centre at zero.

    Parameters
    ----------
    orientation : str
        A letter an axis, of R L A P S I: ``ASL`` has its first axis run to the front.
    shape : (3,) tuple of int
    zooms : (3,) tuple of float
        Sides of a voxel in mm.

    Returns
    -------
    (4, 4) array of float

    Examples
    --------
    >>> orientation_affine("ASL", (3, 5, 7), (1.0, 1.0, 2.0))[:3].tolist()
    [[0.0, 0.0, -2.0, 6.0], [1.0, 0.0, 0.0, -1.0], [0.0, 1.0, 0.0, -2.0]]
    """
    affine = np.eye(4)
    for axis, (letter, side) in enumerate(zip(orientation, zooms, strict=True)):
        affine[:3, axis] = np.multiply(DIRECTIONS[letter], side)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine + 0.0


def analyze_to_nifti(source: Path, target: Path, orientation: str) -> None:
    """Write a NIfTI copy of an Analyze image, unless it is there.

    Parameters
    ----------
    source : Path
        The ``.img``; its ``.hdr`` lies beside it. A fourth axis of length one is dropped.
    target : Path
        ``.nii.gz``; it appears whole or not at all.
    orientation : str
        See `orientation_affine`; what the header says of it is not used.

    Raises
    ------
    BadImage
        The pair cannot be read.
    """
    import nibabel as nib

    if target.is_file():
        return
    try:
        image = nib.AnalyzeImage.from_filename(source)
        volume = np.asanyarray(image.dataobj)
        shape = tuple(int(n) for n in volume.shape[:3])
        volume = volume.reshape(shape)
    except (OSError, ValueError, nib.filebasedimages.ImageFileError) as error:
        raise BadImage(f"an Analyze image that cannot be read ({type(error).__name__})",
                       "copy or download it again") from None  # fmt: skip
    affine = orientation_affine(orientation, shape, image.header.get_zooms()[:3])
    # NIfTI is written in this machine's byte order; Analyze of the study is the other one.
    native = volume.astype(volume.dtype.newbyteorder("="))
    with replacing(target) as temporary:
        nib.save(nib.Nifti1Image(native, affine), temporary)
