"""Titles say what the data says."""

from __future__ import annotations

import pandas as pd
import pytest

from brainage_lib import show
from brainage_lib.show.intervals import mean_interval

SOURCE = "simulated scans"


def row(**values) -> pd.Series:
    kept = {"first": "T", "second": "TA", "difference": 0.3, "low": -0.1, "high": 0.7,
            "n_scans": 36}  # fmt: skip
    return pd.Series(kept | values)


def test_difference_is_said_from_the_side_of_the_better_one():
    said = show.difference_sentence(row(), digits=1)
    assert said.startswith("No clear difference: TA errs 0.3 years less than T (95 % interval −")
    assert said.endswith("0.1 to 0.7), n = 36 scans")
    turned = show.difference_sentence(row(difference=-0.3, low=-0.7, high=0.1), digits=1)
    assert turned.startswith("No clear difference: T errs 0.3 years less than TA (95 % interval −")
    clear = show.difference_sentence(row(low=0.1), digits=1)
    assert clear == "TA errs 0.3 years less than T (95 % interval 0.1 to 0.7), n = 36 scans"


def test_the_signals_finding_has_its_number(everything):
    assert everything["signal_against_blood"].title == (
        "One SD of blood volume moves a voxel of grey matter by 0.15 %, its noise by 4.5 %: "
        "30 times more"
    )


def test_difference_without_interval_or_value_is_said_as_such():
    assert "interval" not in show.difference_sentence(row(low=None, high=None))
    assert "cannot be compared" in show.difference_sentence(row(difference=float("nan")))


def test_intervals_that_leave_zero_out_are_counted():
    rows = pd.DataFrame([row(low=0.1), row(low=-1, high=-0.2, difference=-0.5), row()])
    assert "2 of 3 intervals leave zero out" in show.differences(
        rows, source=SOURCE, name="x"
    ).title  # fmt: skip


def test_largest_decade_is_named_with_its_share(cohort):
    ages = pd.Series([21.0, 22.0, 23.0, 44.0])
    manifest = cohort["manifest"].head(4).assign(age=ages.to_numpy())
    title = show.counts_by_decade(manifest, source=SOURCE).title
    assert title == "20–30 years is the largest of 2 groups: 3 of 4 scans (75 %)"


def test_ages_outside_get_a_bar_of_their_own(cohort):
    manifest = cohort["manifest"].head(3).assign(age=[7.0, 25.0, 26.0])
    figure = show.counts_by_decade(manifest, source=SOURCE)
    assert figure.data.set_index("decade").loc["outside", "n_scans"] == 1
    assert figure.data["n_scans"].sum() == 3


def test_smallest_divergences_are_said_to_be_taken(cohort):
    title = show.partition_divergence(cohort["scores"], source=SOURCE).title
    assert "from 0.020 to 0.090 nats" in title
    assert "test 0.020 and validation 0.028" in title


def test_mae_in_panels_is_that_of_the_rows(cohort):
    rows = cohort["rows"]
    gap = rows.assign(gap=(rows["stacked_age"] - rows["age"]).abs()).groupby("model")["gap"].mean()
    assert f"TA {gap['TA']:.2f}" in show.model_scatter(rows, source=SOURCE).title


def test_rows_of_two_fits_at_once_are_refused(cohort):
    rows = cohort["rows"]
    twice = pd.concat([rows, rows.assign(mode="paper")])
    with pytest.raises(ValueError, match="choose one recipe, mode"):
        show.model_scatter(twice, source=SOURCE)
    twice = pd.concat([cohort["table2"]] * 2)
    with pytest.raises(ValueError, match="choose one recipe, mode"):
        show.mae_by_group(twice, group="age_group", source=SOURCE)


def test_mean_interval_is_students():
    found = mean_interval(pd.Series([1.0, 2.0, 3.0]))
    # t(0.975, 2) = 4.3027; SD 1.
    assert found["low"] == pytest.approx(2 - 4.3027 / 3**0.5, abs=1e-4)
    assert pd.isna(mean_interval(pd.Series([1.0]))["low"])


def test_title_speaks_of_the_headline(cohort):
    other = cohort["table1"].assign(mode="paper", fitted_on="in-sample", mae=99.0)
    both = pd.concat([other, cohort["table1"]], ignore_index=True)
    headline = {"recipe": "paper", "mode": "sound", "fitted_on": "out-of-fold"}
    title = show.table1(None, None, both, source=SOURCE, headline=headline).title
    assert "99.00" not in title
    assert "sound mode, out-of-fold; n = 80 scans" in title


def test_ladder_says_what_aicbv_gains_and_what_was_not_run(everything):
    ladder = everything["control_ladder"]
    assert ladder.title == (
        "T + A gains 0.50 years over T (95 % interval 0.30 to 0.70), n = 80 scans"
    )
    notes = [note.text for note in ladder.fig.layout.annotations]
    assert notes == ["not run: needs a second seed"]
    assert list(ladder.data["rung"]) == ["T + A", "T + T′"]
