"""The screen of levers, on volumes so small that its figures say nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from brainage_lib.report.accuracy import _screen
from tests.benchmarks.test_benchmarks import load


@pytest.fixture(scope="module")
def levers(root):
    return load(root, "levers")


@pytest.fixture(scope="module")
def scans():
    n = 40
    return pd.DataFrame({
        "scan_id": [f"s{row}" for row in range(n)],
        "participant_id": [f"p{row}" for row in range(n)],
        "project": ["IXI", "OAS1"] * (n // 2), "fold": np.arange(n) % 5,
        "age": np.linspace(20, 80, n),
    })  # fmt: skip


def test_nobody_is_learned_from_who_is_tested(levers, scans):
    validation = {fold: set(scans["scan_id"][scans["fold"] == (fold + 1) % 5]) for fold in range(5)}
    for lever in (levers.RECIPE, replace(levers.RECIPE, validation=False)):
        jobs = levers.jobs_of(lever, scans, validation)
        assert len(jobs) == 7
        for fold in range(5):
            folds = set(scans["fold"].iloc[jobs[f"fold-{fold}"]])
            assert fold not in folds
            assert ((fold + 1) % 5 in folds) == lever.validation
        assert set(scans["project"].iloc[jobs["without-IXI"]]) == {"OAS1"}


def test_branches_learn_an_age_that_is_there(levers, scans):
    age = torch.tensor(scans["age"].to_numpy(), dtype=torch.float32)
    shares = (age / 100)[:, None, None, None, None].expand(-1, 3, 16, 16, 16)
    maps = (255 * shares).to(torch.uint8)
    rows = {"all": np.arange(40), "odd": np.arange(1, 40, 2)}
    lever = replace(levers.RECIPE, steps=150, channels=(4, 4, 8, 8, 8), rate=1e-2)
    found = levers.train(lever, maps, age, rows, 0, 1.0)
    for name, ages in found.items():
        assert np.corrcoef(ages, scans["age"])[0, 1] > 0.9, name
    again = levers.train(lever, maps, age, rows, 0, 1.0)
    assert np.array_equal(found["all"], again["all"])


@pytest.mark.parametrize("lever", ["smoothed", "residual", "elastic", "holes", "blurred", "shares",
                                   "mixed", "fluid"])  # fmt: skip
def test_every_lever_moves_something(levers, lever):
    age = torch.linspace(20, 80, 16)
    rng = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 255, (16, 3, 16, 16, 16), generator=rng).to(torch.uint8)
    by_name = {each.name: each for each in levers.LEVERS}
    small = {"steps": 2, "channels": (4, 4, 4, 4, 4)}
    found = [
        levers.train(replace(by_name[name], **small), maps, age, {"a": np.arange(16)}, 0, 1.0)["a"]
        for name in ("recipe", lever)
    ]
    assert np.isfinite(found).all()
    assert not np.allclose(*found)


def test_errors_stand_beside_the_recipes_and_other_grids_stay(levers, scans, tmp_path):
    age = scans["age"].to_numpy()

    def jobs(off):
        return {name: age + off for name in levers.jobs_of(levers.RECIPE, scans, {})}

    better = replace(levers.RECIPE, name="better", words="better")
    found = {levers.RECIPE: [jobs(4.0), jobs(-2.0)], better: [jobs(1.0)]}
    table = levers.summarise(scans, found, 4)
    recipe, other = table.to_dict("records")
    assert recipe["mae"] == pytest.approx(3)
    assert recipe["mae_of_mean"] == pytest.approx(1)
    assert other["to_recipe_difference"] == pytest.approx(-2)
    assert other["to_recipe_high"] < 0
    assert (other["unseen_IXI"], other["gap_IXI"]) == pytest.approx((1, 1))
    path = tmp_path / "screen.csv"
    levers.record(table.assign(grid_mm=2), path)
    levers.record(table, path)
    levers.record(table, path)
    kept = pd.read_csv(path)
    assert list(kept["grid_mm"]) == [4, 4, 2, 2]
    assert "Of 2 levers 2 are better" in _screen(kept)
