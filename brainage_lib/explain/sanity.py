"""Tests that a map can fail: it should depend on what was learned, and stay in the brain."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from brainage_lib.explain.gradcam import grad_cam
from brainage_lib.explain.methods import Mapper


class RandomisedStep(NamedTuple):
    """One step of the cascade.

    Attributes
    ----------
    layer : str
        The last layer that was randomised; all behind it are, too.
    similarity : (n,) array
        Spearman correlation within the brain between a scan's map and the one of the
        randomised network; 0 where one of them is constant.
    """

    layer: str
    similarity: np.ndarray


def cascade(
    model: nn.Module, volumes: Sequence[np.ndarray], seed: int
) -> Iterator[tuple[str, nn.Module]]:
    """Randomise a network layer by layer, from the output to the input (Adebayo et al. 2018).

    Convolutions and linear layers are drawn anew as at the start of a training. The
    normalisation of a randomised block loses its scale and shift, and its mean and variance
    are measured anew on the volumes, without which activations would be off by orders.

    Parameters
    ----------
    model : Module
        Not changed.
    volumes : sequence of arrays
        A few, two at least.
    seed : int

    Yields
    ------
    layer : str
        Name of the layer that was randomised last.
    randomised : Module
        A copy, set to evaluate.
    """
    changed = copy.deepcopy(model).eval()
    inputs = torch.from_numpy(np.stack([np.asarray(v, dtype=np.float32) for v in volumes]))
    inputs = inputs if inputs.ndim == 5 else inputs[:, None]
    inputs = inputs.to(next(model.parameters()).device)
    names = [name for name, layer in changed.named_modules() if _has_weights(layer)]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for name in reversed(names):
            layer = changed.get_submodule(name)
            layer.reset_parameters()
            if isinstance(layer, nn.BatchNorm3d):
                continue
            _measure_anew(changed, inputs)
            yield name, copy.deepcopy(changed)


def weighted_layers(model: nn.Module) -> list[str]:
    """Convolutions and linear layers, from the output to the input: the steps of the cascade."""
    found = [n for n, layer in model.named_modules() if isinstance(layer, (nn.Conv3d, nn.Linear))]
    return found[::-1]


def _has_weights(layer: nn.Module) -> bool:
    return isinstance(layer, (nn.Conv3d, nn.Linear, nn.BatchNorm3d))


def _measure_anew(model: nn.Module, inputs: torch.Tensor) -> None:
    """Estimate the statistics of every normalisation on the inputs."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm3d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        model(inputs)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


def randomisation_test(
    model: nn.Module,
    volumes: Sequence[np.ndarray],
    masks: Sequence[np.ndarray] | np.ndarray,
    seed: int,
    mapper: Mapper = grad_cam,
    layers: Sequence[str] | None = None,
    original: np.ndarray | None = None,
) -> list[RandomisedStep]:
    """Compare a network's maps with those of the network randomised step by step.

    A method whose maps stay the same shows the image, not what the network learned.

    Parameters
    ----------
    model : Module
    volumes : sequence of arrays
        A sample of scans, two at least.
    masks : (n, x, y, z) or (x, y, z) array of bool
        Brains.
    seed : int
    mapper : callable
        ``mapper(model, volumes)`` gives (n, x, y, z). Of maps with a sign the absolute value
        counts, which is what is looked at.
    layers : sequence of str, optional
        Steps that are looked at, the last always; all unless given. For methods that take
        long.
    original : (n, x, y, z) array, optional
        Maps of the network as it is, where they have been made already.

    Returns
    -------
    list of RandomisedStep
        From the output layer to the first convolution, where nothing learned is left.
    """
    names = weighted_layers(model)
    wanted = set(names if layers is None else layers) | {names[-1]}
    original = np.abs(mapper(model, volumes) if original is None else original)
    masks = np.broadcast_to(np.asarray(masks, dtype=bool), original.shape)
    steps = []
    for layer, randomised in cascade(model, volumes, seed):
        if layer not in wanted:
            continue
        maps = np.abs(mapper(randomised, volumes))
        similarity = [
            similarity_within(*three) for three in zip(original, maps, masks, strict=True)
        ]
        steps.append(RandomisedStep(layer, np.array(similarity)))
    return steps


def similarity_within(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> float:
    """Spearman correlation of two maps within the brain; 0 if one is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(volume[mask]) for volume in (first, second)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def mass_outside(maps: np.ndarray, masks: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Share of each map's sum that lies outside the brain, where the input is zero.

    Parameters
    ----------
    maps : (n, x, y, z) array, >= 0
    masks : (n, x, y, z) or (x, y, z) array of bool

    Returns
    -------
    (n,) array, 0–1; NaN for an empty map. A map that is the same everywhere has the share
    of voxels outside the brain, ``1 - mask.mean()``: compare with that.
    """
    masks = np.broadcast_to(np.asarray(masks, dtype=bool), maps.shape)
    total = maps.sum(axis=(1, 2, 3), dtype=np.float64)
    outside = np.where(masks, 0, maps).sum(axis=(1, 2, 3), dtype=np.float64)
    return np.divide(outside, total, out=np.full(len(maps), np.nan), where=total > 0)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Dice overlap of the voxels in which two thresholded maps are above zero.

    Two fifths of the same brain that have nothing to do with each other overlap by 0.2 on
    average; NaN if both are empty.

    Examples
    --------
    >>> overlap(np.array([1.0, 2.0, 0.0]), np.array([0.0, 0.5, 0.5]))
    0.5
    """
    first, second = np.asarray(first) > 0, np.asarray(second) > 0
    size = int(first.sum()) + int(second.sum())
    return float(2 * (first & second).sum() / size) if size else float("nan")
