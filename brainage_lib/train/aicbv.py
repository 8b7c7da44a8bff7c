"""AICBV in a run: the generator is trained, every scan gets its map, the maps are scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from brainage_lib.data import VolumeStore, VolumeWriter, kept, read_cohort
from brainage_lib.data.parts import (
    finish_part,
    forget_parts,
    is_finished,
    part_folder,
    part_of,
)
from brainage_lib.errors import BadInput
from brainage_lib.files import digest_file, read_json, write_text
from brainage_lib.models import (
    LARGEST_CBV,
    AICBVGenerator,
    open_generator,
    restore,
    save_weights,
    scan_backend,
    synthesise,
)  # fmt: skip
from brainage_lib.models.shipped import shipped_weights
from brainage_lib.run import SHIPPED, Run, code_digest, progress, scatter
from brainage_lib.simulate import training_people
from brainage_lib.tables import AICBV_SCORES, read_table, write_table
from brainage_lib.train.cbv_scores import fit_baselines, score_scan
from brainage_lib.train.people import open_truth
from brainage_lib.train.teaching import NETWORK, digest_of, teach_generator, teaching_key

WEIGHTS = "aicbv/weights.safetensors"
MAPS = ["volumes/cbv/index.csv"]

SCORED_PEOPLE = 24
"""Simulated people, neither in the cohort nor trained on, whose maps are scored."""

BASELINE_PEOPLE = 16
"""People of the training from whom baselines and ceiling are estimated."""


def fit_aicbv(run: Run) -> pd.DataFrame:
    """Train the run's generator, or take the weights that its profile names.

    Writes ``aicbv/weights.safetensors`` and ``aicbv/log.csv``; a training also the volumes of
    its people or pairs to ``aicbv/people``. A killed training goes on, and nothing is done twice.

    Returns
    -------
    DataFrame
        Columns step, loss (ml/100 ml): the log of the training, as far as it is known.

    Raises
    ------
    BadInput, WrongUsage
        The weights are not there, or of another size or grid than the profile has.
    """
    profile, settings = run.profile, run.profile.generator
    outputs = [WEIGHTS, "aicbv/log.csv"]
    if settings.weights is not None:
        path = _named_weights(run)
        asked = [settings.size, settings.orders, profile.grid_mm]
        key: dict = {"weights": digest_file(path), "asked": asked}
        if not run.up_to_date("aicbv-generator", key, outputs):
            _take_weights(run, path)
            run.finish("aicbv-generator", key, outputs)
    else:
        key = teaching_key(settings, profile.grid_mm, profile.seed)
        if not run.up_to_date("aicbv-generator", key, outputs):
            folder = run.path("aicbv")
            teach_generator(settings, profile.grid_mm, profile.seed, folder, profile.workers)
            run.finish("aicbv-generator", key, outputs)
    return pd.read_csv(run.path("aicbv", "log.csv"))


def _named_weights(run: Run) -> Path:
    named = run.profile.generator.weights
    path = shipped_weights(run.profile.grid_mm) if named == SHIPPED else Path(named)
    if not path.is_file():
        finding = "no such file of weights; correct generator.weights in the profile"
        raise BadInput(str(path), [finding])
    return path


def _take_weights(run: Run, path: Path) -> None:
    """Copy weights into the run, with the log of their training where a card has it."""
    settings, mm = run.profile.generator, run.profile.grid_mm
    found = open_generator(path)
    for name, asked, has in (
        ("grid_mm", mm, found.grid_mm),
        ("generator.size", settings.size, found.network.size),
        ("generator.orders", settings.orders, found.network.orders),
    ):
        if asked != has:
            finding = f"{name}: the profile has {asked}, these weights have {has}; change one"
            raise BadInput(str(path), [finding])
    save_weights(found.network, run.path(WEIGHTS), found.metadata)
    card = path.with_suffix(".json")
    log = read_json(card).get("log", []) if card.is_file() else []
    lines = ["step,loss", *(f"{step},{loss:.9g}" for step, loss in log)]
    write_text(run.path("aicbv", "log.csv"), "\n".join(lines) + "\n")


def load_generator(run: Run) -> AICBVGenerator:
    """Load the run's trained generator, ready to be used."""
    settings = run.profile.generator
    generator = AICBVGenerator(settings.size, settings.orders).eval()
    restore(generator, run.path(WEIGHTS))
    return generator.to("cuda" if torch.cuda.is_available() else "cpu")


def scan_in_use() -> str:
    """Name the backend of the selective scan with which generators compute here."""
    return scan_backend("cuda" if torch.cuda.is_available() else "cpu")


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
    key = _maps_key(run, list(kept(run)["scan_id"]))
    if run.up_to_date("volumes-cbv", key, MAPS):
        return
    made: dict[str, VolumeStore] = {}
    for part in range(_count_parts(run)):
        mine, where = _kept_of(run, part), part_folder(run, "cbv", part)
        if is_finished(where, digest_of(_maps_key(run, mine))):
            made |= dict.fromkeys(mine, VolumeStore(where))
    _write_maps(run, key, run.path("volumes", "cbv"), made)
    run.finish("volumes-cbv", key, MAPS)
    forget_parts(run, ["cbv"])


