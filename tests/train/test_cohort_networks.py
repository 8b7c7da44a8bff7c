"""All trainings of a run: planned, fitted once, predicted for every scan with its role."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from brainage_lib.data import VolumeWriter, network_inputs
from brainage_lib.errors import WrongUsage
from brainage_lib.imaging import grid
from brainage_lib.models import FCN, count_parameters, load_weights
from brainage_lib.run import (
    NetworkKey,
    Run,
    load_profile,
    looked_at,
    plan_networks,
    plan_shuffled,
    start_run,
)
from brainage_lib.tables import MANIFEST, PREDICTIONS, QUALITY, SPLITS, read_table, write_table
from brainage_lib.train import cohort, load_recipe, network_features, predict_network
from brainage_lib.train.batches import as_input
from brainage_lib.train.shuffled import fit_shuffled, shuffled_sets

SHAPE = grid(4).shape
SCANS = 8
PROFILE = {
    "cohort": "none.csv", "grid_mm": 4, "modes": ["paper", "sound"], "folds": 2, "epochs": 1,
    "patience": 1, "batch": 3, "learning_rate": 0.0001, "nets": ["T", "A"],
    "generator": {
        "size": "demo", "patch": 16, "overlap": 0.25, "people": 1, "steps": 1, "batch": 1,
        "learning_rate": 0.001,
    },
}  # fmt: skip


def scan_id(number):
    return f"s{number}"


def make_run(folder, **changes):
    (folder / "asked.yml").write_text(yaml.safe_dump(PROFILE | changes))
    return start_run(folder, folder / "asked.yml")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Eight scans, the last one a patient; the seventh was put aside."""
    run = make_run(tmp_path_factory.mktemp("run"))
    people = pd.DataFrame(
        {
            "scan_id": scan_id(number), "participant_id": scan_id(number), "project": "IXI",
            "session": "1", "age": 20.0 + 9 * number, "sex": "FM"[number % 2],
            "diagnosis": "control" if number < 7 else "AD", "path": "none.nii.gz",
            "t1w_state": "mni152-brain",
        }
        for number in range(SCANS)
    )  # fmt: skip
    write_table(people, run.path("manifest.csv"), MANIFEST)
    quality = people[["scan_id", "project"]].assign(
        verdict=["drop" if n == 6 else "keep" for n in range(SCANS)], reasons=""
    )
    for name in QUALITY.columns:
        if name not in quality:
            quality[name] = 1.0
    write_table(quality, run.path("quality.csv"), QUALITY)
    run.path("cohort.json").write_text(json.dumps({"simulated": False}))
    roles = {
        ("paper", 0): ["train"] * 4 + ["validation", "test", None, "train"],
        ("sound", 0): ["train", "validation", "train", "test", "test", "train", None, "apart"],
        ("sound", 1): ["test", "test", "train", "train", "validation", "train", None, "apart"],
    }
    splits = pd.DataFrame(
        {"scan_id": scan_id(n), "mode": mode, "fold": fold, "role": role, "partition": pd.NA}
        for (mode, fold), of in roles.items()
        for n, role in enumerate(of)
        if role
    ).astype({"partition": "Int64"})
    write_table(splits, run.path("splits.csv"), SPLITS)
    rng = np.random.default_rng(1)
    for name, scale in (("t1w", 1), ("cbv", 7)):
        with VolumeWriter(run.path("volumes", name), SHAPE) as writer:
            for number in range(SCANS):
                writer.add(scan_id(number), scale * rng.random(SHAPE, dtype=np.float32))
    return run


@pytest.fixture(scope="module")
def trained(run):
    return cohort.fit_networks(run)


@pytest.fixture(scope="module")
def predicted(run, trained):
    return cohort.predict_networks(run)


