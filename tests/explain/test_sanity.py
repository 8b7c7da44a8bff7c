from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from brainage_lib.explain import (
    cascade,
    grad_cam,
    mass_outside,
    randomisation_test,
    similarity_within,
)
from brainage_lib.models import VGG8

MASK = np.zeros((32, 32, 32), bool)
MASK[6:26, 6:26, 6:26] = True


@pytest.fixture(scope="module")
def volumes():
    rng = np.random.default_rng(0)
    return (rng.random((2, 32, 32, 32)) * MASK).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return VGG8((32, 32, 32)).eval()


def fine_map(model, volumes):
    """Grad-CAM of the second block: at this small grid the fifth has eight cells."""
    return grad_cam(model, volumes, block=2)


def test_the_cascade_randomises_from_the_output_to_the_input(network, volumes):
    before = network.state_dict()
    names = []
    for name, changed in cascade(network, volumes, seed=1):
        names.append(name)
        for layer, module in network.named_modules():
            if isinstance(module, (nn.Conv3d, nn.Linear)):
                same = torch.equal(module.weight, changed.get_submodule(layer).weight)
                assert same == (layer not in names)
    assert names[0] == "last"
    assert names[-1] == "blocks.0.0"
    assert len(names) == 8  # five convolutions, three linear layers
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_activations_of_a_randomised_network_keep_their_scale(network, volumes):
    *_, (_, changed) = cascade(network, volumes, seed=1)
    inputs = torch.from_numpy(volumes)[:, None]
    with torch.no_grad():
        for parts in changed.blocks:
            inputs = parts[1](parts[0](inputs))
            assert inputs.mean().abs() < 0.05
            assert abs(float(inputs.var()) - 1) < 0.1
            inputs = parts[3](parts[2](inputs))


def test_grad_cam_loses_its_map_when_the_weights_are_lost(network, volumes):
    steps = randomisation_test(network, volumes, MASK, seed=1, mapper=fine_map)
    assert steps[-1].layer == "blocks.0.0"
    assert np.abs(steps[-1].similarity.mean()) < 0.5


def test_a_map_that_only_shows_the_image_fails(network, volumes):
    def edges(model, volumes):
        return np.abs(np.stack(np.gradient(volumes, axis=(1, 2, 3)))).sum(0)

    steps = randomisation_test(network, volumes, MASK, seed=1, mapper=edges)
    assert all(step.similarity.min() == pytest.approx(1) for step in steps)


def test_the_cascade_is_the_same_each_time(network, volumes):
    first, second = (list(cascade(network, volumes, seed=1))[-1][1] for _ in range(2))
    for one, two in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_similarity_is_a_rank_correlation_within_the_brain():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(3)
    first, second = rng.random((2, 32, 32, 32)).round(2)
    expected = spearmanr(first[MASK], second[MASK]).statistic
    assert similarity_within(first, second, MASK) == pytest.approx(expected)
    assert similarity_within(first, np.exp(first) * MASK, MASK) == pytest.approx(1)
    assert similarity_within(first, np.ones_like(first), MASK) == 0


def test_mass_outside_is_zero_within_one_without_and_the_volume_share_when_even():
    maps = np.stack([MASK, ~MASK, np.ones_like(MASK), np.zeros_like(MASK)]).astype(np.float32)
    inside, outside, even, empty = mass_outside(maps, MASK)
    assert (inside, outside) == (0, 1)
    assert even == pytest.approx(1 - MASK.mean())
    assert np.isnan(empty)
