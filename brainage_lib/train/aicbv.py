"""AICBV in a run: the generator is trained, every scan gets its map, the maps are scored."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from brainage_lib.data import VolumeStore, VolumeWriter, kept
from brainage_lib.files import digest_file
from brainage_lib.models import LARGEST_CBV, AICBVGenerator, TrainedGenerator, restore, synthesise
from brainage_lib.run import Run, code_digest, progress, scatter
from brainage_lib.simulate import training_people
from brainage_lib.tables import AICBV_SCORES, read_table, write_table
from brainage_lib.train.cbv_scores import fit_baselines, score_scan
from brainage_lib.train.generator import GeneratorTraining, fit_generator
from brainage_lib.train.people import open_truth, prepare_people

WEIGHTS = "aicbv/weights.safetensors"

_NETWORK = (
    "models/aicbv.py", "models/convolutions.py", "models/orders.py", "models/selective_scan",
    "models/synthesis.py", "models/trained.py", "models/vss3d.py",
)  # fmt: skip
"""The generator's code; the networks that read ages are no part of it."""

SCORED_PEOPLE = 24
"""Simulated people, neither in the cohort nor trained on, whose maps are scored."""

BASELINE_PEOPLE = 16
"""People of the training from whom baselines and ceiling are estimated."""


def fit_aicbv(run: Run) -> pd.DataFrame:
    """Train the generator on simulated people outside the cohort, unless it is up to date.

    Writes ``aicbv/weights.safetensors``, ``aicbv/log.csv`` and the people's volumes to
    ``aicbv/people``. A killed training goes on.

    Returns
    -------
    DataFrame
        Columns step, loss (ml/100 ml): the log of the training.
    """
    profile, settings = run.profile, run.profile.generator
    people = training_people(settings.people, profile.seed)
    pairs_key = {
        "people": people,
        "grid_mm": profile.grid_mm,
        "code": code_digest("simulate", "imaging/intensity.py", "train/people.py"),
    }
    training = GeneratorTraining(
        steps=settings.steps,
        batch=settings.batch,
        patch=settings.patch,
        learning_rate=settings.learning_rate,
    )
    key = {
        "pairs": pairs_key,
        "generator": settings.model_dump(exclude={"overlap"}),
        "seed": profile.seed,
        "code": code_digest(*_NETWORK, "train/generator.py", "train/losses.py", "train/seeding.py"),
    }
    outputs = [WEIGHTS, "aicbv/log.csv"]
    if not run.up_to_date("aicbv-generator", key, outputs):
        pairs = prepare_people(run, people, _digest(pairs_key))
        fit_generator(
            _new_generator(settings.size, profile.seed, _mean_cbv(pairs)),
            pairs,
            training,
            seed=profile.seed,
            folder=run.path("aicbv"),
            report=_report,
            identity=_digest(key),
            metadata={
                "size": settings.size,
                "grid_mm": str(profile.grid_mm),
                "people": str(len(people)),
                "source": "simulated scans",
                "unit": "ml/100 ml",
            },
        )
        run.finish("aicbv-generator", key, outputs)
    return pd.read_csv(run.path("aicbv", "log.csv"))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _mean_cbv(pairs) -> float:
    return float(np.mean([cbv[mask].mean(dtype=np.float64) for _, cbv, mask in pairs]))


def _new_generator(size: str, seed: int, mean_cbv: float) -> AICBVGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        # From zero, a short training would spend itself on finding the mean.
        return AICBVGenerator(size).start_at(mean_cbv)


def _report(step: int, steps: int, loss: float) -> None:
    # A line each tenth: there are about fifty reports.
    if step * 10 // steps != (step - max(1, steps // 50)) * 10 // steps:
        print(f"generator: step {step} of {steps}, loss {loss:.3f}", file=sys.stderr, flush=True)


def load_generator(run: Run) -> AICBVGenerator:
    """Load the run's trained generator, ready to be used."""
    generator = AICBVGenerator(run.profile.generator.size).eval()
    restore(generator, run.path(WEIGHTS))
    return generator.to("cuda" if torch.cuda.is_available() else "cpu")


