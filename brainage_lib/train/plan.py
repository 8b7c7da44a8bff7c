"""What a run will do and cost, from its profile and its manifest alone."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from brainage_lib.data.inputs import input_shape
from brainage_lib.data.store import shard_rows_for
from brainage_lib.errors import BadInput, UserError
from brainage_lib.imaging import grid
from brainage_lib.models import count_parameters, make_network
from brainage_lib.models.synthesis import windows
from brainage_lib.run import (
    GeneratorSettings,
    Profile,
    ShuffledKey,
    plan_networks,
    plan_shuffled,
)
from brainage_lib.tables import examine_manifest
from brainage_lib.train.aicbv import BASELINE_PEOPLE, SCORED_PEOPLE
from brainage_lib.train.cohort import train_settings
from brainage_lib.train.costs import PER_SCAN
from brainage_lib.train.devices import training_bytes
from brainage_lib.train.pairs import read_pairs
from brainage_lib.train.settings import Recipe, load_recipe

CHAPTERS = 11
CONTROL = "control"
UNREADABLE = "does not exist"

BOOK_BYTES = 150e6
"""Pages, executed notebooks and tables; they hardly grow with the cohort."""

BRAIN_BYTES = 6e6
"""Of one brain in native space at 1 mm, compressed, in the folder that runs share."""

PROCESS_BYTES = 0.6e9
"""Of a process with PyTorch or SimpleITK before it opens a volume."""

FORWARD_SHARE = 1 / 3
"""Of a training step that a prediction costs."""

CHAPTER_SECONDS = 60.0
"""Of all chapters and pages beside what is counted by stage: the demo's took about as long."""


@dataclass(frozen=True)
class Plan:
    """What a run will do; see `plan_run`.

    Attributes
    ----------
    scans, patients, aside : int
        Rows that go on; those of them who are patients and put apart; rows that cannot be used.
    reasons : list of str
        Why rows are put aside, and what else the manifest says.
    jobs, disk, memory, hours : dict
        Numbers of jobs by kind; bytes by artefact; bytes by what needs them; hours by stage,
        NaN where no figure is known.
    sources : list of str
        Where the hours come from.
    """

    scans: int
    patients: int
    aside: int
    reasons: list[str]
    jobs: dict[str, int]
    disk: dict[str, float]
    memory: dict[str, float]
    hours: dict[str, float]
    sources: list[str]


def plan_run(
    profile: Profile, manifest: str | os.PathLike, gpus: int, cores: int, costs: pd.DataFrame
) -> Plan:
    """Count jobs, disk, memory and hours of a run before anything is computed.

    Parameters
    ----------
    profile : Profile
    manifest : path
        Images need not be there; rows with other faults are put aside. How many scans fail the
        quality check is not known before they are opened: all are counted.
    gpus, cores : int
        What the run will have.
    costs : DataFrame
        As `committed_costs`; a stage takes its last row of the right device.

    Raises
    ------
    BadInput
        The manifest cannot be read, or no row of it can be used.
    """
    table, aside, reasons = _rows(manifest)
    apart = profile.patients == "apart" or profile.modes == ["sound"]
    patients = int(table["diagnosis"].ne(CONTROL).sum()) if apart else 0
    jobs = _jobs(profile, len(table) + aside)
    work = _work(profile, table)
    hours, sources = _hours(profile, work, gpus, cores, costs)
    return Plan(
        scans=len(table),
        patients=patients,
        aside=aside,
        reasons=reasons,
        jobs=jobs,
        disk=_disk(profile, table),
        memory=_memory(profile, len(table), gpus, cores),
        hours=hours,
        sources=sources,
    )


def check_disk(plan: Plan, folder: str | os.PathLike) -> None:
    """Refuse a plan that the disk cannot hold.

    Raises
    ------
    UserError
        Says what is needed and what is free where the run would lie.
    """
    place = Path(folder).resolve()
    while not place.exists():
        place = place.parent
    needed, free = sum(plan.disk.values()), shutil.disk_usage(place).free
    if needed > free:
        raise UserError(
            f"the disk is too small: the run needs {needed / 1e9:.1f} GB, {place} has "
            f"{free / 1e9:.1f} GB free; make room, or set BRAINAGE_RUNS to a folder elsewhere"
        )


def _rows(manifest: str | os.PathLike) -> tuple[pd.DataFrame, int, list[str]]:
    table, findings = examine_manifest(manifest)
    whole = [text for line, text in findings if line < 2]
    if whole:
        raise BadInput(str(manifest), whole)
    absent = [text for _, text in findings if text.split(";")[0].endswith(UNREADABLE)]
    faults = [(line, text) for line, text in findings if text not in set(absent)]
    bad = {line - 2 for line, _ in faults}
    kept = table.drop(index=sorted(bad)).reset_index(drop=True)
    if kept.empty:
        raise BadInput(str(manifest), [text for _, text in faults])
    reasons = [text for _, text in faults[:5]]
    if len(faults) > 5:
        reasons.append(f"and {len(faults) - 5} more")
    if faults:
        reasons.append("the book does not begin before these rows are mended or removed")
    if absent:
        reasons.append(f"{len(absent)} images are not there yet; they are counted all the same")
    return kept, len(bad), reasons


