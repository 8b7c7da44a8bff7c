"""Raw scans to MNI152: with known truth, made from the template."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from brainage_lib.errors import BadImage
from brainage_lib.imaging import grid, preprocess, resample, template
from brainage_lib.imaging.bias import bias_field
from brainage_lib.imaging.orientation import to_ras
from brainage_lib.imaging.registration import register
from brainage_lib.simulate.head import put_head_around

ORDERS = list(itertools.product(itertools.permutations(range(3)), *[(1, -1)] * 3))


def rotation(degrees):
    total = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        turn = np.eye(3)
        one, other = [(1, 2), (2, 0), (0, 1)][axis]
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        total = turn @ total
    return total


def random_affine(rng):
    """From MNI to a scanner's millimetres: turned, scaled, sheared and shifted."""
    whole = np.eye(4)
    shear = np.eye(3) + np.triu(rng.uniform(-0.05, 0.05, (3, 3)), 1)
    whole[:3, :3] = rotation(rng.uniform(-15, 15, 3)) @ np.diag(rng.uniform(0.85, 1.15, 3)) @ shear
    whole[:3, 3] = rng.uniform(-25, 25, 3)
    return whole


def scanned(volume, affine, to_scanner, sides, margin=(30, 30, 60)):
    """Sample a volume in a box of the scanner's own, with straight axes."""
    corners = np.array(list(itertools.product(*[(0, side - 1) for side in volume.shape])))
    placed = nib.affines.apply_affine(to_scanner @ affine, corners)
    low = placed.min(axis=0) - np.array(margin) / 4
    shape = np.ceil((placed.max(axis=0) + np.array(margin) / 4 - low) / sides).astype(int)
    box = np.diag([*sides, 1.0])
    box[:3, 3] = low
    matrix = np.linalg.inv(to_scanner @ affine) @ box
    data = ndimage.affine_transform(volume, matrix, output_shape=tuple(shape), order=1)
    return data.astype(np.float32), box


def spoiled(data, rng, noise=0.03, bias=0.25):
    """Multiply by a slow field and add noise where there is signal."""
    x = np.linspace(-1, 1, data.shape[0])[:, None, None]
    y = np.linspace(-1, 1, data.shape[1])[None, :, None]
    field = 1 + bias * (x + 0.5 * y**2)
    noisy = data * field + rng.normal(0, noise * data.max(), data.shape)
    return np.where(data > 0, np.maximum(noisy, 0), 0).astype(np.float32), field


def head(mm=2, below=30):
    """The template in a head on a grid of ``mm``, with its mask and affine."""
    target = grid(mm)
    made = template(target)
    margin = [(round(24 / mm), round(24 / mm))] * 2 + [(round((24 + below) / mm), round(24 / mm))]
    brain = np.pad(np.where(made.mask, made.t1w, 0), margin)
    mask = np.pad(made.mask, margin)
    affine = target.affine.copy()
    affine[:3, 3] -= mm * np.array([before for before, _ in margin])
    return put_head_around(brain, mask, mm), mask, affine


def error_mm(found, to_scanner):
    """Mean distance inside the brain between where a point comes to lie and where it should."""
    target = grid(4)
    points = nib.affines.apply_affine(target.affine, np.argwhere(template(target).mask))
    back = nib.affines.apply_affine(found @ to_scanner, points)
    return float(np.linalg.norm(back - points, axis=1).mean())


def test_every_order_of_axes_gives_the_same_voxels():
    rng = np.random.default_rng(0)
    data = rng.random((18, 20, 23)).astype(np.float32)
    affine = np.eye(4)
    affine[:3, :3] = rotation((4, -7, 3)) @ np.diag([1.1, 0.9, 2.0])
    affine[:3, 3] = (-31.7, -44.2, -12.9)
    expected = to_ras(nib.Nifti1Image(data, affine))
    for order, *signs in ORDERS:
        orientation = np.stack([order, signs], axis=1)
        turned = nib.Nifti1Image(data, affine).as_reoriented(orientation)
        found = to_ras(turned)
        assert np.array_equal(found.dataobj, expected.dataobj)
        assert np.array_equal(found.affine, expected.affine)
    assert nib.aff2axcodes(expected.affine) == ("R", "A", "S")


def test_sheared_axes_are_straightened():
    affine = np.diag([1.0, 1.0, 1.5, 1.0])
    affine[1, 2] = 0.4
    places = nib.affines.apply_affine(affine, np.indices((30, 30, 30)).transpose(1, 2, 3, 0))
    found = to_ras(nib.Nifti1Image((100 + places[..., 1]).astype(np.float32), affine))
    axes = found.affine[:3, :3] / np.linalg.norm(found.affine[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    data = np.asarray(found.dataobj)
    inside = np.argwhere(data > 0)[::97]
    expected = 100 + nib.affines.apply_affine(found.affine, inside)[:, 1]
    middle = ndimage.binary_erosion(data > 0, iterations=3)[tuple(inside.T)]
    np.testing.assert_allclose(data[tuple(inside.T)][middle], expected[middle], rtol=1e-4)


def test_a_slow_field_is_taken_out_of_the_brain():
    target = grid(4)
    made = template(target)
    data, field = spoiled(np.where(made.mask, made.t1w, 0), np.random.default_rng(1))
    field = np.broadcast_to(field, data.shape)
    found = bias_field(data, target.affine, made.mask)
    inside = ndimage.binary_erosion(made.white > 0.9)
    before = (field / field[inside].mean())[inside]
    after = (field / found / (field / found)[inside].mean())[inside]
    assert after.std() < before.std() / 3
    assert found[made.mask].mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow),
                                  pytest.param(2, marks=pytest.mark.slow)])  # fmt: skip
