"""From settings to a trained generator: its people or pairs, its training, its weights.

Used by chapter 03, which trains in a run, and by ``brainage cbv-train``, which trains weights
that are shipped or that a laboratory makes from its own scans.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brainage_lib.models import AICBVGenerator
from brainage_lib.run import GeneratorSettings, code_digest
from brainage_lib.simulate import training_people
from brainage_lib.train.generator import GeneratorResult, GeneratorTraining, fit_generator
from brainage_lib.train.pairs import pairs_digest, prepare_pairs, read_pairs
from brainage_lib.train.people import Pairs, prepare_people

NETWORK = (
    "models/aicbv.py", "models/convolutions.py", "models/orders.py", "models/selective_scan",
    "models/synthesis.py", "models/trained.py", "models/vss3d.py",
)  # fmt: skip
"""The generator's code; the networks that read ages are no part of it."""

SIMULATED, CONTRAST = "simulated scans", "scans before and after contrast"


def teaching_key(settings: GeneratorSettings, grid_mm: int, seed: int) -> dict[str, Any]:
    """All that the weights depend on, as JSON-able values."""
    return {
        "pairs": _pairs_key(settings, grid_mm, seed),
        "generator": settings.model_dump(exclude={"overlap", "pairs"}),
        "seed": seed,
        "code": code_digest(*NETWORK, "train/generator.py", "train/losses.py", "train/seeding.py"),
    }


def _pairs_key(settings: GeneratorSettings, grid_mm: int, seed: int) -> dict[str, Any]:
    if settings.pairs is not None:
        made_from: Any = pairs_digest(read_pairs(settings.pairs))
        code = code_digest("imaging", "simulate/vessels.py", "simulate/vessels.csv",
                           "train/pairs.py")  # fmt: skip
    else:
        made_from = training_people(settings.people, seed)
        code = code_digest("simulate", "imaging/intensity.py", "train/people.py")
    return {"people": made_from, "grid_mm": grid_mm, "code": code}


def teach_generator(
    settings: GeneratorSettings,
    grid_mm: int,
    seed: int,
    folder: str | os.PathLike,
    workers: int = 1,
) -> GeneratorResult:
    """Make the pairs of T1w and blood volume, and train a generator on them.

    An interrupted call goes on where it stopped, with people and with steps.

    Parameters
    ----------
    settings : GeneratorSettings
        With people or pairs.
    grid_mm : {1, 2, 3, 4}
    seed : int
        Of people, first weights and patches.
    folder : path
        Receives ``weights.safetensors``, ``log.csv``, and the volumes in ``people``.
    workers : int
        Processes that make volumes.

    Raises
    ------
    BadInput
        The table of pairs, or one of its scans, cannot be used.
    """
    folder = Path(folder)
    key = teaching_key(settings, grid_mm, seed)
    digest = digest_of(key["pairs"])
    if settings.pairs is not None:
        table = read_pairs(settings.pairs)
        pairs = prepare_pairs(table, grid_mm, folder / "people", digest, workers)
    else:
        people = training_people(settings.people, seed)
        pairs = prepare_people(folder / "people", people, grid_mm, digest, workers)
    training = GeneratorTraining(
        steps=settings.steps,
        batch=settings.batch,
        patch=settings.patch,
        learning_rate=settings.learning_rate,
        precision=settings.precision,
    )
    return fit_generator(
        _new_generator(settings, seed, _mean_cbv(pairs)),
        pairs,
        training,
        seed=seed,
        folder=folder,
        report=_report,
        identity=digest_of(key),
        metadata={
            "size": settings.size,
            "orders": settings.orders,
            "grid_mm": str(grid_mm),
            "patch": str(settings.patch),
            "overlap": str(settings.overlap),
            "people": str(len(pairs)),
            "source": SIMULATED if settings.pairs is None else CONTRAST,
            "unit": "ml/100 ml",
        },
    )


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON-able value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _mean_cbv(pairs: Pairs) -> float:
    return float(np.mean([cbv[mask].mean(dtype=np.float64) for _, cbv, mask in pairs]))


def _new_generator(settings: GeneratorSettings, seed: int, mean_cbv: float) -> AICBVGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        # From zero, a short training would spend itself on finding the mean.
        made = AICBVGenerator(settings.size, settings.orders, settings.checkpointing)
        return made.start_at(mean_cbv)


def _report(step: int, steps: int, loss: float) -> None:
    # A line each tenth: there are about fifty reports.
    if step * 10 // steps != (step - max(1, steps // 50)) * 10 // steps:
        print(f"generator: step {step} of {steps}, loss {loss:.3f}", file=sys.stderr, flush=True)
