"""The control ladder: planted signals are found, empty ones are not, and words follow numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.stats import (
    compare_models,
    holm,
    ladder,
    ladder_differences,
    ladder_verdict,
    paper_ladder,
    stack,
    table1,
)
from brainage_lib.stats.ladder import GAINS
from brainage_lib.stats.seconds import (
    beside,
    fitted_and_tested,
    least_squares_errors,
    planted,
    shuffled,
)
from brainage_lib.tables import LADDER, RUNGS, choose, read_table, write_table

MAIN = {"recipe": "paper", "mode": "sound"}
QUICK = {**MAIN, "replicates": 400}


def with_net(predictions, net, seed=0, correlation=0.6, sd=5.0, draw=7):
    """Add a network whose errors have the given SD and correlation with T's (of SD 5)."""
    t = predictions[(predictions["net"] == "T") & (predictions["seed"] == 0)]
    shared = (t["predicted_age"] - t["age"]) / 5.0
    own = np.random.default_rng([draw, seed]).normal(size=len(t))
    error = sd * (correlation * shared + np.sqrt(1 - correlation**2) * own)
    return pd.concat(
        [predictions, t.assign(net=net, seed=seed, predicted_age=t["age"] + error)],
        ignore_index=True,
    )


def without(predictions, net):
    return predictions[predictions["net"] != net].reset_index(drop=True)


@pytest.fixture(scope="module")
def predictions(make_sound):
    """T and A with independent errors, patients, training rows, and a second look at T1w."""
    return with_net(make_sound(n=400, folds=2, correlation=0.3), "T", seed=1, correlation=0.8)


@pytest.fixture(scope="module")
def climbed(predictions):
    return ladder(predictions, **QUICK)


def test_ladder_has_every_rung_and_survives_its_file(climbed, tmp_path):
    assert climbed["rung"].tolist() == list(RUNGS)
    write_table(climbed, tmp_path / "ladder.csv", LADDER)
    read = read_table(tmp_path / "ladder.csv", LADDER)
    pd.testing.assert_frame_equal(read[climbed.columns.tolist()], climbed, rtol=1e-8)


def test_t_and_t_with_a_are_those_of_table_1(predictions, climbed):
    stacked = stack(predictions[predictions["seed"] == 0])
    table = choose(table1(stacked, replicates=400), **MAIN).set_index("model")
    rungs = climbed.set_index("rung")
    for rung, model in (("T", "T"), ("T + A", "TA")):
        for column in ("n_scans", "n_participants", "mae", "mae_low", "mae_high"):
            assert rungs.loc[rung, column] == pytest.approx(table.loc[model, column])
    differences = compare_models(stacked, [("T", "TA")], replicates=400)
    row = choose(differences, **MAIN).iloc[0]
    gain = rungs.loc["T + A"]
    for column, other in (("", "difference"), ("_low", "low"), ("_high", "high"), ("_p", "p")):
        assert gain[f"gain_over_t{column}"] == pytest.approx(row[other])


def test_holm_counts_all_questions_and_no_checks(predictions):
    table = ladder(with_net(predictions, "M", correlation=0.5), **QUICK)
    asked = table[~table["rung"].isin(["T + X", "T + P"])]
    raw = np.concatenate([asked[f"{gain}_p"].dropna() for gain in GAINS])
    corrected = np.concatenate([asked[f"{gain}_p_holm"].dropna() for gain in GAINS])
    # A, T′ and M over T; A and M over T′; A over M.
    assert len(raw) == 6
    assert corrected == pytest.approx(holm(raw))
    checks = table[table["rung"].isin(["T + X", "T + P"])]
    assert checks["gain_over_tissue_p"].notna().all()
    assert checks["gain_over_t_p_holm"].isna().all()


def test_planted_signal_is_found_and_shuffled_a_brings_nothing(climbed):
    rungs = climbed.set_index("rung")
    assert rungs.loc["T + P", "gain_over_t_low"] > 0
    assert rungs.loc["T + P", "gain_over_second_look_low"] > 0
    assert abs(rungs.loc["T + X", "gain_over_t"]) < 0.05
    assert rungs.loc["T + X", "gain_over_t_low"] < 0


