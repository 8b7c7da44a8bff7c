"""The leak gate: every planted leak is caught, and nobody else is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import ndimage

from brainage_lib.data import (
    VolumeWriter,
    find_copies,
    read_leaks,
    refuse_leaks,
    write_splits,
)
from brainage_lib.errors import BadInput
from brainage_lib.imaging import grid, template
from brainage_lib.run import start_run
from brainage_lib.tables import MANIFEST, QUALITY, SPLITS, write_table

PEOPLE = 30
PROFILE = {
    "cohort": "none.csv", "grid_mm": 4, "modes": ["paper", "sound"], "folds": 3, "epochs": 1,
    "patience": 1, "batch": 3, "learning_rate": 0.0001,
    "generator": {
        "size": "demo", "patch": 16, "overlap": 0.25, "people": 1, "steps": 1, "batch": 1,
        "learning_rate": 0.001,
    },
}  # fmt: skip


def person(number):
    """The template with folds of its own."""
    made = template(grid(4))
    rng = np.random.default_rng([number, 7])
    folds = ndimage.gaussian_filter(rng.normal(0, 1, grid(4).shape), 2)
    return np.where(made.mask, made.t1w * (1 + 0.3 * folds / folds.std()), 0).clip(0)


def rescan(volume, seed):
    """Another session: a little moved, brighter and noisier."""
    rng = np.random.default_rng([seed, 8])
    moved = ndimage.shift(volume, rng.uniform(-0.3, 0.3, 3), order=1)
    noisy = 1.1 * moved + rng.normal(0, 0.05, volume.shape)
    return np.where(volume > 0, noisy, 0).clip(0)


def make_run(folder, extra=(), aliases=None):
    """A run of single scans of 30 people, and extra rows (scan_id, participant_id, volume)."""
    folder.mkdir()
    (folder / "asked.yml").write_text(yaml.safe_dump(PROFILE))
    run = start_run(folder, folder / "asked.yml")
    people = [(f"s{n:02d}", f"p{n:02d}", person(n)) for n in range(PEOPLE)]
    people += list(extra)
    rng = np.random.default_rng(0)
    manifest = pd.DataFrame(
        {
            "scan_id": name, "participant_id": owner, "project": "OAS1", "session": "1",
            "age": 20 + 60 * rng.random(), "sex": "F", "diagnosis": "control",
            "path": "none.nii.gz", "t1w_state": "mni152-brain",
        }
        for name, owner, _ in people
    )  # fmt: skip
    write_table(manifest, run.path("manifest.csv"), MANIFEST)
    quality = manifest[["scan_id", "project"]].assign(verdict="keep", reasons="")
    for name in QUALITY.columns:
        if name not in quality:
            quality[name] = 1.0
    write_table(quality, run.path("quality.csv"), QUALITY)
    run.path("cohort.json").write_text(json.dumps({"simulated": False}))
    if aliases:
        run.path("aliases.csv").write_text(aliases)
    with VolumeWriter(run.path("volumes", "t1w"), grid(4).shape) as writer:
        for name, _, volume in people:
            writer.add(name, volume.astype(np.float32))
    return run


def crossing(run, scan_id, other):
    """Splits of the sound mode in which one scan is learned from and the other is tested."""
    ids = pd.read_csv(run.path("manifest.csv"))["scan_id"]
    splits = pd.DataFrame(
        {"scan_id": ids, "mode": "sound", "fold": 0, "role": "train", "partition": pd.NA}
    ).astype({"partition": "Int64"})
    splits.loc[splits["scan_id"] == other, "role"] = "test"
    return SPLITS.validate(splits)


def test_people_who_are_not_alike_pass(tmp_path):
    run = make_run(tmp_path / "run", [("again", "p03", rescan(person(3), 1))])
    assert find_copies(run).empty
    splits, _ = write_splits(run)
    assert set(splits["mode"]) == {"paper", "sound"}


@pytest.mark.parametrize("how", ["identical", "alike"])
def test_a_scan_under_another_name_is_found_and_refused(tmp_path, how):
    volume = person(3) if how == "identical" else rescan(person(3), 2)
    run = make_run(tmp_path / "run", [("copy", "p99", volume)])
    copies = find_copies(run)
    assert copies[["scan_id", "other", "kind"]].to_numpy().tolist() == [["s03", "copy", how]]
    with pytest.raises(BadInput, match=r"s03 and copy are .*add the line p03,p99 to aliases.csv"):
        refuse_leaks(run, crossing(run, "s03", "copy"), copies)
    # On one side of the split it is a repeat, and no leak.
    refuse_leaks(run, crossing(run, "s03", "s04"), copies)


def test_an_alias_joins_them(tmp_path):
    run = make_run(
        tmp_path / "run", [("copy", "p99", person(3))], "participant_id,same_as\np03,p99\n"
    )
    assert find_copies(run).empty
    splits, _ = write_splits(run)
    sound = splits[splits["mode"] == "sound"].set_index(["fold", "scan_id"])["role"]
    for fold in range(3):
        assert sound[fold, "s03"] == sound[fold, "copy"]


def test_a_leaking_split_is_not_written(tmp_path):
    extra = [(f"copy{n}", f"q{n}", person(n)) for n in range(12)]
    run = make_run(tmp_path / "run", extra)
    with pytest.raises(BadInput, match="leak gate"):
        write_splits(run)
    assert not run.path("splits.csv").exists()
    assert len(find_copies(run)) == 12


def test_who_look_like_one_person_stay_on_one_side(tmp_path):
    extra = [(f"again{n}", f"q{n}", rescan(person(n), n)) for n in range(12)]
    run = make_run(tmp_path / "run", extra)
    splits, _ = write_splits(run)
    assert find_copies(run)["kind"].tolist() == ["alike"] * 12
    sound = splits[splits["mode"] == "sound"].set_index(["fold", "scan_id"])["role"]
    for fold in range(3):
        for n in range(12):
            assert sound[fold, f"s{n:02d}"] == sound[fold, f"again{n}"]
    leaks = read_leaks(run).set_index("mode")
    assert leaks.loc["sound", ["n_persons", "shared_persons"]].tolist() == [PEOPLE, 0]
    # In the paper's mode they are counted as what they are.
    assert leaks.loc["paper", "n_persons"] == PEOPLE


def test_two_studies_are_no_reason_to_look_alike(tmp_path):
    """What a study's scans share (a scanner's contrast, a way of stripping) joins nobody."""
    rim = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 1, grid(4).shape), 4)
    theirs = [
        (f"t{n}", f"q{n}", np.where(person(100 + n) > 0, person(100 + n) + 2 * rim / rim.std(), 0))
        for n in range(10)
    ]
    run = make_run(tmp_path / "run", theirs)
    assert find_copies(run).empty


def test_a_person_in_two_roles_is_refused(tmp_path):
    run = make_run(tmp_path / "run", [("again", "p03", rescan(person(3), 1))])
    with pytest.raises(BadInput, match="1 participants are in more than one role"):
        refuse_leaks(run, crossing(run, "s03", "again"), find_copies(run))
