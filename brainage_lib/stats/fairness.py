"""For whom: women and men, studies at equal ages, studies that were left out, and guesses."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brainage_lib.stats.bias import fold_corrected_gaps
from brainage_lib.stats.metrics import (
    REPLICATES,
    age_sd,
    mae_with_interval,
    percentile_interval,
    resampled_sums,
)
from brainage_lib.stats.regression import MODEL_TERMS, fit_model
from brainage_lib.stats.stacking import Stacked
from brainage_lib.stats.summary import projects_in_order
from brainage_lib.stats.tested import SMALL, by_model, compared_means, resampled_means
from brainage_lib.tables import DECADES, MODELS, decade

SEXES = ("F", "M")


def by_sex(stacked: Stacked, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """MAE and mean gap of women and of men on the test rows, and their difference.

    Returns
    -------
    DataFrame
        Schema ``BY_SEX``; years, intervals by participant. The row "F − M" is the difference
        of the two, with both sizes added. ``corrected_gap`` is the gap less that of controls
        of the same age (linear): where women and men are of different ages, the raw gap
        differs by regression towards the mean alone. A sex that is not there has n = 0.
    """
    found = []
    for key, rows in by_model(stacked, seed=seed):
        measures = {
            "mae": rows["error"].abs().to_numpy(),
            "gap": rows["error"].to_numpy(),
            "corrected_gap": fold_corrected_gaps(rows).to_numpy(),
        }
        members = np.column_stack([rows["sex"] == sex for sex in SEXES])
        known = members & ~np.isnan(measures["corrected_gap"])[:, None]
        inside = np.concatenate([members, members, known], axis=1)
        values = np.repeat(np.column_stack(list(measures.values())), 2, axis=1)
        means = np.array([_mean(values[here, k]) for k, here in enumerate(inside.T)])
        draws = resampled_means(rows["participant_id"], values, inside, replicates, seed)
        people = [rows.loc[here, "participant_id"].nunique() for here in members.T]
        for place, sex in enumerate((*SEXES, "F − M")):
            here = members[:, place] if place < 2 else members.any(axis=1)
            fewest = people[place] if place < 2 else min(people)
            row = {
                **key,
                "sex": sex,
                "n_scans": int(here.sum()),
                "n_participants": rows.loc[here, "participant_id"].nunique(),
            }
            for number, name in enumerate(measures):
                pair, drawn = means[2 * number :][:2], draws[:, 2 * number : 2 * number + 2]
                if place < 2:
                    value, drawn = pair[place], drawn[:, place]
                else:
                    value, drawn = pair[0] - pair[1], drawn[:, 0] - drawn[:, 1]
                low, high = percentile_interval(drawn) if fewest > 1 else (np.nan, np.nan)
                row |= {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}
            sizes = members.sum(axis=0)
            row["small"] = bool((sizes[place] if place < 2 else sizes.min()) < SMALL)
            found.append(row)
    return pd.DataFrame(found)


def studies(stacked: Stacked, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """MAE of each project beside what its ages alone would let one expect.

    A study of students is easy, because nobody in it can be far from twenty. So each scan is
    expected to err as all tested scans of its decade do (indirect standardisation, as of
    mortality ratios); ``ratio`` is the project's MAE over that, and ``standardised_mae`` the
    ratio times the MAE of all.

    Returns
    -------
    DataFrame
        Schema ``STUDIES``; years, intervals by participant, in which what is expected is
        drawn anew as well. A project that is alone in its decades is its own yardstick: its
        ratio is near 1 whatever it errs.
    """
    found = []
    for key, rows in by_model(stacked):
        projects = projects_in_order(rows["project"].unique())
        error = rows["error"].abs().to_numpy()
        of_age = np.asarray(decade(rows["age"]).astype(str))
        ages = [name for name in DECADES if (of_age == name).any()]
        inside = np.column_stack([rows["project"] == name for name in projects]).astype(float)
        aged = np.column_stack([of_age == name for name in ages]).astype(float)
        # Counts of project × decade, then sums of errors by decade and by project.
        cells = (inside[:, :, None] * aged[:, None, :]).reshape(len(rows), -1)
        columns = np.concatenate([cells, aged * error[:, None], inside * error[:, None]], axis=1)
        shape = (len(projects), len(ages))
        estimate = _standardised(columns.sum(axis=0, keepdims=True), shape)
        draws = _standardised(
            resampled_sums(rows["participant_id"], columns, replicates, seed), shape
        )
        ends = [percentile_interval(draws[name]) for name in ("ratio", "standardised")]
        for place, name in enumerate(projects):
            here = rows[inside[:, place] > 0]
            people = here["participant_id"].nunique()
            row = {**key, "project": name, "n_scans": len(here), "n_participants": people}
            row |= {"age_sd": age_sd(here["age"]), "small": len(here) < SMALL}
            row["mae"] = estimate["mae"][0, place]
            row["expected_mae"] = estimate["expected"][0, place]
            measures = ("ratio", "ratio"), ("standardised_mae", "standardised")
            for (column, of), (low, high) in zip(measures, ends, strict=True):
                row[column] = estimate[of][0, place]
                row[f"{column}_low"] = low[place] if people > 1 else np.nan
                row[f"{column}_high"] = high[place] if people > 1 else np.nan
            found.append(row)
    return pd.DataFrame(found)


def left_out_studies(stacked: Stacked, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """MAE of each project with the stacking fitted on the other projects alone.

    From predictions one can leave a study out of the stacking; whether the networks had seen
    it stands in ``left_out_of``, read from the training rows of the fold that tests it. To
    leave it out of the networks too, make each project a fold.

    Returns
    -------
    DataFrame
        Schema ``LEFT_OUT``, sound mode only: ``difference`` is the MAE with the study left
        out minus the MAE out of fold, on the same scans (years). Projects without enough
        others to fit on have no row.
    """
    found = []
    inputs = stacked.inputs[stacked.inputs["mode"] == "sound"]
    usual = stacked.rows[(stacked.rows["mode"] == "sound") & (stacked.rows["role"] == "test")]
    for recipe, block in inputs.groupby("recipe", sort=False):
        test = block[block["role"] == "test"]
        for project in projects_in_order(test["project"].unique()):
            here = test[test["project"] == project]
            for model in MODELS:
                parts = []
                for fold, rows in here.groupby("fold"):
                    fitting = test[
                        (test["diagnosis"] == "control")
                        & (test["project"] != project)
                        & (test["fold"] != fold)
                    ]
                    if len(fitting) < len(MODEL_TERMS["TAS"]) + 2:
                        # With projects as folds, the other folds are the other projects.
                        break
                    told = fit_model(fitting, model).predict(rows)
                    parts.append(rows.assign(left_out=np.abs(told - rows["age"])))
                else:
                    out = usual[(usual["recipe"] == recipe) & (usual["model"] == model)]
                    out = out.set_index("scan_id")
                    rows = pd.concat(parts, ignore_index=True)
                    of_scan = rows["scan_id"]
                    before = (out["stacked_age"] - out["age"]).abs().reindex(of_scan).to_numpy()
                    everyone = np.ones(len(rows), bool)
                    compared = compared_means(
                        rows["participant_id"],
                        (rows["left_out"].to_numpy(), everyone),
                        (before, everyone),
                        replicates,
                        seed,
                    )
                    found.append(
                        {
                            "recipe": recipe,
                            "mode": "sound",
                            "model": model,
                            "project": project,
                            "left_out_of": _left_out_of(block, here),
                            "n_scans": len(rows),
                            "n_participants": rows["participant_id"].nunique(),
                            "mae": compared["second"],
                            "mae_left_out": compared["first"],
                            **{name: compared[name] for name in ("difference", "low", "high")},
                            "small": len(rows) < SMALL,
                        }
                    )
    return pd.DataFrame(found)


def guesses(stacked: Stacked, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """Error of saying the same age of everyone: the least that any model must beat.

    Returns
    -------
    DataFrame
        Schema ``GUESSES``: the median and the mean age of the rows that the networks of the
        same fold learned from; where a table has no training rows, of the other folds' tests.
    """
    found = []
    for (recipe, mode), block in stacked.inputs.groupby(["recipe", "mode"], sort=False):
        test = block[block["role"] == "test"]
        learned = block[block["role"].isin(["train", "validation"])]
        for guess in ("median age", "mean age"):
            parts = []
            for fold, rows in test.groupby("fold"):
                of_fold = learned[learned["fold"] == fold]
                source = of_fold if len(of_fold) else test[test["fold"] != fold]
                age = source["age"].median() if guess == "median age" else source["age"].mean()
                parts.append(rows.assign(predicted_age=age))
            rows = pd.concat(parts, ignore_index=True)
            value, low, high = mae_with_interval(rows, replicates, seed)
            spread = age_sd(rows["age"])
            found.append(
                {
                    "recipe": recipe,
                    "mode": mode,
                    "guess": guess,
                    "learned_from": "training rows" if len(learned) else "other folds",
                    "n_scans": len(rows),
                    "n_participants": rows["participant_id"].nunique(),
                    "mae": value,
                    "mae_low": low,
                    "mae_high": high,
                    "age_sd": spread,
                    "mae_over_sd": value / spread if spread > 0 else np.inf,
                }
            )
    return pd.DataFrame(found)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _standardised(sums: np.ndarray, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """MAE, expected MAE (years), ratio and standardised MAE (years): (replicates, projects)."""
    projects, ages = shape
    cells = sums[:, : projects * ages].reshape(len(sums), projects, ages)
    by_age = sums[:, projects * ages : projects * ages + ages]
    by_project = sums[:, projects * ages + ages :]
    of_age = cells.sum(axis=1)
    usual = np.zeros_like(by_age)
    np.divide(by_age, of_age, out=usual, where=of_age > 0)
    count = cells.sum(axis=2)
    expected = np.full_like(count, np.nan)
    np.divide((cells * usual[:, None, :]).sum(axis=2), count, out=expected, where=count > 0)
    mae = np.full_like(count, np.nan)
    np.divide(by_project, count, out=mae, where=count > 0)
    ratio = np.full_like(count, np.nan)
    np.divide(mae, expected, out=ratio, where=expected > 0)
    overall = by_age.sum(axis=1, keepdims=True) / of_age.sum(axis=1, keepdims=True)
    return {"mae": mae, "expected": expected, "ratio": ratio, "standardised": ratio * overall}


def _left_out_of(block: pd.DataFrame, here: pd.DataFrame) -> str:
    trained = block[block["role"].isin(["train", "validation"])]
    if trained.empty:
        return "stacking; networks unknown"
    seen = trained[
        (trained["project"] == here["project"].iloc[0]) & trained["fold"].isin(here["fold"])
    ]
    return "networks and stacking" if seen.empty else "stacking"
