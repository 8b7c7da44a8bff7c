"""The cache of preprocessed scans: once for each scan, whole or not at all, bit for bit."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from brainage_lib.data import native, open_scan
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
