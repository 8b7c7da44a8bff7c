"""Orders visit every voxel once, step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage_lib.errors import WrongUsage
from brainage_lib.models.orders import eight_paths, hilbert, snake

BOXES = [
    *[(side,) * 3 for side in (2, 4, 6, 8, 10, 12, 16)],
    (8, 10, 6),
    (12, 14, 12),
    (4, 12, 8),
    (6, 6, 12),
    (2, 2, 24),
]


def assert_walks_through(coordinates: np.ndarray, shape) -> None:
    assert len(coordinates) == np.prod(shape)
    assert len(np.unique(np.ravel_multi_index(tuple(coordinates.T), shape))) == np.prod(shape)
    assert np.all(np.abs(np.diff(coordinates, axis=0)).sum(axis=1) == 1)


@pytest.mark.parametrize("curve", [hilbert, snake])
@pytest.mark.parametrize("shape", BOXES)
def test_each_voxel_once_in_steps_of_one(curve, shape):
    assert_walks_through(curve(shape), shape)


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(1, 8).map(lambda half: 2 * half)] * 3))
def test_any_even_box_is_walked_through_to_the_end_of_its_first_axis(shape):
    path = hilbert(shape)
    assert_walks_through(path, shape)
    assert path[0].tolist() == [0, 0, 0]
    assert path[-1].tolist() == [shape[0] - 1, 0, 0]


def test_hilbert_keeps_near_voxels_nearer_in_the_sequence_than_the_snake():
    """A stretch of 64 steps fills about a 4³ cube on Hilbert's curve, rows on the snake."""

    def spread(curve):
        path = curve((16, 16, 16)).reshape(64, 64, 3)
        return np.ptp(path, axis=1).max(axis=1).mean()

    assert spread(hilbert) <= 4.5
    assert spread(snake) == 15


@pytest.mark.parametrize("orders", ["hilbert+snake", "snake4"])
@pytest.mark.parametrize("shape", [(6, 6, 6), (8, 10, 6)])
def test_eight_different_paths_and_their_inverses(orders, shape):
    seen = set()
    for block in range(6):
        paths, places = eight_paths(shape, block, orders)
        assert paths.shape == places.shape == (8, np.prod(shape))
        for path, place in zip(paths, places, strict=True):
            assert_walks_through(np.stack(np.unravel_index(path.numpy(), shape), 1), shape)
            assert torch.equal(path[place], torch.arange(len(path)))
        assert torch.equal(paths[1::2], paths[::2].flip(1))
        assert len({tuple(path.tolist()) for path in paths}) == 8
        seen.add(tuple(paths[0].tolist()))
    assert len(seen) == 6
    assert torch.equal(eight_paths(shape, 7, orders)[0], eight_paths(shape, 1, orders)[0])


@pytest.mark.parametrize("shape", [(7, 7, 7), (9, 12, 5), (6, 6, 3), (0, 2, 2), (4, 4)])
def test_odd_and_empty_boxes_are_refused_with_the_remedy(shape):
    with pytest.raises(WrongUsage, match="multiples of 16"):
        hilbert(shape)
    with pytest.raises(WrongUsage, match="multiples of 16"):
        eight_paths(shape)


def test_unknown_orders_are_refused_with_the_choices():
    with pytest.raises(WrongUsage, match=r"hilbert\+snake, snake4"):
        eight_paths((2, 2, 2), 0, "spiral")