def test_every_network_mode_seed_and_fold_is_planned_once(tmp_path):
    make_run(tmp_path, seeds=[0, 1], folds=3)
    plan = plan_networks(load_profile(tmp_path / "profile.yml"))
    assert len(plan) == len(set(plan)) == 3 * (1 + 3)
    assert NetworkKey("paper", "sound", "T", 1, 2) in plan
    assert NetworkKey("paper", "paper", "T", 0, 1) not in plan


def test_a_further_seed_is_a_second_look_at_t1w_alone(tmp_path):
    make_run(tmp_path, seeds=[3, 1], folds=2)
    plan = plan_networks(load_profile(tmp_path / "profile.yml"))
    assert {(key.net, key.seed) for key in plan} == {("T", 1), ("A", 1), ("T", 3)}


def test_second_nets_are_planned_in_sound_mode_beside_a_net_on_t1w(tmp_path):
    asked = {"second_nets": ["F", "M"], "folds": 2, "seeds": [0, 1]}
    make_run(tmp_path, recipes=["paper", "tissue"], **asked)
    plan = plan_networks(load_profile(tmp_path / "profile.yml"))
    second = {(key.recipe, key.mode, key.net, key.seed) for key in plan} - {
        (key.recipe, key.mode, key.net, key.seed) for key in plan if key.net in "TA"
    }
    assert second == {("paper", "sound", "F", 0), ("paper", "sound", "M", 0)}


def test_shuffled_ages_are_learned_where_they_are_asked_for_and_predict_nothing(tmp_path):
    assert plan_shuffled(make_run(tmp_path, seeds=[3, 1]).profile) == []
    asked = make_run(tmp_path, seeds=[3, 1], attribution={"shuffled_nets": ["A"]}).profile
    (key,) = plan_shuffled(asked)
    assert key.place == "paper/sound/A-s1-shuffled/0"
    plan = plan_networks(asked)
    assert key.place not in {other.place for other in plan}
    assert cohort.training_seed(key) not in {cohort.training_seed(other) for other in plan}


def test_maps_are_made_of_the_first_recipe_that_reads_the_t1w(tmp_path):
    asked = make_run(
        tmp_path, modes=["sound"], recipes=["tissue", "sound"],
        attribution={"shuffled_nets": ["T"]},
    ).profile  # fmt: skip
    assert asked.headline["recipe"] == "tissue"
    assert looked_at(asked, "sound") == "sound"
    # The counterpart that learned shuffled ages is of the same recipe.
    assert [key.recipe for key in plan_shuffled(asked)] == ["sound"]
    alone = make_run(tmp_path, modes=["sound"], recipes=["tissue"]).profile
    with pytest.raises(WrongUsage, match="nothing to look at; add a recipe that does"):
        looked_at(alone, "sound")


def test_a_network_of_shuffled_ages_learns_the_same_scans_and_says_what_it_is(run, tmp_path):
    copy = Run(shutil.copytree(run.folder, tmp_path / "run"))
    attribution = {"shuffled_nets": ["T"], "shuffled_epochs": 1}
    make_run(copy.folder, attribution=attribution, epochs=2)
    copy = Run(copy.folder)
    (key,) = plan_shuffled(copy.profile)
    sets = shuffled_sets(copy, key)
    manifest = read_table(copy.path("manifest.csv"), MANIFEST).set_index("scan_id")
    truth = manifest.loc[sets["train"]["scan_id"], "age"].to_numpy()
    assert sorted(sets["train"]["age"]) == sorted(truth)
    assert not np.array_equal(sets["train"]["age"], truth)
    assert set(sets["train"]["scan_id"]) == {"s0", "s2", "s5"}
    watched, learned = (
        dict(sets[role][["scan_id", "age"]].to_numpy()) for role in ("validation", "train")
    )
    assert watched
    assert watched.items() <= learned.items()

    (row,) = fit_shuffled(copy).to_dict("records")
    assert (row["net"], row["n_train"], row["epochs"]) == ("T", 3, 1)
    _, facts = load_weights(copy.path("networks", key.place, "weights.safetensors"))
    assert facts["ages"] == "shuffled"


