"""How often tests are wrong: right answers where they are known, and the rates themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.errors import BadInput
from brainage_lib.stats import false_alarms, ladder_null, nested_f
from brainage_lib.stats.simulated import _p, _predict
from brainage_lib.tables import FALSE_ALARMS, LADDER_NULL


def test_p_of_all_tables_at_once_is_that_of_the_nested_test():
    rng = np.random.default_rng(2)
    age = rng.uniform(20, 80, (5, 40))
    t, a = age + rng.normal(0, 5, age.shape), age + rng.normal(0, 6, age.shape)
    for number, p in enumerate(_p(age, t, a)):
        rows = pd.DataFrame({"age": age[number], "T": t[number], "A": a[number], "sex": "F"})
        assert p == pytest.approx(nested_f(rows, "T", "TA").p)


@pytest.mark.parametrize("columns", [1, 2])
def test_least_squares_of_all_tables_at_once_is_numpys(columns):
    rng = np.random.default_rng(3)
    age = rng.uniform(20, 80, (4, 30))
    old = [age + rng.normal(0, 5, age.shape) for _ in range(columns)]
    new = [rng.uniform(20, 80, (4, 7)) for _ in range(columns)]
    told = _predict(age, old, new)
    for number in range(4):
        design = np.column_stack([np.ones(30), *(c[number] for c in old)])
        fit = np.linalg.lstsq(design, age[number], rcond=None)[0]
        expected = np.column_stack([np.ones(7), *(c[number] for c in new)]) @ fit
        assert told[number] == pytest.approx(expected)


def test_memorised_rows_make_nonsense_significant_and_new_rows_do_not(make_paper):
    table = false_alarms(make_paper(n=600), "paper", sizes=(2000,), tables=600, seed=1)
    FALSE_ALARMS.validate(table)
    rate = table.set_index("rows")["rate"]
    # Not all of them: the validation rows, new to the networks, speak against it.
    assert rate["fitted, in-sample"] > 0.3
    # Two thousandths on either side: 600 tables at 5 %.
    assert 0.025 < rate["out of fold"] < 0.08
    assert table.set_index("rows").loc["fitted, in-sample", "null_gain"] < 0.5


def test_networks_that_memorise_nothing_raise_no_alarm(make_paper):
    """Training errors like those on new rows, and A that is T with noise there as well."""
    predictions = make_paper(n=2000, train_sd=5.4)
    keys = ["scan_id"]
    t = predictions[predictions["net"] == "T"].set_index(keys)["predicted_age"]
    noise = np.random.default_rng(4).normal(0, 3, len(t))
    a = (t + noise).rename("predicted_age")
    others = predictions[predictions["net"] == "A"].drop(columns="predicted_age")
    rows = others.merge(a, left_on=keys, right_index=True)
    both = pd.concat([predictions[predictions["net"] == "T"], rows], ignore_index=True)
    table = false_alarms(both, "paper", sizes=(150,), tables=600).set_index("rows")
    # The run's own sampling error gives A a little worth on training rows.
    assert table.loc["fitted, in-sample", "rate"] < 0.15


def test_without_training_rows_there_is_nothing_to_simulate(make_sound):
    predictions = make_sound(n=100)
    assert false_alarms(predictions[predictions["role"] == "test"], "paper").empty


def test_the_ladder_is_right_at_its_level_with_five_folds(make_sound):
    """1,000 tables: the interval of two equal looks covers zero in 95 of 100."""
    predictions = make_sound(n=240, folds=2, correlation=0.7, patients=0)
    table = ladder_null(predictions, "paper", "sound", folds=(2, 5), tables=1000, replicates=400)
    LADDER_NULL.validate(table)
    rates = table.set_index(["truth", "folds"])["rate"]
    assert 0.93 < rates["no difference", 5] < 0.97
    assert rates["no difference", 2] < rates["no difference", 5]
    assert rates["nothing to find", 5] < 0.025
    assert rates["a gain", 5] > 0.99
    assert abs(table.set_index(["truth", "folds"])["gain"]["no difference", 5]) < 0.05


def test_a_ladder_of_a_handful_of_scans_is_not_calibrated(make_sound):
    few = make_sound(n=8, folds=2, patients=0)
    with pytest.raises(BadInput, match="at least 10"):
        ladder_null(few, "paper", "sound")
