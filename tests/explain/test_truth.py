"""Hits, scattered maps, exchange and the planted lesion: right maps win, broken ones fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from brainage_lib.errors import WrongUsage
from brainage_lib.explain import (
    edges,
    exchange,
    hits,
    learn,
    make_mapper,
    make_phantom,
    rank_methods,
    reading_error,
    surrogate,
)
from brainage_lib.explain.null import against_surrogates, p_above

BRAIN = np.zeros((24, 24, 24), bool)
BRAIN[3:21, 3:21, 3:21] = True
KNOWN = np.zeros_like(BRAIN)
KNOWN[6:10, 6:10, 6:10] = True


def test_hits_of_maps_that_can_be_worked_out_by_hand():
    chance = 64 / 18**3
    perfect = hits(-KNOWN.astype(float), KNOWN, BRAIN)  # the sign does not count
    assert perfect[:3] == (1, 1, 1)
    assert perfect.chance == pytest.approx(chance)
    even = hits(np.ones(BRAIN.shape), KNOWN, BRAIN)
    assert even[:3] == pytest.approx((chance, chance, chance))
    assert hits(np.zeros(BRAIN.shape), KNOWN, BRAIN)[:3] == pytest.approx((chance,) * 3)
    half = KNOWN.astype(float)
    half[6:8] *= 3
    half[14:18, 14:18, 14:18] = 2
    found = hits(half, KNOWN, BRAIN)
    assert found.pointing == 1
    assert found.mass == pytest.approx((32 * 3 + 32) / (32 * 3 + 32 + 64 * 2))
    assert found.rank == pytest.approx(0.5)


def test_what_lies_outside_the_brain_neither_helps_nor_harms():
    noise = np.where(BRAIN, 0, 100.0)
    assert hits(KNOWN + noise, KNOWN, BRAIN)[:3] == (1, 1, 1)


def test_truth_on_another_grid_or_outside_the_brain_is_refused():
    with pytest.raises(WrongUsage, match="differ"):
        hits(np.ones((4, 4, 4)), KNOWN, BRAIN)
    with pytest.raises(WrongUsage, match="none of the voxels"):
        hits(np.ones(BRAIN.shape), ~BRAIN, BRAIN)


def test_a_scattered_map_keeps_its_values_and_its_smoothness_and_loses_its_place():
    rng = np.random.default_rng(0)
    found = np.where(BRAIN, np.abs(ndimage.gaussian_filter(rng.normal(size=BRAIN.shape), 2)), 0)
    scattered = surrogate(found, BRAIN, np.random.default_rng(1))
    np.testing.assert_allclose(np.sort(scattered[BRAIN]), np.sort(found[BRAIN]), rtol=1e-5)
    assert not scattered[~BRAIN].any()

    def neighbours(volume):
        return np.corrcoef(volume[5:18, 5:19, 5:19].ravel(), volume[6:19, 5:19, 5:19].ravel())[0, 1]

    white = rng.permutation(found[BRAIN])
    rough = np.zeros(BRAIN.shape)
    rough[BRAIN] = white
    assert neighbours(scattered) > 0.6 > 0.2 > neighbours(rough)
    assert abs(np.corrcoef(found[BRAIN], scattered[BRAIN])[0, 1]) < 0.5


def test_a_map_on_the_truth_beats_scattered_ones_and_a_scattered_one_does_not():
    rng = np.random.default_rng(2)
    noise = ndimage.gaussian_filter(rng.normal(size=BRAIN.shape), 2)
    right = np.where(BRAIN, np.abs(noise) + KNOWN, 0)
    value, null = against_surrogates(lambda f: hits(f, KNOWN, BRAIN).mass, right, BRAIN, 39, 0)
    assert p_above(value[0], null[:, 0]) <= 0.05
    wrong = np.roll(right, 9, axis=1) * BRAIN
    value, null = against_surrogates(lambda f: hits(f, KNOWN, BRAIN).mass, wrong, BRAIN, 39, 0)
    assert p_above(value[0], null[:, 0]) > 0.05


class ReadsOnePlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Conv3d(1, 1, 1))])
        self.register_buffer("where", torch.from_numpy(KNOWN.astype(np.float32)))

    def forward(self, x):
        return 50 + (x[:, 0] * self.where).sum(dim=(1, 2, 3))


def test_exchange_moves_the_age_at_once_where_the_map_is_right():
    rng = np.random.default_rng(3)
    scan, baseline = (np.where(BRAIN, 1 + each, 0) for each in rng.random((2, *BRAIN.shape)))
    scan += 0.5 * KNOWN
    right, wrong = KNOWN.astype(float), 1.0 - KNOWN
    curves = exchange(ReadsOnePlace(), [scan] * 2, [right, wrong], [BRAIN] * 2, baseline)
    assert curves.deletion[:, 0] == pytest.approx(0, abs=1e-5)
    assert curves.insertion[:, 0] == pytest.approx(1, abs=1e-4)
    assert curves.deletion[:, -1] == pytest.approx(1, abs=1e-4)
    assert curves.deletion[0, 2] == pytest.approx(1, abs=1e-4)
    assert curves.deletion_area[0] > 0.9 > 0.5 > curves.deletion_area[1]
    assert curves.insertion_area[0] < 0.1 < 0.5 < curves.insertion_area[1]


def mappers(phantom):
    baseline = phantom.volumes.mean(axis=0)
    return {
        "integrated gradients": make_mapper("integrated-gradients", grid_mm=4, baseline=baseline),
        "occlusion": make_mapper("occlusion", grid_mm=8, baseline=baseline),
        "Grad-CAM": make_mapper("grad-cam", grid_mm=4),
        "edges": edges,
        "nothing": lambda model, volumes: np.zeros_like(volumes),
    }


@pytest.mark.parametrize("seed", [11, pytest.param(12, marks=pytest.mark.slow)])
def test_methods_that_see_the_planted_lesion_rank_first_and_broken_ones_fail(seed):
    phantom = make_phantom(seed)
    reader = learn(phantom)
    error, guess = reading_error(phantom, reader)
    assert error < guess / 3
    table = rank_methods(phantom, reader, mappers(phantom)).set_index("method")
    assert set(table.index[:2]) == {"integrated gradients", "occlusion"}
    assert table["found"].iloc[:2].all()
    assert not table.loc[["edges", "nothing", "Grad-CAM"], "found"].any()
    assert (table["n_scans"] == 8).all()


def test_a_phantom_is_what_it_says():
    phantom = make_phantom(5, n=60, planted_at=(12, 16, 16), decoy_at=(21, 16, 16))
    assert not (phantom.planted & phantom.decoy).any()
    told = np.corrcoef(phantom.volumes[:, phantom.planted].mean(axis=1), phantom.ages)[0, 1]
    untold = np.corrcoef(phantom.volumes[:, phantom.decoy].mean(axis=1), phantom.ages)[0, 1]
    assert told > 0.9
    assert abs(untold) < 0.4
    assert not phantom.volumes[:, ~phantom.brain].any()
    with pytest.raises(WrongUsage, match="must lie within the brain"):
        make_phantom(5, planted_at=(0, 0, 0))


def test_a_lesion_can_darken_with_age():
    phantom = make_phantom(5, n=60, change=-0.8)
    told = np.corrcoef(phantom.volumes[:, phantom.planted].mean(axis=1), phantom.ages)[0, 1]
    assert told < -0.9
    with pytest.raises(WrongUsage, match="tells no age"):
        make_phantom(5, change=0)
