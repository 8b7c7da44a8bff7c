"""The training of a network that reads ages, with Lightning; the paper's (§2.4) by default.

The paper's: Adam at 1e-4, mean absolute error in years, batches of three scans, at most 100
epochs, stop when the validation MAE has not improved for ten. Where the paper is silent, ours:
the weights of the best epoch are kept, and the order of the scans changes from epoch to epoch.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from brainage_lib.errors import WrongUsage
from brainage_lib.files import write_json, write_text
from brainage_lib.models import count_parameters, save_weights
from brainage_lib.train.augment import augment, move
from brainage_lib.train.batches import Scans, SeededOrder, Steps, as_input, loader
from brainage_lib.train.devices import arithmetic, check_memory, held_devices
from brainage_lib.train.loop import (
    AgeTraining,
    EpochRow,
    Keeper,
    Report,
    make_trainer,
    quiet,
    run_trainer,
)
from brainage_lib.train.memory import keep_freed_memory
from brainage_lib.train.seeding import reproducible
from brainage_lib.train.settings import TrainSettings
from brainage_lib.train.together import side_by_side

OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
LOSSES = {"l1": nn.functional.l1_loss}
AUGMENTATIONS = {"none": None, "place": move, "place-and-contrast": augment}

SETTLED_ON = 96
"""Training scans on which averaged weights find the statistics of their normalisations."""

Pairs = tuple[Sequence[np.ndarray], Sequence[float]]


@dataclass(frozen=True)
class FitResult:
    """A finished training.

    Attributes
    ----------
    model : Module
        With the weights that were kept, on the CPU, set to evaluate.
    log : list of EpochRow
        Epoch (from 1), train and validation MAE in years; also in ``log.csv``.
    best_epoch : int
        The one that was kept: of smallest validation MAE, or the last of averaged weights.
    parameters : int
        Numbers that training changed.
    seconds : list of float
        Duration of each epoch; also in ``durations.json``.
    """

    model: nn.Module
    log: list[EpochRow]
    best_epoch: int
    parameters: int
    seconds: list[float]

    @property
    def validation_mae(self) -> float:
        """Of the best epoch, in years."""
        return self.log[self.best_epoch - 1].validation_mae


def fit_network(
    make_model: Callable[[], nn.Module],
    train: Pairs,
    validation: Pairs,
    settings: TrainSettings,
    seed: int,
    folder: str | os.PathLike,
    report: Report | None = None,
    identity: str = "",
    metadata: Mapping[str, str] | None = None,
    device: str = "auto",
) -> FitResult:
    """Train a network; go on where an earlier, interrupted call stopped.

    A last batch of a single scan is used like any other, as PyTorch does by default: the
    normalisation then takes its mean and variance from that scan's voxels. It is left out
    only where that is impossible because one voxel is left (sides under 32).

    With ``settings.devices`` over 1, so many processes train one network (Lightning's DDP), each
    with its share of every step; steps, scans and gradients are those of one process. On a CPU
    each normalises by its own share, as PyTorch has nothing else there. The network and the
    volumes have to be picklable.

    Parameters
    ----------
    make_model : callable
        Returns a new network, (n, channels, x, y, z) to (n,) years; its random weights come
        from ``seed``.
    train, validation : (volumes, ages)
        ``volumes[i]`` is (x, y, z) or (channels, x, y, z), any floating type; ages in years.
    settings : TrainSettings
    seed : int
        Of weights, order and dropout.
    folder : path
        Receives ``log.csv``, ``weights.safetensors`` and ``durations.json`` at the end,
        ``last.ckpt`` while training. Equal calls give equal bytes but for durations.
    report : callable, optional
        Called after each epoch with epoch, epochs, train MAE, validation MAE, and the share of
        the steps' time in which they waited for volumes.
    identity : str
        Digest of the volumes, so that a checkpoint of other volumes is not continued;
        settings, seed, ages and first weights are compared anyhow.
    metadata : mapping of str to str, optional
        Put into the weights' file beside seed, best epoch and validation MAE.
    device : str
        "auto", "cpu", "cuda" or one GPU, such as "cuda:1".

    Returns
    -------
    FitResult

    Raises
    ------
    BadInput
        No scans, or volumes and ages that do not match.
    WrongUsage
        The device is not there, or not as many as asked, its memory is too small for a step,
        or a device's share of a step too small to normalise.
    UserError
        The errors are no longer numbers (the scans of that step are named), or the disk is full;
        the last good checkpoint stays.
    """
    folder = Path(folder)
    train_scans = Scans(*train, name="training")
    validation_scans = Scans(*validation, name="validation")
    keep_freed_memory()
    with quiet(), reproducible(seed), arithmetic(settings.precision):
        model = make_model().to(memory_format=torch.channels_last_3d)
        keeper = Keeper(
            checkpoint=folder / "last.ckpt",
            identity=_digest(identity, settings, seed, model, train_scans, validation_scans),
            epochs=settings.epochs,
            patience=None if settings.averaging == "ema" else settings.patience,
            report=report,
        )
        resumed = keeper.resume()
        if not resumed:
            for name in ("last.ckpt", "log.csv", "weights.safetensors", "durations.json"):
                (folder / name).unlink(missing_ok=True)
        if not keeper.complete:
            with held_devices(device, settings.devices) as places:
                work = (model, train_scans, validation_scans, settings, seed, keeper, resumed)
                if len(places) == 1:
                    _train(*work, places)
                else:
                    keeper.report = None
                    side_by_side(_train_share, (*work, places), places, report)
                    keeper.resume()
    model.cpu().load_state_dict(keeper.best_state)
    _write(folder, model, keeper, {"seed": str(seed), **(metadata or {})})
    return FitResult(
        model.eval(), keeper.rows, keeper.best_epoch, count_parameters(model), keeper.seconds
    )


def _train(
    model: nn.Module,
    train: Scans,
    validation: Scans,
    settings: TrainSettings,
    seed: int,
    keeper: Keeper,
    resumed: bool,
    places: Sequence[torch.device],
    rank: int = 0,
) -> None:
    if places[rank].type == "cuda":
        check_memory(model, np.shape(train.volumes[0]), settings, places[rank])
    optimiser = functools.partial(OPTIMISERS[settings.optimiser], lr=settings.learning_rate)
    shares = {
        "train": Steps(
            SeededOrder(len(train), seed),
            settings.batch,
            _fewest(model, train, settings),
            rank,
            len(places),
        ),
        "validation": Steps(range(len(validation)), settings.batch, rank=rank, of=len(places)),
    }
    module = AgeTraining(
        model,
        LOSSES[settings.loss],
        optimiser,
        seed,
        shares,
        train.names,
        one_cycle=settings.learning_rate if settings.schedule == "one-cycle" else None,
        augment=AUGMENTATIONS[settings.augmentation],
        settle=_some(train, seed) if settings.averaging == "ema" else None,
        compiled=settings.compile,
    )
    run_trainer(
        make_trainer(keeper, places, settings.precision),
        module,
        loader(train, shares["train"]),
        loader(validation, shares["validation"]),
        ckpt_path=keeper.checkpoint if resumed else None,
    )


def _train_share(rank: int, report: Report, *work: Any) -> None:
    """Train as one of several processes; the first one reports."""
    model, train, validation, settings, seed, keeper, resumed, places = work
    keeper.report = report if rank == 0 else None
    keep_freed_memory()
    with quiet(), reproducible(seed), arithmetic(settings.precision):
        _train(model, train, validation, settings, seed, keeper, resumed, places, rank)


def _fewest(model: nn.Module, train: Scans, settings: TrainSettings) -> int:
    """Fewest scans of a step that can be computed."""
    two_each = 2 * settings.devices
    alone = settings.batch < two_each or 0 < len(train) % settings.batch < two_each
    if not alone or len(train) == 1 or _learns_from_one(model, train):
        return 1
    if settings.batch < two_each:
        raise WrongUsage(
            f"batch: {settings.batch} over devices: {settings.devices} leaves each with one scan "
            "of a step, of which this network's last normalisation sees one voxel; give "
            f"batch: {two_each} or more"
        )
    return two_each


def _some(train: Scans, seed: int) -> DataLoader:
    """Batches of some training scans, always the same, for the statistics of averaged weights."""
    rows = np.random.default_rng(seed).permutation(len(train))[:SETTLED_ON]
    chosen = Scans([train.volumes[row] for row in rows], train.ages[rows], name="training")
    return loader(chosen, Steps(range(len(chosen)), 8))


def _learns_from_one(model: nn.Module, scans: Scans) -> bool:
    try:
        with torch.no_grad():
            copy.deepcopy(model).train()(as_input([scans.volumes[0]]))
    except ValueError:
        return False
    return True


def _digest(
    identity: str,
    settings: TrainSettings,
    seed: int,
    model: nn.Module,
    *scans: Scans,
) -> str:
    total = hashlib.sha256(json.dumps([identity, asdict(settings), seed]).encode())
    for name, tensor in model.state_dict().items():
        total.update(name.encode() + tensor.detach().contiguous().cpu().numpy().tobytes())
    for group in scans:
        total.update(group.ages.tobytes())
    return total.hexdigest()


def _write(folder: Path, model: nn.Module, keeper: Keeper, metadata: Mapping[str, str]) -> None:
    lines = [",".join(EpochRow._fields)]
    lines += [f"{row.epoch},{row.train_mae:.9g},{row.validation_mae:.9g}" for row in keeper.rows]
    write_text(folder / "log.csv", "\n".join(lines) + "\n")
    write_json(folder / "durations.json", {"seconds_per_epoch": keeper.seconds})
    best = keeper.rows[keeper.best_epoch - 1]
    facts = {
        "epochs": str(len(keeper.rows)),
        "best_epoch": str(best.epoch),
        "validation_mae": f"{best.validation_mae:.9g}",
    }
    save_weights(model, folder / "weights.safetensors", {**facts, **metadata})
    keeper.checkpoint.unlink(missing_ok=True)
