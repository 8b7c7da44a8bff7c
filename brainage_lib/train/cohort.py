"""All trainings of a run: which there are, fitting what is missing, predicting every scan."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pandas as pd

from brainage_lib.data import kept, network_inputs
from brainage_lib.data.inputs import VOLUMES
from brainage_lib.files import digest_file, replacing
from brainage_lib.imaging import grid
from brainage_lib.models import VGG8, load_weights, restore
from brainage_lib.run import NetworkKey, Profile, Run, code_digest, plan_networks, progress
from brainage_lib.tables import PREDICTIONS, SPLITS, choose, read_table, write_table
from brainage_lib.train.fit import fit_network
from brainage_lib.train.predict import ages_and_features
from brainage_lib.train.settings import TrainSettings, load_recipe

_CODE = (
    "data/inputs.py", "models/vgg8.py", "train/fit.py", "train/loop.py", "train/batches.py",
    "train/settings.py",
)  # fmt: skip
PREDICTED_AT_ONCE = 3
"""Scans in a batch of predictions."""

_DESCRIPTION = ["scan_id", "participant_id", "project", "session", "age", "sex", "diagnosis"]


def train_settings(profile: Profile) -> TrainSettings:
    """Take the numbers of the trainings from a profile."""
    return TrainSettings(
        epochs=profile.epochs,
        patience=profile.patience,
        batch=profile.batch,
        learning_rate=profile.learning_rate,
        precision=profile.precision,
    )


def describe_network(network: VGG8, profile: Profile) -> pd.DataFrame:
    """Put the settings of the paper's training beside this run's.

    Returns
    -------
    DataFrame
        Columns setting, paper, this_run.
    """
    paper, ours = asdict(TrainSettings()), asdict(train_settings(profile))
    names = {
        "epochs": "Epochs, at most",
        "patience": "Stop after epochs without gain",
        "batch": "Scans in a step",
        "learning_rate": "Learning rate of Adam",
    }
    sides = " × ".join(str(side) for side in grid(profile.grid_mm).shape)
    rows = [("Image", "not printed (1 mm: 182 × 218 × 182)", f"{profile.grid_mm} mm: {sides}")]
    rows += [(label, f"{paper[name]:g}", f"{ours[name]:g}") for name, label in names.items()]
    rows.append(("Start of the last bias", "not printed", "mean age of the training scans"))
    return pd.DataFrame(rows, columns=["setting", "paper", "this_run"])


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
        roles = _roles(splits, key)
        sets = {
            role: manifest[manifest["scan_id"].map(roles).eq(role)]
            for role in ("train", "validation")
        }
        label = f"{key.mode} mode, {key.net}, fold {key.fold} ({number} of {len(plan)})"
        _fit(run, key, sets, label)
        rows.append(_describe(run, key, sets))
    return pd.DataFrame(rows)


def predict_networks(run: Run) -> pd.DataFrame:
    """Predict every scan with every network, and keep predictions and features.

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
        part = manifest[_DESCRIPTION].assign(
            **key._asdict(),
            role=manifest["scan_id"].map(_roles(splits, key)),
            predicted_age=_predict(run, key, list(manifest["scan_id"])),
        )
        parts.append(part[part["role"].notna()])
    table = pd.concat(parts, ignore_index=True)
    write_table(table, run.path("predictions.csv"), PREDICTIONS)
    return read_table(run.path("predictions.csv"), PREDICTIONS)


def _predict(run: Run, key: NetworkKey, scan_ids: list[str]) -> np.ndarray:
    """Ages of all scans by one network; kept, with its features, until something changes."""
    folder = run.network_folder(*key)
    place = folder.relative_to(run.folder).as_posix()
    content = {
        "weights": digest_file(folder / "weights.safetensors"),
        "volumes": digest_file(run.path("volumes", VOLUMES[key.net], "index.csv")),
        "scans": scan_ids,
        # Sums in another order: the last bits depend on it.
        "batch": PREDICTED_AT_ONCE,
        "code": code_digest("data/inputs.py", "models/vgg8.py", "train/predict.py"),
    }
    step, outputs = f"{place}/predictions", [f"{place}/ages.npy", f"{place}/features.npy"]
    if not run.up_to_date(step, content, outputs):
        found = ages_and_features(
            load_network(run, key), network_inputs(run, key.net, scan_ids), PREDICTED_AT_ONCE
        )
        for name, values in zip(outputs, found, strict=True):
            with replacing(run.path(name)) as temporary:
                # Ages as they are computed; features in half the space.
                np.save(temporary, values.astype(np.float32) if values.ndim == 2 else values)
        run.finish(step, content, outputs)
    return np.load(run.path(outputs[0]), allow_pickle=False)


