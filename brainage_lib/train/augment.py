"""Random changes of training volumes that leave the age what it is.

A head is placed and scaled a little otherwise, mirrored, and its contrast, brightness and noise
change as they do between scanners. How much is ours; the paper names no augmentation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

ROTATION = math.radians(6)
"""Largest rotation about each axis."""

SCALING = 0.06
"""Largest relative change of size along each axis."""

SHIFT = 1.5
"""Largest shift along each axis, voxels."""

GAMMA = 0.2
"""Largest logarithm of the exponent of the normalised signal."""

GAIN = 0.1
"""Largest relative change of brightness."""

NOISE = 0.03
"""Largest standard deviation of the noise; normalised signal reaches about 1."""


def move(volumes: Tensor) -> Tensor:
    """Mirror, turn, scale and shift each scan at random, differently; brightness stays.

    Parameters
    ----------
    volumes : (n, channels, x, y, z) tensor
        0 outside the brain. x runs from left to right.

    Returns
    -------
    (n, channels, x, y, z) tensor
        The channels of one scan are moved together.
    """
    return _move(volumes).contiguous(memory_format=torch.channels_last_3d)


def augment(volumes: Tensor) -> Tensor:
    """Change each scan at random, differently: `move`, and contrast, brightness and noise.

    Parameters
    ----------
    volumes : (n, channels, x, y, z) tensor
        Normalised; 0 outside the brain. x runs from left to right.

    Returns
    -------
    (n, channels, x, y, z) tensor, >= 0
        The channels of one scan are moved together. What is outside the brain stays 0.
    """
    moved = _move(volumes)
    n, channels = volumes.shape[:2]
    one_each = (n, channels, 1, 1, 1)
    exponent = torch.exp(_between(one_each, volumes) * GAMMA)
    gain = 1 + _between(one_each, volumes) * GAIN
    spread = torch.rand((n, 1, 1, 1, 1), device=volumes.device) * NOISE
    changed = gain * moved.clamp(min=0) ** exponent + spread * torch.randn_like(moved)
    return torch.where(moved > 0, changed.clamp(min=0), 0).contiguous(
        memory_format=torch.channels_last_3d
    )


def _between(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Draw numbers between -1 and 1."""
    return torch.rand(shape, device=like.device) * 2 - 1


def _move(volumes: Tensor) -> Tensor:
    """Mirror, turn, scale and shift, in one interpolation."""
    n, shape = len(volumes), volumes.shape[2:]
    angles = _between((n, 3), volumes) * ROTATION
    scales = 1 + _between((n, 3), volumes) * SCALING
    mirrored = torch.rand(n, device=volumes.device) < 0.5
    scales[:, 0] = torch.where(mirrored, -scales[:, 0], scales[:, 0])
    turned = _rotation(angles) * scales[:, None, :]
    # In units of half a side, as `affine_grid` counts; a cube it is not.
    half = torch.tensor([side / 2 for side in shape], device=volumes.device)
    linear = turned * half[None, None, :] / half[None, :, None]
    shift = _between((n, 3), volumes) * SHIFT / half
    # PyTorch counts the axes of a volume from the last one.
    theta = torch.cat([linear.flip(1, 2), shift.flip(1)[:, :, None]], dim=2)
    grid = nn.functional.affine_grid(theta, list(volumes.shape), align_corners=False)
    return nn.functional.grid_sample(volumes, grid, align_corners=False)


def _rotation(angles: Tensor) -> Tensor:
    """(n, 3, 3) rotations about x, then y, then z."""
    cosines, sines = angles.cos(), angles.sin()
    total = torch.eye(3, device=angles.device).expand(len(angles), 3, 3)
    for axis, (one, other) in enumerate(((1, 2), (2, 0), (0, 1))):
        turn = torch.eye(3, device=angles.device).repeat(len(angles), 1, 1)
        turn[:, one, one] = turn[:, other, other] = cosines[:, axis]
        turn[:, one, other] = -sines[:, axis]
        turn[:, other, one] = sines[:, axis]
        total = turn @ total
    return total