def cbv_map(run: Run, generator: AICBVGenerator, t1w: np.ndarray) -> np.ndarray:
    """Synthesise the AICBV map of one scan.

    Parameters
    ----------
    run : Run
        Its profile has patch and overlap.
    generator : AICBVGenerator
    t1w : (x, y, z) array
        Normalised, 0 outside the brain.

    Returns
    -------
    (x, y, z) array of float32
        ml/100 ml, 0–100; 0 outside the brain. The head is linear; less than no blood is an
        error of the network that means none.
    """
    settings = run.profile.generator
    overlap = int(settings.overlap * settings.patch)
    return synthesise(generator, t1w, settings.patch, overlap).clip(0, LARGEST_CBV)


def synthesise_cohort(run: Run) -> None:
    """Write the AICBV map (ml/100 ml) of every scan that goes on to ``volumes/cbv``.

    A killed run goes on after its last full shard.
    """
    key = {
        "t1w": digest_file(run.path("volumes", "t1w", "index.csv")),
        "weights": digest_file(run.path(WEIGHTS)),
        "overlap": run.profile.generator.overlap,
        "scans": list(kept(run)["scan_id"]),
        "code": code_digest(*_NETWORK),
    }
    outputs = ["volumes/cbv/index.csv"]
    if run.up_to_date("volumes-cbv", key, outputs):
        return
    generator, store = load_generator(run), VolumeStore(run.path("volumes", "t1w"))
    with VolumeWriter(run.path("volumes", "cbv"), store.shape, key=_digest(key)) as writer:
        left = key["scans"][len(writer.done) :]
        for scan_id in progress(left, "AICBV maps"):
            writer.add(scan_id, cbv_map(run, generator, store[scan_id]))
    run.finish("volumes-cbv", key, outputs)


def score_aicbv(run: Run) -> pd.DataFrame:
    """Score the generator on simulated people that it has not seen, beside its baselines.

    Baselines and ceiling are fitted on some of the people that it was trained on
    (:func:`~brainage_lib.train.cbv_scores.fit_baselines`). Real scans have no truth, so that
    the scores of a run of real scans are those of simulated people, too.

    Returns
    -------
    DataFrame
        Schema ``AICBV_SCORES``; written to ``aicbv/scores.csv``.
    """
    profile = run.profile
    learned = training_people(profile.generator.people, profile.seed)[:BASELINE_PEOPLE]
    people = training_people(SCORED_PEOPLE, profile.seed + 1)
    key = {
        "weights": digest_file(run.path(WEIGHTS)),
        "people": [learned, people],
        "grid_mm": profile.grid_mm,
        "overlap": profile.generator.overlap,
        "code": code_digest(
            "simulate", "imaging/intensity.py", *_NETWORK,
            "train/aicbv.py", "train/cbv_scores.py", "train/people.py",
        ),
    }  # fmt: skip
    outputs = ["aicbv/scores.csv"]
    if not run.up_to_date("aicbv-scores", key, outputs):
        scores = _score(run, learned, people)
        write_table(scores, run.path(*outputs), AICBV_SCORES)
        run.finish("aicbv-scores", key, outputs)
    return read_table(run.path(*outputs), AICBV_SCORES)


def _score(run: Run, learned: list[str], people: list[str]) -> pd.DataFrame:
    mm = run.profile.grid_mm
    opened = scatter(open_truth, [(uri, mm) for uri in [*learned, *people]], run.profile.workers)
    opened = iter(progress(opened, "Simulated people to score", len(learned) + len(people)))
    # One thread: sums in another order would differ in their last bits.
    with threadpool_limits(1):
        baselines = fit_baselines([next(opened) for _ in learned], run.profile.seed)
    generator = load_generator(run)
    parts = []
    for number, truth in enumerate(opened, start=1):
        network = cbv_map(run, generator, truth.t1w)
        with threadpool_limits(1):
            scores = score_scan(truth, network, baselines)
        parts.append(scores.assign(scan_id=f"simulated-{number:03}"))
    return pd.concat(parts, ignore_index=True)