def load_network(run: Run, key: NetworkKey) -> VGG8:
    """Load a finished training's network, ready to predict."""
    model = VGG8(grid(run.profile.grid_mm).shape, load_recipe(key.recipe).channels)
    restore(model, run.network_folder(*key) / "weights.safetensors")
    return model.eval()


def read_logs(run: Run) -> pd.DataFrame:
    """Read the errors by epoch of all trainings.

    Returns
    -------
    DataFrame
        Columns recipe, mode, net, seed, fold, epoch, train_mae, validation_mae (years).
    """
    parts = [
        pd.read_csv(run.network_folder(*key) / "log.csv").assign(**key._asdict())
        for key in plan_networks(run.profile)
    ]
    first = list(NetworkKey._fields)
    table = pd.concat(parts, ignore_index=True)
    return table[[*first, *(name for name in table.columns if name not in first)]]


def training_seed(key: NetworkKey) -> int:
    """Seed of a training: its own for each network, mode and fold.

    Networks that begin with the same weights and see the scans in the same order would err
    alike, which is just what is compared when T, A and a second T are stacked.
    """
    words = json.dumps([key.mode, key.net, key.seed, key.fold]).encode()
    return int.from_bytes(hashlib.sha256(words).digest()[:4], "big")


def _roles(splits: pd.DataFrame, key: NetworkKey) -> dict[str, str]:
    rows = choose(splits, mode=key.mode, fold=key.fold)
    return dict(zip(rows["scan_id"], rows["role"], strict=True))


def _fit(run: Run, key: NetworkKey, sets: dict[str, pd.DataFrame], label: str) -> None:
    recipe = load_recipe(key.recipe)
    settings = replace(train_settings(run.profile), optimiser=recipe.optimiser, loss=recipe.loss)
    volumes = digest_file(run.path("volumes", VOLUMES[key.net], "index.csv"))
    content = {
        "settings": asdict(settings),
        "recipe": asdict(recipe),
        "seed": training_seed(key),
        "volumes": volumes,
        "scans": {
            role: rows[["scan_id", "age"]].to_numpy().tolist() for role, rows in sets.items()
        },
        "code": code_digest(*_CODE),
    }
    folder = run.network_folder(*key)
    place = folder.relative_to(run.folder).as_posix()
    outputs = [f"{place}/{name}" for name in ("weights.safetensors", "log.csv")]
    if run.up_to_date(place, content, outputs):
        return
    mean_age = float(sets["train"]["age"].mean())

    def make_model() -> VGG8:
        model = VGG8(grid(run.profile.grid_mm).shape, recipe.channels)
        # The paper is silent on the start; from 0 years the first epochs of a short
        # training would go into finding the mean.
        model.start_at(mean_age)
        return model

    pairs = {
        role: (network_inputs(run, key.net, rows["scan_id"]), rows["age"].to_numpy())
        for role, rows in sets.items()
    }
    fit_network(
        make_model,
        pairs["train"],
        pairs["validation"],
        settings,
        seed=training_seed(key),
        folder=folder,
        report=_reporter(label),
        identity=volumes,
        metadata={"net": key.net, "recipe": key.recipe, "mode": key.mode, "fold": str(key.fold),
                  "grid_mm": str(run.profile.grid_mm), "source": run.source},
    )  # fmt: skip
    run.finish(place, content, outputs)


def _reporter(label: str):
    began = time.monotonic()

    def report(epoch: int, epochs: int, train_mae: float, validation_mae: float) -> None:
        print(
            f"{label}: epoch {epoch} of at most {epochs}, MAE {train_mae:.2f} (training), "
            f"{validation_mae:.2f} (validation) years, {time.monotonic() - began:.0f} s",
            file=sys.stderr,
            flush=True,
        )

    return report


def _describe(run: Run, key: NetworkKey, sets: dict[str, pd.DataFrame]) -> dict:
    state, facts = load_weights(run.network_folder(*key) / "weights.safetensors")
    parameters = sum(
        tensor.numel()
        for name, tensor in state.items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )
    return {
        **key._asdict(),
        "n_train": len(sets["train"]),
        "n_validation": len(sets["validation"]),
        "epochs": int(facts["epochs"]),
        "best_epoch": int(facts["best_epoch"]),
        "validation_mae": float(facts["validation_mae"]),
        "parameters": parameters,
    }
