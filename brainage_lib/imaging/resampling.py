"""From a scan's own voxels to a grid, by the affine alone."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

from brainage_lib.imaging.grids import CENTRE, Grid, grid
from brainage_lib.imaging.opening import bad_image

FWHM = 2 * np.sqrt(2 * np.log(2))
"""Full width at half maximum of a Gaussian, in standard deviations."""

MIN_COVERAGE = 0.9
"""Share of the template's brain that an image's box must hold to be called MNI152."""

MAX_OFFSET_MM = 20.0
"""How far the middle of an image's box may lie from the grids' middle. The boxes of FSL,
SPM, nilearn and the 2009 templates lie within 12 mm; a scanner's own coordinates begin at
the magnet's isocentre, about 35 mm lower."""


def to_grid(img: nib.Nifti1Image, target: Grid, order: int = 1) -> np.ndarray:
    """Resample an image that is in MNI152 space to a grid; nothing is registered.

    Where the grid is coarser than the image, a Gaussian comes first that widens the
    image's voxel to the grid's: sigma = sqrt(k² − 1) / 2.355 voxels for a ratio k of
    their sides (Cardoso et al. 2015, "Scale factor point spread function matching",
    MICCAI). Without it a 2 mm scan on the 4 mm grid would keep one voxel in eight.

    Parameters
    ----------
    img : Nifti1Image
        As `open_image` returns it; any orientation.
    target : Grid
    order : {0, 1, 3}
        Order of the spline; 0 keeps labels as they are, without smoothing.

    Returns
    -------
    (x, y, z) array of float32
        The grid's shape, RAS+. Zero outside the image's box, and where less than half of
        the voxel lies on non-zero voxels of the image (so a skull-stripped brain keeps
        its edge).

    Raises
    ------
    BadImage
        If the image's box is not one of MNI152 space (`check_space`).
    """
    check_space(img.affine, img.shape)
    data = np.asarray(img.dataobj, dtype=np.float32)
    return resample(data, img.affine, target, order)


def resample(data: np.ndarray, affine: np.ndarray, target: Grid, order: int = 1) -> np.ndarray:
    """`to_grid` for an array and its affine, without asking whether it is MNI152."""
    if order == 0:
        return _transform(data, affine, target, 0)
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    sigma = np.sqrt(np.maximum((target.mm / sides) ** 2 - 1, 0)) / FWHM

    def put(values: np.ndarray, spline: int) -> np.ndarray:
        smooth = ndimage.gaussian_filter(values, sigma, mode="constant") if sigma.any() else values
        return _transform(smooth, affine, target, spline)

    values = put(data, order)
    occupied = put((data != 0).astype(np.float32), 1)
    values[occupied < 0.5] = 0
    return values


def carry_back(
    values: np.ndarray, source: Grid, to_mni: np.ndarray, like: nib.Nifti1Image, order: int = 1
) -> nib.Nifti1Image:
    """Put a map that was made on a grid into the space of the scan it was made from.

    Parameters
    ----------
    values : (x, y, z) array
        On the grid, RAS+: an AICBV map, an attribution, a mask.
    source : Grid
    to_mni : (4, 4) array
        From the scan's millimetres to MNI152 millimetres, as in `NativeBrain`; the identity for
        a scan that came in MNI152.
    like : Nifti1Image
        The scan as it came, in any orientation; only its box is used.
    order : {0, 1, 3}
        Order of the spline; 0 keeps labels as they are.

    Returns
    -------
    Nifti1Image
        float32, the shape and the affine of ``like``; zero outside the grid's box.
    """
    if np.shape(values) != source.shape:
        raise ValueError(f"values have the shape {np.shape(values)}, the grid {source.shape}")
    matrix = np.linalg.inv(source.affine) @ to_mni @ like.affine
    data = ndimage.affine_transform(
        np.asarray(values, np.float32), matrix, output_shape=like.shape[:3], order=order
    )
    img = nib.Nifti1Image(data, like.affine)
    img.header.set_xyzt_units("mm")
    return img


def _transform(data: np.ndarray, affine: np.ndarray, target: Grid, order: int) -> np.ndarray:
    matrix = np.linalg.inv(affine) @ target.affine
    return ndimage.affine_transform(
        data.astype(np.float32, copy=False), matrix, output_shape=target.shape, order=order
    )


def check_space(affine: np.ndarray, shape: tuple[int, ...]) -> None:
    """Ask whether an image's box can be one of MNI152 space.

    The box must hold the template's brain (``MIN_COVERAGE``) and lie about it
    (``MAX_OFFSET_MM``). A native scan that passes by chance is caught by
    `measure_quality`, which looks at the picture.

    Raises
    ------
    BadImage
        "not on an MNI152 grid", with what was found.
    """
    share = box_coverage(affine, shape)
    if share < MIN_COVERAGE:
        raise bad_image("space", f"its box holds {share:.0%} of the template's brain")
    middle = nib.affines.apply_affine(affine, (np.asarray(shape[:3]) - 1) / 2)
    offset = float(np.linalg.norm(middle - CENTRE))
    if offset > MAX_OFFSET_MM:
        raise bad_image("space", f"the middle of its box lies {offset:.0f} mm off")


def box_coverage(affine: np.ndarray, shape: tuple[int, ...]) -> float:
    """Share (0–1) of the template's brain that lies inside an image's box."""
    from brainage_lib.imaging.template import template

    coarse = grid(4)
    points = nib.affines.apply_affine(coarse.affine, np.argwhere(template(coarse).mask))
    indices = nib.affines.apply_affine(np.linalg.inv(affine), points)
    inside = (indices > -0.5) & (indices < np.asarray(shape[:3]) - 0.5)
    return float(inside.all(axis=1).mean())
