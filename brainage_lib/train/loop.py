"""The parts of a training that Lightning calls, and Lightning itself kept quiet."""

from __future__ import annotations

import errno
import logging
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from brainage_lib.errors import UserError
from brainage_lib.files import replacing
from brainage_lib.train import together
from brainage_lib.train.batches import Steps

Report = Callable[[int, int, float, float, float], None]

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says when a file cannot grow."""

EMA_DECAY = 0.98
"""Share of the average that stays in a step; half of it is of the last 34 steps."""


class EpochRow(NamedTuple):
    """One line of ``log.csv``; errors in years."""

    epoch: int
    train_mae: float
    validation_mae: float


class AgeTraining(pl.LightningModule):
    """A network, its loss and its optimiser.

    Parameters
    ----------
    network : Module
        (n, channels, x, y, z) to (n,) years.
    loss : callable
        Of predicted and true ages.
    optimiser : callable
        Makes the optimiser from parameters.
    seed : int
        Of what is random in a step (dropout, augmentation); with the epoch, so that a training
        that goes on draws the same numbers.
    one_cycle : float, optional
        Largest learning rate of a one-cycle schedule over all steps; constant unless given.
    augment : callable, optional
        Changes a batch of training volumes at random.
    shares : dict of "train" and "validation" to Steps
        Which scans a step has.
    settle : iterable of (volumes, ages), optional
        If given, a moving average of the weights is judged and kept in place of the weights
        themselves. The statistics of its normalisations, which averages of weights do not
        have, are estimated anew on these volumes.
    names : sequence of str
        Of the training scans, for errors.
    compiled : bool
        Compile the network for its steps; validation goes through it as it is.

    Raises
    ------
    UserError
        While training: the errors are no longer numbers.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        optimiser: Callable[[Any], torch.optim.Optimizer],
        seed: int,
        shares: dict[str, Steps],
        names: Sequence[str],
        one_cycle: float | None = None,
        augment: Callable[[Tensor], Tensor] | None = None,
        settle: Iterable[tuple[Tensor, Tensor]] | None = None,
        compiled: bool = False,
    ):
        super().__init__()
        self.network = network
        self.loss = loss
        self.optimiser = optimiser
        self.seed = seed
        self.shares = shares
        self.names = names
        self.one_cycle = one_cycle
        self.augment = augment
        self.settle = settle
        # In a list, so that its copy of the weights is no second part of the module.
        self._steps = [torch.compile(network) if compiled else network]
        self.averaged = None
        if settle is not None:
            self.averaged = AveragedModel(
                network, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY)
            ).requires_grad_(False)
        self.errors: dict[str, list[Tensor]] = {"train": [], "validation": []}

    @property
    def judged(self) -> nn.Module:
        """The network whose validation error counts, and which is kept."""
        return self.network if self.averaged is None else self.averaged.module

    def configure_optimizers(self) -> Any:
        """Make the optimiser, and its schedule if there is one."""
        optimiser = self.optimiser(self.network.parameters())
        if self.one_cycle is None:
            return optimiser
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.one_cycle, steps)
        return [optimiser], [{"scheduler": schedule, "interval": "step"}]

    def on_train_epoch_start(self) -> None:
        """Seed the epoch; each of several processes draws numbers of its own."""
        self.errors = {"train": [], "validation": []}
        words = [self.seed, self.current_epoch, self.global_rank]
        drawn = np.random.SeedSequence(words).generate_state(1)
        torch.manual_seed(int(drawn[0]))

    def training_step(self, batch: tuple[Tensor, Tensor], step: int) -> Tensor:
        """Loss of one batch; of several processes, this one's part of it.

        Gradients are averaged over processes, as if each had as many scans.
        """
        volumes, ages = batch
        # Of the step before: to ask about this one would let a GPU wait for the next batch.
        self._check_last()
        predicted = self._steps[0](volumes if self.augment is None else self.augment(volumes))
        own, whole = self.shares["train"].counts(step)
        self.errors["train"].append((predicted.detach() - ages).abs()[:own])
        share = own * self.trainer.world_size / whole
        loss = self.loss(predicted, ages)
        return loss if share == 1 else loss * share

    def _check_last(self) -> None:
        if not self.errors["train"] or bool(torch.isfinite(self.errors["train"][-1]).all()):
            return
        step = len(self.errors["train"]) - 1
        scans = ", ".join(self.names[row] for row in self.shares["train"].whole(step))
        raise UserError(
            f"training failed in epoch {self.current_epoch + 1}: the errors are no longer numbers "
            f"since step {step + 1}, whose scans are {scans}; look for volumes that are not "
            "normalised, or lower learning_rate"
        )

    def on_train_batch_end(self, *_: Any) -> None:
        """Average the weights, if they are averaged."""
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)

    def on_validation_epoch_start(self) -> None:
        """Look at the last step; settle the statistics of normalisations."""
        self._check_last()
        if self.trainer.world_size > 1:
            together.average_statistics(self.network)
        if self.averaged is not None:
            with torch.no_grad():
                update_bn(self.settle, self.averaged, device=self.device)
            self.averaged.eval()

    def validation_step(self, batch: tuple[Tensor, Tensor], step: int) -> None:
        """Keep the errors of one batch."""
        volumes, ages = batch
        own, _ = self.shares["validation"].counts(step)
        self.errors["validation"].append((self.judged(volumes) - ages).abs()[:own])

    def mae(self, role: str) -> float:
        """Mean absolute error of this epoch, in years, each scan counted once.

        For "train" it is the mean over the epoch's steps, while the network changed. Several
        processes have to ask at once; all get the same number.
        """
        errors = torch.cat(self.errors[role]).double()
        if self.trainer.world_size > 1:
            errors = torch.cat(together.gather(errors))
        return float(errors.mean())


