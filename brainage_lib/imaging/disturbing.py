"""Changes of a scan that say nothing about the person: a prediction should hardly notice them.

How a head lies, how its file is ordered, how fine its voxels are, how bright it is and how much
noise it has. Each is applied to the scan as it came, before anything is done to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage

from brainage_lib.imaging.resampling import FWHM

SEED = 19
"""Of the noise: the same scan is disturbed in the same way each time."""

BRIGHT = 98
"""Percentile of the values above zero that is called the bright level: white matter of a brain,
fat and white matter of a head."""

BACKGROUND = 0.05
"""Share of the bright level up to which a voxel counts as background."""

COARSER_MM = 0.1
"""A scan is made coarser only if its voxels grow by more than this."""

ANOTHER_ORDER = ((1, -1), (2, 1), (0, -1))
"""One of the 47 other orders and directions of the axes: all three change places, two turn."""


class Disturbance(NamedTuple):
    """One change of a scan.

    Attributes
    ----------
    name : str
        Which.
    strength : float
        How much.
    unit : str
        Of what.
    """

    name: str
    strength: float
    unit: str


UNDISTURBED = Disturbance("none", 0.0, "as it came")

DISTURBANCES = (
    *(Disturbance("tilt", angle, "degrees of nodding") for angle in (5.0, 10.0, 15.0)),
    Disturbance("axes", 1.0, "other order of 48"),
    *(Disturbance("voxel", side, "mm a side") for side in (2.0, 3.0)),
    *(Disturbance("slices", side, "mm from slice to slice") for side in (3.0, 5.0)),
    *(Disturbance("noise", share, "% of the bright level") for share in (3.0, 7.0)),
    *(Disturbance("bias", share, "± % from end to end") for share in (20.0, 40.0)),
    *(Disturbance("scale", factor, "times") for factor in (0.5, 2.0)),
    Disturbance("offset", 5.0, "% of the bright level"),
    *(Disturbance("gamma", exponent, "as exponent") for exponent in (0.8, 1.25)),
)
"""What scanners and operators differ by. Noise of 3 % and 7 % are steps of BrainWeb's (Cocosco et
al. 1997), which counts it in the same way; a bias field of ± 20 % is its largest; the others are
ours."""


def applicable(img: nib.Nifti1Image) -> list[Disturbance]:
    """List the disturbances that change this scan: one of 2 mm is not made coarser by 2 mm."""
    found = []
    for what in DISTURBANCES:
        if what.name in ("voxel", "slices"):
            wanted, sides = _wanted_sides(img, what), nib.affines.voxel_sizes(img.affine)
            if (wanted < sides - COARSER_MM).any() or (wanted <= sides + COARSER_MM).all():
                continue
        found.append(what)
    return found


def disturb(img: nib.Nifti1Image, what: Disturbance, whole_head: bool) -> nib.Nifti1Image:
    """Disturb a scan.

    Parameters
    ----------
    img : Nifti1Image
        As `open_image` returns it, in any orientation.
    what : Disturbance
    whole_head : bool
        Whether there is something around the brain. Where there is not, zero is no signal and
        stays zero.

    Returns
    -------
    Nifti1Image
        float32, in the scan's unit and space.

        ``tilt``
            Turned about the axis from left to right, by cubic splines; the box grows where
            the head would leave it.
        ``axes``
            The same voxels in another order.
        ``voxel``, ``slices``
            Averaged to coarser voxels, or only across axial slices.
        ``noise``
            Magnitude of a complex signal with Gaussian noise of this SD in both parts.
        ``bias``
            Times a smooth field that goes from 1 − strength to 1 + strength over the head.
        ``scale``, ``offset``, ``gamma``
            Times a factor; plus a constant; to a power, with the bright level kept.
    """
    data = np.asarray(img.dataobj, dtype=np.float32)
    changed = _CHANGES[what.name](nib.Nifti1Image(data, img.affine), what, whole_head)
    out = nib.Nifti1Image(np.asarray(changed.dataobj, dtype=np.float32), changed.affine)
    out.header.set_xyzt_units("mm")
    return out


def _bright(data: np.ndarray) -> float:
    return float(np.percentile(data[data > 0], BRIGHT))


def _like(img: nib.Nifti1Image, data: np.ndarray, whole_head: bool) -> nib.Nifti1Image:
    """Put other values on a scan's voxels; a brain's surroundings stay empty."""
    if not whole_head:
        data = np.where(np.asarray(img.dataobj) > 0, data, 0)
    return nib.Nifti1Image(data, img.affine)


def _unchanged(img: nib.Nifti1Image, what: Disturbance, whole_head: bool) -> nib.Nifti1Image:
    return img


def _tilt(img: nib.Nifti1Image, what: Disturbance, whole_head: bool) -> nib.Nifti1Image:
    data = np.asarray(img.dataobj)
    places = np.argwhere(data > BACKGROUND * _bright(data))
    corners = np.array(np.meshgrid(*zip(places.min(axis=0), places.max(axis=0), strict=True)))
    corners = corners.reshape(3, -1).T
    angle = np.deg2rad(what.strength)
    turn = np.eye(4)
    turn[1, 1] = turn[2, 2] = np.cos(angle)
    turn[1, 2], turn[2, 1] = -np.sin(angle), np.sin(angle)
    middle = nib.affines.apply_affine(img.affine, corners.mean(axis=0))
    turn[:3, 3] = middle - turn[:3, :3] @ middle
    # From voxels to where their content comes to lie, in voxels of the same box.
    moved = np.linalg.inv(img.affine) @ turn @ img.affine
    reached = nib.affines.apply_affine(moved, corners)
    low = np.minimum(np.floor(reached.min(axis=0)), 0).astype(int)
    high = np.maximum(np.ceil(reached.max(axis=0)) + 1, data.shape).astype(int)
    box = np.eye(4)
    box[:3, 3] = low
    back = np.linalg.inv(moved) @ box
    how = {"matrix": back, "output_shape": tuple(high - low)}
    values = ndimage.affine_transform(data, order=3, **how)
    # Splines overshoot at sharp edges.
    values = np.clip(values, min(float(data.min()), 0.0), float(data.max()))
    if not whole_head:
        inside = ndimage.affine_transform((data > 0).astype(np.float32), order=1, **how)
        values = np.where(inside >= 0.5, np.maximum(values, np.float32(1e-3 * _bright(data))), 0)
    return nib.Nifti1Image(values, img.affine @ box)


def _other_order(img: nib.Nifti1Image, what: Disturbance, whole_head: bool) -> nib.Nifti1Image:
    return img.as_reoriented(np.array(ANOTHER_ORDER))


def _wanted_sides(img: nib.Nifti1Image, what: Disturbance) -> np.ndarray:
    """Sides of the voxels (mm) along the file's axes after a change of resolution."""
    if what.name == "voxel":
        return np.full(3, what.strength)
    sides = nib.affines.voxel_sizes(img.affine).astype(float)
    sides[np.abs(img.affine[2, :3] / sides).argmax()] = what.strength
    return sides


