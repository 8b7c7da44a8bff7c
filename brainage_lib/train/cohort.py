"""All trainings of a run: which there are, fitting what is missing, predicting every scan."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
import torch
from torch import nn

from brainage_lib.data import kept, network_inputs
from brainage_lib.data.inputs import input_shape, volumes_of
from brainage_lib.files import digest_file, replacing
from brainage_lib.models import (
    count_parameters,
    load_weights,
    make_network,
    network_facts,
    open_network,
)
from brainage_lib.run import (
    NetworkKey,
    Profile,
    Run,
    ShuffledKey,
    code_digest,
    plan_networks,
    progress,
)
from brainage_lib.tables import PREDICTIONS, SPLITS, choose, read_table, write_table
from brainage_lib.train.baseline import DESCRIPTION, fit_baseline
from brainage_lib.train.fit import fit_network
from brainage_lib.train.predict import ages_and_features
from brainage_lib.train.settings import Recipe, TrainSettings, load_recipe

_CODE = (
    "data/inputs.py", "train/fit.py", "train/loop.py", "train/batches.py", "train/augment.py",
    "train/devices.py", "train/seeding.py", "train/settings.py", "train/together.py",
)  # fmt: skip
PREDICTED_AT_ONCE = 3
"""Scans in a batch of predictions."""

BUFFERS = ("running_mean", "running_var", "num_batches_tracked", "age_mean", "age_sd")
"""Stored numbers that no training step changes by a gradient."""


def train_settings(profile: Profile, recipe: Recipe) -> TrainSettings:
    """Put together how a recipe trains in a run: its own numbers, else the profile's."""
    return TrainSettings(
        # Fewer epochs are asked for where time is short; more than its own no recipe needs.
        epochs=min(profile.epochs, recipe.epochs or profile.epochs),
        patience=profile.patience,
        batch=recipe.batch or profile.batch,
        learning_rate=recipe.learning_rate or profile.learning_rate,
        precision=profile.precision,
        compile=profile.compile,
        devices=profile.devices,
        optimiser=recipe.optimiser,
        schedule=recipe.schedule,
        loss=recipe.loss,
        augmentation=recipe.augmentation,
        averaging=recipe.averaging,
    )


def describe_networks(profile: Profile) -> pd.DataFrame:
    """Put the settings of the paper's training beside those of this run's recipes.

    Returns
    -------
    DataFrame
        Columns setting, printed (what the paper prints), and one a recipe; all texts.
    """
    printed = _told(TrainSettings(), "VGG8")
    unprinted = {"Image": "not printed", "Numbers to learn": "not printed"}
    columns = {"printed": {**unprinted, **printed, "Start": "not printed"}}
    for name in profile.recipes:
        recipe = load_recipe(name)
        channels, *shape = input_shape("T", recipe.reads, profile.grid_mm)
        network = make_network(recipe.network, shape, channels)
        sides = f"{profile.grid_mm} mm: {' × '.join(map(str, shape))}"
        columns[name] = {
            "Image": sides if channels == 1 else f"{sides}, {channels} tissue maps",
            "Numbers to learn": f"{count_parameters(network):,}",
            **_told(train_settings(profile, recipe), type(network).__name__),
            "Start": "mean age of the training scans",
        }
    if profile.for_speed:
        columns["printed"]["Arithmetic"] = "not printed"
        for name in profile.recipes:
            columns[name]["Arithmetic"] = ", ".join(profile.for_speed) + ", for speed"
    return pd.DataFrame(columns).rename_axis("setting").reset_index()


def _told(settings: TrainSettings, network: str) -> dict[str, str]:
    chosen = settings.averaging == "none"
    return {
        "Network": network,
        "Epochs": f"at most {settings.epochs}" if chosen else f"{settings.epochs}",
        "Stop after epochs without gain": f"{settings.patience}" if chosen else "never",
        "Kept": "best epoch" if chosen else "moving average of the weights at the end",
        "Scans in a step": f"{settings.batch}",
        "Optimiser": {"adam": "Adam", "adamw": "AdamW"}[settings.optimiser],
        "Learning rate": f"{settings.learning_rate:g}, {settings.schedule}",
        "Augmentation": settings.augmentation.replace("-", " "),
    }


