"""Random fields are smooth, of unit size, and the same on every grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from brainage_lib.imaging import grid
from brainage_lib.simulate.fields import evaluate, lattice_shape, smooth_field


def test_splines_add_up_to_one():
    ones = evaluate(np.ones(lattice_shape(20.0), np.float32), grid(4), 20.0)
    np.testing.assert_allclose(ones, 1, atol=1e-5)


def test_field_has_unit_sd():
    fields = [smooth_field(grid(4), 15.0, np.random.default_rng([i])) for i in range(20)]
    assert np.mean(fields) == pytest.approx(0, abs=0.02)
    assert np.std(fields) == pytest.approx(1, abs=0.02)


def test_field_is_the_same_on_every_grid():
    fine, coarse = (smooth_field(grid(mm), 25.0, np.random.default_rng([7])) for mm in (2, 4))
    # Centres of 4 mm voxels lie between those of 2 mm: compare there by interpolation.
    places = np.linalg.inv(grid(2).affine) @ grid(4).affine
    read = ndimage.affine_transform(fine, places, output_shape=coarse.shape, order=3)
    # The box of the 2 mm grid is shorter from front to back.
    inner = (slice(2, -2), slice(6, -6), slice(2, -2))
    np.testing.assert_allclose(read[inner], coarse[inner], atol=0.01)
