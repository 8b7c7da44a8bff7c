"""ComBat takes planted shifts out, keeps age, uses no age of new rows, and refuses the unknown."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest

from brainage_lib.errors import BadInput
from brainage_lib.stats.harmonise import Combat, fit_combat, readable_projects

SHIFTS = {"A": 0.0, "B": 3.0, "C": -2.0}
SCALES = {"A": 1.0, "B": 2.0, "C": 0.5}


def planted(n, seed=0, features=20, shifted=True):
    """Features that rise with age; studies of different ages, shifts and scales."""
    rng = np.random.default_rng(seed)
    project = np.repeat(list(SHIFTS), n)
    age = rng.uniform(20, 60, 3 * n) + 20 * (project == "C")
    noise = rng.normal(size=(3 * n, features))
    slope = np.linspace(0.02, 0.08, features)
    values = age[:, None] * slope
    if shifted:
        values = values + np.array([SHIFTS[name] for name in project])[:, None]
        noise = noise * np.array([SCALES[name] for name in project])[:, None]
    rows = pd.DataFrame(
        {
            "participant_id": [f"p{i}" for i in range(3 * n)],
            "project": project,
            "age": age,
            "sex": rng.choice(["F", "M"], 3 * n),
        }
    )
    return values + noise, rows


def fit(values, rows):
    return fit_combat(values, rows["project"], rows["age"].to_numpy(), rows["sex"])


@pytest.fixture(scope="module")
def combat():
    return fit(*planted(400))


def test_planted_shifts_and_scales_are_found(combat):
    assert combat.projects == ("A", "B", "C")
    shift, scale = combat.shift.mean(axis=1), combat.scale.mean(axis=1)
    assert shift[1] - shift[0] == pytest.approx(3, abs=0.15)
    assert shift[2] - shift[0] == pytest.approx(-2, abs=0.15)
    assert scale[1] / scale[0] == pytest.approx(2, rel=0.05)
    assert scale[2] / scale[0] == pytest.approx(0.5, rel=0.05)


def test_new_rows_of_one_age_no_longer_differ_and_age_stays(combat):
    values, rows = planted(400, seed=1)
    after = combat.apply(values, rows["project"])
    # Rows are scaled around their study's centre, and a slope over age with them.
    middle = rows["age"].between(30, 50)
    means = pd.DataFrame(after[middle]).groupby(rows.loc[middle, "project"].to_numpy()).mean()
    assert (means.loc["B"] - means.loc["A"]).mean() == pytest.approx(0, abs=0.15)
    inside = rows["project"] == "A"
    slope = np.polyfit(rows.loc[inside, "age"], after[inside, -1], 1)[0]
    assert slope == pytest.approx(0.08, rel=0.45)


def test_ages_of_new_rows_are_not_asked_for():
    assert list(inspect.signature(Combat.apply).parameters) == ["self", "features", "project"]


def test_a_study_without_training_rows_is_refused(combat):
    with pytest.raises(BadInput, match="project D has no training rows"):
        combat.apply(np.zeros((2, 20)), ["A", "D"])


def test_one_project_or_a_project_of_one_row_is_refused():
    values, rows = planted(5)
    with pytest.raises(BadInput, match="one project"):
        fit(values[:5], rows[:5])
    with pytest.raises(BadInput, match="project B has one row"):
        fit(values[:6], rows[:6])


def test_nothing_is_taken_out_of_studies_that_do_not_differ():
    values, rows = planted(400, shifted=False)
    combat = fit(values, rows)
    assert np.abs(combat.shift).max() < 0.2
    assert combat.scale == pytest.approx(np.ones_like(combat.scale), abs=0.1)


def test_the_study_is_read_before_and_not_after():
    values, rows = planted(150, seed=2)
    rows["age"] = 40.0  # ages alone would tell study C
    values = values - planted(150, seed=2)[1]["age"].to_numpy()[:, None] * np.linspace(
        0.02, 0.08, 20
    )
    before = readable_projects(values, rows, replicates=200)
    combat = fit_combat(values, rows["project"], np.arange(450.0) % 40, rows["sex"])
    after = readable_projects(combat.apply(values, rows["project"]), rows, replicates=200)
    assert before["accuracy"] > 0.95
    assert after["low"] - 0.08 < 1 / 3 < after["high"] + 0.08
    assert before["chance"] == pytest.approx(1 / 3)


def test_small_studies_are_not_asked_about():
    values, rows = planted(9)
    found = readable_projects(values, rows)
    assert found["projects"] == 0
    assert np.isnan(found["accuracy"])