def _coarsen(img: nib.Nifti1Image, what: Disturbance, whole_head: bool) -> nib.Nifti1Image:
    data, sides = np.asarray(img.dataobj), nib.affines.voxel_sizes(img.affine)
    ratio = _wanted_sides(img, what) / sides
    # As in `resample`: the old voxel is widened to the new one.
    sigma = np.sqrt(np.maximum(ratio**2 - 1, 0)) / FWHM
    shape = tuple(int(side) for side in np.ceil(np.array(data.shape) / ratio))
    offset = (ratio - 1) / 2

    def put(values: np.ndarray) -> np.ndarray:
        smooth = ndimage.gaussian_filter(values, sigma, mode="nearest")
        return ndimage.affine_transform(smooth, ratio, offset, shape, order=1, mode="nearest")

    values = put(data)
    if not whole_head:
        values[put((data > 0).astype(np.float32)) < 0.5] = 0
    step = np.diag([*ratio, 1.0])
    step[:3, 3] = offset
    return nib.Nifti1Image(values, img.affine @ step)


def _add_noise(img: nib.Nifti1Image, what: Disturbance, whole_head: bool) -> nib.Nifti1Image:
    data = np.asarray(img.dataobj)
    sd = np.float32(what.strength / 100 * _bright(data))
    real, imaginary = np.random.default_rng(SEED).standard_normal((2, *data.shape), np.float32)
    return _like(img, np.hypot(data + sd * real, sd * imaginary), whole_head)


def _add_bias(img: nib.Nifti1Image, what: Disturbance, whole_head: bool) -> nib.Nifti1Image:
    data = np.asarray(img.dataobj)
    axes = np.ogrid[tuple(slice(side) for side in data.shape)]
    # Millimetres to the right, forwards and upwards, whatever the order of the file's axes.
    x, y, z = (
        sum(img.affine[row, axis] * axes[axis] for axis in range(3)) for row in range(3)
    )  # fmt: skip
    head = data > BACKGROUND * _bright(data)

    def unit(values: np.ndarray) -> np.ndarray:
        low, high = values[head].min(), values[head].max()
        return 2 * (values - low) / (high - low) - 1

    # Brighter on top and in front, and at the sides, as near the elements of a coil.
    slope = unit(unit(z) + 0.7 * unit(y) + 0.8 * unit(x) ** 2)
    field = 1 + what.strength / 100 * np.clip(slope, -1, 1)
    return nib.Nifti1Image(data * field.astype(np.float32), img.affine)


def _scale(img: nib.Nifti1Image, what: Disturbance, whole_head: bool) -> nib.Nifti1Image:
    return nib.Nifti1Image(np.asarray(img.dataobj) * np.float32(what.strength), img.affine)


def _offset(img: nib.Nifti1Image, what: Disturbance, whole_head: bool) -> nib.Nifti1Image:
    data = np.asarray(img.dataobj)
    return _like(img, data + np.float32(what.strength / 100 * _bright(data)), whole_head)


def _gamma(img: nib.Nifti1Image, what: Disturbance, whole_head: bool) -> nib.Nifti1Image:
    data = np.asarray(img.dataobj)
    bright = _bright(data)
    power = bright * np.maximum(data / bright, 0) ** np.float32(what.strength)
    return nib.Nifti1Image(np.where(data > 0, power, data), img.affine)


_CHANGES: dict[str, Callable[[nib.Nifti1Image, Disturbance, bool], nib.Nifti1Image]] = {
    "none": _unchanged,
    "tilt": _tilt,
    "axes": _other_order,
    "voxel": _coarsen,
    "slices": _coarsen,
    "noise": _add_noise,
    "bias": _add_bias,
    "scale": _scale,
    "offset": _offset,
    "gamma": _gamma,
}
