"""A scan's voxels in a common order of axes, whatever order its file has."""

from __future__ import annotations

import nibabel as nib
import numpy as np

SHEAR = 1e-3
"""Cosine between two axes from which on a scan counts as sheared; ITK allows none."""

DIGITS = 4
"""Decimals of an affine that are kept, in mm. Reordering axes adds errors of 1e-13, from which
an optimiser could go another way; files hold single precision, of about 1e-5 mm."""


def to_ras(img: nib.Nifti1Image) -> nib.Nifti1Image:
    """Reorder the axes towards right, anterior, superior; no voxel changes its value.

    Only the affine is believed: a file whose affine is wrong comes out wrong, and is met by
    `measure_quality`.

    Parameters
    ----------
    img : Nifti1Image
        As `open_image` returns it.

    Returns
    -------
    Nifti1Image
        The same voxels for each of the 48 orders and directions of the axes. A sheared image
        (gantry tilt) is resampled to straight axes, linearly.
    """
    img = nib.as_closest_canonical(img)
    axes = img.affine[:3, :3] / np.linalg.norm(img.affine[:3, :3], axis=0)
    if np.abs(axes.T @ axes - np.eye(3)).max() > SHEAR:
        from nibabel.processing import resample_to_output

        sides = np.linalg.norm(img.affine[:3, :3], axis=0)
        img = resample_to_output(img, voxel_sizes=tuple(sides), order=1)
    data = np.ascontiguousarray(np.asarray(img.dataobj, dtype=np.float32))
    return nib.Nifti1Image(data, np.round(img.affine, DIGITS))
