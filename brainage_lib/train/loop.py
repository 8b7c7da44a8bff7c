"""The parts of a training that Lightning calls, and Lightning itself kept quiet."""

from __future__ import annotations

import logging
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from brainage_lib.errors import UserError
from brainage_lib.files import replacing

Report = Callable[[int, int, float, float], None]

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
    settle : iterable of (volumes, ages), optional
        If given, a moving average of the weights is judged and kept in place of the weights
        themselves. The statistics of its normalisations, which averages of weights do not
        have, are estimated anew on these volumes.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        optimiser: Callable[[Any], torch.optim.Optimizer],
        seed: int,
        one_cycle: float | None = None,
        augment: Callable[[Tensor], Tensor] | None = None,
        settle: Iterable[tuple[Tensor, Tensor]] | None = None,
    ):
        super().__init__()
        self.network = network
        self.loss = loss
        self.optimiser = optimiser
        self.seed = seed
        self.one_cycle = one_cycle
        self.augment = augment
        self.settle = settle
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
        """Seed the epoch."""
        self.errors = {"train": [], "validation": []}
        drawn = np.random.SeedSequence([self.seed, self.current_epoch]).generate_state(1)
        torch.manual_seed(int(drawn[0]))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Loss of one batch."""
        volumes, ages = batch
        predicted = self.network(volumes if self.augment is None else self.augment(volumes))
        self.errors["train"].append((predicted.detach() - ages).abs())
        return self.loss(predicted, ages)

    def on_train_batch_end(self, *_: Any) -> None:
        """Average the weights, if they are averaged."""
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)

    def on_validation_epoch_start(self) -> None:
        """Estimate the statistics of averaged weights."""
        if self.averaged is not None:
            with torch.no_grad():
                update_bn(self.settle, self.averaged, device=self.device)
            self.averaged.eval()

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Keep the errors of one batch."""
        volumes, ages = batch
        self.errors["validation"].append((self.judged(volumes) - ages).abs())

    def mae(self, role: str) -> float:
        """Mean absolute error of this epoch, in years.

        For "train" it is the mean over the epoch's steps, while the network changed.
        """
        return float(torch.cat(self.errors[role]).double().mean())


class Keeper(pl.Callback):
    """Keep the log and the best weights, write ``last.ckpt``, stop when patience is over.

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
        Called with epoch (from 1), epochs, train MAE, validation MAE.
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
        self._began = 0.0

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
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: AgeTraining) -> None:
        """Judge the epoch; Lightning has validated before it calls this."""
        row = EpochRow(len(self.rows) + 1, module.mae("train"), module.mae("validation"))
        if not np.isfinite(row[1:]).all():
            raise UserError(
                f"training failed in epoch {row.epoch}: the errors are no longer numbers; "
                "look for volumes that are not normalised, or lower learning_rate"
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
        with replacing(self.checkpoint) as temporary:
            trainer.save_checkpoint(temporary)
        if self.report is not None:
            self.report(row.epoch, self.epochs, row.train_mae, row.validation_mae)


def make_trainer(keeper: Keeper) -> pl.Trainer:
    """Lightning's trainer without all that it adds by default; one device."""
    on_gpu = torch.cuda.is_available()
    return pl.Trainer(
        max_epochs=keeper.epochs,
        accelerator="gpu" if on_gpu else "cpu",
        devices=1,
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
            yield
    finally:
        log.setLevel(level)
