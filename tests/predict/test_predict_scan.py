"""One scan through a whole run: the same numbers as the chapters give, or a reason why not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.data import VolumeStore, network_inputs
from brainage_lib.errors import BadImage, BadInput, Refused
from brainage_lib.files import read_json, write_json
from brainage_lib.imaging import grid
from brainage_lib.models import VGG8, network_facts, save_weights
from brainage_lib.predict import BATCH_COLUMNS, choose_example, predict_scan
from brainage_lib.run import NetworkKey
from brainage_lib.train import aicbv, cohort, predict_network

FOLDS = (0, 1)


def weights_of(run, net, fold):
    return run.network_folder("paper", "sound", net, 0, fold) / "weights.safetensors"


@pytest.fixture(scope="module")
def run(tiny_run):
    return tiny_run


@pytest.fixture(scope="module")
def scan(run):
    return pd.read_csv(run.path("manifest.csv"), dtype={"session": str}).iloc[1]


@pytest.fixture(scope="module")
def found(run, scan):
    return predict_scan(run, scan)


def brain(name):
    return {"scan_id": name, "path": f"{name}.nii.gz", "t1w_state": "mni152-brain"}


def test_a_scan_of_the_cohort_gets_the_ages_of_its_cohort(run, scan):
    aicbv.synthesise_cohort(run)
    found = predict_scan(run, scan, fold=1)
    for net in "TA":
        network = cohort.load_network(run, NetworkKey("paper", "sound", net, 0, 1))
        (age,) = predict_network(network, network_inputs(run, net, [scan["scan_id"]]))
        assert found.networks[net] == pytest.approx(age, abs=1e-6)
    for name, volume in (("t1w", found.t1w), ("cbv", found.aicbv)):
        stored = VolumeStore(run.path("volumes", name))[scan["scan_id"]]
        np.testing.assert_array_equal(volume, stored)


def test_a_new_scan_is_asked_of_all_folds_networks(run, scan, found):
    single = [predict_scan(run, scan, fold=fold).networks for fold in FOLDS]
    for net in "TA":
        assert found.networks[net] == pytest.approx(np.mean([each[net] for each in single]))
        assert single[0][net] != single[1][net]


@pytest.mark.parametrize(("fold", "place"), [(None, "all"), (0, "0"), (1, "1")])
def test_the_age_is_the_regression_of_the_rows_that_the_networks_were_not_asked_about(
    run, scan, fold, place
):
    found = predict_scan(run, scan, fold=fold)
    models = read_json(run.path("stacking", "model.json"))["models"]
    terms = models["paper"]["sound"]["out-of-fold"][place]["TAS"]["terms"]
    expected = terms["intercept"] + terms["T"] * found.networks["T"]
    expected += terms["A"] * found.networks["A"] + terms["sex"] * (scan["sex"] == "M")
    assert found.predicted_age == pytest.approx(expected)


def test_interval_and_gaps_are_those_of_the_calibration(run, scan, found):
    line = read_json(run.path("stacking", "calibration.json"))["calibration"]["paper"]["TAS"]
    assert found.level == 0.9
    assert found.interval_high - found.predicted_age == pytest.approx(line["half_width"])
    assert found.predicted_age - found.interval_low == pytest.approx(line["half_width"])
    assert found.gap_raw == pytest.approx(found.predicted_age - scan["age"])
    bias = line["slope"] * scan["age"] + line["intercept"]
    assert found.gap_corrected == pytest.approx(found.gap_raw - bias)


def test_a_row_has_the_columns_of_the_batch_table(found):
    row = found.row()
    assert tuple(row) == BATCH_COLUMNS
    assert row["verdict"] in ("keep", "look")
    assert isinstance(row["warnings"], str)


def test_what_is_not_known_is_left_open_and_said(run, brains):
    found = predict_scan(run, brain("whole"), brains)
    assert (found.gap_raw, found.gap_corrected) == (None, None)
    assert found.model == "TA"
    assert any("sex is not known" in warning for warning in found.warnings)
    same = predict_scan(run, brain("whole") | {"age": float("nan"), "sex": None}, brains)
    assert same.row() == found.row()


def test_a_real_brain_and_networks_that_learned_from_simulated_ones(run, scan, brains, found):
    words = "says nothing about a real brain"
    real = predict_scan(run, brain("whole"), brains)
    assert any(words in warning for warning in real.warnings)
    assert not any(words in warning for warning in found.warnings)


@pytest.mark.parametrize("simulated", [True, False])
def test_measures_are_compared_with_scans_of_ones_own_kind_only(run, brains, simulated):
    """Networks of simulated scans say so once; those of real ones name each unusual measure."""
    reference, cohort_json = run.path("stacking", "reference.json"), run.path("cohort.json")
    before, kind = read_json(reference), read_json(cohort_json)
    narrow = {"contrast": [0.0, 0.1], "snr": [1.0, 2.0], "voxel_mm": [1.0, 1.0]}
    write_json(reference, before | {"usual": narrow})
    write_json(cohort_json, kind | {"simulated": simulated})
    try:
        warnings = predict_scan(run, brain("whole"), brains).warnings
    finally:
        write_json(reference, before)
        write_json(cohort_json, kind)
    unlike = [text for text in warnings if ": the training scans had" in text]
    assert sum("learned from simulated scans" in text for text in warnings) == simulated
    assert len(unlike) == (0 if simulated else 3)


@pytest.mark.parametrize(
    ("states", "warned"), [(["native-head"], True), (["mni152-brain", "native-head"], False)]
)
def test_a_scan_in_a_state_that_no_training_scan_had_is_warned_of(run, brains, states, warned):
    reference, cohort_json = run.path("stacking", "reference.json"), run.path("cohort.json")
    before, kind = read_json(reference), read_json(cohort_json)
    write_json(reference, before | {"states": states})
    write_json(cohort_json, kind | {"simulated": False})
    try:
        found = predict_scan(run, brain("whole"), brains)
    finally:
        write_json(reference, before)
        write_json(cohort_json, kind)
    assert found.t1w_state == "mni152-brain"
    assert any("this one as mni152-brain" in w for w in found.warnings) == warned


def test_an_age_that_the_networks_never_saw_is_said(run, brains):
    child = predict_scan(run, brain("whole") | {"age": 6.0, "sex": "F"}, brains)
    assert any(warning.startswith("age 6 is outside") for warning in child.warnings)
    unknown = predict_scan(run, brain("whole"), brains)
    assert not any(warning.startswith("age") for warning in unknown.warnings)


def test_a_predicted_age_that_nobody_had_is_said(run, scan):
    weights = weights_of(run, "T", 0)
    before = weights.read_bytes()
    network = VGG8(grid(4).shape).start_at(4000)
    save_weights(network, weights, network_facts(network))
    try:
        found = predict_scan(run, scan)
    finally:
        weights.write_bytes(before)
    assert any(warning.startswith("predicted age") for warning in found.warnings)


def test_a_brain_of_which_half_is_missing_is_refused_with_the_reason(run, brains):
    with pytest.raises(Refused, match=r"half: .*of the inner brain is empty"):
        predict_scan(run, brain("half"), brains)


def test_a_scan_that_cannot_be_opened_is_bad_input(run, brains):
    with pytest.raises(BadImage) as error:
        predict_scan(run, brain("absent"), brains)
    assert error.value.exit_code == 3


def test_too_few_controls_give_no_interval(run, scan):
    path = run.path("stacking", "calibration.json")
    before = read_json(path)
    changed = read_json(path)
    changed["calibration"]["paper"]["TAS"]["half_width"] = None
    write_json(path, changed)
    try:
        found = predict_scan(run, scan)
    finally:
        write_json(path, before)
    assert (found.interval_low, found.interval_high, found.level) == (None, None, None)
    assert found.gap_corrected is not None
    assert any("no interval" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("name", "chapter"),
    [("aicbv/weights.safetensors", "03"), ("stacking/model.json", "06"),
     ("stacking/reference.json", "06"),
     ("networks/paper/sound/A-s0/1/weights.safetensors", "05")],
)  # fmt: skip
def test_a_run_that_is_not_finished_names_the_chapter_to_run(run, scan, name, chapter):
    path = run.path(name)
    hidden = path.with_name("hidden")
    path.rename(hidden)
    try:
        with pytest.raises(BadInput, match=rf"{name} is missing; run chapter {chapter}"):
            predict_scan(run, scan)
    finally:
        hidden.rename(path)


def test_the_example_of_a_simulated_run_is_nobody_of_the_cohort(run):
    example = choose_example(run)
    manifest = pd.read_csv(run.path("manifest.csv"))
    seeds = {path.split("seed=")[1].split("&")[0] for path in manifest["path"]}
    assert example.scan["path"].split("seed=")[1].split("&")[0] not in seeds
    assert example.scan["diagnosis"] == "control"
    assert abs(example.scan["age"] - manifest["age"].median()) < 2
    assert example.fold is None
    assert 0 < example.latent_age < 120


def test_the_example_of_a_real_run_was_tested_in_the_fold_that_is_asked(run, tmp_path):
    path = run.path("cohort.json")
    before = read_json(path)
    write_json(path, before | {"simulated": False, "folder": str(tmp_path)})
    try:
        example = choose_example(run)
    finally:
        write_json(path, before)
    splits = pd.read_csv(run.path("splits.csv"))
    tested = splits[(splits["scan_id"] == example.scan["scan_id"]) & (splits["role"] == "test")]
    assert tested["fold"].tolist() == [example.fold]
    assert example.folder == tmp_path
    assert example.latent_age is None
