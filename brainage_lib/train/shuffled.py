"""Trainings on shuffled ages: a network that had nothing to learn but the scans by heart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from brainage_lib.data import kept
from brainage_lib.models import load_weights
from brainage_lib.run import Run, ShuffledKey, plan_shuffled
from brainage_lib.tables import SPLITS, read_table
from brainage_lib.train.cohort import fit_key, sets_of, train_settings, training_seed
from brainage_lib.train.settings import load_recipe


def fit_shuffled(run: Run, keys: Sequence[ShuffledKey] | None = None) -> pd.DataFrame:
    """Train the networks that a profile asks for on shuffled ages (Adebayo et al. 2018).

    Each has its own start, the recipe and the training scans of the first fold, and the ages of
    these scans in another order. The weights that are kept are those of the epoch that knows
    most by heart: the error that is watched is that of some of the training scans, as many as
    another training is stopped by.

    Parameters
    ----------
    run : Run
        With splits and volumes.
    keys : sequence of ShuffledKey, optional
        Only these; all that the profile asks for unless given.

    Returns
    -------
    DataFrame
        A row a training: recipe, mode, net, seed, fold, n_train, epochs, best_epoch,
        learned_mae (years, of the shuffled ages), guess_mae (of their median).
    """
    rows = []
    for key in plan_shuffled(run.profile) if keys is None else keys:
        sets = shuffled_sets(run, key)
        settings = train_settings(run.profile, load_recipe(key.recipe))
        epochs = run.profile.attribution.shuffled_epochs or settings.epochs
        settings = replace(settings, epochs=min(epochs, settings.epochs))
        label = f"shuffled ages, recipe {key.recipe}, {key.mode} mode, {key.net}"
        fit_key(run, key, sets, settings, label, {"ages": "shuffled"})
        _, facts = load_weights(run.path("networks", key.place, "weights.safetensors"))
        ages = sets["train"]["age"]
        rows.append(
            {
                **key._asdict(),
                "n_train": len(ages),
                "epochs": int(facts["epochs"]),
                "best_epoch": int(facts["best_epoch"]),
                "learned_mae": float(facts["validation_mae"]),
                "guess_mae": float((ages - ages.median()).abs().mean()),
            }
        )
    return pd.DataFrame(rows)


def shuffled_sets(run: Run, key: ShuffledKey) -> dict[str, pd.DataFrame]:
    """Rows of a training's scans with their ages shuffled: ``train`` and, of it, ``validation``."""
    sets = sets_of(kept(run), read_table(run.path("splits.csv"), SPLITS), key)
    rng = np.random.default_rng(training_seed(key))
    train = sets["train"]
    train = train.assign(age=rng.permutation(train["age"].to_numpy()))
    n = min(max(len(sets["validation"]), 1), len(train))
    return {"train": train, "validation": train.sample(n, random_state=rng)}
