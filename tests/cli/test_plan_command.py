"""``brainage plan`` and ``brainage part``: what is said, and what is refused."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import yaml
from typer.testing import CliRunner

from brainage_lib.cli.main import app
from brainage_lib.errors import UserError, WrongUsage


@pytest.fixture
def brainage(root, monkeypatch, tmp_path):
    """Call a command in the checkout; errors for the user come out as they are."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("BRAINAGE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def call(*arguments):
        result = CliRunner().invoke(app, [str(text) for text in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return call


@pytest.fixture
def small(root, tmp_path):
    path = tmp_path / "small.csv"
    path.write_text("".join((root / "data_manifest.csv").open().readlines()[:13]))
    return path


def changed(root, folder, **settings):
    demo = yaml.safe_load((root / "workflow" / "profiles" / "demo.yml").read_text())
    path = folder / "mine.yml"
    path.write_text(yaml.safe_dump(demo | settings))
    return path


def test_a_plan_says_scans_jobs_disk_memory_hours_and_their_source(brainage, small):
    said = brainage("plan", "--profile", "paper", "--manifest", small, "--cores", "2")
    assert "Plan of profile paper on 0 GPUs and 2 cores" in said
    assert "Scans: 12 go on; 0 put aside" in said
    for head in ("Jobs", "Disk", "Peak memory", "Hours", "The hours come from"):
        assert f"\n{head}\n" in said
    assert "AMD EPYC, 2 cores, 2026-11-27" in said
    assert "For speed" not in said


def test_hours_on_a_gpu_name_the_card_that_was_timed(brainage, small):
    said = brainage("plan", "--profile", "paper", "--manifest", small, "--gpus", "1")
    assert re.search(r"vgg8: 0\.0\d+ s a million voxels of a training step \(NVIDIA H200, ", said)
    assert "not known" not in said


def test_what_is_on_for_speed_is_said(brainage, small, root, tmp_path):
    profile = changed(root, tmp_path, precision="bf16")
    said = brainage("plan", "--profile", profile, "--manifest", small)
    assert "For speed, and not as the paper: precision bf16" in said


def test_a_disk_that_is_too_small_is_refused_after_the_plan(brainage, small, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=10**8))
    with pytest.raises(UserError, match=r"disk is too small.*0\.1 GB free"):
        brainage("plan", "--profile", "demo", "--manifest", small)


def test_a_device_that_is_not_there_is_refused(brainage, small, root, tmp_path):
    profile = changed(root, tmp_path, device="cuda")
    with pytest.raises(WrongUsage, match=r"there is no GPU here; give --gpus"):
        brainage("plan", "--profile", profile, "--manifest", small)
    # For another computer it can be planned.
    brainage("plan", "--profile", profile, "--manifest", small, "--gpus", "1")


def test_a_batch_of_one_is_refused_with_the_reason(brainage, small, root, tmp_path):
    profile = changed(root, tmp_path, batch=1)
    with pytest.raises(WrongUsage, match=r"batch: 1 is not possible.* batch normalisation takes"):
        brainage("plan", "--profile", profile, "--manifest", small)


def test_a_kind_of_part_that_is_not_there_is_named(brainage, root, small, tmp_path):
    from brainage_lib.run import start_run

    run = start_run(tmp_path / "runs" / "a", root / "workflow" / "profiles" / "demo.yml", small)
    with pytest.raises(WrongUsage, match="prepare, generator, synthesise"):
        brainage("part", run.folder, "prepair")
