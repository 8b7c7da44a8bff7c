"""A batch that is left alone: continued, retried, shared by two starts, stopped by nothing."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pandas as pd
import pytest

from brainage_lib.errors import UserError
from brainage_lib.files import read_json
from brainage_lib.predict import batch as module
from brainage_lib.predict.batch import Batch, Job, affordable, predict_many
from brainage_lib.tables import BATCH, read_table, write_table


@pytest.fixture(scope="module")
def manifest(tiny_run):
    return pd.read_csv(tiny_run.path("manifest.csv"), dtype={"session": str})


@pytest.fixture
def jobs(manifest, brains):
    row = manifest.iloc[1]
    known = {"age": float(row["age"]), "sex": row["sex"], "t1w_state": "simulated"}
    half = {"scan_id": "half", "path": "half.nii.gz", "t1w_state": "mni152-brain"}
    absent = {"scan_id": "absent", "path": "absent.nii.gz", "t1w_state": "mni152-brain"}
    return [
        Job({"scan_id": "good", "path": row["path"], **known}, None, "good"),
        Job(half, str(brains), "half"),
        Job(absent, str(brains), "absent"),
    ]


@pytest.fixture
def batch(tiny_run, tmp_path):
    return Batch(str(tmp_path / "out"), str(tiny_run.folder), "cpu")


def test_each_scan_has_its_result_and_none_stops_the_others(jobs, batch, tmp_path):
    lines = []
    done = predict_many(jobs, batch, say=lines.append)
    status = {name: result["status"] for name, result in done.results.items()}
    assert status == {"good": "done", "half": "refused", "absent": "unusable"}
    assert done.fresh == len(lines) == 3
    assert lines[1].startswith("half: refused: ")
    write_table(done.table(), tmp_path / "t.csv", BATCH)
    table = read_table(tmp_path / "t.csv", BATCH).set_index("scan_id")
    assert table["verdict"].to_dict() == {"good": "keep", "half": "drop", "absent": "drop"}
    assert table["predicted_age"].notna().to_dict() == {"good": True, "half": False,
                                                        "absent": False}  # fmt: skip
    keys = {frozenset(result) for result in done.results.values()}
    assert len(keys) == 1, "the same keys, whatever became of a scan"


def test_a_second_start_does_only_what_is_missing(jobs, batch, monkeypatch):
    first = predict_many(jobs, batch)
    looked = []
    look = module.look_at_scan
    monkeypatch.setattr(
        module, "look_at_scan",
        lambda model, scan, *a, **k: looked.append(scan["scan_id"]) or look(model, scan, *a, **k),
    )  # fmt: skip
    again = predict_many(jobs, batch)
    assert (looked, again.fresh) == ([], 0)
    assert again.results == first.results
    os.unlink(os.path.join(batch.out, "half_prediction.json"))
    older = jobs[0]._replace(scan=jobs[0].scan | {"age": 80.0})
    assert predict_many([older, *jobs[1:]], batch).fresh == 2
    assert looked == ["good", "half"]


def test_half_a_result_file_is_no_result(jobs, batch):
    predict_many(jobs[:1], batch)
    path = Path(batch.out, "good_prediction.json")
    whole = path.read_text("utf-8")
    path.write_text(whole[:100], "utf-8")
    assert predict_many(jobs[:1], batch).fresh == 1
    assert path.read_text("utf-8") == whole


@pytest.mark.parametrize(("faults", "status"), [(2, "done"), (3, "failed")])
def test_a_fault_of_the_system_is_tried_again(jobs, batch, monkeypatch, faults, status):
    look, tried = module.look_at_scan, []

    def sometimes(*arguments, **keywords):
        tried.append(1)
        if len(tried) <= faults:
            raise OSError(errno.EIO, "Input/output error")
        return look(*arguments, **keywords)

    monkeypatch.setattr(module, "PAUSE_S", 0)
    monkeypatch.setattr(module, "look_at_scan", sometimes)
    done = predict_many(jobs[:1], batch)
    assert done.results["good"]["status"] == status
    monkeypatch.undo()
    assert predict_many(jobs[:1], batch).results["good"]["status"] == "done"


def test_a_bug_at_one_scan_is_said_and_the_others_go_on(jobs, batch, monkeypatch):
    look = module.look_at_scan

    def sometimes(model, scan, *arguments, **keywords):
        if scan["scan_id"] == "good":
            raise ZeroDivisionError("oh")
        return look(model, scan, *arguments, **keywords)

    monkeypatch.setattr(module, "look_at_scan", sometimes)
    done = predict_many(jobs, batch)
    assert done.results["good"]["quality"]["reasons"] == ["ZeroDivisionError: oh"]
    assert done.counts() == {"failed": 1, "refused": 1, "unusable": 1}


def test_a_full_disk_stops_the_batch_and_leaves_no_half_file(jobs, batch, monkeypatch):
    predict_many(jobs[1:], batch)

    def full(path, value):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_json", full)
    with pytest.raises(UserError, match="No space left on device; what is finished is kept"):
        predict_many(jobs, batch)
    assert sorted(n for n in os.listdir(batch.out) if not n.startswith(".")) == [
        "absent_prediction.json", "half_prediction.json",
    ]  # fmt: skip


def test_a_scan_that_another_start_is_at_is_left_to_it(jobs, batch):
    """The other one holds the lock of the first scan, and is done before it is asked again."""
    result = os.path.join(batch.out, "good_prediction.json")
    os.makedirs(batch.out)
    other = os.open(os.path.join(batch.out, ".good_prediction.json.lock"), os.O_RDWR | os.O_CREAT)
    fcntl.flock(other, fcntl.LOCK_EX)
    assert module._one(jobs[0], batch, patient=False) == (None, None)
    assert not os.path.exists(result)
    os.close(other)
    assert predict_many(jobs, batch).fresh == 3
    assert read_json(result)["status"] == "done"
    assert not [name for name in os.listdir(batch.out) if name.endswith(".lock")]


@pytest.mark.parametrize(
    ("workers", "memory", "expected"), [(8, 100.0, 8), (8, 7.0, 2), (8, 0.5, 1), (1, 100.0, 1)]
)
def test_no_more_processes_than_memory_allows(workers, memory, expected):
    assert affordable(workers, memory, each_gb=3.0) == expected


@pytest.mark.slow
def test_a_process_that_is_killed_takes_no_other_scan_with_it(jobs, batch, tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(
        "import os\n"
        "def finish(model, found, stem, scan):\n"
        "    if found.scan_id == 'half':\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from importlib import import_module

    asked = Batch(batch.out, batch.model, "cpu", finish=import_module("deadly").finish)
    done = predict_many(jobs, asked, workers=2, memory_gb=100)
    assert {name: r["status"] for name, r in done.results.items()} == {
        "good": "done", "half": "failed", "absent": "unusable",
    }  # fmt: skip
    assert "ended from outside" in done.results["half"]["quality"]["reasons"][0]