def test_a_random_affine_is_recovered(seed):
    rng = np.random.default_rng(seed)
    made = template(grid(2))
    to_scanner = random_affine(rng)
    brain = np.where(made.mask, made.t1w, 0)
    data, box = scanned(brain, grid(2).affine, to_scanner, (1.5, 1.2, 2.0))
    data, _ = spoiled(np.where(data > 0.05, data, 0), rng)
    assert error_mm(register(data, box), to_scanner) < 1.0


def test_equal_calls_register_equally():
    made = template(grid(4))
    brain = np.where(made.mask, made.t1w, 0).astype(np.float32)
    assert np.array_equal(register(brain, grid(4).affine), register(brain, grid(4).affine))


@pytest.fixture(scope="module")
def raw():
    """A head of 2 mm in a scanner, tilted; its brain and the way to it."""
    rng = np.random.default_rng(3)
    whole, mask, affine = head()
    to_scanner = random_affine(rng)
    data, box = scanned(whole, affine, to_scanner, (2.0, 2.0, 2.0))
    inside, _ = scanned(mask.astype(np.float32), affine, to_scanner, (2.0, 2.0, 2.0))
    data, _ = spoiled(data, rng)
    return nib.Nifti1Image(data * 400, box), inside > 0.5, to_scanner


@pytest.fixture(scope="module")
def done(raw):
    return preprocess(raw[0], "native-head")


def test_the_brain_of_a_head_is_found(raw, done):
    found, truth = np.asarray(done.img.dataobj) > 0, raw[1]
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.95


def test_a_head_comes_to_lie_on_the_template(raw, done):
    assert error_mm(done.to_mni, raw[2]) < 2.5
    assert [step["tool"] for step in done.steps] == [
        "nibabel", "deepbet", "SimpleITK", "SimpleITK",
    ]  # fmt: skip
    assert all(step["version"] for step in done.steps)


def test_the_preprocessed_head_is_the_template(done):
    target = grid(4)
    volume = resample(np.asarray(done.img.dataobj), done.to_mni @ done.img.affine, target)
    made = template(target)
    assert np.corrcoef(volume[made.mask], made.t1w[made.mask])[0, 1] > 0.9


@pytest.mark.slow
def test_what_is_no_head_is_refused():
    noise = np.random.default_rng(4).random((60, 60, 60)).astype(np.float32)
    with pytest.raises(BadImage, match=r"no brain found|registration failed"):
        preprocess(nib.Nifti1Image(noise, np.diag([2.0, 2, 2, 1])), "native-head")


@pytest.mark.slow
def test_a_fine_head_is_stripped_and_placed():
    rng = np.random.default_rng(5)
    whole, mask, affine = head(mm=1, below=40)
    data, _ = spoiled(whole, rng)
    done = preprocess(nib.Nifti1Image(data * 700, affine), "native-head")
    # Its axes are those of the head already.
    found = np.asarray(done.img.dataobj) > 0
    assert 2 * (found & mask).sum() / (found.sum() + mask.sum()) >= 0.97
    assert error_mm(done.to_mni, np.eye(4)) < 2.5


def tilted(degrees):
    """Preprocess the head, turned; its volume at 4 mm, and how far its brain lies off."""
    whole, _, affine = head()
    to_scanner = np.eye(4)
    to_scanner[:3, :3] = rotation(degrees)
    data, box = scanned(whole, affine, to_scanner, (2.0, 2.0, 2.0))
    data, _ = spoiled(data, np.random.default_rng(6), bias=0.0)
    done = preprocess(nib.Nifti1Image(data * 400, box), "native-head")
    volume = resample(np.asarray(done.img.dataobj), done.to_mni @ done.img.affine, grid(4))
    return volume, error_mm(done.to_mni, to_scanner)


@pytest.fixture(scope="module")
def straight():
    return tilted((0, 0, 0))[0]


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [(15, 0, 0), (0, -15, 0), (0, 0, 15), (8, -8, 8)])
def test_a_tilted_head_gives_nearly_the_same_volume(straight, degrees):
    """Tolerance: correlation 0.98 within the brain at 4 mm, 2 mm of place."""
    volume, off = tilted(degrees)
    mask = template(grid(4)).mask
    assert np.corrcoef(volume[mask], straight[mask])[0, 1] > 0.98
    assert off < 2.0
