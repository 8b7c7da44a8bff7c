"""Methods against their closed forms, and against each other where they must agree."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from brainage_lib.errors import WrongUsage
from brainage_lib.explain import (
    METHODS,
    grad_cam,
    grad_cam_blocks,
    integrated_gradients,
    make_mapper,
    method_resolution,
    occlusion,
    smooth_grad,
)
from brainage_lib.explain.methods import swift
from brainage_lib.models import FCN, VGG8

SHAPE = (32, 32, 32)


class Linear(nn.Module):
    """Age = sum of weight × voxel: every method's answer is known."""

    def __init__(self, weight):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Conv3d(1, 1, 1, bias=False))])
        nn.init.ones_(self.blocks[0][0].weight)
        self.weight = nn.Parameter(torch.from_numpy(weight))

    def forward(self, x):
        return (self.blocks[0](x)[:, 0] * self.weight).sum(dim=(1, 2, 3))


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(4)
    weight, baseline = rng.normal(size=(2, 8, 8, 8)).astype(np.float32)
    return weight, rng.normal(size=(3, 8, 8, 8)).astype(np.float32), baseline


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    model = VGG8(SHAPE).start_at(50).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.running_var, 0.2, 0.5)
            nn.init.normal_(module.running_mean, 0, 0.1)
    return model


@pytest.fixture(scope="module")
def volumes():
    return np.random.default_rng(2).random((3, *SHAPE)).astype(np.float32)


def test_integrated_gradients_of_a_linear_network_are_weight_times_change(known):
    weight, scans, baseline = known
    found = integrated_gradients(Linear(weight), scans, baseline, batch=2)
    np.testing.assert_allclose(found, weight * (scans - baseline), rtol=1e-4, atol=1e-5)


def test_smoothgrad_of_a_linear_network_is_its_weight(known):
    weight, scans, _ = known
    found = smooth_grad(Linear(weight), scans)
    np.testing.assert_allclose(found, np.broadcast_to(weight, found.shape), rtol=1e-4, atol=1e-6)


def test_occlusion_of_a_linear_network_is_what_the_cube_adds(known):
    weight, scans, baseline = known
    found = occlusion(Linear(weight), scans, 4, baseline)
    change = weight * (scans - baseline)
    cubes = change.reshape(3, 2, 4, 2, 4, 2, 4).sum(axis=(2, 4, 6))
    expected = cubes.repeat(4, axis=1).repeat(4, axis=2).repeat(4, axis=3)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_integrated_gradients_add_up_to_the_change_of_the_age(network, volumes):
    baseline = volumes.mean(axis=0)
    found = integrated_gradients(network, volumes, baseline, steps=24)
    with torch.no_grad():
        ages = network(torch.from_numpy(np.stack([*volumes, baseline]))[:, None]).numpy()
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), ages[:3] - ages[3], rtol=0.05, atol=0.05)


@pytest.mark.parametrize("make", [VGG8, FCN])
def test_the_swift_copy_is_the_same_function(make, volumes):
    torch.manual_seed(3)
    model = make(SHAPE).eval()
    inputs = torch.from_numpy(volumes)[:, None]
    with torch.no_grad():
        torch.testing.assert_close(swift(model)(inputs), model(inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_map_of_each_scan_and_leaves_the_network_alone(
    method, network, volumes
):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    mapper = make_mapper(method, grid_mm=4, block=3, baseline=volumes.mean(axis=0))
    found = mapper(network, volumes)
    assert found.shape == volumes.shape
    assert np.isfinite(found).all()
    assert found.std() > 0
    alone = mapper(network, volumes[1:2])
    np.testing.assert_allclose(found[1:2], alone, rtol=1e-3, atol=1e-5)
    assert all(torch.equal(before[n], v) for n, v in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_signed_grad_cam_is_grad_cam_above_zero(network, volumes):
    signed = grad_cam(network, volumes, block=1, signed=True)
    assert signed.min() < 0 < signed.max()
    np.testing.assert_allclose(
        grad_cam(network, volumes, block=1), signed.clip(0), rtol=1e-5, atol=1e-8
    )


def test_blocks_together_are_blocks_one_by_one(network, volumes):
    together = grad_cam_blocks(network, volumes, [5, 2], signed=True)
    for block in (2, 5):
        alone = grad_cam(network, volumes, block=block, signed=True)
        np.testing.assert_allclose(together[block], alone, rtol=1e-4, atol=1e-7)


def test_an_unknown_method_a_missing_block_and_another_grid_are_refused(network, volumes):
    with pytest.raises(WrongUsage, match="there are: grad-cam"):
        make_mapper("lime", grid_mm=4)
    with pytest.raises(WrongUsage, match="give 1–5"):
        make_mapper("signed-grad-cam", grid_mm=4, block=7)(network, volumes)
    with pytest.raises(WrongUsage, match="reads"):
        make_mapper("smoothgrad", grid_mm=4)(network, volumes[:, :-1])
    with pytest.raises(WrongUsage, match="baseline has shape"):
        integrated_gradients(network, volumes, np.zeros((4, 4, 4)))


def test_each_method_says_how_finely_it_sees():
    said = {name: method_resolution(name, (48, 64, 48), 4, 2) for name in METHODS}
    assert said["signed-grad-cam"].startswith("24 × 32 × 24 cells of 8 mm")
    assert said["occlusion"] == "windows of 32 mm"
    assert said["integrated-gradients"] == "voxels of 4 mm"