def test_two_independent_networks_of_equal_error_bring_the_closed_form(make_sound):
    """Age known to ± 20.8 beforehand and by two looks of ± 5 each: precisions add up."""
    predictions = make_sound(n=4000, sd=5.0, correlation=0.0, patients=0)
    rungs = ladder(predictions, **MAIN, replicates=50).set_index("rung")
    prior = 72.0**2 / 12
    one, two = ((1 / prior + looks / 25) ** -0.5 for looks in (1, 2))
    share = 1 - two / one
    for rung in ("T + A", "T + P"):
        assert rungs.loc[rung, "mae"] == pytest.approx(two * np.sqrt(2 / np.pi), rel=0.03)
        gained = rungs.loc[rung, "gain_over_t"] / rungs.loc["T", "mae"]
        assert gained == pytest.approx(share, abs=0.02)
    # Regression towards the mean makes even independent errors a little alike.
    assert rungs.loc["T + A", "error_correlation"] == pytest.approx(25 / (25 + prior), abs=0.04)


def test_error_correlation_orders_the_gains(predictions, climbed):
    rungs = climbed.set_index("rung")
    order = ["T + T′", "T + A", "T + P"]
    assert rungs.loc[order, "error_correlation"].is_monotonic_decreasing
    assert rungs.loc[order, "gain_over_t"].is_monotonic_increasing


def _finds(rows, second):
    """Whether |error of T| − |error of T and second| is clearly positive, out of fold."""
    parts, age = fitted_and_tested(rows, "sound"), rows["age"].to_numpy()
    alone, both = (
        np.abs(least_squares_errors(age, np.column_stack(columns), parts))
        for columns in ([rows["T"]], [rows["T"], second])
    )
    gain = alone - both
    return gain.mean() > 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))


def test_shuffled_a_is_called_a_gain_no_more_often_than_the_level_allows(make_sound):
    """At 2.5 %, 300 tables find more than 15 with a probability below 1 %."""
    rows, _ = beside(make_sound(n=60, folds=2, patients=0), **MAIN)
    rng = np.random.default_rng([4, 4])
    found = {"shuffled": 0, "A": 0}
    for _ in range(300):
        shared, own = rng.normal(size=(2, len(rows)))
        rows["T"] = rows["age"] + 5 * shared
        rows["T + A"] = rows["age"] + 5 * (0.3 * shared + np.sqrt(0.91) * own)
        found["shuffled"] += _finds(rows, shuffled(rows, rng))
        found["A"] += _finds(rows, rows["T + A"])
    assert found["shuffled"] <= 15
    assert found["A"] > 150


def test_shuffled_a_agrees_with_t_as_a_does_and_residuals_change_hands(make_paper):
    predictions = make_paper(n=600)
    rows, _ = beside(predictions, "paper", "paper")
    mixed = shuffled(rows, np.random.default_rng([3]))
    for _, part in rows.groupby("role"):
        a, t, x = part["T + A"], part["T"], mixed[part.index]
        # The residuals that a permutation deals out may lean on T by luck.
        luck = 4 / np.sqrt(len(part))
        assert np.corrcoef(t, x - np.polyval(np.polyfit(t, a, 1), t))[0, 1] < luck
        line = np.polyval(np.polyfit(t, a, 1), t)
        assert np.sort(x - line) == pytest.approx(np.sort(a - line))
        assert ((x - line) - (a - line)).abs().gt(1e-9).mean() > 0.9


def test_scans_of_one_person_get_the_residuals_of_one_other(make_sound):
    predictions = make_sound(n=40, folds=2, repeats=2, patients=0)
    rows, _ = beside(predictions, **MAIN)
    mixed = shuffled(rows, np.random.default_rng([3]))
    for _, part in rows.groupby("fold"):
        line = np.polyval(np.polyfit(part["T"], part["T + A"], 1), part["T"])
        rest = (part["T + A"] - line).round(6)
        owner = dict(zip(rest, part["participant_id"], strict=True))
        given = (mixed[part.index] - line).round(6).map(owner)
        assert (given.groupby(part["participant_id"]).nunique() == 1).all()


