"""One scan through a whole run: the same numbers as the chapters give, or a reason why not."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from brainage_lib.data import VolumeStore, network_inputs, prepare_volumes, write_reference
from brainage_lib.data.cohort import write_manifest
from brainage_lib.errors import BadImage, BadInput, Refused
from brainage_lib.files import read_json, write_json
from brainage_lib.imaging import grid, template
from brainage_lib.models import VGG8, AICBVGenerator, network_facts, save_weights
from brainage_lib.predict import BATCH_COLUMNS, choose_example, predict_scan
from brainage_lib.run import NetworkKey, start_run
from brainage_lib.simulate import simulate_cohort
from brainage_lib.stats import save_calibration_json, save_model_json, stack
from brainage_lib.tables import MANIFEST, SPLITS, write_table
from brainage_lib.train import aicbv, cohort, predict_network

GENERATOR = {
    "size": "demo", "patch": 48, "overlap": 0.25, "people": 1, "steps": 1, "batch": 1,
    "learning_rate": 0.001,
}  # fmt: skip
FOLDS = (0, 1)


def weights_of(run, net, fold):
    return run.network_folder("paper", "sound", net, 0, fold) / "weights.safetensors"


def pretend_predictions(n=60):
    """What chapter 05 would have written for a cohort of controls."""
    rng = np.random.default_rng(11)
    scans = pd.DataFrame(
        {
            "scan_id": [f"c{i}" for i in range(n)], "participant_id": [f"c{i}" for i in range(n)],
            "project": "IXI", "session": "1", "age": np.linspace(20, 80, n),
            "sex": ["F", "M"] * (n // 2), "diagnosis": "control", "recipe": "paper",
            "mode": "sound", "role": "test", "fold": [0, 1, 1, 0] * (n // 4), "seed": 0,
        }
    )  # fmt: skip
    nets = [scans.assign(net=net, predicted_age=scans["age"] + rng.normal(0, 5, n)) for net in "TA"]
    return pd.concat(nets)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Four simulated scans in two folds; a generator and networks that were never trained."""
    folder = tmp_path_factory.mktemp("run")
    manifest, _ = simulate_cohort(seed=5, n_scans=40, n_participants=40)
    manifest = manifest[manifest["diagnosis"] == "control"].iloc[[0, 9, 18, 27]]
    write_table(manifest, folder / "cohort.csv", MANIFEST)
    profile = {
        "cohort": str(folder / "cohort.csv"), "grid_mm": 4, "modes": ["sound"], "folds": 2,
        "epochs": 1, "patience": 1, "batch": 3, "learning_rate": 0.0001, "workers": 1,
        "generator": GENERATOR,
    }  # fmt: skip
    (folder / "asked.yml").write_text(yaml.safe_dump(profile))
    run = start_run(folder, folder / "asked.yml")
    write_manifest(run)
    prepare_volumes(run)
    splits = pd.DataFrame(
        {
            "scan_id": scan, "mode": "sound", "fold": fold,
            "role": "test" if number % 2 == fold else "train", "partition": pd.NA,
        }
        for fold in FOLDS
        for number, scan in enumerate(manifest["scan_id"])
    ).astype({"partition": "Int64"})  # fmt: skip
    write_table(splits, run.path("splits.csv"), SPLITS)
    torch.manual_seed(1)
    save_weights(AICBVGenerator("demo").start_at(3.0), run.path(aicbv.WEIGHTS), {})
    for net in "TA":
        for fold in FOLDS:
            network = VGG8(grid(4).shape).start_at(40 + 10 * fold)
            save_weights(network, weights_of(run, net, fold), network_facts(network))
    stacked = stack(pretend_predictions())
    save_model_json(stacked, run.path("stacking", "model.json"))
    save_calibration_json(stacked, run.path("stacking", "calibration.json"))
    write_reference(run)
    return run


@pytest.fixture(scope="module")
def scan(run):
    return pd.read_csv(run.path("manifest.csv"), dtype={"session": str}).iloc[1]


@pytest.fixture(scope="module")
def found(run, scan):
    return predict_scan(run, scan)


@pytest.fixture(scope="module")
def brains(tmp_path_factory):
    """A folder with the template as somebody's scan, whole and cut in half."""
    folder = tmp_path_factory.mktemp("brains")
    whole = np.where(template(grid(4)).mask, template(grid(4)).t1w, 0).astype(np.float32)
    half = whole.copy()
    half[:24] = 0
    for name, volume in (("whole", whole), ("half", half)):
        nib.save(nib.Nifti1Image(volume, grid(4).affine), folder / f"{name}.nii.gz")
    return folder


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