def fit_networks(run: Run, keys: Sequence[NetworkKey] | None = None) -> pd.DataFrame:
    """Train every network of the run that is not there yet with these very inputs.

    Parameters
    ----------
    run : Run
    keys : sequence of NetworkKey, optional
        Only these; all that the profile asks for unless given.

    Returns
    -------
    DataFrame
        A row a training: recipe, mode, net, seed, fold, n_train, n_validation, epochs,
        best_epoch, validation_mae (years), parameters.
    """
    manifest = kept(run)
    splits = read_table(run.path("splits.csv"), SPLITS)
    plan = plan_networks(run.profile) if keys is None else list(keys)
    rows = []
    for number, key in enumerate(plan, start=1):
        sets = sets_of(manifest, splits, key)
        which = f"recipe {key.recipe}, {key.mode} mode, {key.net}, seed {key.seed}, fold {key.fold}"
        label = f"{which} ({number} of {len(plan)})"
        recipe = load_recipe(key.recipe)
        fit_key(run, key, sets, train_settings(run.profile, recipe), label)
        rows.append(_describe(run, key, sets))
    return pd.DataFrame(rows)


def predict_networks(run: Run) -> pd.DataFrame:
    """Predict every scan with every network and the yardstick; keep predictions and features.

    Writes ``predictions.csv`` and, beside each network's weights, ``ages.npy`` (float64) and
    ``features.npy`` (float32, 128 columns), a row a kept scan in the manifest's order.

    Returns
    -------
    DataFrame
        Schema ``PREDICTIONS``: scans that have a role in the network's split.
    """
    manifest = kept(run)
    splits = read_table(run.path("splits.csv"), SPLITS)
    parts = []
    for key in progress(plan_networks(run.profile), "Networks that predict"):
        part = manifest[DESCRIPTION].assign(
            **key._asdict(),
            role=manifest["scan_id"].map(_roles(splits, key)),
            predicted_age=_predict(run, key, list(manifest["scan_id"])),
        )
        parts.append(part[part["role"].notna()])
    if len(yardstick := fit_baseline(run)):
        parts.append(yardstick)
    table = pd.concat(parts, ignore_index=True)
    write_table(table, run.path("predictions.csv"), PREDICTIONS)
    return read_table(run.path("predictions.csv"), PREDICTIONS)


def _predict(run: Run, key: NetworkKey, scan_ids: list[str]) -> np.ndarray:
    """Ages of all scans by one network; kept, with its features, until something changes."""
    folder = run.network_folder(*key)
    place = folder.relative_to(run.folder).as_posix()
    recipe = load_recipe(key.recipe)
    content = {
        "weights": digest_file(folder / "weights.safetensors"),
        "volumes": digest_file(run.path("volumes", volumes_of(key.net, recipe.reads), "index.csv")),
        "scans": scan_ids,
        # Sums in another order: the last bits depend on it.
        "batch": PREDICTED_AT_ONCE,
        "code": code_digest("data/inputs.py", _network_code(recipe), "train/predict.py"),
    }
    step, outputs = f"{place}/predictions", [f"{place}/ages.npy", f"{place}/features.npy"]
    if not run.up_to_date(step, content, outputs):
        volumes = network_inputs(run, key.net, scan_ids, recipe.reads)
        found = ages_and_features(load_network(run, key), volumes, PREDICTED_AT_ONCE)
        for name, values in zip(outputs, found, strict=True):
            with replacing(run.path(name)) as temporary:
                # Ages as they are computed; features in half the space.
                np.save(temporary, values.astype(np.float32) if values.ndim == 2 else values)
        run.finish(step, content, outputs)
    return np.load(run.path(outputs[0]), allow_pickle=False)


def load_network(run: Run, key: NetworkKey) -> nn.Module:
    """Load a finished training's network, ready to predict."""
    return open_network(run.network_folder(*key) / "weights.safetensors")


def _network_code(recipe: Recipe) -> str:
    return f"models/{recipe.network}.py"


def read_logs(run: Run) -> pd.DataFrame:
    """Read the errors by epoch of all trainings.

    Returns
    -------
    DataFrame
        Columns recipe, mode, net, seed, fold, epoch, train_mae, validation_mae (years), kept
        (whether the weights of that epoch were kept).
    """
    parts = []
    for key in plan_networks(run.profile):
        folder = run.network_folder(*key)
        log = pd.read_csv(folder / "log.csv")
        best = int(load_weights(folder / "weights.safetensors")[1]["best_epoch"])
        parts.append(log.assign(**key._asdict(), kept=log["epoch"] == best))
    first = list(NetworkKey._fields)
    table = pd.concat(parts, ignore_index=True)
    return table[[*first, *(name for name in table.columns if name not in first)]]


