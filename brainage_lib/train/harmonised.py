"""What ComBat changes: the study in the networks' features, and the age told from them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brainage_lib.data import kept
from brainage_lib.run import Run, plan_networks
from brainage_lib.stats.harmonise import fit_combat, readable_projects
from brainage_lib.stats.metrics import REPLICATES, mae_with_interval
from brainage_lib.tables import SPLITS, choose, read_table

PENALTY = 10.0
"""Of the ridge regression on standardised features."""


def compare_harmonised(
    run: Run, recipe: str, replicates: int = REPLICATES, seed: int = 0
) -> pd.DataFrame:
    """Harmonise the features of each fold's networks, and see what that changes.

    Of each network of the sound mode the penultimate features (``features.npy``) of its
    training and validation rows fit ComBat and a ridge regression on age; both are applied to
    its test rows. Studies without two training rows in some fold are left out throughout.

    Parameters
    ----------
    run : Run
        With networks, splits and predictions.
    recipe : str
    replicates, seed : int
        Of the participant-cluster bootstrap.

    Returns
    -------
    DataFrame
        Schema ``HARMONISED``, a row a net without and with ComBat. No rows without a sound mode.
    """
    manifest = kept(run).reset_index(drop=True)
    splits = choose(read_table(run.path("splits.csv"), SPLITS), mode="sound")
    keys = [key for key in plan_networks(run.profile)
            if key.mode == "sound" and key.recipe == recipe
            and key.seed == min(run.profile.seeds)]  # fmt: skip
    found = []
    for net in dict.fromkeys(key.net for key in keys):
        parts = [
            _of_fold(np.load(run.network_folder(*key) / "features.npy"), manifest,
                     choose(splits, fold=key.fold))
            for key in keys if key.net == net
        ]  # fmt: skip
        rows = pd.concat([part for part, _, _ in parts], ignore_index=True)
        for place, harmonised in enumerate(("no", "ComBat"), start=1):
            if rows.empty:
                continue
            features = np.concatenate([part[place] for part in parts])
            told = rows.assign(predicted_age=rows[harmonised])
            value, low, high = mae_with_interval(told, replicates, seed)
            study = readable_projects(features, rows, replicates, seed)
            found.append(
                {
                    "recipe": recipe,
                    "net": net,
                    "harmonised": harmonised,
                    "n_scans": len(rows),
                    "n_participants": rows["participant_id"].nunique(),
                    "mae": value,
                    "mae_low": low,
                    "mae_high": high,
                    "projects": study["projects"],
                    "read": study["accuracy"],
                    "read_low": study["low"],
                    "read_high": study["high"],
                    "chance": study["chance"],
                }
            )
    return pd.DataFrame(found)


def _of_fold(
    features: np.ndarray, manifest: pd.DataFrame, split: pd.DataFrame
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Give tested rows with the ages told (``no``, ``ComBat``), and their features in both forms.

    Features are standardised within the fold: those of two networks have no common axes, but
    a study that is shifted is shifted in each.
    """
    role = manifest["scan_id"].map(dict(zip(split["scan_id"], split["role"], strict=True)))
    learned = role.isin(["train", "validation"])
    sizes = manifest.loc[learned, "project"].value_counts()
    there = manifest["project"].isin(sizes[sizes > 1].index)
    learned, tested = (learned & there).to_numpy(), (role.eq("test") & there).to_numpy()
    old, new = manifest[learned], manifest[tested]
    combat = fit_combat(features[learned], old["project"], old["age"].to_numpy(), old["sex"])
    rows, forms = new[["participant_id", "project", "age"]].copy(), []
    for name in ("no", "ComBat"):
        x, y = features[learned].astype(float), features[tested].astype(float)
        if name == "ComBat":
            x, y = combat.apply(x, old["project"]), combat.apply(y, new["project"])
        mean, spread = x.mean(axis=0), x.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        x, y = (x - mean) / spread, (y - mean) / spread
        rows[name] = _ridge(x, old["age"].to_numpy(), y)
        forms.append(y)
    return rows.reset_index(drop=True), *forms


def _ridge(x: np.ndarray, age: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Ages (years) of new rows by ridge regression; ``x`` has mean 0."""
    weights = np.linalg.solve(x.T @ x + PENALTY * np.eye(x.shape[1]), x.T @ (age - age.mean()))
    return age.mean() + new @ weights
