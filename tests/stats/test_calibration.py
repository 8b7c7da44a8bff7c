"""Coverage of the intervals, removal of the bias, reliability: on data with a known truth."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from brainage_lib.errors import BadInput
from brainage_lib.stats import stack
from brainage_lib.stats.bias import fit_bias, fold_corrected_gaps
from brainage_lib.stats.calibration import (
    calibrate,
    load_calibration_json,
    save_calibration_json,
)
from brainage_lib.stats.conformal import conformal_half_width, fold_intervals, local_half_width
from brainage_lib.stats.reliability import intraclass_correlation, reliability, repeated_gaps


def of_model(stacked, model="TA", role="test"):
    rows = stacked.rows
    return rows[(rows["mode"] == "sound") & (rows["model"] == model) & (rows["role"] == role)]


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_half_width_covers_new_errors_at_its_level(level):
    """Over many calibrations of 39 errors the coverage is ⌈40 · level⌉ / 40 exactly."""
    trials, covered = 4000, 0
    for trial in range(trials):
        errors = np.random.default_rng([3, trial]).standard_t(3, 40)
        covered += abs(errors[0]) <= conformal_half_width(errors[1:], level)
    low, high = binom.ppf([0.001, 0.999], trials, np.ceil(40 * level) / 40)
    assert low <= covered <= high


def test_half_width_grows_with_the_level_and_ends_where_scans_do():
    errors = np.random.default_rng(0).normal(0, 5, 100)
    widths = [conformal_half_width(errors, level) for level in (0.5, 0.8, 0.9, 0.95, 0.99)]
    assert widths == sorted(widths)
    assert widths[-1] == np.abs(errors).max()
    assert conformal_half_width(np.arange(1, 10), 0.9) == 9.0
    assert conformal_half_width(np.arange(1, 9), 0.9) == np.inf
    with pytest.raises(ValueError, match="between 0 and 1"):
        conformal_half_width(errors, 90)


def test_folds_cover_each_other(make_sound):
    rows = of_model(stack(make_sound(n=1500)))
    found = fold_intervals(rows, 0.9)
    low, high = binom.ppf([0.001, 0.999], len(rows), 0.9)
    assert low <= found["covered"].sum() <= high
    inside = rows["age"].between(found["interval_low"], found["interval_high"])
    assert (inside == found["covered"]).all()


def test_a_fold_does_not_widen_its_own_interval(make_sound):
    rows = of_model(stack(make_sound(n=90)))
    worse = rows.copy()
    worse.loc[worse["fold"] == 0, "stacked_age"] += 100
    before, after = fold_intervals(rows), fold_intervals(worse)
    here = rows["fold"] == 0
    for found, table in ((before, rows), (after, worse)):
        found["width"] = found["interval_high"] - table["stacked_age"]
    assert after.loc[here, "width"].to_numpy() == pytest.approx(before.loc[here, "width"])
    assert (after.loc[~here, "width"] > before.loc[~here, "width"]).all()


def test_bias_line_equals_least_squares():
    rng = np.random.default_rng(1)
    age = rng.uniform(20, 80, 50)
    predicted = 15 + 0.7 * age + rng.normal(0, 3, 50)
    bias = fit_bias(age, predicted)
    assert (bias.slope, bias.intercept) == pytest.approx(np.polyfit(age, predicted - age, 1))
    corrected = bias.corrected_gap(age, predicted)
    assert np.polyfit(age, corrected, 1) == pytest.approx([0, 0], abs=1e-9)


def test_correction_removes_the_slope_out_of_fold_and_keeps_a_real_gap(make_sound):
    predictions = make_sound(n=900, patients=60)
    # Networks that fall behind with age, and patients whose brains look 6 years older.
    shrunk = 50 + 0.6 * (predictions["predicted_age"] - 50)
    predictions["predicted_age"] = shrunk + 6 * (predictions["role"] == "apart")
    stacked = stack(predictions)
    # The raw network, not the stack, which would take the slope out by itself.
    raw = stacked.inputs.rename(columns={"T": "stacked_age"})
    test = raw[raw["role"] == "test"]
    gap = test["stacked_age"] - test["age"]
    assert np.polyfit(test["age"], gap, 1)[0] < -0.35
    corrected = fold_corrected_gaps(test)
    assert abs(np.polyfit(test["age"], corrected, 1)[0]) < 0.03
    ill = raw[raw["role"] == "apart"]
    bias = fit_bias(test["age"], test["stacked_age"])
    of_patients = bias.corrected_gap(ill["age"], ill["stacked_age"])
    assert of_patients.mean() == pytest.approx(6, abs=1)


def test_one_age_has_no_line():
    with pytest.raises(ValueError, match="two different ages"):
        fit_bias([40, 40], [41, 42])


def test_calibration_comes_from_controls_out_of_fold(make_sound, make_paper, tmp_path):
    predictions = pd.concat([make_paper(n=200), make_sound(n=200)])
    stacked = stack(predictions)
    found = calibrate(stacked, level=0.8)
    assert set(found) == {"paper"}
    rows = of_model(stacked, "TAS")
    assert found["paper"]["TAS"]["n_scans"] == 200
    assert found["paper"]["TAS"]["half_width"] == conformal_half_width(
        rows["stacked_age"] - rows["age"], 0.8
    )
    slope, intercept = np.polyfit(rows["age"], rows["stacked_age"] - rows["age"], 1)
    assert found["paper"]["TAS"]["slope"] == pytest.approx(slope)
    assert found["paper"]["TAS"]["intercept"] == pytest.approx(intercept)
    save_calibration_json(stacked, tmp_path / "calibration.json", level=0.8)
    read = json.loads((tmp_path / "calibration.json").read_text())
    assert read == {"version": 1, "calibration": found}


def test_the_file_says_what_uses_the_true_age_and_gives_both_curves_again(make_sound):
    stacked = stack(make_sound(n=400, patients=0))
    found = calibrate(stacked)["paper"]["TA"]
    assert found["uses_true_age"] == {
        "half_width": False, "local": False, "slope": True, "intercept": True, "lowess": True,
    }  # fmt: skip
    rows = of_model(stacked)
    curve = fit_bias(rows["age"], rows["stacked_age"], "lowess")
    given = np.interp([30.0, 60.0], found["lowess"]["age"], found["lowess"]["gap"])
    assert curve.mean_gap([30.0, 60.0]) == pytest.approx(given)
    width = local_half_width(rows)
    given = np.interp([30.0, 60.0], found["local"]["predicted"], found["local"]["half_width"])
    assert width.at(np.array([30.0, 60.0])) == pytest.approx(given)


def test_a_smooth_curve_takes_out_a_bend_that_a_line_leaves(make_sound):
    rows = of_model(stack(make_sound(n=900, patients=0))).copy()
    rows["stacked_age"] += 6 * np.cos((rows["age"] - 20) / 12)
    old = rows["age"] > 70
    line, curve = (fold_corrected_gaps(rows, kind) for kind in ("linear", "lowess"))
    assert abs(curve[old].mean()) < abs(line[old].mean()) / 2
    with pytest.raises(ValueError, match="linear or lowess"):
        fit_bias([20, 40], [21, 42], "cubic")


def test_few_controls_have_no_half_width(make_sound):
    found = calibrate(stack(make_sound(n=15, patients=0)), level=0.99)
    assert found["paper"]["T"]["half_width"] is None


@pytest.mark.parametrize("people", [9, 40])
def test_what_repeated_scans_differ_by_is_kept_of_ten_people_or_more(make_sound, people):
    stacked = stack(make_sound(n=people, repeats=2, folds=2, sd=3.0))
    found = calibrate(stacked)["paper"]["TA"]["repeated"]
    if people < 10:
        assert found is None
        return
    rows = of_model(stacked)
    gaps = rows.assign(gap=rows["stacked_age"] - rows["age"]).pivot(
        index="participant_id", columns="session", values="gap"
    )
    change = 1.96 * np.sqrt(((gaps["1"] - gaps["0"]) ** 2).mean())
    assert found == {"smallest_change": pytest.approx(change), "n_participants": people}


def test_a_calibration_is_read_as_written_and_another_file_is_refused(make_sound, tmp_path):
    stacked = stack(make_sound(n=200, patients=0))
    save_calibration_json(stacked, tmp_path / "calibration.json")
    assert load_calibration_json(tmp_path / "calibration.json") == calibrate(stacked)
    (tmp_path / "other.json").write_text('{"version": 99}')
    with pytest.raises(BadInput, match="write it again by chapter 06"):
        load_calibration_json(tmp_path / "other.json")


def test_icc_equals_the_published_example():
    """Shrout and Fleiss 1979, six targets and four judges: ICC(2,1) = 0.29."""
    ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    assert intraclass_correlation(ratings) == pytest.approx(0.29, abs=0.005)


def test_reliability_finds_the_known_share_of_variance():
    rng = np.random.default_rng(5)
    n, trait, noise = 3000, 4.0, 2.0
    person = rng.normal(0, trait, n)
    frame = []
    for session in (0, 1):
        age = rng.uniform(20, 80, n) + session
        gap = person + rng.normal(0, noise, n) + 0.5 * session
        frame.append(
            pd.DataFrame(
                {
                    "participant_id": [f"p{i}" for i in range(n)],
                    "session": str(session),
                    "age": 20 + age / 10 + session * 10,
                    "stacked_age": 20 + age / 10 + session * 10 + gap,
                }
            )
        )
    found = reliability(pd.concat(frame))
    within = noise**2 + 0.5**2 / 2
    assert found.n_participants == n
    assert found.icc == pytest.approx(trait**2 / (trait**2 + within), abs=0.02)
    assert found.bias == pytest.approx(0.5, abs=0.15)
    half = 1.96 * noise * np.sqrt(2)
    assert found.limits == pytest.approx((0.5 - half, 0.5 + half), abs=0.3)
    expected = 1.96 * np.sqrt(2) * np.sqrt(noise**2 + 0.5**2 / 2)
    assert found.smallest_detectable_change == pytest.approx(expected, rel=0.04)


def test_two_scans_of_one_session_are_no_repetition():
    rows = pd.DataFrame(
        {
            "participant_id": ["a", "a", "b", "b", "c"],
            "session": ["1", "1", "1", "2", "1"],
            "age": [30.0, 30, 40, 42, 50],
            "stacked_age": [31.0, 33, 41, 45, 50],
        }
    )
    pairs = repeated_gaps(rows)
    assert pairs.index.tolist() == ["b"]
    assert pairs.loc["b"].tolist() == [1.0, 3.0]
    assert reliability(rows) is None
