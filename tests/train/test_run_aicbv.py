"""AICBV of a run, from simulated people to maps and scores."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from brainage_lib import simulate
from brainage_lib.data import VolumeStore, VolumeWriter
from brainage_lib.errors import BadInput, UserError, WrongUsage
from brainage_lib.imaging import grid
from brainage_lib.models import load_weights, save_weights, shipped
from brainage_lib.run import scatter, start_run
from brainage_lib.tables import MANIFEST, QUALITY, write_table
from brainage_lib.train import aicbv, people
from brainage_lib.train.cbv_scores import above_ceiling

PROFILE = {
    "cohort": "none.csv", "grid_mm": 4, "modes": ["paper"], "folds": 2, "epochs": 1,
    "patience": 1, "batch": 3, "learning_rate": 0.0001, "workers": 1,
    "generator": {
        "size": "demo", "patch": 32, "overlap": 0.25, "people": 3, "steps": 4, "batch": 1,
        "learning_rate": 0.001,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three scans, one put aside."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "asked.yml").write_text(yaml.safe_dump(PROFILE))
    run = start_run(folder, folder / "asked.yml")
    manifest = simulate.simulate_cohort(1, 40, 40)[0].iloc[[0, 10, 20]]
    write_table(manifest, run.path("manifest.csv"), MANIFEST)
    quality = manifest[["scan_id", "project"]].assign(verdict=["keep", "drop", "keep"], reasons="")
    for name in QUALITY.columns:
        if name not in quality:
            quality[name] = 1.0
    write_table(quality, run.path("quality.csv"), QUALITY)
    run.path("cohort.json").write_text(json.dumps({"simulated": True}))
    with VolumeWriter(run.path("volumes", "t1w"), grid(4).shape) as writer:
        for scan in manifest.itertuples():
            writer.add(scan.scan_id, people.open_truth(scan.path, 4).t1w)
    return run


@pytest.fixture(scope="module")
def log(run):
    return aicbv.fit_aicbv(run)


@pytest.fixture(scope="module")
def maps(run, log):
    aicbv.synthesise_cohort(run)
    return VolumeStore(run.path("volumes", "cbv"))


def test_people_are_as_the_networks_see_them():
    uri = simulate.training_people(1, 5)[0]
    found, scan = people.open_truth(uri, 4), simulate.open_scan(uri, grid(4))
    np.testing.assert_array_equal(found.mask, found.t1w > 0)
    np.testing.assert_array_equal(found.cbv, scan.cbv)
    top = np.sort(found.t1w[found.mask].astype(float))[-round(found.mask.sum() / 100) :]
    assert top.mean() == pytest.approx(1, rel=2e-3)


def test_the_generator_is_trained_once(run, log, monkeypatch):
    assert log["step"].tolist() == [1, 2, 3, 4]
    monkeypatch.setattr(aicbv, "teach_generator", None)
    pd.testing.assert_frame_equal(aicbv.fit_aicbv(run), log)


def test_an_interrupted_run_simulates_nobody_twice(run, log, tmp_path):
    uris = simulate.training_people(3, run.profile.seed)
    written = sorted(path.name for path in run.path("aicbv", "people").glob("*.npy"))
    before = run.path("aicbv", "people", "index.csv").read_bytes()
    key = json.loads(run.path("aicbv", "people", "store.json").read_text())["key"]
    pairs = people.prepare_people(run.path("aicbv", "people"), uris, 4, key)
    assert written == ["000.npy"]
    assert run.path("aicbv", "people", "index.csv").read_bytes() == before
    t1w, cbv, mask = pairs[2]
    truth = people.open_truth(uris[2], 4)
    np.testing.assert_array_equal(t1w, truth.t1w)
    np.testing.assert_array_equal(cbv, truth.cbv.astype(np.float16))
    np.testing.assert_array_equal(mask, truth.mask)


def test_every_kept_scan_gets_a_map_within_its_brain(run, maps):
    t1w = VolumeStore(run.path("volumes", "t1w"))
    assert len(maps) == 2
    for scan_id in maps.scan_ids:
        assert not maps[scan_id][t1w[scan_id] == 0].any()
        assert 0 <= maps[scan_id].min() < maps[scan_id].max() <= 100


def test_a_map_is_what_the_stored_generator_makes(run, maps):
    generator = aicbv.load_generator(run)
    scan_id = maps.scan_ids[1]
    t1w = VolumeStore(run.path("volumes", "t1w"))[scan_id]
    found = aicbv.cbv_map(run, generator, t1w)
    np.testing.assert_array_equal(maps[scan_id], found.astype(np.float16))


def test_scores_are_of_people_outside_cohort_and_training(run, maps, monkeypatch):
    monkeypatch.setattr(aicbv, "SCORED_PEOPLE", 2)
    asked = []
    original = people.open_truth
    monkeypatch.setattr(aicbv, "open_truth", lambda *item: asked.append(item[0]) or original(*item))
    scores = aicbv.score_aicbv(run)
    assert set(scores["predictor"]) == {"network", "tissue means", "T1w transform", "ceiling"}
    assert set(scores["scan_id"]) == {"simulated-001", "simulated-002"}
    assert above_ceiling(scores) == []
    learned, scored = asked[:3], asked[3:]
    assert learned == simulate.training_people(3, run.profile.seed)
    assert len(scored) == 2
    assert not set(scored) & set(learned)
    aicbv.score_aicbv(run)
    assert len(asked) == 5


def _square(number):
    return number * number


def test_scattered_results_come_in_order():
    items = [(number,) for number in range(9)]
    assert list(scatter(_square, items, 1)) == [n * n for n in range(9)]


@pytest.mark.slow
def test_processes_give_what_one_gives():
    uris = [(uri, 4) for uri in simulate.training_people(2, 8)]
    alone = [truth.t1w for truth in scatter(people.open_truth, uris, 1)]
    together = [truth.t1w for truth in scatter(people.open_truth, uris, 2)]
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_a_process_that_is_ended_is_said():
    import os

    with pytest.raises(UserError, match="fewer workers"):
        list(scatter(os._exit, [(1,), (1,)], 2))


def test_a_profile_that_names_weights_trains_nothing(run, log, tmp_path, monkeypatch):
    """The weights, the log of their card, and a clear error where they do not fit."""
    monkeypatch.setattr(aicbv, "teach_generator", None)
    state, facts = load_weights(run.path(aicbv.WEIGHTS))
    save_weights(state, tmp_path / "w.safetensors", facts, half=True)
    (tmp_path / "w.json").write_text(json.dumps({"log": [[2, 3.5], [4, 2.5]]}))
    generator = {"size": "demo", "patch": 32, "overlap": 0.25}
    generator["weights"] = str(tmp_path / "w.safetensors")
    asked = tmp_path / "asked.yml"
    asked.write_text(yaml.safe_dump(PROFILE | {"generator": generator}))
    found = aicbv.fit_aicbv(other := start_run(tmp_path / "other", asked))
    assert found.to_numpy().tolist() == [[2, 3.5], [4, 2.5]]
    for name, tensor in aicbv.load_generator(other).state_dict().items():
        np.testing.assert_array_equal(tensor, state[name].half().float(), err_msg=name)
    nowhere = generator | {"weights": "none.safetensors"}
    asked.write_text(yaml.safe_dump(PROFILE | {"generator": nowhere}))
    with pytest.raises(BadInput, match="no such file of weights"):
        aicbv.fit_aicbv(start_run(tmp_path / "nowhere", asked))
    asked.write_text(yaml.safe_dump(PROFILE | {"generator": generator, "grid_mm": 2}))
    with pytest.raises(BadInput, match="grid_mm: the profile has 2, these weights have 4"):
        aicbv.fit_aicbv(start_run(tmp_path / "coarse", asked))
    asked.write_text(yaml.safe_dump(PROFILE | {"generator": generator | {"weights": "shipped"}}))
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    with pytest.raises(WrongUsage, match="no weights are shipped for 4 mm"):
        aicbv.fit_aicbv(start_run(tmp_path / "shipped", asked))
    (tmp_path / "w.safetensors").rename(tmp_path / "aicbv-4mm.safetensors")
    assert len(aicbv.fit_aicbv(start_run(tmp_path / "shipped", asked))) == 0
    assert shipped.shipped_grids() == [4]
