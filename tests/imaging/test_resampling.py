"""Grids, resampling and intensity."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from brainage_lib.errors import BadImage, WrongUsage
from brainage_lib.imaging import brain_mask, grid, normalise, open_image, template, to_grid

CENTRE = np.array([-0.5, -17.5, 18.5])


@pytest.mark.parametrize(
    ("mm", "shape"),
    [(1, (182, 218, 182)), (2, (96, 112, 96)), (3, (64, 80, 64)), (4, (48, 64, 48))],
)
def test_grids_are_centred_boxes(mm, shape):
    target = grid(mm)
    assert target.shape == shape
    middle = nib.affines.apply_affine(target.affine, (np.array(shape) - 1) / 2)
    np.testing.assert_allclose(middle, CENTRE)
    assert nib.aff2axcodes(target.affine) == ("R", "A", "S")


def test_unknown_grid_names_the_allowed_ones():
    with pytest.raises(WrongUsage, match=r"\[1, 2, 3, 4\]"):
        grid(5)


def _ramp_img(affine, shape):
    """An image whose value is a linear function of the place in millimetres."""
    points = nib.affines.apply_affine(affine, np.indices(shape).transpose(1, 2, 3, 0))
    return nib.Nifti1Image((1000 + points @ [1.0, 2.0, 3.0]).astype(np.float32), affine)


@settings(max_examples=12, deadline=None)
@given(
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    order=st.permutations(range(3)),
    side=st.sampled_from([1.6, 2.0, 3.0, 5.0]),
)
def test_any_orientation_gives_the_same_picture(flips, order, side):
    """A linear function of place survives smoothing and linear interpolation exactly."""
    shape = (np.ceil(280 / side).astype(int),) * 3
    affine = np.eye(4)
    affine[:3, :3] = (np.diag(flips) * side)[:, order]
    affine[:3, 3] = CENTRE - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    target = grid(4)
    found = to_grid(_ramp_img(affine, shape), target)
    points = nib.affines.apply_affine(target.affine, np.indices(target.shape).transpose(1, 2, 3, 0))
    inner = (slice(4, -4),) * 3
    np.testing.assert_allclose(found[inner], (1000 + points @ [1.0, 2.0, 3.0])[inner], rtol=2e-4)


def test_same_grid_gives_the_same_voxels():
    target = grid(4)
    data = np.random.default_rng([2]).random(target.shape, dtype=np.float32) + 1
    found = to_grid(nib.Nifti1Image(data, target.affine), target)
    np.testing.assert_allclose(found, data, rtol=1e-5)


def test_fine_noise_is_averaged_not_picked():
    """On the way from 2 to 4 mm independent noise must shrink, or voxels were left out."""
    fine = grid(2)
    noise = np.random.default_rng([3]).normal(100, 10, fine.shape).astype(np.float32)
    coarse = to_grid(nib.Nifti1Image(noise, fine.affine), grid(4))
    assert coarse[8:-8, 8:-8, 8:-8].std() < 4


def test_labels_stay_labels():
    fine = grid(2)
    labels = np.random.default_rng([4]).integers(0, 5, fine.shape).astype(np.float32)
    found = to_grid(nib.Nifti1Image(labels, fine.affine), grid(4), order=0)
    assert set(np.unique(found)) <= {0, 1, 2, 3, 4}


def test_outside_the_brain_stays_zero():
    fine = grid(2)
    brain = template(fine).mask.astype(np.float32) * 50
    found = to_grid(nib.Nifti1Image(brain, fine.affine), grid(4))
    far = ~ndimage.binary_dilation(template(grid(4)).mask, iterations=2)
    assert (found[far] == 0).all()
    assert found[template(grid(4)).mask].mean() > 45


def test_normalised_top_percent_is_one():
    volume = np.zeros((20, 20, 20))
    volume[5:15, 5:15, 5:15] = np.random.default_rng([5]).random((10, 10, 10)) + 1
    top = np.sort(volume[volume > 0])[-10:]
    np.testing.assert_allclose(normalise(volume), volume / top.mean(), rtol=1e-6)
    np.testing.assert_allclose(normalise(volume * 37), normalise(volume), rtol=1e-6)


def test_nothing_to_normalise_is_said():
    with pytest.raises(ValueError, match="no value above zero"):
        normalise(np.zeros((4, 4, 4)))


def test_brain_mask_is_one_piece_without_holes():
    volume = template(grid(4)).t1w.copy()
    volume[24, 32, 24] = 0
    volume[1:3, 1:3, 1:3] = 1
    mask = brain_mask(volume)
    assert mask[24, 32, 24]
    assert not mask[1:3, 1:3, 1:3].any()
    assert ndimage.label(mask)[1] == 1


def test_real_scans_come_through_the_right_way_round(shared):
    target = grid(4)
    reference = template(target)
    for path in sorted((shared / "realdata" / "OAS1").glob("*.nii.gz"))[:200:40]:
        volume = to_grid(open_image(path), target)
        # The brain is nearly symmetric, so left and right are told by the known ramp above;
        # here every other axis and the place.
        inside = reference.mask
        right = np.corrcoef(volume[inside], reference.t1w[inside])[0, 1]
        for axis in (1, 2):
            turned = np.flip(volume, axis)
            assert right > np.corrcoef(turned[inside], reference.t1w[inside])[0, 1] + 0.2
        assert right > 0.4


def test_native_heads_are_not_on_the_grid(shared):
    paths = sorted((shared / "realdata" / "IXI").glob("*_head.nii.gz"))[:3]
    paths += sorted((shared / "realdata" / "native").glob("*_MR1.nii.gz"))[:2]
    for path in paths:
        with pytest.raises(BadImage, match="not on an MNI152 grid"):
            to_grid(open_image(path), grid(4))
