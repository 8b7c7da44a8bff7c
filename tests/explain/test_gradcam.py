from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from brainage_lib.errors import WrongUsage
from brainage_lib.explain import (
    best_slices,
    cell_mm,
    grad_cam,
    group_maps,
    receptive_field_mm,
    resolution,
    top_fifth,
)
from brainage_lib.models import VGG8


class Linear(nn.Module):
    """Age = Σ_k c_k · sum of channel k; channel k = w_k · volume: everything is known."""

    def __init__(self, weights, coefficients):
        super().__init__()
        convolution = nn.Conv3d(1, len(weights), 1, bias=False)
        with torch.no_grad():
            convolution.weight[:] = torch.tensor(weights).reshape(-1, 1, 1, 1, 1)
        self.blocks = nn.ModuleList([nn.Sequential(convolution)])
        self.coefficients = nn.Parameter(torch.tensor(coefficients))

    def forward(self, x):
        return (self.blocks[0](x).sum(dim=(2, 3, 4)) * self.coefficients).sum(dim=1)


def test_the_map_of_a_linear_network_is_its_closed_form():
    volumes = np.random.default_rng(0).normal(size=(3, 5, 6, 7)).astype(np.float32)
    weights, coefficients = [1.0, -2.0, 0.5], [3.0, 1.0, -4.0]
    # Every cell's gradient of channel k is c_k, so the map is ReLU(Σ c_k w_k · volume).
    expected = np.maximum(np.dot(weights, coefficients) * volumes, 0)
    found = grad_cam(Linear(weights, coefficients), volumes, block=1, batch=2)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    model = VGG8((32, 48, 32)).start_at(50).eval()
    with torch.no_grad():
        # As after training: statistics that are not those of a new network.
        for module in model.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.05, 0.2)
    return model


@pytest.fixture(scope="module")
def volumes():
    return np.random.default_rng(1).random((3, 32, 48, 32)).astype(np.float16)


@pytest.mark.parametrize("block", [2, 5])
def test_the_map_agrees_with_plain_backpropagation_through_the_whole_network(
    network, volumes, block
):
    inputs = torch.tensor(volumes, dtype=torch.float32)[:, None]
    x = inputs
    for number, parts in enumerate(network.blocks, start=1):
        x = parts[0](x)
        if number == block:
            activation = x
            activation.retain_grad()
        x = parts[3](parts[2](parts[1](x)))
    network.last(network.hidden(x)).sum().backward()
    weights = activation.grad.mean(dim=(2, 3, 4))
    cells = torch.einsum("nk,nkxyz->nxyz", weights, activation).relu()
    expected = nn.functional.interpolate(cells[:, None], (32, 48, 32), mode="trilinear")[:, 0]
    network.zero_grad()
    assert float(expected.detach().max()) > 0
    np.testing.assert_allclose(
        grad_cam(network, volumes, block=block), expected.detach(), rtol=1e-3, atol=1e-6
    )


def test_the_map_of_a_scan_does_not_depend_on_its_neighbours(network, volumes):
    together = grad_cam(network, volumes)
    alone = grad_cam(network, volumes[1:2])
    np.testing.assert_allclose(together[1:2], alone, rtol=1e-4, atol=1e-7)


def test_the_network_is_left_as_it_was(network, volumes):
    network.train()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    grad_cam(network, volumes)
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(module.training for module in network.modules())
    assert not network.blocks[4][0]._forward_hooks
    network.eval()


