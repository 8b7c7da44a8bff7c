"""Errors of single networks on test scans, before any stacking."""

from __future__ import annotations

import pandas as pd

from brainage_lib.stats.corrected import refuse_corrected
from brainage_lib.stats.metrics import REPLICATES, mae_with_interval

NETWORK = ["recipe", "mode", "net", "seed"]


def network_errors(
    predictions: pd.DataFrame, replicates: int = REPLICATES, seed: int = 0
) -> pd.DataFrame:
    """MAE of each network on its test scans, with its interval.

    Parameters
    ----------
    predictions : DataFrame
        Schema ``PREDICTIONS``; folds of one network are taken together.
    replicates, seed : int
        Of the participant-cluster bootstrap.

    Returns
    -------
    DataFrame
        Columns recipe, mode, net, seed, n_scans, n_participants, mae, mae_low, mae_high,
        guess_mae (years): the last one is the error of saying the tested people's median age of
        everyone.
    """
    refuse_corrected(predictions, "predictions")
    rows = []
    test = predictions[predictions["role"] == "test"]
    for key, part in test.groupby(NETWORK, sort=False):
        value, low, high = mae_with_interval(part, replicates, seed)
        rows.append(
            {
                **dict(zip(NETWORK, key, strict=True)),
                "n_scans": len(part),
                "n_participants": part["participant_id"].nunique(),
                "mae": value,
                "mae_low": low,
                "mae_high": high,
                "guess_mae": (part["age"] - part["age"].median()).abs().mean(),
            }
        )
    columns = ["n_scans", "n_participants", "mae", "mae_low", "mae_high", "guess_mae"]
    return pd.DataFrame(rows, columns=[*NETWORK, *columns])
