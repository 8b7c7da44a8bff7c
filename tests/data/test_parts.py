"""Parts that jobs of their own prepare: the files are those of a run without parts."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
import yaml

from brainage_lib.data import VolumeStore, prepare_volumes, write_manifest
from brainage_lib.data.volumes import prepare_part
from brainage_lib.errors import WrongUsage
from brainage_lib.run import start_run


def make_run(root, folder, scans_a_job):
    table = pd.read_csv(root / "data_manifest.csv", dtype=str).iloc[:5]
    folder.mkdir(parents=True)
    table.to_csv(folder / "five.csv", index=False)
    settings = yaml.safe_load((root / "workflow" / "profiles" / "demo.yml").read_text())
    settings |= {"workers": 1, "scans_a_job": scans_a_job}
    (folder / "mine.yml").write_text(yaml.safe_dump(settings))
    run = start_run(folder / "run", folder / "mine.yml", folder / "five.csv")
    write_manifest(run)
    return run


def contents(run):
    store = {path.name: path.read_bytes() for path in run.path("volumes", "t1w").glob("*.*")}
    # What the store was made of, by its key.
    store.pop("store.json")
    return store | {"quality": run.path("quality.csv").read_bytes()}


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    run = make_run(root, tmp_path_factory.mktemp("whole") / "a", 0)
    prepare_volumes(run)
    return contents(run)


@pytest.fixture
def parted(root, tmp_path):
    return make_run(root, tmp_path / "b", 2)


@pytest.mark.parametrize("prepared", [(0, 1, 2), (2, 0)])
def test_parts_in_any_order_or_missing_give_the_same_files(whole, parted, prepared):
    for part in prepared:
        prepare_part(parted, part)
    prepare_volumes(parted)
    assert contents(parted) == whole
    assert not list(parted.path("volumes", "parts").iterdir())


def test_a_part_is_used_and_not_computed_again(whole, parted, monkeypatch):
    for part in range(3):
        prepare_part(parted, part)

    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr("brainage_lib.data.volumes.prepare_scan", refuse)
    prepare_part(parted, 1)
    prepare_volumes(parted)
    # The chapter has put them together: nothing is left for a part to do.
    prepare_part(parted, 1)
    assert contents(parted) == whole


def test_a_damaged_part_is_made_again(whole, parted):
    for part in range(3):
        prepare_part(parted, part)
    (shard,) = parted.path("volumes", "parts", "t1w-0001").glob("*.npy")
    shard.write_bytes(shard.read_bytes()[:1000])
    prepare_volumes(parted)
    assert contents(parted) == whole


def test_a_broken_scan_stops_no_part(root, tmp_path):
    run = make_run(root, tmp_path / "c", 2)
    table = pd.read_csv(run.path("manifest.csv"), dtype=str)
    table.loc[1, "path"] = "sim:v1?nonsense"
    table.to_csv(run.path("manifest.csv"), index=False)
    for part in range(3):
        prepare_part(run, part)
    quality = prepare_volumes(run)
    assert list(quality["verdict"].eq("drop")) == [False, True, False, False, False]
    assert len(VolumeStore(run.path("volumes", "t1w"))) == 4


def test_a_part_that_is_not_there_is_refused(parted, root, tmp_path):
    with pytest.raises(WrongUsage, match="parts 0 to 2"):
        prepare_part(parted, 3)
    with pytest.raises(WrongUsage, match="has no parts"):
        prepare_part(make_run(root, tmp_path / "none", 0), 0)


def test_maps_in_parts_are_the_maps_of_the_whole(root, tmp_path):
    from brainage_lib.models import AICBVGenerator, save_weights
    from brainage_lib.train.aicbv import synthesise_cohort, synthesise_part

    run = make_run(root, tmp_path / "maps", 2)
    prepare_volumes(run)
    save_weights(AICBVGenerator("demo"), run.path("aicbv", "weights.safetensors"), {})
    for part in (0, 2):
        synthesise_part(run, part)
    synthesise_cohort(run)
    parted = VolumeStore(run.path("volumes", "cbv"))
    found = {name: parted[name].tobytes() for name in parted.scan_ids}
    shutil.rmtree(run.path("volumes", "cbv"))
    run.path("steps", "volumes-cbv.json").unlink()
    synthesise_cohort(run)
    again = VolumeStore(run.path("volumes", "cbv"))
    assert found == {name: again[name].tobytes() for name in again.scan_ids}
    assert len(found) == len(run.path("quality.csv").read_text().splitlines()) - 1
