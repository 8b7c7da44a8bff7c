"""The divergence against closed forms and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from brainage_lib.stats.divergence import kl_to_whole


def test_two_cells_have_the_closed_form():
    p, q = 0.25, 0.6
    expected = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert kl_to_whole([[5, 15]], [60, 40], prior=0) == pytest.approx([expected])


def test_a_partition_like_the_whole_has_none():
    assert kl_to_whole([[1, 2, 3]], [10, 20, 30], prior=0)[0] == pytest.approx(0, abs=1e-15)


def test_one_cell_of_k_equal_ones_gives_the_logarithm_of_k():
    assert kl_to_whole([[7, 0, 0, 0]], [5, 5, 5, 5], prior=0)[0] == pytest.approx(np.log(4))


def test_the_prior_is_added_to_occupied_cells_only():
    """(3, 1) + 1 against (30, 10) + 1; the third cell, empty in the whole, is left out."""
    part, whole = np.array([4, 2]) / 6, np.array([31, 11]) / 42
    expected = (part * np.log(part / whole)).sum()
    assert kl_to_whole([[3, 1, 0]], [30, 10, 0]) == pytest.approx([expected])


@settings(deadline=None)
@given(
    arrays(int, (3, 6), elements=st.integers(0, 40)),
    st.floats(0.1, 5),
)
def test_equals_scipy_and_is_never_negative(counts, prior):
    whole = counts.sum(axis=0)
    if not whole.any():
        return
    found = kl_to_whole(counts, whole, prior)
    occupied = whole > 0
    expected = [entropy(row[occupied] + prior, whole[occupied] + prior) for row in counts]
    assert found == pytest.approx(expected, abs=1e-12)
    assert (found >= 0).all()


@pytest.mark.parametrize(
    ("counts", "whole", "prior", "message"),
    [
        ([[1, 2]], [1, 2, 3], 1.0, "shape"),
        ([[1, -2]], [1, 2], 1.0, "negative"),
        ([[0, 0]], [0, 0], 1.0, "no scans"),
        ([[1, 1]], [2, 0], 1.0, "where the whole has none"),
        ([[0, 0]], [2, 1], 0.0, "prior above 0"),
    ],
)
def test_impossible_counts_are_refused(counts, whole, prior, message):
    with pytest.raises(ValueError, match=message):
        kl_to_whole(counts, whole, prior)
