"""From a manifest to a packed model of T alone, on tissue maps, and back to one scan."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from brainage_lib.data import VolumeStore, network_inputs
from brainage_lib.errors import WrongUsage
from brainage_lib.imaging import grid
from brainage_lib.imaging.tissue import inner
from brainage_lib.predict import Model, attribution, predict_scan
from brainage_lib.predict.pack import CARD, check_pack, pack_model
from brainage_lib.run import Run, start_run
from brainage_lib.simulate import simulate_cohort
from brainage_lib.tables import MANIFEST, PREDICTIONS, read_table, write_table
from brainage_lib.train.alone import train_alone

SCANS = 12

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def asked(root):
    """The packaged profile, with one epoch."""
    text = (root / "workflow" / "profiles" / "shipped.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text) | {"folds": 2, "epochs": 1, "batch": 2, "workers": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory, asked):
    folder = tmp_path_factory.mktemp("alone")
    manifest, _ = simulate_cohort(seed=6, n_scans=40, n_participants=40)
    manifest = manifest[manifest["diagnosis"] == "control"].iloc[:SCANS]
    write_table(manifest, folder / "cohort.csv", MANIFEST)
    profile = folder / "asked.yml"
    profile.write_text(yaml.safe_dump(asked | {"cohort": str(folder / "cohort.csv")}))
    return start_run(folder / "run", profile)


@pytest.fixture(scope="module")
def errors(run):
    return train_alone(run)


def test_every_control_is_predicted_out_of_fold_and_nothing_needs_a_generator(run, errors):
    assert errors.set_index("recipe").loc["tissue", ["model", "n_scans"]].tolist() == ["T", SCANS]
    predictions = read_table(run.path("predictions.csv"), PREDICTIONS)
    tested = predictions[(predictions["recipe"] == "tissue") & (predictions["role"] == "test")]
    assert sorted(tested["scan_id"]) == sorted(read_table(run.path("manifest.csv"), MANIFEST)
                                               ["scan_id"])  # fmt: skip
    assert not run.path("aicbv").exists()


def test_the_networks_read_three_tissues_that_add_up_to_one_in_the_brains_box(run, errors):
    scan = str(VolumeStore(run.path("volumes", "tissue")).scan_ids[0])
    (maps,) = network_inputs(run, "T", [scan], "tissue")
    maps = np.asarray(maps, np.float32)
    assert maps.shape == (3, 32, 48, 40)
    inside = maps.sum(axis=0)
    assert 0.99 < np.median(inside[inside > 0.5]) < 1.01
    grey, white, fluid = maps.sum(axis=(1, 2, 3)) * 0.064
    assert 400 < grey < 1100
    assert 300 < white < 900
    assert 50 < fluid < 900
    # Every voxel of brain but for the rim is in the box.
    brain = (np.asarray(VolumeStore(run.path("volumes", "t1w"))[scan]) > 0) & inner(grid(4))
    assert (inside > 0.5).sum() > 0.9 * brain.sum()


def test_a_second_call_does_nothing_anew(run, errors, monkeypatch):
    def never(*_, **__):
        raise AssertionError("done again")

    monkeypatch.setattr("brainage_lib.data.tissue.tissue_of_scan", never)
    monkeypatch.setattr("brainage_lib.train.cohort.fit_network", never)
    assert train_alone(run).equals(errors)


def test_the_packed_model_predicts_a_scan_as_the_run_did(run, errors, tmp_path):
    card = pack_model(run, tmp_path / "model", licence="CC0")
    check_pack(tmp_path / "model", run)
    assert not any("aicbv" in name for name in card["sha256"])
    assert [row["model"] for row in card["out_of_fold"]["all"]] == ["T"]
    assert json.loads((tmp_path / "model" / CARD).read_text())["licence"] == "CC0"
    predictions = read_table(run.path("predictions.csv"), PREDICTIONS)
    row = predictions[(predictions["recipe"] == "tissue") & (predictions["role"] == "test")].iloc[0]
    manifest = read_table(run.path("manifest.csv"), MANIFEST).set_index("scan_id", drop=False)
    scan = manifest.loc[row["scan_id"]]
    model = Model(Run(tmp_path / "model"))
    found = predict_scan(model, scan, fold=int(row["fold"]))
    # Half-precision weights, so not to the last bit.
    assert found.networks == {"T": pytest.approx(row["predicted_age"], abs=0.2)}
    assert found.model == "T"
    assert found.aicbv is None
    maps = attribution(model, found)
    assert list(maps) == ["T"]
    assert maps["T"].shape == found.t1w.shape
    assert (maps["T"][found.t1w == 0] == 0).all()
    assert maps["T"].max() > 0


def test_profiles_with_more_than_t_out_of_fold_are_refused(tmp_path, asked):
    profile = tmp_path / "more.yml"
    profile.write_text(yaml.safe_dump(asked | {"nets": ["T", "A"]}))
    with pytest.raises(WrongUsage, match="nets: \\[T\\]"):
        train_alone(start_run(tmp_path / "run", profile))
