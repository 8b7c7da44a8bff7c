"""What is known of a run's trainings once they are done; nothing is trained here."""

from __future__ import annotations

import pandas as pd

from brainage_lib.data import kept
from brainage_lib.models import load_weights
from brainage_lib.run import Run, plan_networks
from brainage_lib.tables import SPLITS, choose, read_table


def read_trainings(run: Run) -> pd.DataFrame:
    """Describe the trainings whose weights are in the run folder.

    Returns
    -------
    DataFrame
        A row a training: recipe, mode, net, seed, fold, n_train, n_validation (scans),
        validation_participants, epochs, best_epoch, validation_mae (years).
    """
    splits = read_table(run.path("splits.csv"), SPLITS)
    people = kept(run)[["scan_id", "participant_id"]]
    rows = []
    for key in plan_networks(run.profile):
        path = run.network_folder(*key) / "weights.safetensors"
        if not path.is_file():
            continue
        _, facts = load_weights(path)
        used = people.merge(choose(splits, mode=key.mode, fold=key.fold), on="scan_id")
        validation = used[used["role"] == "validation"]
        rows.append(
            {
                **key._asdict(),
                "n_train": int((used["role"] == "train").sum()),
                "n_validation": len(validation),
                "validation_participants": validation["participant_id"].nunique(),
                "epochs": int(facts["epochs"]),
                "best_epoch": int(facts["best_epoch"]),
                "validation_mae": float(facts["validation_mae"]),
            }
        )
    return pd.DataFrame(rows)
