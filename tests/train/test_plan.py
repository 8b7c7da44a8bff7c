"""What is planned is what happens."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from brainage_lib.data import prepare_volumes, write_manifest
from brainage_lib.errors import BadInput, UserError
from brainage_lib.run import GeneratorSettings, load_profile, plan_networks, start_run
from brainage_lib.train import plan as planning
from brainage_lib.train.costs import PER, committed_costs
from brainage_lib.train.plan import check_disk, plan_run


@pytest.fixture
def paper(root):
    return load_profile(root / "workflow" / "profiles" / "paper.yml")


@pytest.fixture
def table(root):
    return pd.read_csv(root / "data_manifest.csv", dtype=str)


def write(table, folder, name="manifest.csv"):
    table.to_csv(folder / name, index=False)
    return folder / name


def made_up(table, n):
    copies = pd.concat([table] * -(-n // len(table)), ignore_index=True).iloc[:n]
    return copies.assign(scan_id=[f"s{row}" for row in range(n)])


def test_the_papers_cohort_is_planned(paper, table, tmp_path):
    plan = plan_run(paper, write(made_up(table, 2851), tmp_path), 1, 16, committed_costs())
    assert (plan.scans, plan.patients, plan.aside) == (2851, 0, 0)
    assert plan.jobs["train a network"] == 2
    assert plan.jobs["prepare scans"] == plan.jobs["synthesise AICBV"] == 30
    # The figure that the paper's scale is known by.
    assert plan.disk["T1w volumes, float16"] == pytest.approx(41.2e9, rel=0.01)
    assert 10 < plan.hours["training the networks, at most, and their maps"] < 40
    assert any("NVIDIA H200" in source for source in plan.sources)


def test_a_step_that_nobody_timed_on_a_gpu_has_no_hours(paper, table, tmp_path):
    costs = committed_costs()
    plan = plan_run(paper, write(table, tmp_path), 1, 16, costs[costs["device"] == "cpu"])
    assert math.isnan(plan.hours["training the networks, at most, and their maps"])
    assert any("nothing was timed for vgg8 on a GPU" in source for source in plan.sources)


def test_every_figure_names_machine_and_date():
    costs = committed_costs()
    assert set(costs["stage"]) == set(PER)
    assert not costs.duplicated(["stage", "name", "device"]).any()
    assert (costs["seconds"] > 0).all()
    assert costs[["machine", "date", "how"]].notna().all(axis=None)
    assert set(costs["device"]) == {"cpu", "cuda"}


@pytest.mark.parametrize("name", ["demo", "real", "recorded", "open", "paper", "paper-sound"])
def test_every_profile_has_hours_on_a_cpu(root, table, tmp_path, name):
    profile = load_profile(root / "workflow" / "profiles" / f"{name}.yml")
    plan = plan_run(profile, write(table.iloc[:40], tmp_path), 0, 2, committed_costs())
    assert all(hours > 0 for hours in plan.hours.values()), plan.sources
    assert plan.jobs["train a network"] == len(plan_networks(profile))


def test_twice_the_scans_take_twice_the_time_and_disk(paper, table, tmp_path):
    costs = committed_costs()
    few, many = (
        plan_run(paper, write(made_up(table, n), tmp_path), 0, 2, costs) for n in (500, 1000)
    )
    stage = "training the networks, at most, and their maps"
    assert many.hours[stage] == pytest.approx(2 * few.hours[stage], rel=0.01)
    assert many.hours["training the generator"] == few.hours["training the generator"]
    assert many.disk["AICBV volumes, float16"] == 2 * few.disk["AICBV volumes, float16"]
    assert many.memory["processes that prepare scans"] == few.memory["processes that prepare scans"]


def test_a_run_that_takes_weights_or_pairs_is_planned(root, table, tmp_path):
    profile = load_profile(root / "workflow" / "profiles" / "demo.yml")
    manifest = write(table.iloc[:12], tmp_path)
    (tmp_path / "pre.nii").touch()
    (tmp_path / "post.nii").touch()
    (tmp_path / "pairs.csv").write_text("pre,post\n" + "pre.nii,post.nii\n" * 3)
    made = profile.generator.model_dump() | {"people": None}
    taken = dict.fromkeys(("steps", "batch", "learning_rate"))
    for changes, pairs in (
        ({"weights": "shipped"} | taken, 0),
        ({"pairs": str(tmp_path / "pairs.csv")}, 3),
    ):
        generator = GeneratorSettings(**(made | changes))
        asked = profile.model_copy(update={"generator": generator})
        plan = plan_run(asked, manifest, 0, 2, committed_costs())
        assert ("training the generator" in plan.hours) == (pairs > 0)
        voxels = plan.disk["T1w volumes, float16"] / 2 / 12
        assert plan.disk["people of the generator"] == 4 * pairs * voxels


def test_rows_are_put_aside_with_their_reasons(paper, table, tmp_path):
    table.loc[3, "age"] = "300"
    table.loc[5, "sex"] = "x"
    plan = plan_run(paper, write(table, tmp_path), 0, 2, committed_costs())
    assert (plan.scans, plan.aside) == (len(table) - 2, 2)
    assert any("line 5, age: '300'" in reason for reason in plan.reasons)
    assert any("does not begin before" in reason for reason in plan.reasons)


def test_images_that_are_not_there_yet_are_counted(paper, table, tmp_path):
    table = table.assign(path="t1/" + table["scan_id"] + ".nii.gz", t1w_state="native-head")
    plan = plan_run(paper, write(table, tmp_path), 0, 2, committed_costs())
    assert (plan.scans, plan.aside) == (len(table), 0)
    assert plan.reasons == [f"{len(table)} images are not there yet; they are counted all the same"]
    assert plan.disk["brains in native space, shared by runs"] > 0


def test_patients_are_counted_where_they_are_put_apart(root, table, tmp_path):
    sound = load_profile(root / "workflow" / "profiles" / "paper-sound.yml")
    plan = plan_run(sound, write(table, tmp_path), 0, 2, committed_costs())
    assert plan.patients == table["diagnosis"].ne("control").sum() > 0


def test_a_table_without_its_columns_is_refused(paper, table, tmp_path):
    with pytest.raises(BadInput, match="age: column is missing"):
        plan_run(paper, write(table.drop(columns="age"), tmp_path), 0, 2, committed_costs())


def test_a_disk_that_is_too_small_is_refused(paper, table, tmp_path, monkeypatch):
    plan = plan_run(paper, write(table, tmp_path), 0, 2, committed_costs())
    check = tmp_path / "not" / "there" / "yet"
    monkeypatch.setattr(planning.shutil, "disk_usage", lambda place: SimpleNamespace(free=10**12))
    check_disk(plan, check)
    monkeypatch.setattr(planning.shutil, "disk_usage", lambda place: SimpleNamespace(free=10**9))
    with pytest.raises(UserError, match=r"disk is too small: the run needs \d+.*1\.0 GB free"):
        check_disk(plan, check)


@pytest.fixture(scope="module")
def tiny(root, tmp_path_factory):
    """A run of six scans in parts of four, and its plan."""
    folder = tmp_path_factory.mktemp("tiny")
    settings = yaml.safe_load((root / "workflow" / "profiles" / "demo.yml").read_text())
    settings |= {"workers": 1, "scans_a_job": 4, "recorded": "none"}
    (folder / "tiny.yml").write_text(yaml.safe_dump(settings))
    manifest = write(pd.read_csv(root / "data_manifest.csv", dtype=str).iloc[:6], folder)
    run = start_run(folder / "runs" / "tiny", folder / "tiny.yml", manifest)
    return run, plan_run(run.profile, manifest, 0, 2, committed_costs())


def test_volumes_take_the_planned_room(tiny):
    run, plan = tiny
    write_manifest(run)
    prepare_volumes(run)
    size = sum(path.stat().st_size for path in run.path("volumes", "t1w").glob("*.npy"))
    assert size == pytest.approx(plan.disk["T1w volumes, float16"], rel=0.01)


@pytest.mark.slow
def test_the_graph_has_the_planned_jobs(root, tiny):
    run, plan = tiny
    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "--snakefile", str(root / "workflow" / "Snakefile"),
            "--directory", str(run.folder), "--cores", "2", "--nolock", "--dry-run", "--forceall",
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, flags=re.MULTILINE))
    assert int(jobs["total"]) == sum(plan.jobs.values())
    trainings = [n for name, n in plan.jobs.items() if name.startswith("train a network")]
    assert int(jobs["train_network"]) == sum(trainings) == len(plan_networks(run.profile)) + 1
    assert int(jobs["prepare_part"]) == plan.jobs["prepare scans"] == 2
    # The paper's mode learns from the most scans and is trained first.
    told = re.split(r"^rule ", done.stdout + done.stderr, flags=re.MULTILINE)
    urgent = {re.search(r"place=(\S+)", job).group(1) for job in told if "priority: 1" in job}
    places = [key.place for key in plan_networks(run.profile) if key.mode == "paper"]
    assert urgent == set(places)
    assert places
