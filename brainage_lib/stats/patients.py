"""Gaps of patients against those of controls, and the slope of the gap over age."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brainage_lib.stats.bias import fold_corrected_gaps
from brainage_lib.stats.metrics import (
    REPLICATES,
    bootstrap_p,
    percentile_interval,
    resampled_sums,
)
from brainage_lib.stats.stacking import Stacked
from brainage_lib.stats.tested import SMALL, by_model, resampled_means

ALL = "all patients"
GAPS = ("raw", "linear", "lowess")
"""Gap as it is, and less the mean gap of controls of that age in two ways."""


def patients(stacked: Stacked, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """Mean gap of patients less that of controls, by diagnosis and of all together.

    Parameters
    ----------
    stacked : Stacked
        Patients are the rows apart, and tested rows that are not controls.
    replicates, seed : int
        Of the participant-cluster bootstrap of both groups.

    Returns
    -------
    DataFrame
        Schema ``PATIENTS``; years, n in scans. Patients are often older than controls, whose
        raw gap falls with age: the corrected gaps compare people of one age. ``trained_on``
        counts the patients' scans from which some network of the recipe and mode learned; where
        there are any, the difference is one of people whom the networks know. No rows
        without patients.
    """
    found = []
    inputs = stacked.inputs
    for key, rows in by_model(stacked, ("test", "apart"), seed):
        gaps = {
            "raw": rows["error"],
            "linear": fold_corrected_gaps(rows),
            "lowess": fold_corrected_gaps(rows, "lowess"),
        }
        control = (rows["diagnosis"] == "control") & (rows["role"] == "test")
        ill = rows["diagnosis"] != "control"
        learned = inputs[
            (inputs["recipe"] == key["recipe"])
            & (inputs["mode"] == key["mode"])
            & inputs["role"].isin(["train", "validation"])
        ]["scan_id"]
        names = _diagnoses(rows.loc[ill, "diagnosis"])
        groups = {name: ill if name == ALL else ill & (rows["diagnosis"] == name) for name in names}
        compared = _compared(rows, gaps, {"controls": control, **groups}, replicates, seed)
        for name, here in groups.items():
            scans = set(rows.loc[here, "scan_id"])
            for gap in GAPS:
                found.append(
                    {
                        **key,
                        "diagnosis": name,
                        "gap": gap,
                        "n_patients": int(here.sum()),
                        "n_controls": int(control.sum()),
                        **compared[name, gap],
                        "trained_on": learned[learned.isin(scans)].nunique(),
                        "small": bool(min(here.sum(), control.sum()) < SMALL),
                    }
                )
    return pd.DataFrame(found)


def bias_over_age(stacked: Stacked, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """Slope of the tested controls' gap over age, raw and after each correction.

    Returns
    -------
    DataFrame
        Schema ``BIAS``: ``slope`` in years a year with interval by participant, mean and SD
        of the gap in years. A slope of −0.2 says that people forty years older look eight years
        younger for their age than others do.
    """
    found = []
    for key, rows in by_model(stacked, seed=seed):
        rows = rows[rows["diagnosis"] == "control"].reset_index(drop=True)
        gaps = {
            "raw": rows["error"],
            "linear": fold_corrected_gaps(rows),
            "lowess": fold_corrected_gaps(rows, "lowess"),
        }
        for kind, values in gaps.items():
            known = values.notna()
            part, gap = rows[known], values[known].to_numpy()
            found.append(
                {
                    **key,
                    "kind": kind,
                    "n_scans": len(part),
                    "n_participants": part["participant_id"].nunique(),
                    **_slope(part, gap, replicates, seed),
                    "mean_gap": float(gap.mean()) if len(gap) else np.nan,
                    "gap_sd": float(gap.std()) if len(gap) else np.nan,
                    "uses_true_age": kind != "raw",
                }
            )
    return pd.DataFrame(found)


def _compared(
    rows: pd.DataFrame,
    gaps: dict[str, pd.Series],
    groups: dict[str, pd.Series],
    replicates: int,
    seed: int,
) -> dict[tuple[str, str], dict[str, float]]:
    """Compare the mean gap of each group with that of the first one, all with the same draws."""
    keys = [(name, gap) for name in groups for gap in gaps]
    values = np.column_stack([gaps[gap] for _, gap in keys])
    members = np.column_stack([groups[name] & gaps[gap].notna() for name, gap in keys])
    people = [rows.loc[here, "participant_id"].nunique() for here in members.T]
    means = np.array([values[here, k].mean() if here.any() else np.nan
                      for k, here in enumerate(members.T)])  # fmt: skip
    draws = resampled_means(rows["participant_id"], values, members, replicates, seed)
    found = {}
    for place, (name, gap) in enumerate(keys):
        base = place % len(gaps)
        difference = means[place] - means[base]
        low = high = p = np.nan
        if min(people[place], people[base]) > 1:
            drawn = draws[:, place] - draws[:, base]
            low, high = percentile_interval(drawn)
            p = bootstrap_p(drawn[~np.isnan(drawn)], difference)
        found[name, gap] = {
            "patients_gap": means[place],
            "controls_gap": means[base],
            "difference": difference,
            "low": float(low),
            "high": float(high),
            "p": p,
        }
    return found


def _slope(rows: pd.DataFrame, gap: np.ndarray, replicates: int, seed: int) -> dict[str, float]:
    """Slope of the gap over age, years a year, with its interval."""
    unknown = dict.fromkeys(("slope", "slope_low", "slope_high"), np.nan)
    if rows["age"].nunique() < 2:
        return unknown
    age = rows["age"].to_numpy() - rows["age"].mean()
    columns = np.column_stack([np.ones(len(age)), age, age**2, gap, age * gap])
    value = _slopes(columns.sum(axis=0, keepdims=True))[0]
    if rows["participant_id"].nunique() < 2:
        return unknown | {"slope": float(value)}
    draws = _slopes(resampled_sums(rows["participant_id"], columns, replicates, seed))
    low, high = percentile_interval(draws)
    return {"slope": float(value), "slope_low": float(low), "slope_high": float(high)}


def _slopes(sums: np.ndarray) -> np.ndarray:
    count, age, squared, gap, product = sums.T
    variance = squared - age**2 / count
    slopes = np.full(len(sums), np.nan)
    # Below rounding error: all ages drawn are equal.
    np.divide(product - age * gap / count, variance, out=slopes, where=variance > 1e-9 * count)
    return slopes


def _diagnoses(names: pd.Series) -> list[str]:
    """Every diagnosis, and all together where there are several."""
    single = sorted(names.unique())
    return [ALL, *single] if len(single) > 1 else single
