"""How far two runs lie apart, and how sure one can be of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brainage_lib.stats.metrics import REPLICATES
from brainage_lib.stats.stacking import Stacked
from brainage_lib.stats.tested import by_model, compared_means

KEY = ["recipe", "mode", "fitted_on", "model"]


def between_runs(
    first: Stacked,
    second: Stacked,
    same_people: bool,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> pd.DataFrame:
    """Differences of MAE between two runs, each on the scans that it tested.

    Parameters
    ----------
    first, second : Stacked
    same_people : bool
        Whether equal names mean the same people: they are drawn together then.
    replicates, seed : int
        Of the participant-cluster bootstrap.

    Returns
    -------
    DataFrame
        A row a model that both have: recipe, mode, fitted_on, model, n_first, n_second (tested
        scans), n_both (of them in both), mae_first, mae_second, difference (second − first),
        low, high (years; 95 % percentile interval), p (two-sided). Interval and p are NaN where
        a run has fewer than two people. They are of the scans that were tested: that a network
        trained again would be another one is not in them.
    """
    tested = {}
    for key, rows in by_model(first):
        tested[tuple(key[name] for name in KEY)] = [rows]
    for key, rows in by_model(second):
        tested.get(tuple(key[name] for name in KEY), []).append(rows)
    found = []
    for key, pair in tested.items():
        if len(pair) == 2:
            found.append(
                dict(zip(KEY, key, strict=True)) | _compared(*pair, same_people, replicates, seed)
            )
    return pd.DataFrame(found)


def _compared(
    first: pd.DataFrame, second: pd.DataFrame, same_people: bool, replicates: int, seed: int
) -> dict[str, float]:
    sets = []
    for number, rows in enumerate((first, second)):
        own = rows[["scan_id", "participant_id"]].astype(str)
        if not same_people:
            own = f"{number} " + own
        sets.append(own.assign(error=rows["error"].abs()))
    scans = sets[0].merge(
        sets[1], on=["scan_id", "participant_id"], how="outer", suffixes=("_first", "_second")
    )
    errors = [scans[f"error_{name}"].to_numpy(dtype=float) for name in ("first", "second")]
    there = [~np.isnan(values) for values in errors]
    compared = compared_means(
        scans["participant_id"], (errors[1], there[1]), (errors[0], there[0]), replicates, seed
    )
    return {
        "n_first": int(there[0].sum()),
        "n_second": int(there[1].sum()),
        "n_both": int((there[0] & there[1]).sum()),
        "mae_first": compared["second"],
        "mae_second": compared["first"],
        **{name: compared[name] for name in ("difference", "low", "high", "p")},
    }
