"""From a manifest to volumes: broken scans are put aside, a killed run goes on."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml

from brainage_lib.data import volumes as module
from brainage_lib.data.cohort import write_manifest
from brainage_lib.data.gate import write_splits
from brainage_lib.data.look import scan_steps
from brainage_lib.data.store import VolumeStore
from brainage_lib.data.volumes import kept, prepare_volumes, put_aside
from brainage_lib.errors import BadInput, UserError
from brainage_lib.imaging import grid, normalise, template
from brainage_lib.run import start_run, workers
from brainage_lib.simulate import open_scan, simulate_cohort
from brainage_lib.tables import MANIFEST, write_table

GENERATOR = {
    "size": "demo", "patch": 16, "overlap": 0.25, "people": 1, "steps": 1, "batch": 1,
    "learning_rate": 0.001,
}  # fmt: skip


def make_run(folder, manifest, **settings):
    profile = {
        "cohort": str(manifest), "grid_mm": 4, "modes": ["paper", "sound"], "folds": 2,
        "epochs": 1, "patience": 1, "batch": 3, "learning_rate": 0.0001, "workers": 1,
        "generator": GENERATOR, **settings,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "asked.yml"
    path.write_text(yaml.safe_dump(profile))
    run = start_run(folder, path)
    write_manifest(run)
    return run


def brain(number, gain=100.0):
    """The template with noise, other on each scan, in a scanner's own unit."""
    reference = template(grid(4))
    noise = np.random.default_rng([3, number]).normal(0, 0.02, reference.t1w.shape)
    return (gain * np.where(reference.mask, reference.t1w + noise, 0)).astype(np.float32)


def save(path, data, affine=None):
    nib.save(nib.Nifti1Image(data, grid(4).affine if affine is None else affine), path)


def row(number, **changes):
    return {
        "scan_id": f"s{number:02d}", "participant_id": f"p{number:02d}", "project": "OAS1",
        "session": "1", "age": 20.0 + number, "sex": "FM"[number % 2], "diagnosis": "control",
        "path": f"s{number:02d}.nii.gz", "t1w_state": "mni152-brain", **changes,
    }  # fmt: skip