def test_planted_errors_are_as_large_as_those_of_a_in_each_role(make_paper):
    rows, _ = beside(make_paper(n=5000), "paper", "paper")
    signal = planted(rows, np.random.default_rng([3]))
    for _, part in rows.groupby("role"):
        wanted = (part["T + A"] - part["age"]).std()
        assert (signal[part.index] - part["age"]).std() == pytest.approx(wanted, rel=0.1)
        error_of_t = part["T"] - part["age"]
        assert abs(np.corrcoef(signal[part.index] - part["age"], error_of_t)[0, 1]) < 0.12


def test_a_control_that_was_not_run_says_why(make_sound):
    table = ladder(make_sound(n=300, correlation=0.2, patients=0), **QUICK).set_index("rung")
    assert table.loc["T + T′", "status"] == (
        "not run: no rows with a second seed of net T (seeds: [0, 1] in the profile)"
    )
    assert table.loc["T + M", "status"] == (
        "not run: no rows with net M (second_nets: [M] in the profile)"
    )
    assert table.loc["T + T′", "n_scans"] == 0
    assert table.loc[["T + T′", "T + F", "T + M"], "mae"].isna().all()
    assert table["gain_over_second_look"].isna().all()
    assert "T + T′ (T1w again, another seed) was not run" in ladder_verdict(table.reset_index())


def test_an_incomplete_control_is_not_run(predictions):
    lost = (predictions["net"] == "T") & (predictions["seed"] == 1)
    lost &= (predictions["scan_id"] == "s00003") & (predictions["role"] == "test")
    table = ladder(predictions[~lost], **QUICK).set_index("rung")
    assert table.loc["T + T′", "status"] == (
        "not run: a second seed of net T lacks 1 of 400 rows of T"
    )


def test_without_a_the_other_rungs_stand(predictions, climbed):
    table = ladder(without(predictions, "A"), **QUICK)
    rungs, before = table.set_index("rung"), climbed.set_index("rung")
    assert rungs.loc["T + X", "status"].startswith("not run")
    assert rungs.loc["T + P", "status"] == "computed"
    assert rungs.loc["T + T′", "mae"] == before.loc["T + T′", "mae"]
    assert ladder_verdict(table) == "It cannot be said: T + A was not run: no rows with net A"


@pytest.mark.parametrize("value", ["constant", "same"])
def test_a_second_network_that_says_nothing_is_marked(predictions, value):
    changed = predictions.copy()
    second = (changed["net"] == "T") & (changed["seed"] == 1)
    first = (changed["net"] == "T") & (changed["seed"] == 0)
    same = changed.loc[first, "predicted_age"].to_numpy()
    changed.loc[second, "predicted_age"] = 50.0 if value == "constant" else same
    table = ladder(changed, **QUICK).set_index("rung")
    assert table.loc["T + T′", "status"] == "not run: constant, or the same as T"


def _judged(make_sound, a, look, maps):
    predictions = make_sound(n=900, folds=2, correlation=a, patients=0)
    if look is not None:
        predictions = with_net(predictions, "T", seed=1, correlation=look)
    if maps is not None:
        predictions = with_net(predictions, "M", correlation=maps, draw=8)
    return ladder_verdict(ladder(predictions, **MAIN, replicates=2000))


@pytest.mark.parametrize(
    ("a", "look", "maps", "ending"),
    [
        (0.999, None, None, "This is no clear gain, so that none counts for blood"),
        (0.2, 0.2, 0.8, "a second look at T1w does as well, so that no gain counts for blood"),
        (0.2, 0.8, 0.2, "tissue maps do as well, so that no gain counts for blood"),
        (0.2, 0.8, None, "The control T + M (tissue maps) was not run, so that no gain can be "
         "counted for blood"),
        (0.0, 0.8, 0.8, "The gain is beyond both controls and counts for blood"),
    ],
)  # fmt: skip
def test_a_gain_counts_for_blood_only_beyond_both_controls(make_sound, a, look, maps, ending):
    assert _judged(make_sound, a, look, maps).endswith(ending)


