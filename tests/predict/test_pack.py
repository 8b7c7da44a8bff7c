"""A model to hand on: it answers as its run does, and holds nothing of anyone."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.files import read_json, write_json
from brainage_lib.models import load_weights, save_weights
from brainage_lib.predict import check_pack, pack_model, predict_scan
from brainage_lib.run import Run
from brainage_lib.stats import stack, table1, table2, table3
from brainage_lib.tables import TABLE1, TABLE2, TABLE3, write_table


@pytest.fixture(scope="module")
def finished(tiny_run, pretended):
    """The tiny run with the tables that the card quotes."""
    stacked = stack(pretended)
    for make, name, schema in (
        (table1, "stacking/table1.csv", TABLE1),
        (table2, "table2.csv", TABLE2),
        (table3, "table3.csv", TABLE3),
    ):
        write_table(make(stacked, 100, 1), tiny_run.path(name), schema)
    return tiny_run


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "weights"
    pack_model(finished, folder)
    return folder


@pytest.fixture
def copy(packed, tmp_path):
    return shutil.copytree(packed, tmp_path / "copy")


def test_the_folder_holds_just_what_prediction_needs(packed):
    files = sorted(p.relative_to(packed).as_posix() for p in packed.rglob("*") if p.is_file())
    assert files == sorted(
        [
            "aicbv/weights.safetensors", "cohort.json", "model_card.json", "profile.yml",
            "stacking/calibration.json", "stacking/model.json", "stacking/reference.json",
            *(f"networks/paper/sound/{net}-s0/{fold}/weights.safetensors"
              for net in "TA" for fold in (0, 1)),
        ]
    )  # fmt: skip


def test_it_answers_as_the_run_does(finished, packed):
    scan = pd.read_csv(finished.path("manifest.csv"), dtype={"session": str}).iloc[1]
    whole, half = (predict_scan(run, scan) for run in (finished, Run(packed)))
    assert half.predicted_age == pytest.approx(whole.predicted_age, abs=0.2)
    assert half.warnings == whole.warnings
    assert half.interval_high - half.interval_low == pytest.approx(
        whole.interval_high - whole.interval_low
    )


def test_the_card_says_what_it_is_and_what_it_answers(finished, packed):
    card = read_json(packed / "model_card.json")
    assert card["trained_on"] == "simulated scans"
    assert card["n_scans"] == 4
    assert any("health" in text for text in card["not_for"])
    assert {row["model"] for row in card["out_of_fold"]["all"]} == {"TA", "TAS"}
    scan = {"scan_id": "t", "path": card["trial"]["scan"], "t1w_state": "simulated", "sex": "F"}
    found = predict_scan(Run(packed), scan)
    assert found.predicted_age == pytest.approx(card["trial"]["predicted_age"], abs=1e-3)


def test_no_path_and_no_name_of_the_run_is_in_it(finished, packed):
    manifest = pd.read_csv(finished.path("manifest.csv"), dtype=str)
    told = "".join(
        path.read_text("utf-8") for path in packed.rglob("*") if path.suffix in (".json", ".yml")
    )
    for name in (*manifest["scan_id"], *manifest["participant_id"], str(finished.folder)):
        assert name not in told


def spoil(folder, how):
    calibration = folder / "stacking" / "calibration.json"
    weights = folder / "aicbv" / "weights.safetensors"
    if how == "not needed for prediction":
        (folder / "splits.csv").write_text("scan_id\n")
    elif how == "missing":
        calibration.unlink()
    elif how == "as if one for each person":
        write_json(calibration, read_json(calibration) | {"errors": [0.5] * 300})
    elif how == "which is of the manifest":
        name = pd.read_csv(spoil.run.path("manifest.csv"), dtype=str)["scan_id"][2]
        write_json(calibration, read_json(calibration) | {"worst": name})
    elif how == "is not in half precision":
        save_weights(
            {name: tensor.float() for name, tensor in load_weights(weights)[0].items()}, weights, {}
        )
    elif how == "a link":
        weights.rename(folder.parent / "elsewhere")
        weights.symlink_to(folder.parent / "elsewhere")
    elif how == "fact 'trained_by'":
        state, facts = load_weights(weights)
        save_weights(state, weights, facts | {"trained_by": "Jane"})


@pytest.mark.parametrize(
    "how",
    ["not needed for prediction", "missing", "as if one for each person",
     "which is of the manifest", "is not in half precision", "a link", "fact 'trained_by'"],
)  # fmt: skip
def test_what_does_not_belong_is_found(copy, finished, how):
    spoil.run = finished
    check_pack(copy, finished)
    spoil(copy, how)
    with pytest.raises(BadInput, match=how):
        check_pack(copy, finished)


def test_nothing_is_written_over_and_nothing_half(finished, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(WrongUsage, match="not empty"):
        pack_model(finished, tmp_path / "mine")
    table = finished.path("table3.csv")
    hidden = table.rename(table.with_name("hidden"))
    try:
        with pytest.raises(BadInput, match=r"table3\.csv is missing"):
            pack_model(finished, tmp_path / "new")
    finally:
        hidden.rename(table)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_curves_of_the_calibration_hold_nobodys_age(finished, tmp_path):
    run = Run(shutil.copytree(finished.folder, tmp_path / "run"))
    path = run.path("stacking", "calibration.json")
    content = read_json(path)
    (recipe,) = content["calibration"]
    line = content["calibration"][recipe]["TAS"]
    line["lowess"] = {"age": [18.25, 30.4, 51.7, 94.5], "gap": [3.21, 1.04, -0.56, -4.44]}
    line["local"] = {"predicted": [20.1, 44.9, 88.8], "half_width": [4.11, 7.77, 12.34]}
    write_json(path, content)
    pack_model(run, tmp_path / "model")
    packed = read_json(tmp_path / "model" / "stacking" / "calibration.json")["calibration"]
    found = packed[recipe]["TAS"]
    assert found["lowess"] == {"age": [30, 52], "gap": [1.0, -0.6]}
    assert found["local"] == {"predicted": [45], "half_width": [7.8]}
    assert found["half_width"] == line["half_width"]
