"""A batch of predictions as jobs: the same results as one command."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from brainage_lib.predict.batch import FINE_GB


def snakemake(root, folder, *config):
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(root / "workflow" / "predict.smk"),
        "--directory", str(folder), "--cores", "1", "--config", *config,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=root)


def test_its_memory_is_that_of_a_process(root):
    text = (root / "workflow" / "predict.smk").read_text(encoding="utf-8")
    assert float(re.search(r"^WORKER_GB = ([\d.]+)", text, flags=re.MULTILINE)[1]) == FINE_GB


@pytest.mark.slow
def test_parts_as_jobs_give_what_one_command_gives(root, brains, tiny_run, tmp_path, monkeypatch):
    # Jobs have one thread; sums of two come in another order, and differ in their last bits.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    scans = shutil.copytree(brains, tmp_path / "scans")
    shutil.copy(scans / "whole.nii.gz", scans / "again.nii.gz")
    rows = pd.DataFrame({"scan_id": ["a", "b", "c"], "age": [50, 60, ""], "sex": ["F", "M", ""]})
    rows["path"] = ["whole.nii.gz", "half.nii.gz", "again.nii.gz"]
    rows.assign(t1w_state="mni152-brain").to_csv(scans / "m.csv", index=False)
    made, whole = tmp_path / "made", tmp_path / "whole"
    asked = (f"scans={scans / 'm.csv'}", f"model={tiny_run.folder}", "parts=2",
             "options=--device cpu")  # fmt: skip
    found = snakemake(root, made, *asked)
    assert found.returncode == 0, found.stderr
    command = [sys.executable, "-m", "brainage_lib", "predict", str(scans / "m.csv"), "--model",
               str(tiny_run.folder), "--out", str(whole), "--device", "cpu"]  # fmt: skip
    assert subprocess.run(command, capture_output=True, timeout=900, cwd=root).returncode == 5
    names = {path.name for path in whole.iterdir() if path.is_file()} - {"log.txt"}
    assert {"predictions.csv", "group.html", "a_prediction.json", "b_report.html"} <= names
    for name in ("predictions.csv", *(f"{scan}_prediction.json" for scan in "abc")):
        assert (made / name).read_bytes() == (whole / name).read_bytes(), name
    assert names <= {path.name for path in made.iterdir()}
    assert {path.name for path in made.glob("log-*.txt")} == {"log-1.txt", "log-2.txt"}


@pytest.mark.slow
def test_what_is_not_said_or_not_there_is_told_before_anything_is_started(root, tmp_path):
    for config, words in ((["model=m"], "--config scans="),
                          (["scans=/nowhere.csv", "model=m"], "does not exist")):  # fmt: skip
        found = snakemake(root, tmp_path, *config)
        assert found.returncode != 0
        assert words in found.stderr
