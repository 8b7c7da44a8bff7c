"""`brainage predict` as a user calls it: one scan, a table, a dataset; and the same by library."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

import brainage_lib
from brainage_lib.cli.main import app
from brainage_lib.errors import UserError
from brainage_lib.files import read_json
from brainage_lib.tables import BATCH, read_table

KEYS = {
    "scan_id", "status", "predicted_age", "interval", "level", "gap_raw", "gap_corrected", "age",
    "sex", "stacking", "networks", "quality", "warnings", "t1w_state", "t1w_state_assumed",
    "image", "model", "steps", "versions",
}  # fmt: skip


def call(*arguments):
    """Exit code, standard output, standard error, as `brainage` gives them."""
    result = CliRunner().invoke(app, ["predict", *map(str, arguments), "--device", "cpu"])
    if isinstance(result.exception, UserError):
        return result.exception.exit_code, result.stdout, str(result.exception)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def scans(brains, tmp_path):
    return shutil.copytree(brains, tmp_path / "scans")


def test_command_library_and_notebook_give_the_same_number(scans, tiny_run):
    from brainage_lib.predict import predict_scan

    path, known = scans / "whole.nii.gz", {"age": 63.2, "sex": "F"}
    code, out, _ = call(path, "--age", 63.2, "--sex", "F", "--model", tiny_run.folder, "--json")
    assert code == 0
    said = json.loads(out)
    assert set(said) == KEYS
    # As the notebook "0 · One scan" calls it.
    scan = {"scan_id": "whole", "path": path.name, "t1w_state": "mni152-brain", **known}
    noted = predict_scan(tiny_run, pd.Series(scan), scans)
    called = brainage_lib.predict(path, **known, model=tiny_run.folder, device="cpu")
    for found in (noted, called):
        assert found.predicted_age == said["predicted_age"]
        assert [found.interval_low, found.interval_high] == said["interval"]
        assert (found.gap_raw, found.gap_corrected) == (said["gap_raw"], said["gap_corrected"])
    assert said["gap_raw"] == pytest.approx(said["predicted_age"] - 63.2)
    assert said["t1w_state_assumed"]
    shown = called._repr_html_()
    assert f"{called.predicted_age:.1f} years" in shown
    assert "Not for clinical use" in shown


def test_a_refused_scan_has_its_reason_its_exit_code_and_no_number(scans, tiny_run, tmp_path):
    out = tmp_path / "out"
    code, said, _ = call(scans / "half.nii.gz", "--model", tiny_run.folder, "--out", out,
                         "--state", "mni152-brain")  # fmt: skip
    assert code == 4
    assert "of the inner brain is empty" in said
    result = read_json(out / "half_prediction.json")
    assert set(result) == KEYS
    assert (result["predicted_age"], result["interval"]) == (None, None)
    page = (out / "half_report.html").read_text("utf-8")
    assert "No age is given" in page
    assert (out / "half_report.pdf").read_bytes().startswith(b"%PDF")


def test_a_file_that_is_no_image_is_bad_input_with_a_remedy(scans, tiny_run):
    (scans / "text.nii.gz").write_text("not an image")
    code, _, error = call(scans / "text.nii.gz", "--model", tiny_run.folder)
    assert code == 3
    assert "dcm2niix" in error or "copy or download" in error


@pytest.mark.parametrize(
    "wrong",
    [["--age", "3"], ["--sex", "X"], ["--state", "head"], ["--native-maps"],
     ["--viewer"], ["--model", "/nowhere/at/all"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_exits_with_2(scans, tiny_run, wrong):
    code, _, error = call(scans / "whole.nii.gz", "--model", tiny_run.folder, *wrong)
    assert code == 2
    assert error


def test_without_networks_it_is_said_whose_can_be_asked(scans, monkeypatch):
    monkeypatch.setattr("brainage_lib.predict.model.SHIPPED", scans / "nothing")
    code, _, error = call(scans / "whole.nii.gz")
    assert code == 2
    assert "--model" in error


def test_maps_lie_on_the_scan_that_they_were_made_from(scans, tiny_run, tmp_path):
    import nibabel as nib
    import numpy as np

    turned = nib.load(scans / "whole.nii.gz").as_reoriented([[1, -1], [0, 1], [2, 1]])
    nib.save(turned, scans / "turned.nii.gz")
    out = tmp_path / "out"
    code, *_ = call(scans / "turned.nii.gz", "--model", tiny_run.folder, "--out", out,
                    "--native-maps", "--viewer", "--state", "mni152-brain")  # fmt: skip
    assert code == 0
    assert "script-src" in (out / "turned_report.html").read_text(encoding="utf-8")
    assert {path.name for path in out.iterdir() if path.is_file()} == {
        f"turned_{name}" for name in (
            "prediction.json", "report.html", "report.pdf", "aicbv.nii.gz", "mask.nii.gz",
            "attribution-T.nii.gz", "attribution-A.nii.gz",
        )
    }  # fmt: skip
    mask = nib.load(out / "turned_mask.nii.gz")
    np.testing.assert_allclose(mask.affine, turned.affine)
    brain = np.asarray(turned.dataobj) > 0
    assert np.mean((mask.get_fdata() > 0) == brain) > 0.98


def test_a_table_gives_one_csv_and_bad_rows_their_reasons(scans, tiny_run, tmp_path):
    rows = [
        ("a", "whole.nii.gz", "50", "F"), ("b", "absent.nii.gz", "", ""),
        ("a", "whole.nii.gz", "40", "M"), ("", "whole.nii.gz", "", ""),
        ("c", "whole.nii.gz", "900", "F"), ("d", "half.nii.gz", "", ""),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["scan_id", "path", "age", "sex"])
    table.assign(t1w_state="mni152-brain").to_csv(scans / "m.csv", index=False)
    out = tmp_path / "out"
    asked = (scans / "m.csv", "--model", tiny_run.folder, "--out", out)
    code, said, _ = call(*asked)
    assert code == 5
    assert "6 scans, 1 predicted, 1 refused by quality, 4 put aside, 0 failed" in said
    found = read_table(out / "predictions.csv", BATCH)
    assert found["scan_id"].tolist() == ["a", "b", "a (line 4)", "line 5", "c", "d"]
    reasons = found.set_index("scan_id")["reasons"]
    assert "'absent.nii.gz' does not exist" in reasons["b"]
    assert "stands already on line 2" in reasons["a (line 4)"]
    assert "outside 5–110" in reasons["c"]
    assert len((out / "log.txt").read_text().splitlines()) == 2
    before = (out / "predictions.csv").read_bytes()
    call(*asked)
    assert (out / "predictions.csv").read_bytes() == before
    assert (out / "log.txt").read_text().count("as before") == 2
    page = (out / "group.html").read_text("utf-8")
    assert 'href="a_report.html"' in page


def test_parts_of_a_table_are_put_together_by_a_start_without_a_part(scans, tiny_run, tmp_path):
    rows = [(name, f"{image}.nii.gz", "mni152-brain") for name, image in
            (("a", "whole"), ("b", "half"), ("c", "absent"))]  # fmt: skip
    table = pd.DataFrame(rows, columns=["scan_id", "path", "t1w_state"])
    table.to_csv(scans / "m.csv", index=False)
    asked = (scans / "m.csv", "--model", tiny_run.folder, "--out")
    out = tmp_path / "parts"
    assert call(*asked, out, "--part", "2/2")[0] == 5
    assert not (out / "predictions.csv").exists()
    assert (out / "b_prediction.json").is_file()
    assert not (out / "a_prediction.json").exists()
    # The bad row is nobody's part: it is told with the tables.
    assert call(*asked, out, "--part", "1/2")[0] == 0
    assert call(*asked, out)[0] == 5
    assert (out / "log.txt").read_text().count("as before") == 2
    whole = tmp_path / "whole"
    call(*asked, whole)
    for name in ("predictions.csv", "a_prediction.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_where_nothing_else_can_be_written_the_output_folder_takes_what_passes(
    scans, tiny_run, tmp_path, monkeypatch
):
    import atexit
    import tempfile

    last = []

    def nowhere():
        if tempfile.tempdir is None:
            raise FileNotFoundError("No usable temporary directory found")
        return tempfile.tempdir

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    monkeypatch.setattr(atexit, "register", lambda *call, **how: last.append(call))
    monkeypatch.setenv("TMPDIR", "/nowhere")
    asked = (scans / "half.nii.gz", "--state", "mni152-brain", "--model", tiny_run.folder)
    code, _, error = call(*asked)
    assert (code, "give --out" in error) == (2, True)
    assert call(*asked, "--out", tmp_path / "out")[0] == 4
    (remove, passing), *_ = last
    assert passing.startswith(str(tmp_path / "out"))
    remove(passing)
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".passing")]


@pytest.mark.parametrize("part", ["0/2", "3/2", "half", "1/0"])
def test_a_part_is_one_of_those_there_are(scans, tiny_run, tmp_path, part):
    (scans / "m.csv").write_text("scan_id,path\n")
    how = ("--model", tiny_run.folder, "--out", tmp_path, "--part", part)
    code, _, error = call(scans / "m.csv", *how)
    assert (code, "no K/N" in error) == (2, True)
    assert call(scans / "whole.nii.gz", *how[:-1], "1/2")[0] == 2


@pytest.fixture
def dataset(brains, tmp_path):
    folder = tmp_path / "ds"
    for person in ("01", "02"):
        (folder / f"sub-{person}/anat").mkdir(parents=True)
        source = brains / ("whole.nii.gz" if person == "01" else "half.nii.gz")
        shutil.copy(source, folder / f"sub-{person}/anat/sub-{person}_T1w.nii.gz")
    (folder / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    (folder / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t61\tM\n")
    return folder


def test_a_dataset_as_a_bids_app(dataset, tiny_run, tmp_path):
    out = tmp_path / "derived"
    how = ("--model", tiny_run.folder, "--state", "mni152-brain")
    code, *_ = call(dataset, out, "participant", *how, "-w", tmp_path / "work", "--native-maps")
    assert code == 5
    stem = "sub-01/anat/sub-01"
    listed = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert listed == {
        "dataset_description.json", "brainage.tsv", "brainage.json", "predictions.csv",
        "group.html", "log.txt",
        *(f"{stem}{ending}" for ending in (
            "_desc-brainage_predictions.json", "_report.html", "_report.pdf",
            "_desc-aicbv_cbv.nii.gz", "_desc-aicbv_cbv.json", "_desc-brain_mask.nii.gz",
            "_desc-brain_mask.json", "_desc-gradcamT1w_map.nii.gz", "_desc-gradcamT1w_map.json",
            "_desc-gradcamAICBV_map.nii.gz", "_desc-gradcamAICBV_map.json",
        )),
        *(f"sub-02/anat/sub-02{ending}" for ending in (
            "_desc-brainage_predictions.json", "_report.html", "_report.pdf",
        )),
    }  # fmt: skip
    facts = read_json(out / "dataset_description.json")
    assert facts["GeneratedBy"][0] == {"Name": "brainage", "Version": brainage_lib.__version__}
    result = read_json(out / f"{stem}_desc-brainage_predictions.json")
    assert (result["age"], result["sex"]) == (61.0, "M")
    table = pd.read_csv(out / "brainage.tsv", sep="\t", na_values="n/a")
    assert table["participant_id"].tolist() == ["sub-01", "sub-02"]
    assert table["predicted_age"].isna().tolist() == [False, True]
    before = (out / "brainage.tsv").read_bytes()
    (out / "brainage.tsv").unlink()
    assert call(dataset, out, "group", *how)[0] == 5
    assert (out / "brainage.tsv").read_bytes() == before


def test_labels_choose_participants(dataset, tiny_run, tmp_path):
    out = tmp_path / "derived"
    how = ("--model", tiny_run.folder, "--state", "mni152-brain")
    assert call(dataset, out, "participant", "--participant-label", "sub-01", *how)[0] == 0
    assert not (out / "sub-02").exists()
    assert call(dataset, out, "participant", "--participant-label", "77", *how)[0] == 2
    assert call(dataset, out, "analysis", *how)[0] == 2


def test_help_has_examples_and_exit_codes():
    result = CliRunner().invoke(app, ["predict", "--help"])
    for word in ("brainage predict T1w.nii.gz", "participant", "Exit codes", "predicted_age"):
        assert word in result.stdout
