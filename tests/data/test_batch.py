"""A table of scans without a run: every scan gets a verdict, and none stops the others."""

from __future__ import annotations

import json
import os

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from brainage_lib.data import check_scans, native
from brainage_lib.errors import BadInput
from brainage_lib.imaging import NativeBrain, grid, template
from brainage_lib.tables import QUALITY, read_manifest
from brainage_lib.tables.files import check_table

GOOD = ("a", "raw", "with 'quotes' and blanks")


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    """Good scans, and one of each kind of bad file and row."""
    monkeypatch.setattr(
        native, "preprocess", lambda img, state: NativeBrain(img, np.eye(4), [{"name": state}])
    )
    folder = tmp_path / "scans"
    folder.mkdir()
    made = template(grid(4))
    brain = np.where(made.mask, made.t1w * 300, 0).astype(np.float32)

    def save(name, data):
        nib.save(nib.Nifti1Image(data, grid(4).affine), folder / name)
        return name

    (folder / "text.nii.gz").write_text("no image")
    (folder / "loop.nii.gz").symlink_to("loop.nii.gz")
    whole = save("a.nii.gz", brain)
    (folder / "half.nii.gz").write_bytes((folder / whole).read_bytes()[:900])
    holed = brain.copy()
    holed[20, 30, 20] = np.nan
    files = {
        "a": whole,
        "raw": save("raw.nii.gz", brain * 2),
        "with 'quotes' and blanks": save("with 'quotes' and blanks.nii.gz", brain),
        "four": save("four.nii.gz", np.stack([brain] * 2, axis=-1)),
        "holes": save("holes.nii.gz", holed),
        "zero": save("zero.nii.gz", brain * 0),
        "ct": save("ct.nii.gz", np.full(grid(4).shape, -1000, np.float32) + brain * 0),
        "text": "text.nii.gz",
        "half": "half.nii.gz",
        "loop": "loop.nii.gz",
        "gone": "gone.nii.gz",
        "out": "../out.nii.gz",
        "flipped": save("flipped.nii.gz", brain[:, :, ::-1].copy()),
    }
    rows = [
        {
            "scan_id": name.split(" ")[0], "participant_id": name, "project": "IXI",
            "session": "1", "age": 40, "sex": "F", "diagnosis": "control", "path": path,
            "t1w_state": "native-brain" if name == "raw" else "mni152-brain",
        }
        for name, path in files.items()
    ]  # fmt: skip
    rows.append({**rows[0], "age": 400, "scan_id": "old"})
    rows.append({**rows[0]})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


REASONS = {
    "four": "not three-dimensional",
    "holes": "NaN",
    "zero": "constant",
    "ct": "constant",
    "text": "cut off or damaged",
    "half": "cut off or damaged",
    "loop": "does not exist",
    "gone": "does not exist",
    "out": "leaves the manifest's folder",
    "old": "'400' is outside 5–110",
    "a (line 16)": "stands already on line 2",
}


def test_every_scan_gets_one_line_and_nothing_stops(cohort, tmp_path):
    quality = check_scans(cohort, 4, tmp_path / "cache", 1)
    check_table(quality, QUALITY, "quality")
    assert len(quality) == 15
    found = quality.set_index("scan_id")
    for name in GOOD:
        assert found.loc[name.split(" ")[0], "verdict"] == "keep"
    for name, reason in REASONS.items():
        assert found.loc[name, "verdict"] == "drop"
        assert reason in found.loc[name, "reasons"]
    assert found.loc["flipped", "verdict"] == "drop"
    assert found.loc["a", "template_correlation"] > 0.9


def test_brains_are_written_with_their_steps_and_read_again(cohort, tmp_path):
    out = tmp_path / "out"
    check_scans(cohort, 4, tmp_path / "cache", 1, into=out)
    manifest = read_manifest(out / "manifest.csv")
    assert manifest["scan_id"].tolist() == ["a", "raw", "with"]
    assert set(manifest["t1w_state"]) == {"mni152-brain"}
    img = nib.load(out / "raw_T1w.nii.gz")
    np.testing.assert_allclose(img.affine, grid(4).affine)
    data = np.asarray(img.dataobj)
    top = np.sort(data[data > 0])[-int(0.01 * (data > 0).sum()) :]
    assert top.mean() == pytest.approx(1, abs=0.02)
    steps = json.loads((out / "raw_T1w.json").read_text())["steps"]
    assert [step["name"] for step in steps[:2]] == ["native-brain", "resampled to the grid of 4 mm"]
    assert np.array_equal(steps[0]["to_mni"], np.eye(4))
    again = check_scans(out / "manifest.csv", 4, tmp_path / "cache", 1)
    assert set(again["verdict"]) == {"keep"}
    assert not any(name.startswith(".") for name in os.listdir(out))


def test_a_table_without_its_columns_is_refused(tmp_path):
    (tmp_path / "m.csv").write_text("scan_id,path\na,b\n")
    with pytest.raises(BadInput, match="age: column is missing"):
        check_scans(tmp_path / "m.csv", 4, tmp_path / "cache", 1)
