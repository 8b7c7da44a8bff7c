"""Inflations, groups at equal ages, guesses, coverage: against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.errors import BadInput
from brainage_lib.stats import (
    by_sex,
    coverage,
    evaluated,
    guesses,
    inflation,
    left_out_studies,
    mae,
    stack,
    studies,
    table1,
)
from brainage_lib.stats.conformal import fold_intervals, local_half_width
from brainage_lib.stats.coverage import coverage_band
from brainage_lib.stats.inflation import FIT, GAIN, LEARNED, OWN, PERSON, SPLIT, STACKED
from brainage_lib.stats.tested import by_model
from brainage_lib.tables import BY_SEX, COVERAGE, GUESSES, INFLATION, LEFT_OUT, STUDIES, decade

QUICK = {"replicates": 200}


@pytest.fixture(scope="module")
def stacked(both_modes):
    return stack(both_modes)


@pytest.fixture(scope="module")
def inflated(stacked):
    return inflation(stacked, **QUICK)


def test_each_inflation_is_measured_with_an_interval(inflated):
    INFLATION.validate(inflated)
    assert set(inflated["what"]) == {LEARNED, STACKED, FIT, OWN, GAIN, SPLIT}  # nobody is known
    known = inflated.dropna(subset=["low", "high"])
    assert len(known) == len(inflated)
    assert ((known["low"] <= known["inflation"]) & (known["inflation"] <= known["high"])).all()


def test_memorised_rows_flatter_by_what_they_memorised(inflated, both_modes):
    row = inflated[(inflated["what"] == LEARNED) & (inflated["mode"] == "paper")].iloc[0]
    rows = both_modes[(both_modes["mode"] == "paper") & (both_modes["net"] == "T")]
    errors = (rows["predicted_age"] - rows["age"]).abs().groupby(rows["role"]).mean()
    assert row["honest"] == pytest.approx(errors["test"])
    assert row["flattered"] == pytest.approx(errors["train"])
    assert row["low"] > 0


def test_the_fits_error_on_new_rows_is_that_of_table_1(inflated, stacked):
    table = table1(stacked, 100).set_index(["fitted_on", "model"])["mae"]
    rows = inflated[inflated["what"] == FIT].set_index("model")
    assert rows.loc["TA", "honest"] == pytest.approx(table["validation", "TA"])
    assert rows.loc["TA", "flattered"] == pytest.approx(table["in-sample", "TA"])


def test_the_gain_on_new_rows_is_that_of_the_squared_errors(inflated, stacked):
    for key, block in evaluated(stacked):
        if key["fitted_on"] != "out-of-fold":
            continue
        squared = block[["T", "TA"]].sub(block["age"], axis=0).pow(2).mean()
        rows = inflated[(inflated["what"] == GAIN) & (inflated["mode"] == "sound")]
        row = rows[rows["model"] == "T to TA"].iloc[0]
        assert row["honest"] == pytest.approx(100 * (1 - squared["TA"] / squared["T"]))


def test_people_trained_on_are_told_from_others(make_paper):
    predictions = make_paper(n=400)
    scans = predictions["scan_id"].drop_duplicates().tolist()
    # Every second tested person has a scan in training, too, and is predicted perfectly.
    tested = predictions.loc[predictions["role"] == "test", "scan_id"].drop_duplicates().tolist()
    owner = dict(zip(tested[::2], scans, strict=False))
    known = predictions["scan_id"].isin(owner)
    people = predictions.drop_duplicates("scan_id").set_index("scan_id")["participant_id"]
    predictions.loc[known, "participant_id"] = (
        predictions.loc[known, "scan_id"].map(owner).map(people)
    )
    predictions.loc[known, "predicted_age"] = predictions.loc[known, "age"] + 0.01 * np.arange(
        known.sum()
    )
    rows = inflation(stack(predictions), **QUICK)
    row = rows[(rows["what"] == PERSON) & (rows["model"] == "TA")].iloc[0]
    assert (row["n_honest"], row["n_flattered"]) == (20, 20)
    assert row["low"] > 1


def test_sexes_are_compared_by_error_and_gap(stacked):
    table = by_sex(stacked, **QUICK)
    BY_SEX.validate(table)
    rows = table[(table["mode"] == "sound") & (table["model"] == "TA")].set_index("sex")
    test = stacked.rows.query("mode == 'sound' and role == 'test' and model == 'TA'")
    for sex in "FM":
        part = test[test["sex"] == sex]
        assert rows.loc[sex, "mae"] == pytest.approx(mae(part["age"], part["stacked_age"]))
        assert rows.loc[sex, "gap"] == pytest.approx((part["stacked_age"] - part["age"]).mean())
    assert rows.loc["F − M", "mae"] == pytest.approx(rows.loc["F", "mae"] - rows.loc["M", "mae"])
    assert rows.loc["F − M", "n_scans"] == 600


def test_one_sex_leaves_the_other_empty(make_sound):
    table = by_sex(stack(make_sound(n=60, patients=0).assign(sex="M")), **QUICK)
    row = table[(table["sex"] == "F") & (table["model"] == "T")].iloc[0]
    assert row["n_scans"] == 0
    assert row[["mae", "mae_low", "gap", "corrected_gap"]].isna().all()
    assert table[table["sex"] == "F − M"]["mae"].isna().all()


def test_expected_errors_are_those_of_the_decade(stacked):
    table = studies(stacked, **QUICK)
    STUDIES.validate(table)
    rows = table[(table["mode"] == "sound") & (table["model"] == "TA")].set_index("project")
    test = stacked.rows.query("mode == 'sound' and role == 'test' and model == 'TA'")
    error = (test["stacked_age"] - test["age"]).abs()
    usual = error.groupby(np.asarray(decade(test["age"]).astype(str))).transform("mean")
    for project, row in rows.iterrows():
        inside = test["project"] == project
        assert row["expected_mae"] == pytest.approx(usual[inside].mean())
        assert row["ratio"] == pytest.approx(error[inside].mean() / usual[inside].mean())
        assert row["standardised_mae"] == pytest.approx(row["ratio"] * error.mean())


def test_a_study_that_networks_never_saw_is_said_to_be_left_out_of_both(make_sound):
    predictions = make_sound(n=260, folds=2, patients=0)
    predictions = predictions[predictions["role"] == "test"]
    names = sorted(predictions["project"].unique())
    as_folds = predictions.assign(fold=predictions["project"].map(names.index))
    trained = [
        as_folds[as_folds["fold"] != fold].assign(fold=fold, role="train") for fold in (0, 1)
    ]
    table = left_out_studies(stack(pd.concat([as_folds, *trained])), **QUICK)
    LEFT_OUT.validate(table)
    of = table.drop_duplicates("project").set_index("project")["left_out_of"]
    assert (of == "networks and stacking").all()
    assert table["difference"].abs().max() < 1e-9


def test_a_guess_is_the_median_of_the_training_rows(make_paper):
    predictions = make_paper(n=300)
    table = guesses(stack(predictions), **QUICK)
    GUESSES.validate(table)
    row = table[table["guess"] == "median age"].iloc[0]
    single = predictions[predictions["net"] == "T"]
    median = single.loc[single["role"] != "test", "age"].median()
    tested = single.loc[single["role"] == "test", "age"]
    assert row["mae"] == pytest.approx((tested - median).abs().mean())
    assert row["learned_from"] == "training rows"


def test_bands_are_those_of_the_binomial():
    """By the exact binomial: of 50 scans at 0.9, between 41 and 49 in 95 of 100 samples."""
    assert coverage_band(50, 0.9) == (0.82, 0.98)


@pytest.mark.parametrize("kind", ["constant", "local"])
def test_intervals_of_both_kinds_cover_at_their_level(make_sound, kind):
    rows = next(rows for key, rows in by_model(stack(make_sound(n=2000, folds=5, patients=0)))
                if key["model"] == "TA")  # fmt: skip
    covered = fold_intervals(rows, 0.8, kind)["covered"].mean()
    assert covered == pytest.approx(0.8, abs=0.03)


def test_local_intervals_are_wide_where_the_model_errs_much():
    rng = np.random.default_rng(6)
    age = rng.uniform(20, 80, 3000)
    sd = np.where(age < 50, 2.0, 8.0)
    rows = pd.DataFrame({"participant_id": np.arange(3000).astype(str), "age": age,
                         "stacked_age": age + sd * rng.normal(size=3000)})  # fmt: skip
    width = local_half_width(rows, 0.9)
    young, old = width.at(np.array([30.0, 70.0]))
    # 1.645 SD each; the smooth curve blurs the step.
    assert young < 0.65 * old
    near = rows["age"].between(25, 35)
    inside = (rows["stacked_age"] - rows["age"]).abs() <= width.at(rows["stacked_age"])
    assert inside[near].mean() > 0.85


def test_too_few_scans_give_no_interval_and_the_table_says_so(make_sound):
    table = coverage(stack(make_sound(n=16, folds=2, patients=0)))
    COVERAGE.validate(table)
    whole = table[(table["by"] == "all") & (table["model"] == "T")].set_index("kind")
    assert whole.loc["local", "verdict"] == "not known"
    assert np.isnan(whole.loc["local", "half_width"])


def test_a_corrected_value_enters_no_accuracy(stacked):
    from brainage_lib.stats.bias import fold_corrected_gaps

    rows = stacked.rows.query("mode == 'sound' and role == 'test' and model == 'TA'")
    corrected = fold_corrected_gaps(rows)
    with pytest.raises(BadInput, match="corrected with the true age"):
        mae(rows["age"], corrected)
    with pytest.raises(BadInput, match="corrected with the true age"):
        stack(pd.DataFrame({"uses_true_age": [True]}))
