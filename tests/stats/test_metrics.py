"""Metrics against closed forms, the bootstrap against a loop and against known errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from statsmodels.stats.multitest import multipletests

from brainage_lib.stats import (
    age_sd,
    bootstrap_p,
    holm,
    mae,
    mae_with_interval,
    mse,
    paired_differences,
    percentile_interval,
    r2,
    resampled_sums,
)


def test_metrics_equal_those_of_scikit_learn():
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    rng = np.random.default_rng(0)
    age = rng.uniform(18, 90, 57)
    predicted = 10 + 0.7 * age + rng.normal(0, 5, 57)
    assert mae(age, predicted) == pytest.approx(mean_absolute_error(age, predicted))
    assert mse(age, predicted) == pytest.approx(mean_squared_error(age, predicted))
    assert r2(age, predicted) == pytest.approx(r2_score(age, predicted))
    assert r2(age, predicted) == pytest.approx(1 - mse(age, predicted) / age_sd(age) ** 2)


def test_r2_is_not_the_squared_correlation():
    age = np.array([20.0, 40, 60, 80])
    biased = age + 10
    assert np.corrcoef(age, biased)[0, 1] ** 2 == pytest.approx(1)
    assert r2(age, biased) == pytest.approx(1 - 100 / 500)


def test_no_scans_give_nan_and_unequal_lengths_an_error():
    assert np.isnan([mae([], []), mse([], []), r2([], []), age_sd([])]).all()
    assert np.isnan(r2([30, 30], [30, 31]))
    with pytest.raises(ValueError, match="shape"):
        mae([1, 2, 3], [1, 2])


def test_bootstrap_equals_a_naive_loop_over_participants():
    rng = np.random.default_rng(3)
    participant = np.array(["a", "b", "b", "c", "d", "d", "d", "e"])
    values = rng.normal(size=(8, 2))
    seed, replicates, names = 5, 40, sorted(set(participant))
    naive = np.zeros((replicates, 2))
    draws = np.random.default_rng([seed]).integers(0, 5, size=(replicates, 5))
    for replicate in range(replicates):
        for pick in draws[replicate]:
            naive[replicate] += values[participant == names[pick]].sum(axis=0)
    assert resampled_sums(participant, values, replicates, seed) == pytest.approx(naive)


def test_bootstrap_spread_equals_the_standard_error_of_a_mean():
    rng = np.random.default_rng(1)
    n = 400
    values = rng.normal(3, 2, size=n)
    sums = resampled_sums(range(n), np.column_stack([np.ones(n), values]), 10_000, seed=2)
    closed = values.std() / np.sqrt(n)
    # The SD of 10,000 draws is itself known to 0.7 %.
    assert (sums[:, 1] / sums[:, 0]).std() == pytest.approx(closed, rel=0.03)


def test_scans_of_one_person_count_as_one():
    """Three identical scans a person: the naive error would be smaller by the root of 3."""
    rng = np.random.default_rng(4)
    values = np.repeat(rng.normal(size=200), 3)
    person = np.repeat(np.arange(200), 3)
    columns = np.column_stack([np.ones(600), values])
    by_person = resampled_sums(person, columns, 6000, seed=1)
    by_scan = resampled_sums(range(600), columns, 6000, seed=1)
    ratio = (by_person[:, 1] / by_person[:, 0]).std() / (by_scan[:, 1] / by_scan[:, 0]).std()
    assert ratio == pytest.approx(np.sqrt(3), rel=0.06)


def test_interval_covers_the_truth_at_its_level():
    covered = 0
    trials = 300
    for trial in range(trials):
        values = np.random.default_rng([7, trial]).normal(1.0, 1.0, 60)
        columns = np.column_stack([np.ones(60), values])
        sums = resampled_sums(range(60), columns, 600, seed=trial)
        low, high = percentile_interval(sums[:, 1] / sums[:, 0])
        covered += low <= 1.0 <= high
    # The percentile interval of 60 values covers about 94 %.
    low, high = binom.ppf([0.001, 0.999], trials, 0.94)
    assert low <= covered <= high


def test_the_same_seed_gives_the_same_draws_whatever_is_summed():
    first = resampled_sums(["a", "b", "c"], np.ones((3, 1)), 50, seed=9)
    both = resampled_sums(["a", "b", "c"], np.column_stack([np.ones(3), [1, 2, 3]]), 50, seed=9)
    assert (first[:, 0] == both[:, 0]).all()
    other = resampled_sums(["a", "b", "c"], np.column_stack([np.ones(3), [1, 2, 3]]), 50, seed=8)
    assert (both[:, 1] != other[:, 1]).any()


def test_intervals_leave_out_empty_replicates():
    draws = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    low, high = percentile_interval(draws, level=0.5)
    assert (low[0], high[0]) == (1.5, 2.5)
    assert np.isnan([low[1], high[1]]).all()


def test_p_of_no_difference_is_one_and_never_zero():
    assert bootstrap_p(np.zeros(99), 0.0) == 1.0
    draws = np.random.default_rng(0).normal(10, 1, 999)
    assert bootstrap_p(draws, 10.0) == pytest.approx(1 / 1000)
    assert bootstrap_p(draws - 20, -10.0, one_sided=True) > 0.99


@pytest.mark.parametrize("n", [1, 2, 3, 7, 12])
def test_holm_equals_statsmodels(n):
    rng = np.random.default_rng(n)
    # Rounded, so that there are ties.
    for p in (rng.random(n), rng.random(n).round(1), rng.random(n) ** 4):
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


def test_mae_with_interval_has_the_closed_half_width():
    rng = np.random.default_rng(6)
    error = rng.normal(0, 5, 500)
    rows = pd.DataFrame({"participant_id": range(500), "age": 50.0, "predicted_age": 50 + error})
    value, low, high = mae_with_interval(rows, 4000, seed=1)
    assert value == pytest.approx(np.abs(error).mean())
    assert high - low == pytest.approx(2 * 1.96 * np.abs(error).std() / np.sqrt(500), rel=0.05)
    one = rows.assign(participant_id="p")
    assert np.isnan(mae_with_interval(one, 100)[1:]).all()


def test_paired_difference_uses_the_pairing():
    """Two models that share their error: the difference is known far better than each MAE."""
    rng = np.random.default_rng(2)
    error = rng.normal(0, 5, 300)
    errors = pd.DataFrame({"one": error + np.sign(error) * 0.5, "two": error, "three": error})
    table = paired_differences(errors, range(300), [("one", "two"), ("two", "three")], 2000)
    first, second = table.to_dict("records")
    assert first["difference"] == pytest.approx(0.5)
    assert first["low"] == pytest.approx(0.5)
    assert first["p"] < 0.01
    assert second["p"] == 1.0
    assert table["p_holm"].tolist() == pytest.approx([2 * first["p"], 1.0])


def test_paired_difference_false_alarms_stay_at_their_level():
    alarms, trials = 0, 300
    for trial in range(trials):
        rng = np.random.default_rng([11, trial])
        errors = pd.DataFrame(rng.normal(0, 5, (80, 2)), columns=["one", "two"])
        table = paired_differences(errors, range(80), [("one", "two")], 400, seed=trial)
        alarms += table["p"][0] < 0.05
    low, high = binom.ppf([0.001, 0.999], trials, 0.05)
    assert low <= alarms <= high


def test_a_single_participant_has_no_interval():
    errors = pd.DataFrame({"one": [1.0, 2.0], "two": [0.0, 1.0]})
    table = paired_differences(errors, ["p", "p"], [("one", "two")], 100)
    assert table["difference"][0] == 1.0
    assert table[["low", "high", "p"]].isna().all(axis=None)
