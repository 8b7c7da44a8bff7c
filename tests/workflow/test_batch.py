"""The book over a table of parameter sets: what is asked, what is shared, what is said."""

from __future__ import annotations

import importlib.util
import re
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.run import load_profile
from brainage_lib.stats import between_runs, stack, table1, table2, table3


@pytest.fixture
def batch(root):
    path = root / "workflow" / "batch.py"
    spec = importlib.util.spec_from_file_location("workflow_batch", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write(folder, text):
    path = folder / "seeds.csv"
    path.write_text(text)
    return path


SEEDS = "run,profile,seed\nseed-1,demo,1\nseed-2,demo,2\nseed-3,demo,3\n"


def test_a_row_is_a_profile_with_its_seed(batch, tmp_path):
    rows = batch.read_rows(write(tmp_path, SEEDS))
    profiles = [batch.ask(row, tmp_path) for row in rows]
    assert [load_profile(path).seed for path in profiles] == [1, 2, 3]
    # The name is the profile's: notebooks compare it.
    assert {load_profile(path).name for path in profiles} == {"demo"}


def test_asking_again_changes_no_time(batch, tmp_path):
    (row, *_) = batch.read_rows(write(tmp_path, SEEDS))
    before = batch.ask(row, tmp_path).stat().st_mtime_ns
    assert batch.ask(row, tmp_path).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("run,profile,sede\na,demo,1\n", r"line 1, sede: unknown column"),
        ("run,seed\na,1\n", r"line 1, profile: is missing"),
        ("run,profile\na,demo\na,demo\n", r"line 3, run: 'a' stands twice"),
        ("run,profile,seed\na,demo,-1\n", r"line 2, seed: '-1' is no whole number"),
        ("run,profile\na/b,demo\n", r"line 2, run: 'a/b' cannot name a folder"),
        ("run,profile\n", "no rows"),
    ],
)
def test_a_wrong_table_is_refused(batch, tmp_path, text, said):
    with pytest.raises(BadInput, match=said):
        batch.read_rows(write(tmp_path, text))


def test_a_profile_that_is_not_there_is_named(batch, tmp_path):
    (row,) = batch.read_rows(write(tmp_path, "run,profile\na,dmo\n"))
    with pytest.raises(WrongUsage, match=r"there are: .*demo"):
        batch.ask(row, tmp_path)


def test_what_decides_the_images_is_cohort_grid_and_preprocessing(batch, tmp_path):
    rows = batch.read_rows(write(tmp_path, SEEDS + "fine,open,1\n"))
    keys = [batch.images_key(batch.ask(row, tmp_path), "a.csv") for row in rows]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert batch.images_key(batch.ask(rows[0], tmp_path), "b.csv") != keys[0]


def test_volumes_are_shared_and_never_overwritten(batch, tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    for name in ("volumes/t1w/000.npy", "volumes/t1w/index.csv", "steps/volumes.json"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    batch.share(source, target)
    assert (target / "volumes/t1w/000.npy").read_text() == "volumes/t1w/000.npy"
    (source / "volumes/t1w/index.csv").unlink()
    (source / "volumes/t1w/index.csv").write_text("new")
    batch.share(source, target)
    assert (target / "volumes/t1w/index.csv").read_text() == "volumes/t1w/index.csv"


BOOK = """import sys, pathlib, shutil, json
run = pathlib.Path(sys.argv[sys.argv.index("--run") + 1])
if run.name == "seed-2":
    sys.exit(3)
run.mkdir(parents=True, exist_ok=True)
shutil.copy(sys.argv[sys.argv.index("--profile") + 1], run / "profile.yml")
(run / "cohort.json").write_text(json.dumps({"simulated": True}))
shutil.copytree(pathlib.Path(__file__).parent / run.name, run, dirs_exist_ok=True)
"""


def write_results(folder, predictions):
    """What the chapters of a run would have written that the page reads."""
    stacked = stack(predictions)
    tables = {"table2": table2, "table3": table3, "stacking/table1": table1}
    (folder / "stacking").mkdir(parents=True)
    for name, make in tables.items():
        make(stacked, replicates=200).to_csv(folder / f"{name}.csv", index=False)
    predictions.to_csv(folder / "predictions.csv", index=False)
    predictions[["scan_id"]].drop_duplicates().to_csv(folder / "manifest.csv", index=False)


def test_a_row_that_fails_is_named_beside_those_that_did_not(
    batch, root, tmp_path, monkeypatch, pretended
):
    workflow = tmp_path / "workflow"
    (workflow / "profiles").mkdir(parents=True)
    (workflow / "book.py").write_text(BOOK)
    demo = yaml.safe_load((root / "workflow/profiles/demo.yml").read_text())
    demo["bootstrap"] = 200
    (workflow / "profiles" / "demo.yml").write_text(yaml.safe_dump(demo))
    # Errors twice as large in the third run.
    wider = 2 * pretended["predicted_age"] - pretended["age"]
    write_results(workflow / "seed-1", pretended)
    write_results(workflow / "seed-3", pretended.assign(predicted_age=wider))
    monkeypatch.setattr(batch, "ROOT", tmp_path)
    monkeypatch.setenv("BRAINAGE_RUNS", str(tmp_path / "runs"))
    for name in ("stop_on_signals", "stop_with_parent"):
        monkeypatch.setattr(batch, name, lambda: None)
    assert batch.main([str(write(tmp_path, SEEDS))]) == batch.PARTLY
    page = (tmp_path / "runs" / "seeds-batch" / "index.html").read_text()
    assert re.search("seed-2</strong> did not finish \\(exit code 3\\)", page)
    assert "simulated scans" in page
    tables = {
        path.stem: pd.read_csv(path) for path in (tmp_path / "runs" / "seeds-batch").glob("*.csv")
    }
    assert set(tables) == {"table1", "table2", "table3", "differences"}
    for name in ("table1", "table2", "table3"):
        assert list(tables[name]["run"].unique()) == ["seed-1", "seed-3"]
        assert list(tables[name]["seed"].unique()) == [1, 3]
        for row in tables[name].dropna(subset="mae_low").itertuples():
            cell = f"{row.mae:.2f} ({row.mae_low:.2f} to {row.mae_high:.2f}), n {row.n_scans}"
            assert f"<td>{cell}</td>" in page
    found = tables["differences"]
    maes = tables["table1"].set_index(["run", "model"])["mae"]
    for row in found.itertuples():
        assert (row.first, row.second, row.n_both) == ("seed-1", "seed-3", 60)
        apart = maes["seed-3", row.model] - maes["seed-1", row.model]
        assert row.difference == pytest.approx(apart)
        assert 0 < row.low < row.difference < row.high
        assert f"{row.difference:+.2f} ({row.low:+.2f} to {row.high:+.2f})" in page
    assert len(found) == 4


def test_people_of_both_runs_are_drawn_together(pretended):
    """The error of a person goes into both runs, and out of their difference."""
    worse = pretended["predicted_age"] + np.sign(pretended["predicted_age"] - pretended["age"])
    runs = stack(pretended), stack(pretended.assign(predicted_age=worse))
    paired, apart = (between_runs(*runs, same, replicates=500) for same in (True, False))
    assert (paired["difference"] == apart["difference"]).all()
    assert (paired["high"] - paired["low"] < 0.5 * (apart["high"] - apart["low"])).all()
    assert list(paired["n_both"]) == [60] * 4
    assert list(apart["n_both"]) == [0] * 4