def test_the_paper_mode_is_trained_by_the_papers_recipe_alone(tmp_path):
    make_run(tmp_path, recipes=["sound", "paper"])
    plan = plan_networks(load_profile(tmp_path / "profile.yml"))
    trained = {(key.recipe, key.mode) for key in plan}
    assert trained == {("sound", "sound"), ("paper", "sound"), ("paper", "paper")}


def test_each_training_has_a_seed_of_its_own(tmp_path):
    make_run(tmp_path, seeds=[0, 1], folds=3)
    plan = plan_networks(load_profile(tmp_path / "profile.yml"))
    assert len({cohort.training_seed(key) for key in plan}) == len(plan)


def test_trainings_are_told_with_their_scans_and_errors(run, trained):
    assert list(trained["mode"] + trained["net"]) == [
        "paperT", "paperA", "soundT", "soundA", "soundT", "soundA",
    ]  # fmt: skip
    assert trained["n_train"].tolist() == [5, 5, 3, 3, 3, 3]
    assert trained["n_validation"].tolist() == [1] * 6
    network = cohort.load_network(run, NetworkKey("paper", "sound", "A", 0, 1))
    assert (trained["parameters"] == count_parameters(network)).all()
    logs = cohort.read_logs(run)
    assert logs["validation_mae"].to_numpy() == pytest.approx(trained["validation_mae"].to_numpy())


def test_what_is_trained_is_not_trained_again(run, trained, monkeypatch):
    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(cohort, "fit_network", never)
    pd.testing.assert_frame_equal(cohort.fit_networks(run), trained)
    run.network_folder("paper", "sound", "T", 0, 1).joinpath("log.csv").write_text("changed")
    try:
        with pytest.raises(AssertionError, match="trained again"):
            cohort.fit_networks(run)
    finally:
        monkeypatch.undo()
        cohort.fit_networks(run)


def test_predictions_are_the_networks_with_the_splits_roles(run, predicted):
    assert (predicted["recipe"] == "paper").sum() == 6 * 7
    yardstick = predicted[predicted["recipe"] == "linear-svr"]
    assert yardstick["scan_id"].tolist() == ["s3", "s4", "s0", "s1"]
    assert set(yardstick["role"]) == {"test"}
    assert "s6" not in set(predicted["scan_id"])
    pd.testing.assert_frame_equal(predicted, read_table(run.path("predictions.csv"), PREDICTIONS))
    rows = predicted[(predicted["mode"] == "sound") & (predicted["fold"] == 1)]
    assert dict(zip(rows["scan_id"], rows["role"], strict=True)) == {
        "s0": "test", "s1": "test", "s2": "train", "s3": "train", "s4": "validation",
        "s5": "train", "s7": "apart",
    }  # fmt: skip


