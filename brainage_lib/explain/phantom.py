"""Planted-lesion phantoms: heads whose age is known to sit in one place, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import ndimage
from torch import nn

from brainage_lib.errors import WrongUsage
from brainage_lib.explain.faithful import predicted
from brainage_lib.explain.gradcam import frozen
from brainage_lib.explain.methods import Mapper
from brainage_lib.explain.truth import hits

SHAPE = (32, 32, 32)
AGES = (20.0, 90.0)
STEPS, RATE, BATCH = 120, 5e-3, 8
CHANNELS = (8, 12, 16, 24, 32)
CHANGE = 0.8
LEARNED, ROUNDS = 1 / 3, 3
"""A network has learned a phantom when it errs by this share of what the median age errs by; it
is trained this many times over at most."""

NEEDED = 3.0
"""A method has found the lesion if it has this many times what chance gives, of highest voxels."""

COLUMNS = ["method", "n_scans", "pointing", "mass", "rank", "decoy", "chance", "found"]


class Phantom(NamedTuple):
    """Heads with a lesion that tells the age, and a decoy that does not.

    Attributes
    ----------
    volumes : (n, x, y, z) array of float32
    ages : (n,) array of float32, years
    planted : (x, y, z) array of bool
        Where brightness follows age.
    decoy : (x, y, z) array of bool
        Where it varies as much, at random.
    brain : (x, y, z) array of bool
    """

    volumes: np.ndarray
    ages: np.ndarray
    planted: np.ndarray
    decoy: np.ndarray
    brain: np.ndarray


def make_phantom(
    seed: int,
    n: int = 96,
    shape: Sequence[int] = SHAPE,
    radius: float = 3.5,
    planted_at: Sequence[float] | None = None,
    decoy_at: Sequence[float] | None = None,
    change: float = CHANGE,
) -> Phantom:
    """Make heads of smooth tissue, each its own, with two balls of changing brightness.

    Parameters
    ----------
    seed : int
        Another seed gives other heads, and other places where none are given.
    n : int
        Heads.
    shape : (3,) ints
        32 voxels a side at least: the network halves them five times.
    radius : float
        Of the balls, in voxels.
    planted_at, decoy_at : (3,) floats, optional
        Their middles, in voxels.
    change : float
        Of both balls' brightness over the whole range of ages (of the decoy's: at random), where
        tissue is at 0.6. Below zero the lesion is darker in the old.

    Returns
    -------
    Phantom

    Raises
    ------
    WrongUsage
        A ball leaves the brain, or the two touch; or nothing changes.
    """
    if change == 0:
        raise WrongUsage("a change of 0 tells no age; give another")
    rng = np.random.default_rng([seed, 31])
    places = np.indices(shape).astype(float)
    middle = (np.asarray(shape, float) - 1) / 2
    axes = 0.42 * np.asarray(shape, float)
    across = sum(((p - m) / a) ** 2 for p, m, a in zip(places, middle, axes, strict=True))
    brain = across < 1

    def ball(centre) -> np.ndarray:
        return sum((p - c) ** 2 for p, c in zip(places, centre, strict=True)) <= radius**2

    def fits(one: np.ndarray, *others: np.ndarray) -> bool:
        near = ndimage.binary_dilation(one, iterations=2)
        return bool(brain[one].all()) and not any((near & other).any() for other in others)

    def choose(given, *others: np.ndarray) -> np.ndarray:
        for _ in range(1000):
            found = ball(middle + rng.uniform(-1, 1, 3) * axes if given is None else given)
            if fits(found, *others):
                return found
            if given is not None:
                break
        raise WrongUsage("a ball must lie within the brain, two voxels away from the other")

    planted = choose(planted_at)
    decoy = choose(decoy_at, planted)
    ages = rng.uniform(*AGES, n).astype(np.float32)
    told = (ages - np.mean(AGES)) / (AGES[1] - AGES[0])
    random = rng.permutation(told)
    volumes = np.empty((n, *shape), np.float32)
    for head, (age, other) in enumerate(zip(told, random, strict=True)):
        tissue = ndimage.gaussian_filter(rng.standard_normal(shape), 2)
        tissue = 0.6 + 0.08 * tissue / tissue.std() + 0.25 * (across > 0.75)
        tissue += change * (age * planted + other * decoy)
        volumes[head] = np.where(brain, tissue, 0)
    return Phantom(volumes, ages, planted, decoy, brain)


class Reader(nn.Module):
    """A narrow VGG8 that learns a phantom in seconds: its blocks, and one dense layer.

    Parameters
    ----------
    shape : (3,) ints
    """

    def __init__(self, shape: Sequence[int]):
        super().__init__()
        pairs = zip((1, *CHANNELS), CHANNELS, strict=False)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(before, after, 3, padding=1),
                nn.BatchNorm3d(after),
                nn.ReLU(),
                nn.MaxPool3d(2),
            )
            for before, after in pairs
        )
        cells = int(np.prod([side // 2 ** len(CHANNELS) for side in shape]))
        self.last = nn.Linear(CHANNELS[-1] * cells, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Age in years, (n,), of volumes (n, 1, x, y, z)."""
        for block in self.blocks:
            x = block(x)
        return np.mean(AGES) + np.ptp(AGES) * self.last(x.flatten(1)).squeeze(1)


