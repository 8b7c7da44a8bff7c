"""Training of the AICBV generator on simulated pairs of T1w and blood volume.

No training of it was published; all of this is ours: random patches, the mean absolute error
with large vessels held back, a part for structural similarity, AdamW with a cosine, averaged
weights.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from brainage_lib.errors import BadInput, UserError, WrongUsage
from brainage_lib.files import replacing, write_json, write_text
from brainage_lib.models.trained import LARGEST_CBV
from brainage_lib.models.weights import count_parameters, save_weights
from brainage_lib.train.devices import arithmetic
from brainage_lib.train.losses import generator_loss
from brainage_lib.train.memory import keep_freed_memory
from brainage_lib.train.seeding import reproducible

UNDECAYED = ("A_log", "D")
"""Weights of the state space that weight decay would draw towards forgetting (Mamba)."""

PRECISIONS = ("float32", "tf32")

Pair = tuple[np.ndarray, np.ndarray, np.ndarray]
StepReport = Callable[[int, int, float], None]


@dataclass(frozen=True)
class GeneratorTraining:
    """Numbers of a generator's training.

    Attributes
    ----------
    steps, batch : int
        Steps, and patches in a step.
    patch : int
        Side of a patch, voxels; a multiple of 16.
    learning_rate : float
        At the start; falls to zero along half a cosine.
    weight_decay : float
        Of AdamW; none on biases, norms and the state space's decays.
    cap : float
        ml/100 ml. A voxel with more blood counts cap/CBV, so that the few large vessels do
        not rule the loss; grey matter has about 5.
    similarity : float
        Weight of 1 − SSIM of the maps cut at ``cap``.
    averaging : float
        Decay a step of the averaged weights, which are the ones that are kept.
    checkpoint_steps : int
        Steps between two writings of ``last.ckpt``.
    precision : {"float32", "tf32"}
        For speed on cards that have TF32.
    """

    steps: int
    batch: int = 2
    patch: int = 48
    learning_rate: float = 2e-4
    weight_decay: float = 0.05
    cap: float = 10.0
    similarity: float = 0.1
    averaging: float = 0.99
    checkpoint_steps: int = 50
    precision: str = "float32"

    def __post_init__(self):
        findings = [
            f"{name}: {getattr(self, name)!r} is not possible; give a whole number of 1 or more"
            for name in ("steps", "batch", "patch", "checkpoint_steps")
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1
        ]
        for name, low, high in (
            ("learning_rate", 0, 1),
            ("cap", 0, LARGEST_CBV),
            ("averaging", 0, 1),
        ):
            if not low < getattr(self, name) < high:
                findings.append(f"{name}: {getattr(self, name)!r} is not between {low} and {high}")
        findings += [
            f"{name}: {getattr(self, name)!r} is below 0"
            for name in ("weight_decay", "similarity")
            if getattr(self, name) < 0
        ]
        if self.precision not in PRECISIONS:
            allowed = ", ".join(PRECISIONS)
            findings.append(f"precision: {self.precision!r} is not possible; allowed: {allowed}")
        if findings:
            raise WrongUsage("\n".join(["generator settings:", *(f"  {f}" for f in findings)]))


class StepRow(NamedTuple):
    """One line of ``log.csv``: the mean loss of the steps since the line before."""

    step: int
    loss: float


@dataclass(frozen=True)
class GeneratorResult:
    """A finished training of a generator.

    Attributes
    ----------
    model : Module
        With averaged weights, on the CPU, set to evaluate.
    log : list of StepRow
        Also in ``log.csv``.
    parameters : int
    seconds : float
        Of the training itself; also in ``durations.json``.
    """

    model: nn.Module
    log: list[StepRow]
    parameters: int
    seconds: float


def fit_generator(
    generator: nn.Module,
    pairs: Sequence[Pair],
    settings: GeneratorTraining,
    seed: int,
    folder: str | os.PathLike,
    report: StepReport | None = None,
    identity: str = "",
    metadata: Mapping[str, str] | None = None,
) -> GeneratorResult:
    """Train a generator; go on where an earlier, interrupted call stopped.

    Parameters
    ----------
    generator : Module
        (n, 1, x, y, z) normalised T1w to (n, 1, x, y, z) CBV in ml/100 ml. Its weights are
        changed.
    pairs : sequence of (t1w, cbv, mask)
        Arrays (x, y, z): T1w normalised as the networks see it, CBV in ml/100 ml, brain.
        Outside the brain nothing is learned.
    settings : GeneratorTraining
    seed : int
        Of patches and of what is dropped.
    folder : path
        Receives ``log.csv``, ``weights.safetensors`` and ``durations.json`` at the end,
        ``last.ckpt`` while training. Equal calls give equal bytes but for durations.
    report : callable, optional
        Called with step, steps and loss about fifty times.
    identity : str
        Digest of the pairs, so that a checkpoint of other pairs is not continued; settings,
        seed and first weights are compared anyhow.
    metadata : mapping of str to str, optional
        Put into the weights' file beside seed and steps.

    Raises
    ------
    BadInput
        No pairs, or one whose arrays do not fit one another or the patch.
    UserError
        The loss is no longer a number.
    """
    folder = Path(folder)
    _check(pairs, settings.patch)
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with reproducible(seed), arithmetic(settings.precision):
        state = _State(generator.to(device), settings, seed, folder / "last.ckpt", identity)
        if not state.resume():
            for name in ("last.ckpt", "log.csv", "weights.safetensors", "durations.json"):
                (folder / name).unlink(missing_ok=True)
        torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
        _run(state, pairs, report)
    model = state.average.cpu().eval()
    lines = [",".join(StepRow._fields), *(f"{row.step},{row.loss:.9g}" for row in state.rows)]
    write_text(folder / "log.csv", "\n".join(lines) + "\n")
    write_json(folder / "durations.json", {"seconds": round(state.seconds, 3)})
    facts = {"network": type(model).__name__, "seed": str(seed), "steps": str(settings.steps)}
    save_weights(model, folder / "weights.safetensors", {**facts, **(metadata or {})})
    state.checkpoint.unlink(missing_ok=True)
    return GeneratorResult(model, state.rows, count_parameters(model), state.seconds)


def _check(pairs: Sequence[Pair], patch: int) -> None:
    findings = [] if len(pairs) else ["no pairs to learn from"]
    for row in range(len(pairs)):
        shapes = {np.shape(part) for part in pairs[row]}
        if len(shapes) != 1:
            findings.append(f"pair {row}: T1w, CBV and mask have shapes {sorted(shapes)}")
        elif min(next(iter(shapes))) < patch:
            findings.append(f"pair {row}: smaller than a patch of {patch} voxels")
    if findings:
        raise BadInput("pairs of T1w and CBV", findings)


class _State:
    """What a training has reached, and how it goes into a checkpoint."""

    def __init__(
        self,
        generator: nn.Module,
        settings: GeneratorTraining,
        seed: int,
        checkpoint: Path,
        identity: str,
    ):
        self.settings = settings
        self.seed = seed
        self.checkpoint = checkpoint
        total = hashlib.sha256(json.dumps([identity, asdict(settings), seed]).encode())
        for name, tensor in generator.state_dict().items():
            total.update(name.encode() + tensor.cpu().numpy().tobytes())
        self.identity = total.hexdigest()
        self.generator = generator
        self.average = copy.deepcopy(generator).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            _groups(generator, settings.weight_decay), lr=settings.learning_rate
        )
        self.step = 0
        self.rows: list[StepRow] = []
        self.waiting: list[float] = []
        self.seconds = 0.0

    def resume(self) -> bool:
        try:
            stored = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except Exception:
            # No checkpoint, one cut short, or of another origin: all begin anew.
            return False
        if not isinstance(stored, dict) or stored.get("identity") != self.identity:
            return False
        self.generator.load_state_dict(stored["generator"])
        self.average.load_state_dict(stored["average"])
        self.optimiser.load_state_dict(stored["optimiser"])
        self.step = stored["step"]
        self.rows = [StepRow(*row) for row in stored["rows"]]
        self.waiting = stored["waiting"]
        self.seconds = stored["seconds"]
        return True

    def save(self) -> None:
        stored: dict[str, Any] = {
            "identity": self.identity,
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "rows": [tuple(row) for row in self.rows],
            "waiting": self.waiting,
            "seconds": self.seconds,
        }
        with replacing(self.checkpoint) as temporary:
            torch.save(stored, temporary)

    def average_weights(self) -> None:
        """Move the averaged weights; quickly at first, when the mean of few is poor."""
        decay = min(self.settings.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, now in zip(
                self.average.state_dict().values(),
                self.generator.state_dict().values(),
                strict=True,
            ):
                if mean.is_floating_point():
                    mean.lerp_(now, 1 - decay)
                else:
                    mean.copy_(now)


def _groups(generator: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    decayed, free = [], []
    for name, parameter in generator.named_parameters():
        exempt = parameter.ndim < 2 or name.rsplit(".", 1)[-1] in UNDECAYED
        (free if exempt else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def _run(state: _State, pairs: Sequence[Pair], report: StepReport | None) -> None:
    settings = state.settings
    every = max(1, settings.steps // 50)
    device = next(state.generator.parameters()).device
    state.generator.train()
    began = time.monotonic() - state.seconds
    while state.step < settings.steps:
        rate = settings.learning_rate * (1 + math.cos(math.pi * state.step / settings.steps)) / 2
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed(
            int(np.random.SeedSequence([state.seed, state.step]).generate_state(1)[0])
        )
        patches = draw_patches(pairs, settings, state.seed, state.step)
        t1w, cbv, mask = (part.to(device) for part in patches)
        loss = generator_loss(state.generator(t1w), cbv, mask, settings.cap, settings.similarity)
        state.optimiser.zero_grad()
        loss.backward()
        state.optimiser.step()
        state.step += 1
        state.average_weights()
        state.waiting.append(loss.item())
        if not math.isfinite(state.waiting[-1]):
            raise UserError(
                f"training of the generator failed in step {state.step}: the loss is no longer "
                "a number; lower learning_rate"
            )
        state.seconds = time.monotonic() - began
        if state.step % every == 0 or state.step == settings.steps:
            state.rows.append(StepRow(state.step, float(np.mean(state.waiting))))
            state.waiting = []
            if report is not None:
                report(state.step, settings.steps, state.rows[-1].loss)
        if state.step % settings.checkpoint_steps == 0:
            state.save()


def draw_patches(
    pairs: Sequence[Pair], settings: GeneratorTraining, seed: int, step: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Patches of one step: (batch, 1, p, p, p) of T1w, CBV and brain, float32.

    People and places are uniform; a patch whose centre lies outside the brain is drawn again.
    The draw depends on seed and step only.
    """
    rng = np.random.default_rng([seed, step])
    chosen = []
    for _ in range(settings.batch):
        parts = pairs[int(rng.integers(len(pairs)))]
        mask = parts[2]
        for _ in range(100):
            start = [int(rng.integers(side - settings.patch + 1)) for side in mask.shape]
            if mask[tuple(first + settings.patch // 2 for first in start)]:
                break
        box = tuple(slice(first, first + settings.patch) for first in start)
        chosen.append([np.asarray(part[box], dtype=np.float32) for part in parts])
    t1w, cbv, mask = (
        torch.from_numpy(np.stack(parts)[:, None]) for parts in zip(*chosen, strict=True)
    )
    return t1w, cbv.clamp(0, LARGEST_CBV), mask