@pytest.mark.parametrize("net", ["T", "A"])
def test_a_prediction_is_what_its_network_says_of_the_normalised_volume(run, predicted, net):
    key = NetworkKey("paper", "sound", net, 0, 0)
    model = cohort.load_network(run, key)
    ids = ["s0", "s1", "s2", "s3", "s4", "s5", "s7"]
    volumes = network_inputs(run, net, ids)
    rows = predicted[
        (predicted["recipe"] == "paper")
        & (predicted["mode"] == "sound")
        & (predicted["fold"] == 0)
        & (predicted["net"] == net)
    ].set_index("scan_id")
    np.testing.assert_allclose(
        rows.loc[ids, "predicted_age"], predict_network(model, volumes), rtol=1e-5
    )
    features = np.load(run.network_folder(*key) / "features.npy")
    np.testing.assert_allclose(features, network_features(model, volumes), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_training_on_two_devices_is_a_training_and_predicts_each_scan_once(
    run, trained, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    shutil.copytree(run.folder, tmp_path / "run")
    asked = yaml.safe_load(run.path("profile.yml").read_text()) | {
        "devices": 2, "batch": 4, "device": "cpu", "modes": ["paper"], "nets": ["T"],
    }  # fmt: skip
    (tmp_path / "run" / "profile.yml").write_text(yaml.safe_dump(asked))
    other = Run(tmp_path / "run")
    (told,) = cohort.fit_networks(other).to_dict("records")
    assert (told["n_train"], told["n_validation"]) == (5, 1)
    weights, before = (
        folder.joinpath("weights.safetensors").read_bytes()
        for folder in (place.network_folder("paper", "paper", "T", 0, 0) for place in (other, run))
    )
    assert weights != before
    predicted = cohort.predict_networks(other)
    rows = predicted[predicted["recipe"] == "paper"]
    # Five scans and one over two processes: padding is needed, and none of it gets here.
    assert rows["scan_id"].tolist() == ["s0", "s1", "s2", "s3", "s4", "s5", "s7"]
    assert np.isfinite(rows["predicted_age"]).all()


def test_predictions_are_kept_until_a_network_changes(run, predicted, monkeypatch):
    asked = []
    original = cohort.load_network
    monkeypatch.setattr(
        cohort, "load_network", lambda run, key: asked.append(key) or original(run, key)
    )
    cohort.predict_networks(run)
    assert asked == []
    key = NetworkKey("paper", "paper", "T", 0, 0)
    (run.network_folder(*key) / "ages.npy").unlink()
    cohort.predict_networks(run)
    assert asked == [key]


def test_the_recipes_settings_stand_beside_the_papers(tmp_path):
    run = make_run(tmp_path, recipes=["paper", "sound"], epochs=30)
    table = cohort.describe_networks(run.profile).set_index("setting")
    assert table.columns.tolist() == ["printed", "paper", "sound"]
    assert table.loc["Network"].tolist() == ["VGG8", "VGG8", "FCN"]
    assert table.loc["Epochs"].tolist() == ["at most 100", "at most 30", "30"]
    assert table.loc["Learning rate", ["printed", "paper"]].tolist() == ["0.0001, constant"] * 2
    assert table.loc["Optimiser", "sound"] == "AdamW"
    assert table.loc["Numbers to learn", "sound"] == f"{count_parameters(FCN(SHAPE)):,}"


def test_a_recipes_own_numbers_hold_but_for_longer_trainings_than_the_profiles(tmp_path):
    profile = make_run(tmp_path, epochs=50).profile
    mine = replace(load_recipe("paper"), epochs=60, batch=7, learning_rate=0.5)
    settings = cohort.train_settings(profile, mine)
    assert (settings.epochs, settings.batch, settings.learning_rate) == (50, 7, 0.5)
    assert cohort.train_settings(profile, replace(mine, epochs=40)).epochs == 40


def test_the_sound_recipe_is_trained_and_looks_at_the_mirror_image_too(run, trained):
    text = run.path("profile.yml").read_text()
    asked = yaml.safe_load(text) | {"recipes": ["sound"], "modes": ["sound"], "nets": ["A"]}
    run.path("profile.yml").write_text(yaml.safe_dump(asked))
    try:
        other = Run(run.folder)
        key = plan_networks(other.profile)[0]
        assert len(cohort.fit_networks(other, [key])) == 1
    finally:
        run.path("profile.yml").write_text(text)
    network = cohort.load_network(other, key)
    assert isinstance(network, FCN)
    assert network.age_sd > 1
    volumes = network_inputs(other, "A", [scan_id(0), scan_id(1)])
    straight = predict_network(network, volumes)
    mirrored = predict_network(network, [volume[::-1] for volume in volumes])
    np.testing.assert_allclose(straight, mirrored, rtol=1e-5)
    with torch.no_grad():
        alone = network(as_input(list(volumes))).numpy()
    assert not np.allclose(straight, alone, rtol=1e-7)
    assert network_features(network, volumes).shape == (2, 128)