class Keeper(pl.Callback):
    """Keep the log and the best weights, write ``last.ckpt``, stop when patience is over.

    Of several processes each has one; they see the same errors and stop together.

    Parameters
    ----------
    checkpoint : path
        Written after each epoch, whole or not at all.
    identity : str
        Digest of what the training depends on; part of the checkpoint.
    epochs : int
    patience : int, optional
        If None, no epoch is chosen: the last one is kept, whatever its error.
    report : callable, optional
        Called with epoch (from 1), epochs, train MAE, validation MAE, and the share of the steps'
        time in which they waited for volumes.
    """

    state_key = "brainage"

    def __init__(
        self,
        checkpoint: Path,
        identity: str,
        epochs: int,
        patience: int | None,
        report: Report | None,
    ):
        self.checkpoint = checkpoint
        self.identity = identity
        self.epochs = epochs
        self.patience = patience
        self.report = report
        self.rows: list[EpochRow] = []
        self.seconds: list[float] = []
        self.best_epoch = 0
        self.best_state: dict[str, Tensor] = {}
        self._began = self._left = self._waited = 0.0

    @property
    def complete(self) -> bool:
        """Whether nothing is left to train."""
        waited = len(self.rows) - self.best_epoch
        return len(self.rows) >= self.epochs or waited >= (self.patience or self.epochs)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, text and tensors: the checkpoint opens with ``weights_only``."""
        return {
            "identity": self.identity,
            "rows": [tuple(row) for row in self.rows],
            "seconds": self.seconds,
            "best_epoch": self.best_epoch,
            "best_state": self.best_state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.rows = [EpochRow(*row) for row in state["rows"]]
        self.seconds = list(state["seconds"])
        self.best_epoch = state["best_epoch"]
        self.best_state = state["best_state"]

    def resume(self) -> bool:
        """Take the state of ``last.ckpt`` if there is one of this very training."""
        try:
            stored = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            state = stored["callbacks"][self.state_key]
        except Exception:
            # No checkpoint, one cut short, or of another origin: all begin anew.
            return False
        if state["identity"] != self.identity:
            return False
        self.load_state_dict(state)
        return True

    def on_train_epoch_start(self, trainer: pl.Trainer, module: AgeTraining) -> None:
        """Start the clock."""
        self._began = self._left = time.monotonic()
        self._waited = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        """Count the time since the step before: it went into the batch."""
        self._waited += time.monotonic() - self._left

    def on_train_batch_end(self, *_: Any) -> None:
        """From here on the next batch is waited for."""
        self._left = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: AgeTraining) -> None:
        """Judge the epoch; Lightning has validated before it calls this."""
        row = EpochRow(len(self.rows) + 1, module.mae("train"), module.mae("validation"))
        if not np.isfinite(row[1:]).all():
            raise UserError(
                f"training failed in epoch {row.epoch}: the errors of the validation scans are no "
                "longer numbers; look for volumes that are not normalised"
            )
        best = self.rows[self.best_epoch - 1].validation_mae if self.rows else np.inf
        if row.validation_mae < best or self.patience is None:
            self.best_epoch = row.epoch
            self.best_state = {
                name: tensor.detach().to("cpu", copy=True)
                for name, tensor in module.judged.state_dict().items()
            }
        self.rows.append(row)
        self.seconds.append(round(time.monotonic() - self._began, 3))
        trainer.should_stop = self.complete
        self._save(trainer)
        if self.report is not None:
            steps = max(self._left - self._began, 1e-9)
            share = min(1.0, self._waited / steps)
            self.report(row.epoch, self.epochs, row.train_mae, row.validation_mae, share)

    def _save(self, trainer: pl.Trainer) -> None:
        if not trainer.is_global_zero:
            # Lightning writes in the first process alone, and lets the others wait for it.
            trainer.save_checkpoint(self.checkpoint)
            return
        try:
            with replacing(self.checkpoint) as temporary:
                trainer.save_checkpoint(temporary)
        except (OSError, RuntimeError) as error:
            # PyTorch's own writer says RuntimeError, with the system's error as its cause.
            system = error if isinstance(error, OSError) else error.__context__
            if getattr(system, "errno", None) not in FULL:
                raise
            left = len(self.rows) - 1
            kept = f"that of epoch {left} is whole" if left else "there is none yet"
            raise UserError(
                f"the checkpoint of epoch {left + 1} could not be written, "
                f"{os.strerror(system.errno)} ({self.checkpoint.parent}); {kept}. "
                "Make room, and give the same command again"
            ) from None


def make_trainer(
    keeper: Keeper, places: Sequence[torch.device], precision: str = "float32"
) -> pl.Trainer:
    """Lightning's trainer without all that it adds by default.

    Parameters
    ----------
    keeper : Keeper
    places : sequence of torch.device
        One, or those of all processes that train together (`together.side_by_side`), all of
        one kind.
    precision : {"float32", "tf32", "bf16"}
    """
    on_gpu = places[0].type == "cuda"
    several = len(places) > 1
    return pl.Trainer(
        max_epochs=keeper.epochs,
        accelerator="gpu" if on_gpu else "cpu",
        devices=[place.index or 0 for place in places] if on_gpu else len(places),
        # Not the environment that Lightning would find: a job of a cluster is one task for it.
        strategy=DDPStrategy(cluster_environment=LightningEnvironment(), broadcast_buffers=False)
        if several
        else "auto",
        # So that normalisations see the whole step; PyTorch has that for GPUs only.
        sync_batchnorm=several and on_gpu,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        # On a GPU max-pooling in 3-D has no deterministic gradient; PyTorch would refuse.
        deterministic="warn" if on_gpu else True,
        callbacks=[keeper],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def run_trainer(trainer: pl.Trainer, module: AgeTraining, *loaders: Any, ckpt_path: Any) -> None:
    """Fit; an interruption from the keyboard stays one.

    Lightning turns it into ``SystemExit`` and ignores further ones, which would leave a
    notebook's kernel deaf.
    """
    try:
        handler = signal.getsignal(signal.SIGINT)
        trainer.fit(module, *loaders, ckpt_path=ckpt_path, weights_only=True)
    except SystemExit as stopped:
        if isinstance(stopped.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None
        raise


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's messages: about devices, loaders and products."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(lightning|torch\.utils\.data)\b")
            # Of filters that read one channel, whose order in memory has two descriptions.
            warnings.filterwarnings("ignore", message="Grad strides do not match")
            yield
    finally:
        log.setLevel(level)