@pytest.fixture
def cohort(tmp_path):
    """Five good scans with broken ones between them; returns the manifest's path."""
    folder = tmp_path / "scans"
    folder.mkdir()
    rows = [row(number) for number in range(12)]
    for number in (0, 3, 5, 8, 11):
        save(folder / f"s{number:02d}.nii.gz", brain(number))
    (folder / "s01.nii.gz").write_bytes(b"")
    save(folder / "s02.nii.gz", np.stack([brain(2)] * 2, axis=-1))
    holed = brain(4)
    holed[20, 30, 20] = np.nan
    save(folder / "s04.nii.gz", holed)
    whole = (folder / "s05.nii.gz").read_bytes()
    (folder / "s06.nii.gz").write_bytes(whole[: len(whole) // 2])
    elsewhere = grid(4).affine.copy()
    elsewhere[:3, 3] += 300
    save(folder / "s07.nii.gz", brain(7), elsewhere)
    (folder / "s09.nii").write_text("not an image")
    rows[9]["path"] = "s09.nii"
    save(folder / "s10.nii.gz", np.full(grid(4).shape, 7, np.float32))
    rows[10]["t1w_state"] = "native-head"
    path = folder / "manifest.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


REASONS = {
    "s01": "file is empty",
    "s02": "image is not three-dimensional",
    "s04": "image contains NaN or infinite values",
    "s06": "file is cut off or damaged",
    "s07": "not on an MNI152 grid",
    "s09": "not a NIfTI image",
    "s10": "image is constant",
}
GOOD = ["s00", "s03", "s05", "s08", "s11"]


def contents(run):
    files = [*run.path("volumes", "t1w").iterdir(), run.path("quality.csv")]
    # store.json holds the times of change of the images.
    return {path.name: path.read_bytes() for path in files if path.name != "store.json"}


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr("brainage_lib.data.store.shard_rows_for", lambda shape: 2)


def test_broken_images_are_put_aside_with_their_reason_and_the_rest_goes_on(tmp_path, cohort):
    run = make_run(tmp_path / "run", cohort)
    quality = prepare_volumes(run).set_index("scan_id")
    assert quality.index.tolist() == [f"s{n:02d}" for n in range(12)]
    for scan_id, reason in REASONS.items():
        assert quality.loc[scan_id, "verdict"] == "drop"
        assert quality.loc[scan_id, "reasons"].startswith(reason)
        assert quality.loc[scan_id, module.MEASURES].isna().all()
    assert (quality.loc[GOOD, "verdict"] == "keep").all()
    assert quality.loc[GOOD, module.MEASURES].notna().all().all()
    assert kept(run)["scan_id"].tolist() == GOOD
    counts = put_aside(run).set_index("reason")["n_scans"]
    assert counts.sum() == len(REASONS)
    assert set(counts.index) == set(REASONS.values())


def test_volumes_are_normalised_and_empty_outside_the_brain(tmp_path, cohort):
    run = make_run(tmp_path / "run", cohort)
    prepare_volumes(run)
    store = VolumeStore(run.path("volumes", "t1w"))
    assert store.scan_ids == GOOD
    assert store.shape == (48, 64, 48)
    expected = normalise(brain(3))
    outside = ~template(grid(4)).mask
    assert not store["s03"][outside].any()
    inside = store["s03"] > 0
    np.testing.assert_allclose(store["s03"][inside], expected[inside], rtol=1e-3)
    top = np.sort(store["s03"][inside].astype(float))
    assert top[-round(len(top) / 100) :].mean() == pytest.approx(1, abs=0.01)


def test_the_steps_of_one_scan_end_in_what_is_stored(tmp_path, cohort):
    run = make_run(tmp_path / "run", cohort)
    prepare_volumes(run)
    steps = scan_steps(run, "s05")
    assert list(steps) == ["on the grid", "brain alone", "divided by the mean of its top 1 %"]
    stored = VolumeStore(run.path("volumes", "t1w"))["s05"]
    np.testing.assert_array_equal(list(steps.values())[-1].astype(np.float16), stored)
    with pytest.raises(KeyError, match="not in the manifest"):
        scan_steps(run, "s99")


def test_nothing_put_aside_is_an_empty_table(tmp_path):
    (tmp_path / "scans").mkdir()
    save(tmp_path / "scans" / "s00.nii.gz", brain(0))
    pd.DataFrame([row(0)]).to_csv(tmp_path / "scans" / "manifest.csv", index=False)
    run = make_run(tmp_path / "run", tmp_path / "scans" / "manifest.csv")
    prepare_volumes(run)
    assert put_aside(run).empty
    assert list(put_aside(run).columns) == ["reason", "n_scans"]


def test_same_bytes_with_one_or_two_workers(tmp_path, cohort, small_shards):
    one = make_run(tmp_path / "one", cohort, workers=1)
    two = make_run(tmp_path / "two", cohort, workers=2)
    prepare_volumes(one)
    prepare_volumes(two)
    assert contents(one) == contents(two)


def stop_at(monkeypatch, scan_id, act):
    real = module.prepare_scan
    opened = []

    def watched(scan, *how):
        opened.append(scan["scan_id"])
        if scan["scan_id"] == scan_id:
            act()
        return real(scan, *how)

    monkeypatch.setattr(module, "prepare_scan", watched)
    return opened


@pytest.mark.parametrize("scan_id", ["s02", "s04", "s09", "s11"])
def test_a_run_killed_half_way_goes_on_and_leaves_the_same_files(
    tmp_path, cohort, small_shards, monkeypatch, scan_id
):
    whole = make_run(tmp_path / "whole", cohort)
    prepare_volumes(whole)
    dead = make_run(tmp_path / "dead", cohort)
    with monkeypatch.context() as patch:
        stop_at(patch, scan_id, lambda: os._exit(9))
        child = multiprocessing.get_context("fork").Process(target=prepare_volumes, args=(dead,))
        child.start()
        child.join(60)
        assert child.exitcode == 9
    assert not dead.path("quality.csv").exists()
    opened = stop_at(monkeypatch, None, None)
    prepare_volumes(dead)
    assert contents(dead) == contents(whole)
    # Shards hold s00 and s03, s05 and s08: what was on disk is not opened again.
    first = {"s02": "s00", "s04": "s04", "s09": "s09", "s11": "s09"}[scan_id]
    assert opened[0] == first


def test_what_is_finished_is_not_done_again_until_an_input_changes(tmp_path, cohort, monkeypatch):
    run = make_run(tmp_path / "run", cohort)
    before = prepare_volumes(run)
    opened = stop_at(monkeypatch, None, None)
    pd.testing.assert_frame_equal(prepare_volumes(run), before)
    # Another age is no other image.
    manifest = pd.read_csv(cohort)
    manifest.loc[0, "age"] = 77.0
    manifest.to_csv(cohort, index=False)
    write_manifest(run)
    prepare_volumes(run)
    assert opened == []
    save(cohort.parent / "s01.nii.gz", brain(1))
    assert prepare_volumes(run)["verdict"].tolist().count("keep") == 6
    assert len(opened) == 12
    assert "s01" in VolumeStore(run.path("volumes", "t1w"))
    opened.clear()
    run.path("volumes", "t1w", "000.npy").unlink()
    prepare_volumes(run)
    assert len(opened) == 12


def test_new_limits_need_no_new_look_at_the_images(tmp_path, cohort, monkeypatch):
    run = make_run(tmp_path / "run", cohort)
    prepare_volumes(run)
    opened = stop_at(monkeypatch, None, None)
    strict = {"brain_ml": [700.0, 2500.0], "template_correlation_look": 1.0, "look": "drop"}
    run = make_run(tmp_path / "run", cohort, quality={**strict, "look": "keep"})
    quality = prepare_volumes(run).set_index("scan_id")
    assert (quality.loc[GOOD, "verdict"] == "look").all()
    assert kept(run)["scan_id"].tolist() == GOOD
    run = make_run(tmp_path / "run", cohort, quality=strict)
    with pytest.raises(BadInput, match=r"no scan goes on: look at the registration \(5 scans\)"):
        prepare_volumes(run)
    assert run.path("quality.csv").is_file()
    assert opened == []


def test_a_dead_worker_is_reported_with_a_remedy(tmp_path, cohort, monkeypatch):
    class Pool:
        def __init__(self, *_, **__): ...
        def shutdown(self, **_): ...

        def submit(self, *_):
            future = Future()
            future.set_exception(BrokenProcessPool("gone"))
            return future

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Pool)
    run = make_run(tmp_path / "run", cohort, workers=2)
    with pytest.raises(UserError, match="fewer workers"):
        prepare_volumes(run)


def test_splits_are_made_of_the_scans_that_go_on(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    rows = [row(number) for number in range(31)]
    for number in range(1, 31):
        save(folder / f"s{number:02d}.nii.gz", brain(number))
    (folder / "s00.nii.gz").write_bytes(b"")
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    run = make_run(tmp_path / "run", folder / "manifest.csv")
    prepare_volumes(run)
    splits, scores = write_splits(run)
    assert set(splits["scan_id"]) == {f"s{n:02d}" for n in range(1, 31)}
    assert splits.groupby(["mode", "fold"]).size().tolist() == [30, 30, 30]
    assert scores.groupby("mode").size().tolist() == [10, 6]
    before = run.path("splits.csv").stat().st_mtime_ns
    write_splits(run)
    assert run.path("splits.csv").stat().st_mtime_ns == before
    run = make_run(tmp_path / "run", folder / "manifest.csv", modes=["sound"], folds=3)
    splits, _ = write_splits(run)
    assert splits.groupby(["mode", "fold"]).size().tolist() == [30, 30, 30]


@pytest.mark.slow
def test_simulated_scans_go_the_same_way(tmp_path):
    manifest, _ = simulate_cohort(seed=5, n_scans=30, n_participants=25)
    write_table(manifest.iloc[:5], tmp_path / "manifest.csv", MANIFEST)
    run = make_run(tmp_path / "run", tmp_path / "manifest.csv")
    quality = prepare_volumes(run)
    assert run.simulated
    assert (quality["verdict"] != "drop").all()
    scan = open_scan(manifest["path"][2], grid(4))
    stored = VolumeStore(run.path("volumes", "t1w"))[manifest["scan_id"][2]]
    np.testing.assert_array_equal(stored, normalise(scan.t1w).astype(np.float16))
    assert not stored[~scan.mask].any()
