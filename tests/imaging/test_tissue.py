"""Tissue maps: the right tissue at the right place, whatever the unit; no maps of what is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from brainage_lib.errors import BadImage
from brainage_lib.imaging import grid, template
from brainage_lib.imaging.tissue import TISSUES, inner, tissue_maps

GRID = grid(4)
BRIGHTNESS = {"grey": 0.6, "white": 0.9, "csf": 0.25}


def phantom(noise=0.03, seed=0):
    """A brain of three brightnesses at the template's tissues, and the tissue of each voxel."""
    known = template(GRID)
    fluid = np.clip(1 - known.grey - known.white, 0, 1)
    shares = np.stack([known.grey, known.white, fluid])
    truth = np.where(known.mask, shares.argmax(axis=0), -1)
    values = np.zeros(GRID.shape)
    for number, name in enumerate(TISSUES):
        values[truth == number] = BRIGHTNESS[name]
    values += noise * np.random.default_rng(seed).normal(size=GRID.shape)
    return np.where(known.mask, values.clip(min=0.01), 0).astype(np.float32), truth


def test_each_voxel_goes_to_its_tissue_and_shares_add_up_to_one():
    volume, truth = phantom()
    maps = tissue_maps(volume, GRID)
    inside = (truth >= 0) & inner(GRID)
    np.testing.assert_allclose(maps.sum(axis=0)[inside], 1, atol=1e-5)
    assert (maps[:, ~inside] == 0).all()
    assert (maps.argmax(axis=0) == truth)[inside].mean() > 0.97


def test_neighbours_take_noise_out():
    volume, truth = phantom(noise=0.15)
    inside = (truth >= 0) & inner(GRID)
    means = np.array([BRIGHTNESS[name] for name in TISSUES])
    nearest = np.abs(volume[..., None] - means).argmin(axis=-1)
    alone = (nearest == truth)[inside].mean()
    assert (tissue_maps(volume, GRID).argmax(axis=0) == truth)[inside].mean() > alone + 0.05


@pytest.mark.parametrize("gain", [1e-3, 7, 4e4])
def test_the_unit_of_the_scan_does_not_matter(gain):
    volume, _ = phantom()
    np.testing.assert_allclose(
        tissue_maps(gain * volume, GRID), tissue_maps(volume, GRID), atol=2e-3
    )


def test_large_ventricles_are_fluid_where_others_have_white_matter():
    volume, truth = phantom()
    x, y, z = np.ogrid[: GRID.shape[0], : GRID.shape[1], : GRID.shape[2]]
    hole = ((x - 30) ** 2 + (y - 34) ** 2 + (z - 26) ** 2 < 36) & (truth == 1)
    assert hole.sum() > 200
    volume[hole] = BRIGHTNESS["csf"]
    maps = tissue_maps(volume, GRID)
    assert maps[TISSUES.index("csf")][hole].mean() > 0.95


def test_the_fluid_that_stripping_leaves_changes_nothing_within():
    volume, _ = phantom()
    tight = np.where(inner(GRID), volume, 0)
    loose = volume.copy()
    outside = ndimage.binary_dilation(volume > 0, iterations=2) & (volume == 0)
    loose[outside] = BRIGHTNESS["csf"]
    expected = tissue_maps(volume, GRID)
    for changed in (tight, loose):
        np.testing.assert_array_equal(tissue_maps(changed, GRID), expected)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda volume: np.zeros_like(volume), "no value above zero"),
        # A T2w: fluid is brightest.
        (lambda volume: np.where(volume > 0, 1.1 - volume, 0), "rising brightness"),
    ],
)
def test_what_is_no_t1w_is_refused(make, said):
    with pytest.raises(BadImage, match=said):
        tissue_maps(make(phantom()[0]), GRID)


def test_a_volume_of_another_grid_is_a_programming_error():
    with pytest.raises(ValueError, match="shape"):
        tissue_maps(np.ones((3, 3, 3)), GRID)
