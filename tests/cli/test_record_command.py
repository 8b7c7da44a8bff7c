"""``brainage record`` parses, calls and exits as it should; what it writes: tests/report."""

from __future__ import annotations

import subprocess
import sys

import yaml


def brainage(*arguments):
    command = [sys.executable, "-m", "brainage_lib", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_help_names_what_it_takes():
    answer = brainage("record", "--help")
    assert answer.returncode == 0
    assert "book/recorded" in answer.stdout


def test_unfinished_and_simulated_runs_and_bad_names_are_told_without_a_traceback(root, tmp_path):
    demo = yaml.safe_load((root / "workflow" / "profiles" / "demo.yml").read_text())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "profile.yml").write_text(yaml.safe_dump({"name": "demo", **demo}))
    into = ("--into", tmp_path / "recorded")
    unfinished = brainage("record", tmp_path / "run", "oas1", *into)
    assert unfinished.returncode == 3
    assert "predictions.csv is missing: chapter 05_vgg8_training has not run" in unfinished.stderr
    badly_named = brainage("record", tmp_path / "run", "../oas1", *into)
    assert badly_named.returncode == 2
    (tmp_path / "run" / "cohort.json").write_text('{"simulated": true}')
    simulated = brainage("record", tmp_path / "run", "oas1", *into)
    assert simulated.returncode == 2
    for answer in (unfinished, badly_named, simulated):
        assert "Traceback" not in answer.stderr
    assert not (tmp_path / "recorded").exists()