def synthesise_part(run: Run, part: int) -> None:
    """Synthesise the scans of one part of the cohort, for `synthesise_cohort` to put together.

    A killed part goes on; one that is whole, or whose maps are in the store, is left alone.

    Raises
    ------
    WrongUsage
        There is no such part.
    """
    mine, where = _kept_of(run, part), part_folder(run, "cbv", part)
    key = _maps_key(run, mine)
    whole = _maps_key(run, list(kept(run)["scan_id"]))
    if is_finished(where, digest_of(key)) or run.up_to_date("volumes-cbv", whole, MAPS):
        return
    _write_maps(run, key, where, {})
    finish_part(where, digest_of(key))


def _count_parts(run: Run) -> int:
    size = run.profile.scans_a_job
    return -(-len(read_cohort(run)) // size) if size else 0


def _kept_of(run: Run, part: int) -> list[str]:
    """List the scans of a part that go on."""
    going = set(kept(run)["scan_id"])
    return [name for name in part_of(list(read_cohort(run)["scan_id"]), run, part) if name in going]


def _maps_key(run: Run, scan_ids: list[str]) -> dict:
    return {
        "t1w": digest_file(run.path("volumes", "t1w", "index.csv")),
        "weights": digest_file(run.path(WEIGHTS)),
        "overlap": run.profile.generator.overlap,
        "scans": scan_ids,
        "code": code_digest(*NETWORK),
    }


def _write_maps(run: Run, key: dict, where: Path, made: dict[str, VolumeStore]) -> None:
    store = VolumeStore(run.path("volumes", "t1w"))
    generator = None
    with VolumeWriter(where, store.shape, key=digest_of(key)) as writer:
        left = key["scans"][len(writer.done) :]
        for scan_id in progress(left, "AICBV maps"):
            if scan_id in made:
                writer.add(scan_id, made[scan_id][scan_id])
                continue
            generator = generator or load_generator(run)
            writer.add(scan_id, cbv_map(run, generator, store[scan_id]))


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
    learned = training_people(profile.generator.people or BASELINE_PEOPLE, profile.seed)
    learned = learned[:BASELINE_PEOPLE]
    people = training_people(SCORED_PEOPLE, profile.seed + 1)
    key = {
        "weights": digest_file(run.path(WEIGHTS)),
        "people": [learned, people],
        "grid_mm": profile.grid_mm,
        "overlap": profile.generator.overlap,
        "code": code_digest(
            "simulate", "imaging/intensity.py", *NETWORK,
            "train/aicbv.py", "train/cbv_scores.py", "train/people.py",
        ),
    }  # fmt: skip
    outputs = ["aicbv/scores.csv"]
    if not run.up_to_date("aicbv-scores", key, outputs):
        generator = load_generator(run)
        scores = score_generator(
            lambda t1w: cbv_map(run, generator, t1w),
            learned, people, profile.grid_mm, profile.seed, profile.workers,
        )  # fmt: skip
        write_table(scores, run.path(*outputs), AICBV_SCORES)
        run.finish("aicbv-scores", key, outputs)
    return read_table(run.path(*outputs), AICBV_SCORES)


def score_generator(
    cbv: Callable[[np.ndarray], np.ndarray],
    learned: Sequence[str],
    people: Sequence[str],
    mm: int,
    seed: int,
    workers: int = 1,
) -> pd.DataFrame:
    """Score maps of simulated people beside baselines and ceiling.

    Parameters
    ----------
    cbv : callable
        From a normalised T1w to its map, ml/100 ml.
    learned, people : sequences of str
        ``sim:`` URIs: those from whom the baselines are estimated, and those who are scored.
    mm : {1, 2, 3, 4}
    seed : int
        Of the ceiling's regression.
    workers : int

    Returns
    -------
    DataFrame
        Schema ``AICBV_SCORES``.
    """
    opened = scatter(open_truth, [(uri, mm) for uri in [*learned, *people]], workers)
    opened = iter(progress(opened, "Simulated people to score", len(learned) + len(people)))
    # One thread: sums in another order would differ in their last bits.
    with threadpool_limits(1):
        baselines = fit_baselines([next(opened) for _ in learned], seed)
    parts = []
    for number, truth in enumerate(opened, start=1):
        network = cbv(truth.t1w)
        with threadpool_limits(1):
            scores = score_scan(truth, network, baselines)
        parts.append(scores.assign(scan_id=f"simulated-{number:03}"))
    return pd.concat(parts, ignore_index=True)
