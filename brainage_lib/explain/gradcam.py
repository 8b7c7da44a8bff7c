"""Grad-CAM as the paper uses it (§3.4, Fig. 4), and how finely it can see.

Gradients of the output with respect to the convolution of the fifth block, before its
pooling; ReLU of the weighted sum; the top fifth within the brain; mean over a group. The
order of averaging and choosing slices is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from brainage_lib.errors import WrongUsage

LAST_BLOCK = 5


class GroupMap(NamedTuple):
    """Where the networks looked in one group of scans.

    Attributes
    ----------
    n_scans : int
    mean : (x, y, z) array of float32
        Mean of the scans' thresholded maps.
    top : (x, y, z) array of float32
        ``mean`` where it is in the top fifth of the group's brain, elsewhere 0.
    slices : (int, int, int)
        Sagittal, coronal and axial slice where ``top`` covers the largest area.
    """

    n_scans: int
    mean: np.ndarray
    top: np.ndarray
    slices: tuple[int, int, int]


def grad_cam(
    model: nn.Module,
    volumes: Sequence[np.ndarray],
    block: int = LAST_BLOCK,
    batch: int = 8,
    signed: bool = False,
) -> np.ndarray:
    """Grad-CAM (Selvaraju et al. 2017) of the predicted age, a map for each volume.

    With A_k the k-th channel of the block's convolution and y the age, the map is
    ReLU(Σ_k a_k A_k) with a_k the mean of ∂y/∂A_k over the cells. It is then enlarged
    trilinearly, cell onto the voxels that it was pooled from; voxels that pooling left over
    at the far border repeat their neighbour.

    Parameters
    ----------
    model : Module
        With ``blocks``, each beginning with its convolution (VGG8). Evaluated as it is, in
        evaluation mode; left as it was.
    volumes : sequence of (x, y, z) or (channels, x, y, z) arrays
        Normalised as in training.
    block : int
        1–5; the paper takes the fifth.
    batch : int
        Volumes at once.
    signed : bool
        Without the ReLU: what makes younger stays in the map, below zero.

    Returns
    -------
    (n, x, y, z) array of float32, >= 0 unless signed; years × activation per cell, not
    comparable between networks.

    Raises
    ------
    WrongUsage
        If the network has no such block.
    """
    return grad_cam_blocks(model, volumes, (block,), batch, signed)[block]


def grad_cam_blocks(
    model: nn.Module,
    volumes: Sequence[np.ndarray],
    blocks: Sequence[int],
    batch: int = 8,
    signed: bool = False,
) -> dict[int, np.ndarray]:
    """`grad_cam` at several blocks with one pass forward and one back.

    Parameters
    ----------
    model, volumes, batch, signed
        As for `grad_cam`.
    blocks : sequence of int

    Returns
    -------
    dict of block to (n, x, y, z) array of float32
    """
    for block in blocks:
        if not 1 <= block <= len(model.blocks):
            raise WrongUsage(f"block {block} does not exist; give 1–{len(model.blocks)}")
    layers = {block: model.blocks[block - 1][0] for block in sorted(set(blocks))}
    maps: dict[int, list[np.ndarray]] = {block: [] for block in layers}
    with frozen(model):
        for inputs in batches(model, volumes, batch):
            for block, cells in _cams(model, layers, inputs, signed).items():
                large = _enlarge(cells, inputs.shape[2:], 2 ** (block - 1))
                maps[block].append(large.cpu().numpy())
    empty = np.empty((0, 0, 0, 0), np.float32)
    return {block: np.concatenate(found) if found else empty for block, found in maps.items()}


def batches(model: nn.Module, volumes: Sequence[np.ndarray], batch: int) -> Iterator[Tensor]:
    """Put volumes together, (n, channels, x, y, z) at once, where the network's weights are."""
    device = next(model.parameters()).device
    for first in range(0, len(volumes), batch):
        rows = range(first, min(first + batch, len(volumes)))
        chosen = np.stack([np.asarray(volumes[row], dtype=np.float32) for row in rows])
        inputs = torch.from_numpy(chosen if chosen.ndim == 5 else chosen[:, None])
        yield inputs.contiguous(memory_format=torch.channels_last_3d).to(device)


def _cams(
    model: nn.Module, layers: dict[int, nn.Module], inputs: Tensor, signed: bool
) -> dict[int, Tensor]:
    kept: dict[int, Tensor] = {}

    def keep(block: int, output: Tensor) -> Tensor:
        # The graph begins at the first of the layers: the gradient below it is not needed.
        kept[block] = output if kept else output.detach().requires_grad_()
        return kept[block]

    handles = [
        layer.register_forward_hook(lambda _layer, _inputs, output, b=block: keep(b, output))
        for block, layer in layers.items()
    ]
    try:
        with torch.enable_grad():
            ages = model(inputs)
            gradients = torch.autograd.grad(ages.sum(), list(kept.values()))
    finally:
        for handle in handles:
            handle.remove()
    found = {}
    for (block, activation), gradient in zip(kept.items(), gradients, strict=True):
        weights = gradient.mean(dim=(2, 3, 4), keepdim=True)
        cells = (weights * activation.detach()).sum(dim=1)
        found[block] = cells if signed else cells.relu()
    return found


