"""VGG8 is the paper's network, and says so when it is fed something else."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage_lib.errors import WrongUsage
from brainage_lib.models import VGG8, count_parameters


def expected_parameters(cells: int) -> int:
    """Count by hand: convolutions with bias, two numbers a normalised channel, three layers."""
    convolutions = sum(27 * a * b + b for a, b in [(1, 16), (16, 32), (32, 64)])
    convolutions += sum(27 * a * b + b for a, b in [(64, 128), (128, 256)])
    normalisations = 2 * (16 + 32 + 64 + 128 + 256)
    layers = (256 * cells * 512 + 512) + (512 * 128 + 128) + (128 + 1)
    return convolutions + normalisations + layers


@pytest.mark.parametrize(
    ("shape", "cells", "total"),
    [((182, 218, 182), 5 * 6 * 5, 20_904_065), ((48, 64, 48), 1 * 2 * 1, 1_505_409)],
)
def test_parameters_are_the_papers(shape, cells, total):
    with torch.device("meta"):
        model = VGG8(shape)
    assert count_parameters(model) == expected_parameters(cells) == total


def test_last_convolution_sees_the_papers_cells():
    with torch.device("meta"):
        model = VGG8((182, 218, 182))
        x = torch.empty(1, 1, 182, 218, 182)
        for block in model.blocks[:4]:
            x = block(x)
        assert model.blocks[4][0](x).shape == (1, 256, 11, 13, 11)


@settings(max_examples=8, deadline=None)
@given(st.tuples(*[st.integers(32, 70)] * 3), st.integers(1, 3), st.integers(1, 4))
def test_any_box_with_five_halvings_gives_one_age_a_scan(shape, n, channels):
    with torch.device("meta"):
        model = VGG8(shape, channels)
        x = torch.empty(n, channels, *shape)
        assert model(x).shape == (n,)
        assert model.features(x).shape == (n, 128)


def test_age_is_the_last_layer_of_the_features():
    torch.manual_seed(0)
    model = VGG8((32, 32, 32)).eval()
    x = torch.randn(2, 1, 32, 32, 32)
    by_hand = model.features(x) @ model.last.weight[0] + model.last.bias
    torch.testing.assert_close(model(x), by_hand)


def test_start_at_moves_every_prediction_by_the_same_years():
    torch.manual_seed(0)
    model = VGG8((32, 32, 32)).eval().start_at(0)
    x = torch.randn(3, 1, 32, 32, 32)
    before = model(x)
    torch.testing.assert_close(model.start_at(47.5)(x), before + 47.5)


@pytest.mark.parametrize("shape", [(31, 64, 48), (48, 64), (48, 64, 0)])
def test_too_small_box_is_refused(shape):
    with pytest.raises(WrongUsage, match="at least 32 voxels"):
        VGG8(shape)


def test_volume_of_another_grid_is_refused_with_both_shapes():
    model = VGG8((48, 64, 48))
    with pytest.raises(WrongUsage, match=r"\(n, 1, 48, 64, 48\).*\(2, 1, 64, 48, 48\)"):
        model(torch.zeros(2, 1, 64, 48, 48))
