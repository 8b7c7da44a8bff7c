"""The cache of preprocessed scans: once for each scan, whole or not at all, bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from brainage_lib.data import carry_back, native, open_scan
from brainage_lib.errors import BadImage
from brainage_lib.imaging import NativeBrain, grid, template


def fake_preprocess(calls):
    """Stand in for the slow steps: the scan as it is, shifted by 5 mm."""

    def preprocess(img, t1w_state):
        calls.append(t1w_state)
        to_mni = np.eye(4)
        to_mni[:3, 3] = (5, 0, 0)
        return NativeBrain(img, to_mni, [{"name": "stand-in", "tool": "none", "version": "1"}])

    return preprocess


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """A folder with one scan, 5 mm beside its place, and the calls of the slow steps."""
    folder = tmp_path / "scans"
    folder.mkdir()
    made = template(grid(2))
    affine = grid(2).affine.copy()
    affine[0, 3] -= 5
    brain = np.where(made.mask, made.t1w * 812.7, 0).astype(np.float32)
    nib.save(nib.Nifti1Image(brain, affine), folder / "a.nii.gz")
    calls = []
    monkeypatch.setattr(native, "preprocess", fake_preprocess(calls))
    return folder, tmp_path / "cache", calls


ROW = {"scan_id": "a", "path": "a.nii.gz", "t1w_state": "native-brain"}


def test_a_native_scan_comes_to_its_place(scans):
    folder, cache, _ = scans
    volume, mask = open_scan(ROW, folder, grid(4), cache)
    made = template(grid(4))
    assert np.corrcoef(volume[made.mask], made.t1w[made.mask])[0, 1] > 0.97
    assert volume[mask].max() == pytest.approx(812.7 * made.t1w.max(), rel=0.05)


def test_it_is_preprocessed_once_for_all_grids(scans):
    folder, cache, calls = scans
    first, _ = open_scan(ROW, folder, grid(4), cache)
    open_scan(ROW, folder, grid(2), cache)
    again, _ = open_scan(ROW, folder, grid(4), cache)
    np.testing.assert_array_equal(first, again)
    assert calls == ["native-brain"]
    alone, _ = open_scan(ROW, folder, grid(4))
    np.testing.assert_array_equal(alone, first)
    assert calls == ["native-brain"] * 2


def test_another_state_or_image_is_another_entry(scans):
    folder, cache, calls = scans
    open_scan(ROW, folder, grid(4), cache)
    open_scan({**ROW, "t1w_state": "native-head"}, folder, grid(4), cache)
    assert calls == ["native-brain", "native-head"]
    img = nib.load(folder / "a.nii.gz")
    other = np.asarray(img.dataobj) * 2
    nib.save(nib.Nifti1Image(other, img.affine), folder / "a.nii.gz")
    open_scan(ROW, folder, grid(4), cache)
    assert len(calls) == 3
    assert len(list(cache.iterdir())) == 3


def test_a_brain_in_mni_is_registered_again_only_if_asked(scans):
    folder, cache, calls = scans
    row = {**ROW, "t1w_state": "mni152-brain"}
    as_given, _ = open_scan(row, folder, grid(4), cache)
    assert calls == []
    again, _ = open_scan(row, folder, grid(4), cache, register_again=True)
    assert calls == ["mni152-brain"]
    assert np.abs(again - as_given).max() > 1


def test_an_entry_says_what_was_done_and_holds_no_header(scans):
    folder, cache, _ = scans
    open_scan(ROW, folder, grid(4), cache)
    (entry,) = cache.iterdir()
    assert {path.name for path in entry.iterdir()} == set(native.FILES)
    facts = json.loads((entry / "steps.json").read_text())
    assert facts["steps"][0]["name"] == "stand-in"
    assert facts["to_mni"][0][3] == 5
    mask = np.asarray(nib.load(entry / "mask.nii.gz").dataobj)
    brain = np.asarray(nib.load(entry / "brain.nii.gz").dataobj)
    np.testing.assert_array_equal(mask > 0, brain > 0)
    assert brain.max() == 32_767


@pytest.mark.parametrize("lost", native.FILES)
def test_a_damaged_entry_is_made_again(scans, lost):
    folder, cache, calls = scans
    whole, _ = open_scan(ROW, folder, grid(4), cache)
    (entry,) = cache.iterdir()
    (entry / lost).unlink()
    again, _ = open_scan(ROW, folder, grid(4), cache)
    np.testing.assert_array_equal(again, whole)
    assert len(calls) == 2


def test_a_failure_leaves_nothing_behind(scans, monkeypatch):
    folder, cache, _ = scans

    def fail(img, path):
        raise OSError("no space left")

    monkeypatch.setattr(native.nib, "save", fail)
    with pytest.raises(OSError, match="no space"):
        open_scan(ROW, folder, grid(4), cache)
    assert list(cache.iterdir()) == []


def test_a_file_that_is_not_there_is_named(scans):
    folder, cache, _ = scans
    with pytest.raises(BadImage, match="file does not exist"):
        open_scan({**ROW, "path": "b.nii.gz"}, folder, grid(4), cache)


@pytest.mark.parametrize("axes", ["RAS", "LPI", "SAR"])
def test_a_map_comes_back_to_the_voxels_of_its_scan(scans, axes):
    folder, cache, _ = scans
    img = nib.load(folder / "a.nii.gz")
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(img.affine), nib.orientations.axcodes2ornt(axes)
    )
    nib.save(img.as_reoriented(turn), folder / "turned.nii.gz")
    row = {**ROW, "path": "turned.nii.gz"}
    volume, _ = open_scan(row, folder, grid(2), cache)
    back = carry_back(volume, grid(2), row, folder, cache)
    turned = nib.load(folder / "turned.nii.gz")
    assert back.shape == turned.shape
    np.testing.assert_array_equal(back.affine, turned.affine)
    given = np.asarray(turned.dataobj)
    assert np.corrcoef(back.get_fdata()[given > 0], given[given > 0])[0, 1] > 0.98


def test_a_map_of_another_grid_is_not_carried_back(scans):
    folder, cache, _ = scans
    with pytest.raises(ValueError, match="the grid"):
        carry_back(np.zeros((3, 3, 3)), grid(4), ROW, folder, cache)


def test_what_a_killed_process_left_is_removed_and_a_living_one_left_alone(scans):
    folder, cache, _ = scans
    open_scan(ROW, folder, grid(4), cache)
    (entry,) = cache.iterdir()
    (entry / "mask.nii.gz").unlink()
    dead, living = cache / f".{entry.name}-dead", cache / f".{entry.name}-living"
    dead.mkdir()
    living.mkdir()
    (dead / "brain.nii.gz").write_bytes(b"half")
    with native._locked(living):
        open_scan(ROW, folder, grid(4), cache)
    assert sorted(cache.iterdir()) == sorted([living, entry])


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_it_makes_the_same_cache(tmp_path):
    """The whole command with its processes, on brains of 3 mm."""
    folder = tmp_path / "scans"
    folder.mkdir()
    made = template(grid(3))
    rows = ["scan_id,participant_id,project,session,age,sex,diagnosis,path,t1w_state"]
    for number in range(2):
        affine = grid(3).affine.copy()
        affine[:3, 3] += 3 * number
        brain = np.where(made.mask, made.t1w * (100 + number), 0).astype(np.float32)
        nib.save(nib.Nifti1Image(brain, affine), folder / f"{number}.nii.gz")
        rows.append(f"{number},{number},IXI,1,50,F,control,{number}.nii.gz,native-brain")
    (folder / "m.csv").write_text("\n".join(rows) + "\n")

    def start(out):
        command = [str(Path(sys.executable).parent / "brainage"), "preprocess",
                   str(folder / "m.csv"), "--out", str(tmp_path / out)]  # fmt: skip
        return subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    began = time.monotonic()
    assert start("whole").wait() == 0
    needed = time.monotonic() - began
    moments = [random.uniform(0.2, 1.0) * needed for _ in range(2)]
    for moment in moments:
        process = start("killed")
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert start("killed").wait() == 0

    def contents(out):
        root = tmp_path / out
        return {path.relative_to(root): path.read_bytes()
                for path in root.rglob("*") if path.is_file()}  # fmt: skip

    assert contents("killed") == contents("whole"), f"killed after {moments} s"