def _enlarge(cells: Tensor, shape: Sequence[int], factor: int) -> Tensor:
    exact = nn.functional.interpolate(
        cells[:, None], scale_factor=float(factor), mode="trilinear", align_corners=False
    )
    missing = [side - have for side, have in zip(shape, exact.shape[2:], strict=True)]
    padding = [amount for gap in reversed(missing) for amount in (0, gap)]
    return nn.functional.pad(exact, padding, mode="replicate")[:, 0]


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Evaluate a network without gradients of its weights, and leave it as it was."""
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def top_fifth(volume: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Keep what lies at or above the 80th percentile within the brain; the rest is 0.

    Parameters
    ----------
    volume : (x, y, z) array, >= 0
        A map.
    mask : (x, y, z) array of bool
        The brain; the map is set to 0 outside.

    Returns
    -------
    (x, y, z) array of float32.
    """
    mask = np.asarray(mask, dtype=bool)
    if not mask.any():
        return np.zeros(volume.shape, np.float32)
    threshold = np.percentile(volume[mask], 80)
    return np.where(mask & (volume >= threshold), volume, 0).astype(np.float32)


def group_maps(
    maps: np.ndarray, masks: Sequence[np.ndarray] | np.ndarray, groups: Sequence
) -> dict[object, GroupMap]:
    """Average the scans' thresholded maps over groups, and choose slices to show.

    Parameters
    ----------
    maps : (n, x, y, z) array
        Of `grad_cam`.
    masks : (n, x, y, z) or (x, y, z) array of bool
        The scans' brains, or one for all.
    groups : (n,) sequence
        Label of each scan, such as its decade; scans labelled None are left out.

    Returns
    -------
    dict of label to GroupMap
        In the order in which the labels sort. The brain of a group is where at least half
        of its scans have brain.
    """
    maps = np.asarray(maps)
    masks = np.broadcast_to(np.asarray(masks, dtype=bool), maps.shape)
    if len(groups) != len(maps):
        raise WrongUsage(f"{len(maps)} maps, but {len(groups)} group labels")
    found = {}
    for label in sorted({group for group in groups if group is not None}):
        rows = [row for row, group in enumerate(groups) if group == label]
        mean = np.mean([top_fifth(maps[row], masks[row]) for row in rows], axis=0)
        mean = mean.astype(np.float32)
        top = top_fifth(mean, masks[rows].mean(axis=0) >= 0.5)
        found[label] = GroupMap(len(rows), mean, top, best_slices(top))
    return found


def best_slices(volume: np.ndarray) -> tuple[int, int, int]:
    """Slice of largest area above zero along each axis.

    Parameters
    ----------
    volume : (x, y, z) array, >= 0
        A thresholded map.

    Returns
    -------
    (i, j, k) : sagittal, coronal and axial index. Among equal areas the one of largest sum,
    then the first.
    """
    chosen = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        area = (volume > 0).sum(axis=others)
        total = np.where(area == area.max(), volume.sum(axis=others, dtype=np.float64), -np.inf)
        chosen.append(int(np.argmax(total)))
    return tuple(chosen)


def cell_mm(grid_mm: float, block: int = LAST_BLOCK) -> float:
    """Side of one cell of the block's convolution, in mm.

    Examples
    --------
    >>> cell_mm(1), cell_mm(4)
    (16.0, 64.0)
    """
    return float(grid_mm * 2 ** (block - 1))


def receptive_field_mm(grid_mm: float, block: int = LAST_BLOCK) -> float:
    """Side of the region that one cell of the block's convolution sees, in mm.

    Each 3×3×3 convolution adds two of its cells, each pooling one.

    Examples
    --------
    >>> receptive_field_mm(1)
    78.0
    """
    field, step = 1, 1
    for number in range(1, block + 1):
        field += 2 * step
        if number < block:
            field += step
            step *= 2
    return float(field * grid_mm)


def resolution(shape: Sequence[int], grid_mm: float, block: int = LAST_BLOCK) -> str:
    """Say how finely a map can see, for its caption.

    Parameters
    ----------
    shape : (3,) ints
        Voxels of the grid.
    grid_mm : float
    block : int

    Examples
    --------
    >>> resolution((182, 218, 182), 1)
    '11 × 13 × 11 cells of 16 mm, each of which sees 78 mm'
    """
    cells = " × ".join(str(side // 2 ** (block - 1)) for side in shape)
    return (
        f"{cells} cells of {cell_mm(grid_mm, block):g} mm, each of which sees "
        f"{receptive_field_mm(grid_mm, block):g} mm"
    )
