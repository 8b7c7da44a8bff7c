"""`brainage qc` and `brainage preprocess` as a user calls them."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from brainage_lib.cli.main import app
from brainage_lib.imaging import grid, template
from brainage_lib.tables import QUALITY, read_table


@pytest.fixture
def manifest(tmp_path):
    """A good scan, and one that is no image."""
    made = template(grid(4))
    brain = np.where(made.mask, made.t1w, 0).astype(np.float32)
    nib.save(nib.Nifti1Image(brain, grid(4).affine), tmp_path / "a.nii.gz")
    (tmp_path / "b.nii.gz").write_bytes(b"")
    rows = [
        {"scan_id": name, "participant_id": name, "project": "IXI", "session": "1", "age": 40,
         "sex": "F", "diagnosis": "control", "path": f"{name}.nii.gz",
         "t1w_state": "mni152-brain"}
        for name in "ab"
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "m.csv", index=False)
    return tmp_path / "m.csv"


def test_qc_writes_a_verdict_a_scan(manifest, tmp_path):
    out = tmp_path / "q.csv"
    result = CliRunner().invoke(app, ["qc", str(manifest), "--out", str(out), "--workers", "1"])
    assert result.exit_code == 0
    assert "b: file is empty" in result.stdout
    assert "2 scans, 1 keep, 0 look, 1 drop" in result.stdout
    assert read_table(out, QUALITY)["verdict"].tolist() == ["keep", "drop"]


def test_preprocess_says_that_it_is_partly_done(manifest, tmp_path):
    out = tmp_path / "brains"
    asked = ["preprocess", str(manifest), "--out", str(out), "--workers", "1", "--grid-mm", "4"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 5
    assert {path.name for path in out.iterdir()} == {
        "a_T1w.json", "a_T1w.nii.gz", "manifest.csv", "quality.csv",
    }  # fmt: skip


def test_a_grid_that_there_is_not_is_refused(manifest, tmp_path):
    asked = ["qc", str(manifest), "--out", str(tmp_path / "q.csv"), "--grid-mm", "5"]
    assert CliRunner().invoke(app, asked).exit_code == 2