def _jobs(profile: Profile, rows: int) -> dict[str, int]:
    parts = math.ceil(rows / profile.scans_a_job) if profile.scans_a_job else 0
    return {
        "prepare scans": parts,
        "synthesise AICBV": parts,
        "train the generator": int(parts > 0),
        "train a network": len(plan_networks(profile)),
        "train a network on shuffled ages": len(plan_shuffled(profile)),
        "chapters": CHAPTERS,
        "pages": 1,
    }


def _network(recipe: Recipe, grid_mm: int, net: str = "T"):
    channels, *shape = input_shape(net, recipe.reads, grid_mm)
    with torch.device("meta"):
        return make_network(recipe.network, shape, channels)


def _disk(profile: Profile, table: pd.DataFrame) -> dict[str, float]:
    n, shape = len(table), grid(profile.grid_mm).shape
    voxels = math.prod(shape)
    plan = plan_networks(profile)
    weights = {
        recipe: 4 * count_parameters(_network(spec, profile.grid_mm))
        for recipe in profile.recipes
        for spec in [load_recipe(recipe)]
    }
    disk = {
        "T1w volumes, float16": 2.0 * n * voxels,
        "AICBV volumes, float16": 2.0 * n * voxels,
        "people of the generator": 2.0 * 2 * _taught_from(profile.generator) * voxels,
        "networks": sum(weights[key.recipe] + n * (128 * 4 + 8) for key in plan),
        # Weights, Adam's two moments and the best weights so far.
        "checkpoints while training": 4.0 * max(weights.values()) * len(plan),
        "networks of shuffled ages": sum(weights[key.recipe] for key in plan_shuffled(profile)),
        # float16, of up to nine decades, three kinds, and one map a fold.
        "attribution": 2.0 * voxels * (3 * 9 + profile.folds) * len(profile.nets)
        * len(profile.modes),
        "book, tables and notebooks": BOOK_BYTES,
    }  # fmt: skip
    if profile.reads_tissue:
        kept = math.prod(input_shape("T", "tissue", profile.grid_mm))
        disk["tissue maps, float16"] = 2.0 * n * kept
    if profile.scans_a_job:
        # A part is removed when its volumes are in the store: one kind at a time.
        disk["parts until they are put together"] = 2.0 * n * voxels
    native = table["t1w_state"].isin(["native-head", "native-brain"])
    if profile.preprocessing.register_again:
        native |= table["t1w_state"].eq("mni152-brain")
    if native.any():
        disk["brains in native space, shared by runs"] = BRAIN_BYTES * int(native.sum())
    return disk


def _taught_from(settings: GeneratorSettings) -> int:
    """Count the people or pairs whose volumes the generator's training keeps."""
    return len(read_pairs(settings.pairs)) if settings.pairs else settings.people or 0


def _memory(profile: Profile, n: int, gpus: int, cores: int) -> dict[str, float]:
    shape = grid(profile.grid_mm).shape
    voxels = math.prod(shape)
    steps = {}
    for recipe in profile.recipes:
        spec = load_recipe(recipe)
        settings = train_settings(profile, spec)
        share = settings.batch // settings.devices
        nets = sorted({key.net for key in plan_networks(profile) if key.recipe == recipe})
        steps[recipe] = max(
            training_bytes(
                _network(spec, profile.grid_mm, net),
                input_shape(net, spec.reads, profile.grid_mm),
                share,
                settings.precision,
            )
            for net in nets
        )
    at_once = trainings_at_once(profile, gpus, cores)
    step = max(steps.values())
    # Each device of a training keeps its share of a step, and all of the network.
    times = 1 if gpus else at_once * profile.devices
    where = "of the GPU" if gpus else f"× {times} processes that train at once"
    memory = {
        f"a training step of recipe {recipe}, {where}": float(size) * times
        for recipe, size in steps.items()
    }
    workers = min(profile.workers, cores)
    memory["processes that prepare scans"] = workers * (PROCESS_BYTES + 60.0 * voxels)
    # Smoothed voxels every 4 mm in float32, and their copy less the mean.
    memory["yardstick of smoothed voxels"] = PROCESS_BYTES + 8.0 * n * math.prod(grid(4).shape)
    memory["maps by decade"] = PROCESS_BYTES + 9 * 5 * 4.0 * voxels
    shards = shard_rows_for(shape) * 2.0 * voxels
    memory["writing a shard"] = PROCESS_BYTES + shards
    if gpus:
        memory["a training beside the GPU"] = 2 * PROCESS_BYTES + 4.0 * voxels * 96
    return memory | {"the largest": max([*memory.values(), float(step)])}