def test_verdict_prints_the_numbers_of_the_table(climbed):
    row = climbed.set_index("rung").loc["T + A"]
    assert (
        f"T + A errs {row['gain_over_t']:.2f} years less than T (95 % interval "
        f"{row['gain_over_t_low']:.2f} to {row['gain_over_t_high']:.2f}, p "
    ) in ladder_verdict(climbed)
    assert "n = 400 scans" in ladder_verdict(climbed)


def test_differences_are_ready_for_their_chart(climbed):
    table = ladder_differences(climbed)
    assert table["label"].tolist() == [
        "T + A against T", "T + T′ against T", "T + X against T", "T + P against T",
        "T + A against T + T′", "T + X against T + T′", "T + P against T + T′",
    ]  # fmt: skip
    row = climbed.set_index("rung").loc["T + A"]
    over = table[(table["first"] == "T + T′") & (table["second"] == "T + A")].iloc[0]
    for column in ("", "_low", "_high", "_p", "_p_holm"):
        name = column.lstrip("_") or "difference"
        assert over[name] == row[f"gain_over_second_look{column}"]


def test_a_network_with_another_split_is_not_run(make_paper):
    predictions = make_paper(n=300)
    moved = (predictions["net"] == "A") & (predictions["role"] == "validation")
    predictions.loc[moved, "role"] = "train"
    table = ladder(predictions, "paper", "paper", replicates=50).set_index("rung")
    assert table.loc["T + A", "status"] == "not run: net A lacks 30 of 300 rows of T"


@pytest.mark.parametrize("mode", ["sound", "paper"])
def test_drawn_signals_are_stacked_as_networks_are(make_sound, make_paper, mode):
    predictions = make_paper(n=300) if mode == "paper" else make_sound(n=120, patients=0)
    table = ladder(predictions, "paper", mode, replicates=50).set_index("rung")
    rows, _ = beside(predictions, "paper", mode)
    both = rows[["T", "T + A"]].to_numpy()
    error = least_squares_errors(rows["age"].to_numpy(), both, fitted_and_tested(rows, mode))
    assert np.nanmean(np.abs(error)) == pytest.approx(table.loc["T + A", "mae"], rel=1e-9)


def test_paper_mode_evaluates_what_was_fitted_in_sample(make_paper):
    predictions = make_paper(n=500)
    table = ladder(predictions, "paper", "paper", replicates=100)
    assert table["fitted_on"].unique().tolist() == ["in-sample"]
    expected = table1(stack(predictions), replicates=100)
    expected = choose(expected, fitted_on="in-sample", model="TA")["mae"].item()
    assert table.set_index("rung").loc["T + A", "mae"] == pytest.approx(expected)


def test_only_tested_people_count(predictions, climbed):
    """Patients apart and training rows change nothing in sound mode."""
    tested = predictions[predictions["role"] == "test"]
    pd.testing.assert_frame_equal(ladder(tested, **QUICK), climbed, check_exact=True)


def test_a_second_run_is_equal_whatever_the_order_of_rows(predictions, climbed):
    mixed = predictions.sample(frac=1, random_state=1)
    again = ladder(mixed, **QUICK)
    pd.testing.assert_frame_equal(again, climbed, check_exact=True)
    other = ladder(predictions, **QUICK, seed=5).set_index("rung")
    assert other.loc["T + P", "mae"] != climbed.set_index("rung").loc["T + P", "mae"]


def test_what_is_not_there_is_an_error_that_names_it(predictions):
    with pytest.raises(WrongUsage, match="no recipe best; use paper"):
        ladder(predictions, "best", "sound")
    with pytest.raises(WrongUsage, match="no mode paper; use sound"):
        ladder(predictions, "paper", "paper")
    with pytest.raises(BadInput, match="no rows with net T"):
        ladder(without(predictions, "T"), **QUICK)
    with pytest.raises(BadInput, match="predicted_age"):
        ladder(predictions.assign(predicted_age=np.nan), **QUICK)
    with pytest.raises(BadInput, match="two folds"):
        ladder(predictions[predictions["fold"] == 0], **QUICK)


def test_the_paper_printed_two_rungs():
    table = paper_ladder().set_index("rung")
    assert table["mae"].to_dict() == {"T": 4.10, "T + A": 3.96}
    assert table.loc["T + A", "gain_over_t"] == pytest.approx(0.14)
