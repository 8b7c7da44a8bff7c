"""Tables 1, 2 and 3 and the differences between models, all from the test rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from brainage_lib.stats.metrics import (
    REPLICATES,
    age_sd,
    paired_differences,
    percentile_interval,
    resampled_sums,
)
from brainage_lib.stats.stacking import Stacked, evaluated, models_in
from brainage_lib.tables import AGE_GROUPS, PROJECTS, age_group

SMALL = 10
"""Groups with fewer scans than this are marked."""

PAIRS = (("T", "TA"), ("A", "TA"), ("TA", "TAS"), ("A", "T"))
"""Differences that the paper speaks of; positive where the second is better."""


def table1(stacked: Stacked, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """MAE, MSE and R² of each model on the test rows, with intervals.

    Parameters
    ----------
    stacked : Stacked
    replicates, seed : int
        Of the participant-cluster bootstrap. It resamples the tested people; the networks
        and the stacking are taken as they are.

    Returns
    -------
    DataFrame
        Schema ``TABLE1``: 95 % percentile intervals, missing with a single participant;
        ``age_sd`` with divisor n.
    """
    found = []
    for key, block in evaluated(stacked):
        age = block["age"].to_numpy()
        # Subtracting a constant leaves every variance as it is and keeps digits.
        centred = age - age.mean()
        models = models_in(block)
        errors = block[models].to_numpy() - age[:, None]
        columns = np.column_stack(
            [np.ones(len(age)), centred, centred**2, np.abs(errors), errors**2]
        )
        estimate = _ratios(columns.sum(axis=0, keepdims=True))[0]
        low = high = np.full_like(estimate, np.nan)
        n_participants = block["participant_id"].nunique()
        if n_participants > 1:
            draws = _ratios(resampled_sums(block["participant_id"], columns, replicates, seed))
            low, high = percentile_interval(draws)
        spread = age_sd(age)
        for number, model in enumerate(models):
            row = {**key, "model": model, "n_scans": len(age), "n_participants": n_participants}
            for place, measure in enumerate(("mae", "mse", "r2")):
                row[measure] = estimate[place, number]
                row[f"{measure}_low"] = low[place, number]
                row[f"{measure}_high"] = high[place, number]
            row["age_sd"] = spread
            row["mae_over_sd"] = row["mae"] / spread if spread > 0 else np.inf
            found.append(row)
    return pd.DataFrame(found)


def table2(stacked: Stacked, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """MAE by age group on the test rows.

    Returns
    -------
    DataFrame
        Schema ``TABLE2``: every group of five years and "outside", empty ones with n = 0 and
        MAE missing; ``small`` marks fewer than ten scans. Intervals as in `table1`, missing
        with fewer than two participants.
    """
    return _by_group(stacked, "age_group", replicates, seed)


def table3(stacked: Stacked, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """MAE by project on the test rows.

    Returns
    -------
    DataFrame
        Schema ``TABLE3``: the projects that occur in the predictions, the paper's in its
        order, then others by name; marks and intervals as in `table2`.
    """
    return _by_group(stacked, "project", replicates, seed)


def compare_models(
    stacked: Stacked,
    pairs: Sequence[tuple[str, str]] = PAIRS,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> pd.DataFrame:
    """Paired differences of MAE between models on the test rows.

    Parameters
    ----------
    stacked : Stacked
    pairs : sequence of (first, second)
        MAE of the first minus MAE of the second.
    replicates, seed : int

    Returns
    -------
    DataFrame
        recipe, mode, fitted_on and the columns of `paired_differences`; Holm's correction
        within each recipe, mode and fitted_on.
    """
    found = []
    for key, block in evaluated(stacked):
        errors = block[models_in(block)].sub(block["age"], axis=0)
        table = paired_differences(errors, block["participant_id"], pairs, replicates, seed)
        for position, (name, value) in enumerate(key.items()):
            table.insert(position, name, value)
        found.append(table)
    return pd.concat(found, ignore_index=True)


def projects_in_order(names: Sequence[str]) -> list[str]:
    """Put the paper's projects in the order of its Table 3, then others by name.

    Examples
    --------
    >>> projects_in_order(["Mine", "SLIM", "ADNI"])
    ['ADNI', 'SLIM', 'Mine']
    """
    known = set(names)
    return [name for name in PROJECTS if name in known] + sorted(known - set(PROJECTS))


def _ratios(sums: np.ndarray) -> np.ndarray:
    """MAE, MSE and R² of each model from sums.

    ``sums`` is (replicates, 3 + 2 × models): count, age, age², absolute errors, squared
    errors; the result (replicates, 3, models).
    """
    count = sums[:, :1]
    models = (sums.shape[1] - 3) // 2
    absolute = sums[:, 3 : 3 + models] / count
    squared = sums[:, 3 + models :] / count
    variance = sums[:, 2:3] / count - (sums[:, 1:2] / count) ** 2
    explained = np.full_like(squared, np.nan)
    # Below rounding error of the variance: all ages drawn are equal.
    np.divide(squared, variance, out=explained, where=variance > 1e-9)
    return np.stack([absolute, squared, 1.0 - explained], axis=1)


def _by_group(stacked: Stacked, group: str, replicates: int, seed: int) -> pd.DataFrame:
    found = []
    for key, block in evaluated(stacked):
        if group == "age_group":
            labels, of_scan = list(AGE_GROUPS), np.asarray(age_group(block["age"]))
        else:
            same = (stacked.inputs["recipe"] == key["recipe"]) & (
                stacked.inputs["mode"] == key["mode"]
            )
            labels = projects_in_order(stacked.inputs.loc[same, "project"].unique())
            of_scan = block["project"].to_numpy()
        member = of_scan[:, None] == np.array(labels, dtype=object)[None, :]
        errors = block[models_in(block)].sub(block["age"], axis=0).abs().to_numpy()
        found.append(_group_rows(key, group, labels, member, errors, block, replicates, seed))
    return pd.concat(found, ignore_index=True)


def _group_rows(
    key: dict,
    group: str,
    labels: list[str],
    member: np.ndarray,
    errors: np.ndarray,
    block: pd.DataFrame,
    replicates: int,
    seed: int,
) -> pd.DataFrame:
    """Rows of one block; ``member`` is (scans, groups), ``errors`` (scans, models)."""
    weights = member.astype(float)
    models = models_in(block)
    by_model = [weights * errors[:, [number]] for number in range(len(models))]
    columns = np.concatenate([weights, *by_model], axis=1)
    estimate = _means(columns.sum(axis=0, keepdims=True), len(labels))[0]
    draws = resampled_sums(block["participant_id"], columns, replicates, seed)
    low, high = percentile_interval(_means(draws, len(labels)))
    found = []
    for number, model in enumerate(models):
        for place, label in enumerate(labels):
            inside = member[:, place]
            n_participants = block.loc[inside, "participant_id"].nunique()
            # One person drawn again and again has no spread; that is not certainty.
            sure = n_participants > 1
            found.append(
                {
                    **key,
                    "model": model,
                    group: label,
                    "n_scans": int(inside.sum()),
                    "n_participants": n_participants,
                    "mae": estimate[number, place],
                    "mae_low": low[number, place] if sure else np.nan,
                    "mae_high": high[number, place] if sure else np.nan,
                    "small": bool(inside.sum() < SMALL),
                }
            )
    return pd.DataFrame(found)


def _means(sums: np.ndarray, groups: int) -> np.ndarray:
    """Mean by model and group from sums: (replicates, models, groups), NaN for empty groups."""
    count = sums[:, None, :groups]
    total = sums[:, groups:].reshape(len(sums), -1, groups)
    means = np.full_like(total, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means