def training_seed(key: NetworkKey) -> int:
    """Seed of a training: its own for each network, mode and fold.

    Networks that begin with the same weights and see the scans in the same order would err
    alike, which is just what is compared when T, A and a second T are stacked.
    """
    parts = [key.mode, key.net, key.seed, key.fold]
    if isinstance(key, ShuffledKey):
        parts.append("shuffled")
    words = json.dumps(parts).encode()
    return int.from_bytes(hashlib.sha256(words).digest()[:4], "big")


def _roles(splits: pd.DataFrame, key: NetworkKey) -> dict[str, str]:
    rows = choose(splits, mode=key.mode, fold=key.fold)
    return dict(zip(rows["scan_id"], rows["role"], strict=True))


def sets_of(
    manifest: pd.DataFrame, splits: pd.DataFrame, key: NetworkKey
) -> dict[str, pd.DataFrame]:
    """Rows of the scans that a training learns from (``train``) and stops by (``validation``)."""
    roles = _roles(splits, key)
    return {
        role: manifest[manifest["scan_id"].map(roles).eq(role)] for role in ("train", "validation")
    }


def fit_key(
    run: Run,
    key: NetworkKey,
    sets: dict[str, pd.DataFrame],
    settings: TrainSettings,
    label: str,
    facts: Mapping[str, str] | None = None,
) -> None:
    """Train one network unless it is there with these very inputs.

    Parameters
    ----------
    run : Run
    key : NetworkKey
    sets : dict of role to DataFrame
        Columns scan_id and age, as of `sets_of`.
    settings : TrainSettings
    label : str
        Of the lines of progress.
    facts : mapping of str to str, optional
        Put into the file of weights.
    """
    recipe = load_recipe(key.recipe)
    read = volumes_of(key.net, recipe.reads)
    volumes = digest_file(run.path("volumes", read, "index.csv"))
    content = {
        "settings": asdict(settings),
        "recipe": asdict(recipe),
        "seed": training_seed(key),
        "volumes": volumes,
        "scans": {
            role: rows[["scan_id", "age"]].to_numpy().tolist() for role, rows in sets.items()
        },
        "code": code_digest(_network_code(recipe), *_CODE),
    }
    folder = run.path("networks", key.place)
    place = folder.relative_to(run.folder).as_posix()
    outputs = [f"{place}/{name}" for name in ("weights.safetensors", "log.csv")]
    if run.up_to_date(place, content, outputs):
        return
    ages = sets["train"]["age"]

    channels, *shape = input_shape(key.net, recipe.reads, run.profile.grid_mm)

    def make_model() -> nn.Module:
        model = make_network(recipe.network, shape, channels)
        # The paper is silent on the start; from 0 years the first epochs of a short
        # training would go into finding the mean.
        return model.start_at(ages.mean(), ages.std(ddof=0))

    pairs = {
        role: (network_inputs(run, key.net, rows["scan_id"], recipe.reads), rows["age"].to_numpy())
        for role, rows in sets.items()
    }
    with torch.device("meta"):
        described = network_facts(make_network(recipe.network, shape, channels))
    fit_network(
        make_model,
        pairs["train"],
        pairs["validation"],
        settings,
        seed=training_seed(key),
        folder=folder,
        report=_reporter(label),
        device=run.profile.device,
        identity=volumes,
        metadata={
            **described,
            **(facts or {}),
            **{name: str(value) for name, value in key._asdict().items() if name != "seed"},
            "reads": read,
            "grid_mm": str(run.profile.grid_mm),
            "source": run.source,
        },
    )
    run.finish(place, content, outputs)


def _reporter(label: str):
    began = time.monotonic()

    def report(
        epoch: int, epochs: int, train_mae: float, validation_mae: float, waiting: float
    ) -> None:
        print(
            f"{label}: epoch {epoch} of at most {epochs}, MAE {train_mae:.2f} (training), "
            f"{validation_mae:.2f} (validation) years, {time.monotonic() - began:.0f} s, "
            f"{waiting:.0%} of the steps' time waiting for volumes",
            file=sys.stderr,
            flush=True,
        )

    return report


def _describe(run: Run, key: NetworkKey, sets: dict[str, pd.DataFrame]) -> dict:
    state, facts = load_weights(run.network_folder(*key) / "weights.safetensors")
    parameters = sum(tensor.numel() for name, tensor in state.items() if not name.endswith(BUFFERS))
    return {
        **key._asdict(),
        "n_train": len(sets["train"]),
        "n_validation": len(sets["validation"]),
        "epochs": int(facts["epochs"]),
        "best_epoch": int(facts["best_epoch"]),
        "validation_mae": float(facts["validation_mae"]),
        "parameters": parameters,
    }
