"""Augmentation moves and lights a head otherwise, and leaves it a head."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from brainage_lib.train import augment as room
from brainage_lib.train.augment import augment

SHAPE = (48, 64, 40)


def head(n=1, channels=1):
    """An ellipsoid, off the middle and brighter to one side in x, y and z."""
    x, y, z = (np.arange(side) - side / 2 for side in SHAPE)
    x, y, z = np.meshgrid(x, y, z, indexing="ij")
    inside = ((x - 2) / 14) ** 2 + ((y + 3) / 18) ** 2 + ((z - 1) / 12) ** 2 < 1
    signal = inside * (0.6 + x / 100 + y / 150 + z / 120)
    return torch.from_numpy(signal.astype(np.float32)).expand(n, channels, *SHAPE).clone()


def only(monkeypatch, **sizes):
    """Leave out all changes but some."""
    for name in ("ROTATION", "SCALING", "SHIFT", "GAMMA", "GAIN", "NOISE"):
        monkeypatch.setattr(room, name, sizes.get(name, 0.0))


def test_without_changes_a_head_stays_itself_or_is_mirrored(monkeypatch):
    only(monkeypatch)
    torch.manual_seed(0)
    before = head(24)
    after = augment(before)
    same = [torch.allclose(one, other, atol=1e-4) for one, other in zip(after, before, strict=True)]
    mirrored = [
        torch.allclose(one, other.flip(1), atol=1e-4)
        for one, other in zip(after, before, strict=True)
    ]
    assert sum(same) + sum(mirrored) == 24
    assert min(sum(same), sum(mirrored)) >= 5


def test_a_turn_is_one_of_the_whole_head_though_the_sides_differ(monkeypatch):
    only(monkeypatch, ROTATION=0.3)
    # Always the largest angle, and never mirrored.
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.ones(shape))
    turned = augment(head())[0, 0].numpy()
    matrix = room._rotation(torch.full((1, 3), 0.3))[0].double().numpy()
    middle = (np.array(SHAPE) - 1) / 2
    expected = affine_transform(
        head()[0, 0].numpy(), matrix, offset=middle - matrix @ middle, order=1
    )
    inside = (slice(4, -4),) * 3
    np.testing.assert_allclose(turned[inside], expected[inside], atol=2e-3)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-6)


@pytest.mark.parametrize("axis", range(3))
def test_scales_and_shifts_stay_within_their_limits(monkeypatch, axis):
    only(monkeypatch, SCALING=0.06, SHIFT=1.5)
    torch.manual_seed(1)
    width = (head()[0, 0] > 0).any(dim=[a for a in range(3) if a != axis]).sum().item()
    seen = []
    for scan in augment(head(60)):
        there = (scan[0] > 0.2).any(dim=[a for a in range(3) if a != axis])
        seen.append(there.sum().item())
    assert width * 0.9 - 2 <= min(seen) < width < max(seen) <= width * 1.1 + 2


def test_every_scan_is_changed_otherwise_and_its_channels_are_moved_together(monkeypatch):
    only(monkeypatch, ROTATION=0.1, SHIFT=1.5)
    torch.manual_seed(2)
    after = augment(head(4, channels=2))
    torch.testing.assert_close(after[:, 0], after[:, 1])
    assert not any(
        torch.allclose(after[one], after[other]) for one in range(4) for other in range(one)
    )


def test_outside_the_brain_nothing_appears_and_nothing_is_negative():
    torch.manual_seed(3)
    after = augment(head(8))
    assert after.shape == (8, 1, *SHAPE)
    assert after.min() == 0
    assert torch.isfinite(after).all()
    border = torch.ones(SHAPE, dtype=bool)
    border[2:-2, 2:-2, 2:-2] = False
    assert after[:, :, border].max() == 0
    share = (after > 0).float().mean() / (head() > 0).float().mean()
    # Interpolation adds half a voxel to the surface.
    assert 0.9 < share < 1.3


def test_the_seed_decides():
    torch.manual_seed(4)
    first = augment(head(2))
    torch.manual_seed(4)
    torch.testing.assert_close(augment(head(2)), first)
