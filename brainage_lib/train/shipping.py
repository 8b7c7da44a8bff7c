"""Weights of a generator for others to use: half precision, with a model card."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from brainage_lib.files import digest_file, read_json, write_json
from brainage_lib.models import count_parameters, load_weights, open_generator, save_weights
from brainage_lib.run import GeneratorSettings
from brainage_lib.simulate import training_people
from brainage_lib.train.aicbv import BASELINE_PEOPLE, SCORED_PEOPLE, score_generator
from brainage_lib.train.cbv_scores import above_ceiling
from brainage_lib.train.teaching import digest_of, teach_generator, teaching_key

PATCH = {4: 48, 3: 48, 2: 64, 1: 96}
"""Side of a patch, voxels, unless another is asked for; at 1 mm the published relative's."""

OVERLAP = {4: 1 / 3, 3: 1 / 3, 2: 1 / 3, 1: 1 / 16}
"""At 1 mm so little that eight windows of 96³ cover a brain of up to 186 mm; MNI152's own is 182 mm
long, and with an eighth it took twelve."""

NOT_FOR = (
    "Not a measurement of blood volume: a function of the T1w, learned from simulated people. In "
    "grey and in white matter it knows hardly more than tissue class, place and apparent age.",
    "Not for diagnosis or any other clinical use.",
    "Not for other grids, for scans that are not normalised as the card says, or for heads.",
)
NOT_FOR_PAIRS = (
    "Not a measurement of blood volume: a function of the T1w before contrast.",
    *NOT_FOR[1:],
)


def make_weights(
    settings: GeneratorSettings,
    grid_mm: int,
    seed: int,
    folder: str | os.PathLike,
    workers: int = 1,
) -> Path:
    """Train a generator, score it, and write the weights in half precision with their card.

    Interrupted, a second call goes on where the first stopped. What is complete is not done
    again. The scores are those of the half-precision weights.

    Parameters
    ----------
    settings : GeneratorSettings
        With people or pairs.
    grid_mm : {1, 2, 3, 4}
    seed : int
    folder : path
        Receives ``aicbv-<grid>mm.safetensors`` and ``.json``, beside what the training leaves.
    workers : int
        Processes that make volumes.

    Returns
    -------
    Path
        Of the weights.
    """
    folder = Path(folder)
    key = digest_of(teaching_key(settings, grid_mm, seed))
    made, whole = folder / f"aicbv-{grid_mm}mm.safetensors", folder / "weights.safetensors"
    card = made.with_suffix(".json")
    if card.is_file() and read_json(card).get("key") == key and made.is_file():
        return made
    done = folder / "trained.json"
    if not (done.is_file() and read_json(done) == {"key": key} and whole.is_file()):
        teach_generator(settings, grid_mm, seed, folder, workers)
        write_json(done, {"key": key})
    state, metadata = load_weights(whole)
    save_weights(state, made, metadata, half=True)
    generator = open_generator(made)
    learned = training_people(settings.people or BASELINE_PEOPLE, seed)[:BASELINE_PEOPLE]
    scores = score_generator(
        generator.cbv, learned, training_people(SCORED_PEOPLE, seed + 1), grid_mm, seed, workers
    )
    log = pd.read_csv(folder / "log.csv")
    seconds = read_json(folder / "durations.json")["seconds"]
    facts = {
        "key": key,
        "sha256": digest_file(made),
        "network": metadata["network"],
        "parameters": count_parameters(generator.network),
        "precision": "float16",
        "grid": f"MNI152, {grid_mm} mm (brainage_lib.imaging.grid({grid_mm}))",
        "input": "T1w brain on the grid, 0 outside, divided by the mean of its top 1 % of values",
        "output": "cerebral blood volume, ml/100 ml",
        "data": metadata["source"],
        "people": int(metadata["people"]),
        "seed": seed,
        "settings": settings.model_dump(exclude={"pairs", "weights"}),
        "training_seconds": round(seconds),
        "log": [[int(row.step), round(float(row.loss), 5)] for row in log.itertuples()],
        "scored_on": f"{SCORED_PEOPLE} simulated people, neither trained on nor in a cohort",
        "scores": summarise(scores),
        "above_ceiling": above_ceiling(scores),
        "not_for": list(NOT_FOR if settings.pairs is None else NOT_FOR_PAIRS),
        "licence": "MIT" if settings.pairs is None else "that of the scans it was trained on",
    }
    write_json(card, facts)
    return made


def summarise(scores: pd.DataFrame) -> dict[str, Any]:
    """Mean over scans by region, measure and predictor, as nested dicts; None if unknown."""
    means = scores.groupby(["region", "measure", "predictor"])["value"].mean()
    found: dict[str, Any] = {}
    for (region, measure, predictor), value in means.items():
        place = found.setdefault(region, {}).setdefault(measure, {})
        place[predictor] = None if pd.isna(value) else round(float(value), 4)
    return found
