"""Synthetic predictions with a known answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.tables import PROJECTS


def people(n, seed=0, projects=PROJECTS, repeats=1):
    """``n`` participants with ``repeats`` scans each, ages uniform on 18–90."""
    # Drawn apart, so that a larger cohort begins with the same people.
    person = np.repeat(np.arange(n), repeats)
    age = np.repeat(np.random.default_rng([seed, 11]).uniform(18, 90, n), repeats)
    female = np.repeat(np.random.default_rng([seed, 12]).random(n) < 0.5, repeats)
    return pd.DataFrame(
        {
            "scan_id": [f"s{i:05d}" for i in range(n * repeats)],
            "participant_id": [f"p{i:05d}" for i in person],
            "project": np.array(projects)[person % len(projects)],
            "session": np.tile([str(s) for s in range(repeats)], n),
            "age": age,
            "sex": np.where(female, "F", "M"),
            "diagnosis": "control",
        }
    )


def nets(scans, rng, sd_t, sd_a, correlation, recipe="paper"):
    """Rows of T and A whose errors have the given SDs (years) and correlation."""
    shared, own = rng.normal(size=(2, len(scans)))
    error_t = sd_t * shared
    error_a = sd_a * (correlation * shared + np.sqrt(1 - correlation**2) * own)
    base = scans.assign(recipe=recipe, seed=0)
    return pd.concat(
        [
            base.assign(net="T", predicted_age=scans["age"] + error_t),
            base.assign(net="A", predicted_age=scans["age"] + error_a),
        ],
        ignore_index=True,
    )


def paper_predictions(n=1000, seed=0, train_sd=0.7, test_sd=5.4, correlation=0.6):
    """Paper mode: 8:1:1, training rows memorised."""
    rng = np.random.default_rng([seed, 1])
    scans = people(n, seed)
    role = np.where(
        np.arange(n) % 10 < 8, "train", np.where(np.arange(n) % 10 == 8, "validation", "test")
    )
    scans = scans.assign(mode="paper", role=role, fold=0)
    memorised = scans["role"] == "train"
    return pd.concat(
        [
            nets(scans[memorised], rng, train_sd, train_sd, correlation),
            nets(scans[~memorised], rng, test_sd, test_sd * 1.07, correlation),
        ],
        ignore_index=True,
    )


def sound_predictions(n=600, seed=0, folds=3, sd=5.0, correlation=0.6, repeats=1, patients=20):
    """Sound mode: every control tested once; every fold also predicts its training rows."""
    rng = np.random.default_rng([seed, 2])
    scans = people(n, seed, repeats=repeats)
    of_person = scans["participant_id"].str[1:].astype(int) % folds
    parts = []
    apart = people(patients, seed + 99).assign(diagnosis="AD") if patients else None
    if patients:
        apart = apart.assign(
            scan_id="x" + apart["scan_id"], participant_id="x" + apart["participant_id"]
        )
    for fold in range(folds):
        test = (of_person == fold).to_numpy()
        common = {"mode": "sound", "fold": fold}
        parts.append(nets(scans[test].assign(role="test", **common), rng, sd, sd, correlation))
        parts.append(nets(scans[~test].assign(role="train", **common), rng, 0.5, 0.5, correlation))
        if patients:
            parts.append(nets(apart.assign(role="apart", **common), rng, sd, sd, correlation))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="session")
def make_people():
    return people


@pytest.fixture(scope="session")
def make_paper():
    return paper_predictions


@pytest.fixture(scope="session")
def make_sound():
    return sound_predictions


@pytest.fixture(scope="session")
def both_modes():
    return pd.concat([paper_predictions(), sound_predictions()], ignore_index=True)
