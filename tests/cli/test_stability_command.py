"""`brainage stability`: what is printed, kept and exited with; the numbers have their own tests."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

import brainage_lib.predict
from brainage_lib.cli.main import app
from brainage_lib.errors import BadImage, UserError
from brainage_lib.tables import STABILITY, STABILITY_SUMMARY, read_table

CHANGES = {"a": 1.5, "b": -4.0, "refused": None}


def pretend(model, scan, folder, **how):
    """Answer as the library does: by name one is refused, one cannot be opened."""
    name = scan["scan_id"]
    if name == "text":
        raise BadImage("not a NIfTI image", "convert it")
    change = CHANGES[name]
    rows = [("none", 0.0, "as it came", 0.0), ("tilt", 5.0, "degrees of nodding", change)]
    table = pd.DataFrame(
        {
            "scan_id": name, "disturbance": kind, "strength": strength, "unit": unit,
            "verdict": "drop" if change is None else "keep", "reasons": "cut off",
            "predicted_age": None if change is None else 50 + moved,
            "change": moved, "smallest_change": 3.0,
        }
        for kind, strength, unit, moved in rows
    )  # fmt: skip
    return STABILITY.validate(table if change is not None else table[:1])


@pytest.fixture
def call(monkeypatch, tiny_run, tmp_path):
    monkeypatch.setattr(brainage_lib.predict, "stability", pretend)

    def run(*arguments):
        words = ["stability", *map(str, arguments), "--model", str(tiny_run.folder)]
        result = CliRunner().invoke(app, [*words, "--device", "cpu"])
        if isinstance(result.exception, UserError):
            return result.exception.exit_code, result.stdout
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout

    return run


def manifest(folder, *names):
    rows = "".join(f"{name},{name}.nii.gz\n" for name in names)
    for name in names:
        (folder / f"{name}.nii.gz").touch()
    (folder / "m.csv").write_text(f"scan_id,path\n{rows}")
    return folder / "m.csv"


def test_one_scan_is_told_with_what_its_change_is_to_be_compared_with(call, tmp_path):
    code, said = call(tmp_path / "a.nii.gz")
    assert code == 0
    assert "a: 50.0 years" in said
    assert "tilt 5 degrees of nodding" in said
    assert "+1.5 years" in said
    assert "smallest change that counts: 3.0 years" in said
    assert "beyond" not in said
    assert "−4.0 years  beyond" in call(tmp_path / "b.nii.gz")[1]


def test_a_table_of_scans_gives_every_answer_and_the_summary(call, tmp_path):
    out = tmp_path / "out"
    code, said = call(manifest(tmp_path, "a", "b"), "--out", out)
    assert code == 0
    assert "mean −1.2, largest −4.0 years (n = 2)" in said
    assert len(read_table(out / "stability.csv", STABILITY)) == 4
    (row,) = read_table(out / "stability_summary.csv", STABILITY_SUMMARY).to_dict("records")
    assert (row["n_scans"], row["largest_change"], row["n_beyond"]) == (2, -4.0, 1)


def test_one_scan_that_is_bad_does_not_stop_a_table(call, tmp_path):
    code, said = call(manifest(tmp_path, "a", "refused", "text"), "--out", tmp_path / "out")
    assert code == 5
    assert "a: 50.0 years" in said
    assert "refused: refused: cut off" in said


@pytest.mark.parametrize(("name", "code"), [("refused", 4), ("text", 3)])
def test_one_bad_scan_has_the_exit_code_of_predict(call, tmp_path, name, code):
    assert call(tmp_path / f"{name}.nii.gz")[0] == code


def test_json_is_the_table(call, tmp_path):
    rows = json.loads(call(tmp_path / "a.nii.gz", "--json")[1])
    assert [row["change"] for row in rows] == [0.0, 1.5]
    assert set(rows[0]) == set(STABILITY.columns)


@pytest.mark.parametrize("wrong", [[], ["--out", "x", "--sex", "F"]])
def test_what_does_not_go_with_a_table_is_wrong_usage(call, tmp_path, wrong):
    assert call(manifest(tmp_path, "a"), *wrong)[0] == 2
