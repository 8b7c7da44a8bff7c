"""The networks beside VGG8, and opening any of them from its file alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.models import (
    FCN,
    NETWORKS,
    count_parameters,
    make_network,
    network_facts,
    open_network,
    save_weights,
)

SHAPE = (32, 48, 32)


def test_parameters_of_the_small_network_are_those_of_its_layers():
    convolutions = sum(27 * a * b for a, b in [(1, 24), (24, 48), (48, 96), (96, 128), (128, 128)])
    normalisations = 2 * (24 + 48 + 96 + 128 + 128)
    assert count_parameters(FCN(SHAPE)) == convolutions + normalisations + 128 + 1
    assert count_parameters(FCN((96, 112, 96))) == count_parameters(FCN(SHAPE))


def test_it_learns_a_standardised_age():
    torch.manual_seed(0)
    model = FCN(SHAPE).eval()
    x = torch.rand(2, 1, *SHAPE)
    standardised = model(x)
    torch.testing.assert_close(model.start_at(50, 20)(x), 20 * standardised + 50)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_made_alike(name):
    model = make_network(name, SHAPE, channels=2).start_at(40.0, 12.0).eval()
    x = torch.rand(3, 2, *SHAPE)
    features = model.features(x)
    assert features.shape == (3, 128)
    torch.testing.assert_close(model.ages(features), model(x))
    assert all(isinstance(block[0], nn.Conv3d) for block in model.blocks)
    assert len(model.blocks) == 5
    with pytest.raises(WrongUsage, match=r"reads \(n, 2, 32, 48, 32\)"):
        model(torch.zeros(1, 1, *SHAPE))
    with pytest.raises(WrongUsage, match="three sides of at least"):
        make_network(name, (8, 48, 48))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_opens_from_its_file_alone(name, tmp_path):
    model = make_network(name, SHAPE, channels=2).start_at(61.0, 9.0)
    save_weights(model, tmp_path / "w.safetensors", network_facts(model))
    opened = open_network(tmp_path / "w.safetensors")
    x = torch.rand(1, 2, *SHAPE)
    torch.testing.assert_close(opened(x), model.eval()(x))
    assert type(opened) is type(model)
    assert not opened.training


@pytest.mark.parametrize(
    "facts", [{}, {"network": "vgg9", "shape": "32 32 32", "channels": "1"},
              {"network": "fcn", "shape": "wide", "channels": "1"}],
)  # fmt: skip
def test_weights_that_do_not_say_what_they_are_of_are_refused(facts, tmp_path):
    save_weights(FCN(SHAPE), tmp_path / "w.safetensors", facts)
    with pytest.raises(BadInput, match="does not say which network"):
        open_network(tmp_path / "w.safetensors")


def test_weights_of_another_network_than_they_say_are_refused(tmp_path):
    facts = network_facts(FCN(SHAPE)) | {"network": "vgg8"}
    save_weights(FCN(SHAPE), tmp_path / "w.safetensors", facts)
    with pytest.raises(BadInput, match="use the weights of a VGG8"):
        open_network(tmp_path / "w.safetensors")
