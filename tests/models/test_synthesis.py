"""A volume made from windows shows no trace of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import nn

from brainage_lib.errors import WrongUsage
from brainage_lib.models import AICBVGenerator, synthesis, synthesise


class Voxelwise(nn.Module):
    """A generator without neighbourhood; it remembers how many patches it saw."""

    def __init__(self, function):
        super().__init__()
        self.function, self.seen = function, 0

    def forward(self, x):
        assert not self.training
        self.seen += len(x)
        return self.function(x)


@pytest.fixture
def brain():
    """An ellipsoid of random intensities in a box of zeros."""
    rng = np.random.default_rng(3)
    x, y, z = np.meshgrid(*[np.linspace(-1.2, 1.2, n) for n in (40, 52, 37)], indexing="ij")
    inside = x**2 + y**2 + z**2 < 1
    return np.where(inside, rng.uniform(0.2, 1, inside.shape), 0).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_windows_cover_every_voxel_and_overlap_as_asked(data):
    sides = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    shape = tuple(data.draw(st.integers(side, 25)) for side in sides)
    overlap = data.draw(st.integers(0, min(sides) - 1))
    count = np.zeros(shape, int)
    starts = [set(), set(), set()]
    for window in synthesis.windows(shape, sides, overlap):
        assert count[window].shape == sides
        count[window] += 1
        for axis, span in enumerate(window):
            starts[axis].add(span.start)
    assert count.min() >= 1
    for axis, side in enumerate(sides):
        assert all(np.diff(sorted(starts[axis])) <= side - overlap)


@pytest.mark.parametrize(("patch", "overlap"), [(16, 5), (32, 0), ((16, 48, 32), 8), (64, 20)])
def test_voxelwise_generator_is_reproduced_in_the_brain_and_zero_elsewhere(brain, patch, overlap):
    got = synthesise(Voxelwise(lambda x: 3 * x - 1), brain, patch, overlap)
    assert got.dtype == np.float32
    assert got.shape == brain.shape
    np.testing.assert_allclose(got, np.where(brain > 0, 3 * brain - 1, 0), rtol=1e-6, atol=1e-6)


def test_constant_generator_gives_exactly_the_constant(brain):
    got = synthesise(Voxelwise(lambda x: torch.full_like(x, 2.5)), brain, 16, 5)
    assert set(np.unique(got)) == {0, 2.5}


def test_windows_that_disagree_blend_smoothly():
    """Each window answers with its own number; between neighbours the steps stay small."""
    volume = np.ones((24, 80, 24), np.float32)
    ramp = np.linspace(0, 4, 80, dtype=np.float32)
    volume *= (1 + ramp)[None, :, None]
    got = synthesise(
        Voxelwise(lambda x: x.mean(dim=(1, 2, 3, 4), keepdim=True).expand_as(x)), volume, 24, 12
    )
    profile = got[12, :, 12]
    jump = np.ptp(profile) / 5  # six windows along the axis: this is a seam's height
    assert np.abs(np.diff(profile)).max() < jump / 4


def test_windows_without_brain_are_not_computed(brain):
    volume = np.zeros((64, 64, 64), np.float32)
    volume[5:9, 5:9, 5:9] = 1
    generator = Voxelwise(lambda x: x)
    got = synthesise(generator, volume, 16, 0)
    assert generator.seen == 1
    np.testing.assert_array_equal(got, volume)
    assert not synthesise(generator, np.zeros_like(volume), 16, 0).any()
    assert generator.seen == 1


def test_order_and_batch_of_windows_do_not_matter(brain, monkeypatch):
    def run(batch):
        # The answer depends on the window, so that a weight in the wrong place would show.
        return synthesise(Voxelwise(lambda x: x * x.amax((2, 3, 4), True)), brain, 16, 7, batch)

    one, five = run(1), run(5)
    forward = synthesis.windows
    monkeypatch.setattr(synthesis, "windows", lambda *a: reversed(list(forward(*a))))
    np.testing.assert_array_equal(one, five)
    # A mean that falls between two float32 may be rounded either way.
    np.testing.assert_allclose(one, run(2), rtol=2e-7)


def test_generator_keeps_its_mode(brain):
    generator = Voxelwise(lambda x: x).train()
    synthesise(generator, brain, 32, 8)
    assert generator.training


@pytest.mark.parametrize(
    ("shape", "patch", "overlap", "batch"),
    [((8, 8), 4, 0, 1), ((8, 8, 8), 4, 4, 1), ((8, 8, 8), (4, 4), 0, 1), ((8, 8, 8), 4, 1, 0)],
)
def test_impossible_settings_are_refused(shape, patch, overlap, batch):
    with pytest.raises(WrongUsage):
        synthesise(nn.Identity(), np.ones(shape), patch, overlap, batch)


def test_windows_lie_over_the_brains_bounding_box():
    """A brain that one window holds is computed once, wherever it lies in the volume."""
    for corner in ((0, 0, 0), (20, 33, 7), (44, 44, 44)):
        volume = np.zeros((64, 64, 64), np.float32)
        volume[tuple(slice(first, first + 20) for first in corner)] = 1
        generator = Voxelwise(lambda x: x)
        np.testing.assert_array_equal(synthesise(generator, volume, 32, 8), volume)
        assert generator.seen == 1


def test_progress_sees_every_batch(brain):
    seen = []

    def watch(batches):
        for batch in batches:
            seen.append(len(batch))
            yield batch

    generator = Voxelwise(lambda x: x)
    synthesise(generator, brain, 16, 4, batch=3, progress=watch)
    assert sum(seen) == generator.seen
    assert set(seen[:-1]) == {3}


def test_no_seam_shows_where_windows_of_a_generator_meet():
    """Steps between planes are no larger at the borders of windows than between others."""
    torch.manual_seed(1)
    generator = AICBVGenerator("demo").start_at(4)
    rng = np.random.default_rng(0)
    volume = 0.6 + 0.1 * ndimage.gaussian_filter(rng.standard_normal((32, 112, 32)), 2) / 0.1
    volume[:, 56:] += 0.2  # so that windows see different brains
    volume = volume.clip(0.05).astype(np.float32)
    got = synthesise(generator, volume, 32, 10)
    inside = synthesise(Voxelwise(generator.eval()), volume[:, :32], 32, 10)
    usual = np.abs(np.diff(inside[:, 6:-6], axis=1)).mean(axis=(0, 2))
    steps = np.abs(np.diff(got, axis=1)).mean(axis=(0, 2))
    edges = {w[1].start for w in synthesis.windows((32, 112, 32), (32, 32, 32), 10)}
    borders = sorted({e - 1 for e in edges if e} | {e + 31 for e in edges if e < 80})
    assert len(borders) == 8
    assert steps[borders].mean() < 1.2 * np.median(usual)