def trainings_at_once(profile: Profile, gpus: int, cores: int) -> int:
    """Trainings that the workflow runs side by side: each has its GPUs, or a core at 4 mm."""
    if gpus:
        return max(1, min(gpus, cores) // profile.devices)
    return max(1, cores // profile.devices) if profile.grid_mm == 4 else 1


def _work(profile: Profile, table: pd.DataFrame) -> pd.DataFrame:
    """Million voxels that each stage computes: stage, name, voxels, devices at most."""
    shape = grid(profile.grid_mm).shape
    voxels = math.prod(shape) / 1e6
    n, settings = len(table), profile.generator
    rows = []
    for state, count in table["t1w_state"].value_counts().items():
        again = profile.preprocessing.register_again and state == "mni152-brain"
        rows.append(("prepare", "native-head" if again else state, count * voxels))
    people = (settings.people or BASELINE_PEOPLE) + SCORED_PEOPLE
    rows.append(("prepare", "simulated", people * voxels))
    patch = settings.patch**3 / 1e6
    if settings.steps:
        rows.append(("generator", settings.size, settings.steps * settings.batch * patch))
    sides = (settings.patch,) * 3
    padded = tuple(max(side, settings.patch) for side in shape)
    count = sum(1 for _ in windows(padded, sides, int(settings.overlap * settings.patch)))
    rows.append(("synthesis", settings.size, (n + SCORED_PEOPLE) * count * patch))
    controls = int(table["diagnosis"].eq(CONTROL).sum())
    for key in (*plan_networks(profile), *plan_shuffled(profile)):
        recipe = load_recipe(key.recipe)
        epochs = train_settings(profile, recipe).epochs
        if isinstance(key, ShuffledKey):
            epochs = min(epochs, profile.attribution.shuffled_epochs or epochs)
        paper = key.mode == "paper"
        learned = controls if profile.patients == "apart" or not paper else n
        # Paper mode: eight partitions of ten, one to stop by. Sound mode: a seventh to stop by.
        share = (0.8, 0.1) if paper else ((1 - 1 / profile.folds) * 6 / 7, 1 / 7)
        scans = learned * (share[0] + FORWARD_SHARE * share[1]) * epochs + FORWARD_SHARE * n
        rows.append(("training", recipe.network, scans * voxels))
    # A map costs about what a training step of one scan does.
    nets = len(profile.nets) * len(profile.modes)
    rows.append(("training", load_recipe(profile.recipes[0]).network, n * nets * voxels))
    return pd.DataFrame(rows, columns=["stage", "name", "voxels"])


STAGES = {
    "prepare": "preparing scans",
    "generator": "training the generator",
    "synthesis": "synthesising AICBV",
    "training": "training the networks, at most, and their maps",
}


def _hours(
    profile: Profile, work: pd.DataFrame, gpus: int, cores: int, costs: pd.DataFrame
) -> tuple[dict[str, float], list[str]]:
    hours, sources = {}, []
    voxels = math.prod(grid(profile.grid_mm).shape) / 1e6
    for stage, part in work.groupby("stage", sort=False):
        device = "cuda" if gpus and stage != "prepare" else "cpu"
        total = 0.0
        for row in part.itertuples():
            match = costs[
                costs["stage"].eq(stage) & costs["name"].eq(row.name) & costs["device"].eq(device)
            ]
            if match.empty:
                total = math.nan
                sources.append(
                    f"{STAGES[stage]}: nothing was timed for {row.name} on "
                    f"{'a GPU' if device == 'cuda' else 'a CPU'}; --calibrate does on this machine"
                )
                continue
            figure = match.iloc[-1]
            amount = row.voxels / voxels if row.name in PER_SCAN else row.voxels
            total += amount * figure["seconds"]
            sources.append(
                f"{STAGES[stage]}, {row.name}: {figure['seconds']:g} s a {figure['per']} "
                f"({figure['machine']}, {figure['date']}, {figure['how']})"
            )
        hours[STAGES[stage]] = total / 3600 / _side_by_side(profile, stage, gpus, cores)
    hours["chapters and pages beside that"] = CHAPTER_SECONDS / 3600
    return hours, list(dict.fromkeys(sources))


def _side_by_side(profile: Profile, stage: str, gpus: int, cores: int) -> int:
    """How many devices work at once in a stage; of cores, those that are kept busy."""
    if stage == "prepare":
        return min(cores, profile.workers)
    trainings = len(plan_networks(profile))
    if stage == "training":
        return min(gpus, trainings * profile.devices) if gpus else cores
    if gpus:
        # One process computes, unless scans have jobs of their own.
        return gpus if stage == "synthesis" and profile.scans_a_job else 1
    return cores