def learn(phantom: Phantom, seed: int = 0, steps: int = STEPS) -> nn.Module:
    """Train a network on a phantom's heads (seconds at 32 voxels a side).

    A small lesion is learned slowly: until the network reads it (`reading_error`), it is trained
    again from where it is, with the rate of the beginning, twice at most.

    Parameters
    ----------
    phantom : Phantom
    seed : int
    steps : int
        Of one training.

    Returns
    -------
    Module
        Set to evaluate.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Reader(phantom.brain.shape).to(memory_format=torch.channels_last_3d)
        for _ in range(ROUNDS):
            _train(model.train(), phantom, steps)
            error, guess = reading_error(phantom, model)
            if error <= LEARNED * guess:
                break
    return model.eval()


def _train(model: nn.Module, phantom: Phantom, steps: int) -> None:
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    inputs = torch.from_numpy(phantom.volumes)[:, None]
    ages = torch.from_numpy(phantom.ages)
    for _ in range(steps):
        rows = torch.randperm(len(ages))[:BATCH]
        batch = inputs[rows].contiguous(memory_format=torch.channels_last_3d)
        loss = (model(batch) - ages[rows]).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def reading_error(phantom: Phantom, model: nn.Module) -> tuple[float, float]:
    """Mean absolute error of a network on a phantom's heads, and of their median age (years).

    Methods can be ranked only on a network that reads the lesion.
    """
    found = predicted(model, phantom.volumes)
    guess = np.abs(phantom.ages - np.median(phantom.ages)).mean()
    return float(np.abs(found - phantom.ages).mean()), float(guess)


def rank_methods(
    phantom: Phantom, model: nn.Module, mappers: Mapping[str, Mapper], n: int = 8
) -> pd.DataFrame:
    """Let methods find the planted lesion; the best comes first.

    Parameters
    ----------
    phantom : Phantom
    model : Module
        That has learned it.
    mappers : mapping of name to mapper
    n : int
        Heads, those farthest from the mean age: on the others the lesion looks like the
        average, and there is nothing to find.

    Returns
    -------
    DataFrame
        Columns method, n_scans, pointing, mass, rank, decoy (as rank, for the decoy), chance
        (all 0–1, means over heads) and found: whether rank is three times the chance and
        above the decoy's. Ordered by rank.
    """
    far = np.argsort(-np.abs(phantom.ages - phantom.ages.mean()), kind="stable")[:n]
    rows = []
    with frozen(model):
        for name, mapper in mappers.items():
            maps = mapper(model, phantom.volumes[far])
            seen = pd.DataFrame([hits(each, phantom.planted, phantom.brain) for each in maps])
            decoy = np.mean([hits(each, phantom.decoy, phantom.brain).rank for each in maps])
            mean = seen.mean()
            found = mean["rank"] > max(NEEDED * mean["chance"], decoy)
            rows.append({"method": name, "n_scans": len(far), **mean, "decoy": decoy,
                         "found": bool(found)})  # fmt: skip
    table = pd.DataFrame(rows)[COLUMNS]
    return table.sort_values("rank", ascending=False, kind="stable", ignore_index=True)


def edges(model: nn.Module, volumes: Sequence[np.ndarray]) -> np.ndarray:
    """Steepness of the image: a map that looks like anatomy and has never seen the network.

    What a method must beat. It has the signature of a mapper; the network is not used.
    """
    images = np.stack([np.asarray(volume, np.float32) for volume in volumes])
    slopes = np.gradient(images, axis=(-3, -2, -1))
    steep = np.sqrt(sum(slope**2 for slope in slopes))
    return (steep if steep.ndim == 4 else steep.sum(axis=1)).astype(np.float32)
