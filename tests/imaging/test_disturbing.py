"""Disturbances do what their names say, and nothing else."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from brainage_lib.imaging import DISTURBANCES, disturb
from brainage_lib.imaging.disturbing import BRIGHT, UNDISTURBED, Disturbance, applicable

AFFINE = np.array([[0, 0, 1.5, -40], [-1, 0, 0, 50], [0, 1.2, 0, -30], [0, 0, 0, 1.0]])
"""Axes backwards, upwards, to the right: PSR, as some scanners write."""


@pytest.fixture(scope="module")
def img():
    """A lopsided ellipsoid with two blobs, in an order of axes of its own; zero around it."""
    places = nib.affines.apply_affine(AFFINE, np.indices((70, 60, 50)).transpose(1, 2, 3, 0))
    x, y, z = (places - [-4, 15, 5]).transpose(3, 0, 1, 2)
    inside = (x / 26) ** 2 + (y / 30) ** 2 + (z / 24) ** 2 < 1
    blob = np.exp(-((x - 8) ** 2 + (y - 12) ** 2 + (z - 5) ** 2) / 40)
    data = np.where(inside, 600 + 400 * blob + 150 * np.sin(x / 4) * np.sin(z / 5), 0)
    return nib.Nifti1Image(data.astype(np.float32), AFFINE)


def disturbed(img, name, strength, whole_head=False):
    return disturb(img, Disturbance(name, strength, ""), whole_head)


def values(img):
    return np.asarray(img.dataobj)


def centre(img):
    return nib.affines.apply_affine(img.affine, ndimage.center_of_mass(values(img)))


def tilt_of(img):
    """Direction of the bright blob seen from the middle, degrees about the left-right axis."""
    data = values(img)
    bright = nib.affines.apply_affine(
        img.affine, ndimage.center_of_mass(np.where(data > 900, data, 0))
    )
    whole = nib.affines.apply_affine(img.affine, ndimage.center_of_mass(data > 0))
    return np.degrees(np.arctan2(*(bright - whole)[[2, 1]]))


@pytest.mark.parametrize("what", DISTURBANCES, ids=lambda what: f"{what.name}-{what.strength:g}")
def test_a_brain_stays_a_brain_with_nothing_around(img, what):
    found = disturb(img, what, whole_head=False)
    data = values(found)
    assert data.dtype == np.float32
    assert np.isfinite(data).all()
    assert data.min() == 0
    ml = [np.count_nonzero(values(each) > 0) * abs(np.linalg.det(each.affine[:3, :3])) / 1000
          for each in (img, found)]  # fmt: skip
    assert ml[1] == pytest.approx(ml[0], rel=0.03)
    np.testing.assert_allclose(centre(found), centre(img), atol=1.5)


def test_what_is_not_disturbed_is_the_same(img):
    found = disturb(img, UNDISTURBED, whole_head=True)
    assert np.array_equal(values(found), values(img))
    assert np.array_equal(found.affine, img.affine)


@pytest.mark.parametrize("angle", [5, 15])
def test_a_tilt_turns_by_its_angle(img, angle):
    found = disturbed(img, "tilt", angle)
    turned = (tilt_of(found) - tilt_of(img) + 180) % 360 - 180
    assert turned == pytest.approx(angle, abs=0.7)


def test_a_tilt_cuts_nothing_off(img):
    tight = values(img)
    places = np.argwhere(tight > 0)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    cut = tight[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    affine = AFFINE.copy()
    affine[:3, 3] = nib.affines.apply_affine(AFFINE, low)
    found = disturbed(nib.Nifti1Image(cut, affine), "tilt", 15)
    # On two axes the box is as tight as the turned ellipsoid; nothing of it is lost.
    assert np.count_nonzero(values(found)) == pytest.approx(np.count_nonzero(cut), rel=0.01)


def test_another_order_of_axes_is_the_same_picture(img):
    found = disturbed(img, "axes", 1)
    assert nib.aff2axcodes(found.affine) != nib.aff2axcodes(img.affine)
    back = [nib.as_closest_canonical(each) for each in (img, found)]
    assert np.array_equal(values(back[0]), values(back[1]))
    np.testing.assert_allclose(back[0].affine, back[1].affine)


@pytest.mark.parametrize(
    ("name", "strength", "sides"), [("voxel", 3, (3, 3, 3)), ("slices", 5, (1.0, 5, 1.5))]
)
def test_coarser_voxels_have_the_sides_that_are_asked_for(img, name, strength, sides):
    found = disturbed(img, name, strength, whole_head=True)
    np.testing.assert_allclose(nib.affines.voxel_sizes(found.affine), sides)
    total = [values(each).sum() * abs(np.linalg.det(each.affine[:3, :3])) for each in (img, found)]
    assert total[1] == pytest.approx(total[0], rel=0.01)


def test_a_scan_is_never_made_finer():
    coarse = nib.Nifti1Image(np.ones((20, 20, 20), np.float32), np.diag([2.0, 2, 4, 1]))
    left = [(what.name, what.strength) for what in applicable(coarse)
            if what.name in ("voxel", "slices")]  # fmt: skip
    assert left == [("slices", 5.0)]


def test_noise_has_the_spread_that_it_says(img):
    inside = values(img) > 0
    difference = (values(disturbed(img, "noise", 3)) - values(img))[inside]
    assert difference.std() == pytest.approx(
        0.03 * np.percentile(values(img)[inside], BRIGHT), rel=0.02
    )


def test_noise_around_a_head_is_rayleigh(img):
    outside = values(img) == 0
    sd = 0.07 * np.percentile(values(img)[~outside], BRIGHT)
    around = values(disturbed(img, "noise", 7, whole_head=True))[outside]
    assert around.mean() == pytest.approx(sd * np.sqrt(np.pi / 2), rel=0.01)


def test_a_bias_field_goes_from_end_to_end(img):
    inside = values(img) > 0
    ratio = values(disturbed(img, "bias", 20))[inside] / values(img)[inside]
    assert (ratio.min(), ratio.max()) == pytest.approx((0.8, 1.2), abs=1e-3)
    field = np.zeros(inside.shape)
    field[inside] = ratio
    step = np.abs(np.diff(field, axis=0))[inside[1:] & inside[:-1]]
    assert step.max() < 0.03, "smooth"


def test_intensities_are_scaled_shifted_and_bent(img):
    data = values(img)
    inside = data > 0
    bright = np.percentile(data[inside], BRIGHT)
    for name, strength, expected in (
        ("scale", 0.5, data / 2),
        ("offset", 5, np.where(inside, data + 0.05 * bright, 0)),
        ("gamma", 1.25, bright * (data / bright) ** 1.25),
    ):
        np.testing.assert_allclose(values(disturbed(img, name, strength)), expected, rtol=1e-4)
    around = values(disturbed(img, "offset", 5, whole_head=True))[~inside]
    np.testing.assert_allclose(around, 0.05 * bright, rtol=1e-5)
