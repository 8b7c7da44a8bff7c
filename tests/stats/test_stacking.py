"""Stacking in both modes: who is fitted on, who is predicted, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.errors import BadInput
from brainage_lib.stats import load_model_json, mse, save_model_json, stack, stacked_age
from brainage_lib.tables import COEFFICIENTS


def estimates(stacked, model="TA", **where):
    rows = stacked.coefficients
    for name, value in where.items():
        rows = rows[rows[name].isna() if value is None else rows[name] == value]
    rows = rows[rows["model"] == model]
    return rows.set_index("term")["estimate"]


def by_hand(wide, model):
    columns = {"T": wide["T"], "A": wide["A"], "S": (wide["sex"] == "M").astype(float)}
    design = np.column_stack([np.ones(len(wide)), *(columns[letter] for letter in model)])
    return np.linalg.lstsq(design, wide["age"].to_numpy(), rcond=None)[0]


@pytest.mark.parametrize("model", ["T", "A", "TA", "TAS"])
def test_paper_mode_fits_on_training_and_validation_rows(make_paper, model):
    stacked = stack(make_paper())
    wide = stacked.inputs
    fitting = wide[wide["role"].isin(["train", "validation"])]
    found = estimates(stacked, model, fitted_on="in-sample")
    assert found.to_numpy() == pytest.approx(by_hand(fitting, model))
    validation = estimates(stacked, model, fitted_on="validation")
    assert validation.to_numpy() == pytest.approx(
        by_hand(wide[wide["role"] == "validation"], model)
    )
    COEFFICIENTS.validate(stacked.coefficients)


def test_known_coefficients_lie_in_their_intervals(make_paper):
    """Errors of equal size: each network has half the weight, sex has none."""
    stacked = stack(make_paper(n=4000, train_sd=5.0, test_sd=5.0))
    fit = stacked.coefficients.query("model == 'TAS' and fitted_on == 'in-sample'").set_index(
        "term"
    )
    assert (fit["low"] < fit["estimate"]).all()
    assert (fit["estimate"] < fit["high"]).all()
    assert fit.loc["sex", "low"] < 0 < fit.loc["sex", "high"]
    # 5 years with correlation 0.6 leave 5·√0.8 = 4.47 around their mean.
    assert fit["residual_sd"].iloc[0] == pytest.approx(4.45, abs=0.15)


def test_in_sample_optimism_is_visible(make_paper):
    stacked = stack(make_paper(train_sd=0.7, test_sd=5.4))
    rows = stacked.rows.query("model == 'TA' and fitted_on == 'in-sample'")
    error = {
        role: mse(part["age"], part["stacked_age"]) ** 0.5 for role, part in rows.groupby("role")
    }
    residual_sd = stacked.coefficients.query("model == 'TA'")["residual_sd"].iloc[0]
    assert error["train"] < 0.8
    assert error["test"] > 4
    assert residual_sd < error["test"] / 2


def test_sound_mode_fits_each_fold_on_the_other_folds(make_sound):
    stacked = stack(make_sound())
    test = stacked.inputs[stacked.inputs["role"] == "test"]
    for fold in range(3):
        found = estimates(stacked, "TAS", fold=fold)
        assert found.to_numpy() == pytest.approx(by_hand(test[test["fold"] != fold], "TAS"))
    found = estimates(stacked, "TAS", fold=None)
    assert found.to_numpy() == pytest.approx(by_hand(test, "TAS"))
    COEFFICIENTS.validate(stacked.coefficients)


def test_a_scan_never_influences_its_own_stacked_age(make_sound):
    predictions = make_sound(n=60)
    spoilt = predictions.copy()
    chosen = (spoilt["scan_id"] == "s00000") & (spoilt["role"] == "test")
    fold = spoilt.loc[chosen, "fold"].iloc[0]
    spoilt.loc[spoilt["scan_id"] == "s00000", "age"] += 15.0
    before, after = stack(predictions).rows, stack(spoilt).rows
    same = before[(before["role"] == "test") & (before["fold"] == fold)].index
    assert after.loc[same, "stacked_age"].to_numpy() == pytest.approx(
        before.loc[same, "stacked_age"].to_numpy(), abs=0
    )
    others = before[(before["role"] == "test") & (before["fold"] != fold)].index
    assert (after.loc[others, "stacked_age"] != before.loc[others, "stacked_age"]).all()


def test_patients_are_averaged_over_folds_and_never_fitted_on(make_sound):
    predictions = make_sound(n=120, patients=10)
    stacked = stack(predictions)
    apart = stacked.rows.query("role == 'apart' and model == 'TA'")
    assert len(apart) == 10
    assert apart["fold"].isna().all()
    inputs = stacked.inputs.query("role == 'apart'").groupby("scan_id")[["T", "A"]].mean()
    beta = estimates(stacked, "TA", fold=None)
    expected = beta["intercept"] + beta["T"] * inputs["T"] + beta["A"] * inputs["A"]
    assert apart.set_index("scan_id")["stacked_age"].to_dict() == pytest.approx(expected.to_dict())
    spoilt = predictions.assign(
        predicted_age=predictions["predicted_age"] + 50 * (predictions["role"] == "apart")
    )
    pd.testing.assert_frame_equal(stack(spoilt).coefficients, stacked.coefficients)


def test_patients_apart_in_paper_mode_are_predicted_and_never_fitted_on(make_paper):
    predictions = make_paper(n=200)
    ill = predictions["scan_id"].isin(["s00001", "s00008"])
    moved = predictions.assign(
        role=predictions["role"].where(~ill, "apart"),
        diagnosis=predictions["diagnosis"].where(~ill, "AD"),
    )
    stacked = stack(moved)
    fitting = stacked.inputs[stacked.inputs["role"].isin(["train", "validation"])]
    assert len(fitting) == 178
    found = estimates(stacked, "TA", fitted_on="in-sample")
    assert found.to_numpy() == pytest.approx(by_hand(fitting, "TA"))
    apart = stacked.rows.query("role == 'apart' and model == 'TA' and fitted_on == 'in-sample'")
    assert sorted(apart["scan_id"]) == ["s00001", "s00008"]


def test_test_rows_of_patients_are_predicted_but_not_fitted_on(make_sound):
    predictions = make_sound(n=90, patients=0)
    ill = predictions["participant_id"].isin(["p00003", "p00004"])
    predictions.loc[ill, "diagnosis"] = "AD"
    stacked = stack(predictions)
    assert any("2 test rows are not controls" in warning for warning in stacked.warnings)
    test = stacked.inputs[stacked.inputs["role"] == "test"]
    found = estimates(stacked, "TA", fold=None)
    assert found.to_numpy() == pytest.approx(by_hand(test[test["diagnosis"] == "control"], "TA"))
    assert len(stacked.rows.query("role == 'test' and model == 'T'")) == 90


def test_other_nets_and_higher_seeds_are_left_alone(make_sound):
    predictions = make_sound(n=60)
    second = predictions.assign(seed=1, predicted_age=predictions["predicted_age"] + 30)
    tissue = predictions[predictions["net"] == "T"].assign(net="M", predicted_age=0.0)
    more = pd.concat([second, tissue, predictions], ignore_index=True)
    pd.testing.assert_frame_equal(stack(more).coefficients, stack(predictions).coefficients)


def test_without_a_recipe_column_all_rows_are_one_recipe(make_sound):
    stacked = stack(make_sound(n=60).drop(columns="recipe"))
    assert stacked.rows["recipe"].unique().tolist() == ["given"]


def test_recipes_are_stacked_apart(make_sound):
    one = make_sound(n=60)
    two = make_sound(n=60, sd=9.0).assign(recipe="wide")
    stacked = stack(pd.concat([one, two]))
    first = stacked.coefficients[stacked.coefficients["recipe"] == "paper"]
    pd.testing.assert_frame_equal(first, stack(one).coefficients)
    assert set(stacked.rows["recipe"]) == {"paper", "wide"}


def test_one_sex_makes_tas_equal_ta_and_says_so(make_paper):
    stacked = stack(make_paper(n=200).assign(sex="M"))
    rows = stacked.rows.pivot_table(
        index=["scan_id", "fitted_on"], columns="model", values="stacked_age"
    )
    assert rows["TAS"].to_numpy() == pytest.approx(rows["TA"].to_numpy())
    assert any("one sex" in warning for warning in stacked.warnings)
    sex = stacked.coefficients.query("term == 'sex'")
    assert (sex["estimate"] == 0).all()
    assert sex[["low", "high", "p"]].isna().all(axis=None)
    COEFFICIENTS.validate(stacked.coefficients)


def test_a_network_that_repeats_the_other_one_is_named(make_sound):
    predictions = make_sound(n=60, patients=0)
    of_t = predictions[predictions["net"] == "T"]
    stacked = stack(pd.concat([of_t, of_t.assign(net="A")]))
    assert any("repeat those of T" in warning for warning in stacked.warnings)
    rows = stacked.rows.query("role == 'test'").pivot(
        index="scan_id", columns="model", values="stacked_age"
    )
    assert rows["TA"].to_numpy() == pytest.approx(rows["T"].to_numpy())


def test_a_collapsed_network_is_named(make_sound):
    predictions = make_sound(n=60, patients=0)
    predictions.loc[predictions["net"] == "A", "predicted_age"] = 47.3
    stacked = stack(predictions)
    assert any("model A" in w and "constant" in w for w in stacked.warnings)
    assert np.isfinite(stacked.rows["stacked_age"]).all()


def refusal(predictions):
    with pytest.raises(BadInput) as caught:
        stack(predictions)
    return str(caught.value)


def test_missing_predictions_of_a_are_named(make_sound):
    predictions = make_sound(n=60)
    only_t = predictions[predictions["net"] == "T"]
    assert "no rows with net A" in refusal(only_t)
    lacking = predictions[~((predictions["net"] == "A") & (predictions["scan_id"] == "s00007"))]
    message = refusal(lacking)
    assert "scan s00007" in message
    assert "no row with net A" in message


def test_a_network_that_learned_nothing_is_warned_of(make_sound):
    predictions = make_sound(n=60, patients=0)
    assert not any("learned nothing" in warning for warning in stack(predictions).warnings)
    a = predictions["net"] == "A"
    predictions.loc[a, "predicted_age"] = 50 + predictions.loc[a, "predicted_age"] / 1e5
    (warning,) = (w for w in stack(predictions).warnings if "learned nothing" in w)
    assert "sound mode: what A says of people differs by 0.0002" in warning


def test_a_person_tested_in_two_folds_is_refused(make_sound):
    predictions = make_sound(n=60, patients=0)
    moved = predictions["scan_id"].isin(["s00000", "s00001"])
    predictions.loc[moved, "participant_id"] = "p00000"
    assert "p00000 is in the test rows of several folds" in refusal(predictions)


def test_two_descriptions_of_a_scan_are_refused(make_sound):
    predictions = make_sound(n=60)
    rows = predictions.index[(predictions["scan_id"] == "s00002") & (predictions["net"] == "A")]
    predictions.loc[rows[0], "age"] += 1
    assert "scan s00002: age differ" in refusal(predictions)


def test_roles_that_differ_between_nets_are_refused(make_paper):
    predictions = make_paper(n=60)
    odd = (predictions["scan_id"] == "s00009") & (predictions["net"] == "A")
    predictions.loc[odd, "role"] = "validation"
    assert "both networks need the same split" in refusal(predictions)


def test_sound_mode_needs_two_folds(make_sound):
    predictions = make_sound(n=60, patients=0)
    assert "at least two folds" in refusal(predictions[predictions["fold"] == 0])


def test_paper_mode_needs_rows_to_fit_and_to_test_on(make_paper):
    predictions = make_paper(n=60)
    assert "role test" in refusal(predictions[predictions["role"] != "test"])
    assert "needs at least" in refusal(predictions[predictions["role"] == "test"])


def test_few_validation_rows_leave_that_fit_out(make_paper):
    stacked = stack(make_paper(n=40))
    assert set(stacked.rows["fitted_on"]) == {"in-sample"}
    assert any("too few" in warning for warning in stacked.warnings)


def test_the_model_file_predicts_what_the_stacking_did(make_paper, make_sound, tmp_path):
    stacked = stack(pd.concat([make_paper(n=200), make_sound(n=200)]))
    save_model_json(stacked, tmp_path / "model.json")
    models = load_model_json(tmp_path / "model.json")
    apart = stacked.rows.query("role == 'apart' and model == 'TAS'").set_index("scan_id")
    inputs = (
        stacked.inputs.query("role == 'apart'")
        .groupby("scan_id")
        .agg({"T": "mean", "A": "mean", "sex": "first"})
    )
    fits = models["paper"]["sound"]["out-of-fold"]["all"]
    assert stacked_age(fits, "TAS", inputs) == pytest.approx(
        apart.loc[inputs.index, "stacked_age"].to_numpy()
    )
    assert fits["TAS"]["n_scans"] == 200
    assert set(models["paper"]["paper"]) == {"in-sample", "validation"}
    unknown = inputs.assign(sex=None)
    assert np.isnan(stacked_age(fits, "TAS", unknown)).all()


def test_another_file_is_no_model(tmp_path):
    (tmp_path / "model.json").write_text('{"version": 99}')
    with pytest.raises(BadInput, match="version 1"):
        load_model_json(tmp_path / "model.json")
    with pytest.raises(BadInput, match="cannot be read"):
        load_model_json(tmp_path / "none.json")


def test_stacking_is_the_same_twice(both_modes):
    first, second = stack(both_modes), stack(both_modes)
    pd.testing.assert_frame_equal(first.rows, second.rows, check_exact=True)
    pd.testing.assert_frame_equal(first.coefficients, second.coefficients, check_exact=True)


@pytest.mark.filterwarnings("error::FutureWarning")
def test_nobody_apart_gives_no_warning_and_the_same_types(make_sound):
    alone, apart = (stack(make_sound(n=60, patients=n)).rows for n in (0, 20))
    assert alone.dtypes.to_dict() == apart.dtypes.to_dict()


def test_a_recipe_with_one_network_is_left_out_and_named(make_sound):
    both = make_sound(n=60)
    single = both[both["net"] == "T"].assign(recipe="linear")
    stacked = stack(pd.concat([single, both], ignore_index=True))
    assert set(stacked.rows["recipe"]) == {"paper"}
    assert any("recipe linear has one network only" in warning for warning in stacked.warnings)
    with pytest.raises(BadInput, match="no rows with net A"):
        stack(single)