class Copying(nn.Module):
    """Three blocks whose convolutions copy their input; age is the sum of the third."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv3d(1, 1, 1, bias=False), nn.MaxPool3d(2)) for _ in range(3)
        )
        for parameter in self.parameters():
            nn.init.ones_(parameter)

    def forward(self, x):
        return self.blocks[2][0](self.blocks[1](self.blocks[0](x))).sum(dim=(1, 2, 3, 4))


def test_cells_lie_on_the_voxels_that_they_were_pooled_from():
    # 37 voxels: after two poolings nine cells of four voxels, one voxel left over.
    volume = np.zeros((37, 37, 37), np.float32)
    volume[20:24, 8:12, 32:36] = 1  # cell (5, 2, 8)
    found = grad_cam(Copying(), [volume], block=3)[0]
    place = np.argwhere(found == found.max())
    assert (place.min(0) >= [20, 8, 32]).all()
    assert (place.max(0) <= [23, 11, 36]).all()
    assert place[:, 2].max() == 36


@pytest.mark.parametrize("block", [0, 6])
def test_a_block_that_does_not_exist_is_refused(network, volumes, block):
    with pytest.raises(WrongUsage, match="give 1–5"):
        grad_cam(network, volumes, block=block)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 0.9))
def test_the_top_fifth_is_a_fifth_of_the_brain_and_nothing_outside(seed, share):
    rng = np.random.default_rng(seed)
    volume, mask = rng.random((10, 10, 10)), rng.random((10, 10, 10)) < share
    found = top_fifth(volume, mask)
    kept = found > 0
    assert not kept[~mask].any()
    assert abs(kept.sum() - 0.2 * mask.sum()) <= 1
    assert volume[kept].min() > volume[mask & ~kept].max()
    np.testing.assert_array_equal(found[kept], volume[kept].astype(np.float32))


def test_the_top_fifth_of_an_empty_map_or_brain_is_empty():
    assert not top_fifth(np.zeros((3, 3, 3)), np.ones((3, 3, 3), bool)).any()
    assert not top_fifth(np.ones((3, 3, 3)), np.zeros((3, 3, 3), bool)).any()


def test_groups_are_means_of_thresholded_maps():
    rng = np.random.default_rng(2)
    maps, masks = rng.random((5, 6, 6, 6)), rng.random((5, 6, 6, 6)) < 0.7
    found = group_maps(maps, masks, ["b", "a", "b", None, "b"])
    assert list(found) == ["a", "b"]
    assert (found["a"].n_scans, found["b"].n_scans) == (1, 3)
    expected = (
        top_fifth(maps[0], masks[0]) + top_fifth(maps[2], masks[2]) + top_fifth(maps[4], masks[4])
    ) / 3
    np.testing.assert_allclose(found["b"].mean, expected, rtol=1e-6)
    assert found["b"].slices == best_slices(found["b"].top)


def test_one_mask_may_serve_all_maps():
    maps, mask = np.random.default_rng(3).random((4, 5, 5, 5)), np.ones((5, 5, 5), bool)
    one = group_maps(maps, mask, [1, 1, 2, 2])
    many = group_maps(maps, np.stack([mask] * 4), [1, 1, 2, 2])
    assert all((one[label].mean == many[label].mean).all() for label in (1, 2))


def test_labels_that_do_not_fit_the_maps_are_refused():
    with pytest.raises(WrongUsage, match="2 maps, but 1 group labels"):
        group_maps(np.ones((2, 3, 3, 3)), np.ones((3, 3, 3), bool), ["a"])


def test_the_slice_of_largest_area_is_chosen_and_the_brighter_of_equals():
    volume = np.zeros((6, 7, 8))
    volume[1, 2:5, 3] = 1  # three voxels in sagittal 1
    volume[4, 2, 3] = 9  # one bright voxel elsewhere
    volume[1, 2, 6] = 0.5
    assert best_slices(volume) == (1, 2, 3)


def test_resolution_is_that_of_the_paper_at_1_mm():
    assert (cell_mm(1), receptive_field_mm(1)) == (16, 78)
    assert resolution((182, 218, 182), 1).startswith("11 × 13 × 11 cells of 16 mm")
    assert cell_mm(4, block=3) == 16


@pytest.mark.parametrize("block", [1, 2, 3])
def test_the_receptive_field_is_what_a_cell_really_depends_on(block):
    side = 64
    volume = torch.zeros(1, 1, side, side, side, requires_grad=True)
    x = volume
    for number in range(block):
        weight = torch.ones(1, 1, 3, 3, 3)
        x = nn.functional.conv3d(x, weight, padding=1)
        if number < block - 1:
            x = nn.functional.avg_pool3d(x, 2)
    middle = x.shape[-1] // 2
    x[0, 0, middle, middle, middle].backward()
    seen = torch.nonzero(volume.grad[0, 0].sum(dim=(1, 2)))
    assert len(seen) == receptive_field_mm(1, block)
