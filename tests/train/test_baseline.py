"""The yardstick without a network: fitted on a fold's own people, asked about its test people."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from brainage_lib.data import VolumeWriter
from brainage_lib.imaging import grid
from brainage_lib.run import start_run
from brainage_lib.tables import MANIFEST, PREDICTIONS, QUALITY, SPLITS, read_table, write_table
from brainage_lib.train import baseline

SCANS = 40
PROFILE = {
    "cohort": "none.csv", "grid_mm": 4, "modes": ["paper", "sound"], "folds": 2, "epochs": 1,
    "patience": 1, "batch": 3, "learning_rate": 0.0001,
    "generator": {
        "size": "demo", "patch": 16, "overlap": 0.25, "people": 1, "steps": 1, "batch": 1,
        "learning_rate": 0.001,
    },
}  # fmt: skip
SHAPE = grid(4).shape


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Brains whose core darkens with age; the last scan is a patient's, the one before dropped."""
    folder = tmp_path_factory.mktemp("baseline")
    (folder / "asked.yml").write_text(yaml.safe_dump(PROFILE))
    run = start_run(folder, folder / "asked.yml")
    rng = np.random.default_rng(0)
    people = pd.DataFrame({"scan_id": [f"s{n}" for n in range(SCANS)]})
    people = people.assign(
        participant_id=people["scan_id"], project="IXI", session="1",
        age=rng.uniform(20, 80, SCANS), sex="F", diagnosis="control", path="none.nii.gz",
        t1w_state="mni152-brain",
    )  # fmt: skip
    people.loc[SCANS - 1, "diagnosis"] = "AD"
    write_table(people, run.path("manifest.csv"), MANIFEST)
    quality = people[["scan_id", "project"]].assign(verdict="keep", reasons="")
    quality.loc[SCANS - 2, "verdict"] = "drop"
    for name in QUALITY.columns:
        if name not in quality:
            quality[name] = 1.0
    write_table(quality, run.path("quality.csv"), QUALITY)
    run.path("cohort.json").write_text(json.dumps({"simulated": False}))
    rows = []
    for fold in (0, 1):
        for number in range(SCANS):
            role = "test" if number % 2 == fold else "validation" if number % 5 == 0 else "train"
            role = "apart" if number == SCANS - 1 else role
            if number != SCANS - 2:
                rows.append((f"s{number}", "sound", fold, role, pd.NA))
                if fold == 0:
                    rows.append((f"s{number}", "paper", fold, "train", 1))
    splits = pd.DataFrame(rows, columns=list(SPLITS.columns)).astype({"partition": "Int64"})
    write_table(splits, run.path("splits.csv"), SPLITS)
    core = np.zeros(SHAPE, bool)
    core[16:32, 20:44, 16:32] = True
    with VolumeWriter(run.path("volumes", "t1w"), SHAPE) as writer:
        for scan_id, age in zip(people["scan_id"], people["age"], strict=True):
            volume = np.where(core, 1.2 - age / 100, 0.8) + rng.normal(0, 0.05, SHAPE)
            writer.add(scan_id, volume.astype(np.float32))
    return run


def test_every_tested_scan_is_predicted_once_and_well(run):
    table = baseline.fit_baseline(run)
    assert set(table["scan_id"]) == {f"s{n}" for n in range(SCANS - 2)}
    assert len(table) == SCANS - 2
    assert set(table["recipe"]) == {"linear-svr"}
    guess = (table["age"] - table["age"].median()).abs().mean()
    assert (table["predicted_age"] - table["age"]).abs().mean() < guess / 3


def test_the_test_ages_are_not_learned(run):
    """Only the ages of training and validation people enter a fold."""
    before = baseline.fit_baseline(run)
    path = run.path("manifest.csv")
    kept = path.read_bytes()
    manifest = read_table(path, MANIFEST)
    first = before.loc[before["fold"] == 0, "scan_id"]
    manifest.loc[manifest["scan_id"].isin(first), "age"] = 50.0
    write_table(manifest, path, MANIFEST)
    try:
        after = baseline.fit_baseline(run)
    finally:
        path.write_bytes(kept)
    same = before["fold"] == 0
    pd.testing.assert_series_equal(
        before.loc[same, "predicted_age"], after.loc[same, "predicted_age"]
    )
    assert not np.allclose(before.loc[~same, "predicted_age"], after.loc[~same, "predicted_age"])


def test_it_is_not_fitted_again(run, monkeypatch):
    table = baseline.fit_baseline(run)
    monkeypatch.setattr(baseline, "SVR", None)
    pd.testing.assert_frame_equal(baseline.fit_baseline(run), table)
    assert len(read_table(run.path("baseline.csv"), PREDICTIONS)) == len(table)


def test_a_run_without_sound_mode_has_none(run):
    kept = run.path("splits.csv").read_bytes()
    splits = read_table(run.path("splits.csv"), SPLITS)
    write_table(splits[splits["mode"] == "paper"], run.path("splits.csv"), SPLITS)
    try:
        assert baseline.fit_baseline(run).empty
    finally:
        run.path("splits.csv").write_bytes(kept)
