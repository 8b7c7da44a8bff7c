"""What is shown of a recorded run reads well, also where there is none or much is hidden."""

from __future__ import annotations

import pandas as pd
import pytest

from brainage_lib import show

NONE = "No run on real scans is recorded yet."
WHICH = "real scans, oas1, paper recipe, sound mode"


def cohort(patients=44):
    cells = [("20–30", "F", 60), ("20–30", "M", 40), ("90–100", "F", None), ("90–100", "M", None)]
    sums = [("20–30", "all", 100), ("90–100", "all", None), ("all", "F", 66), ("all", "M", 40),
            ("all", "all", 106)]  # fmt: skip
    rows = [("controls", *row) for row in cells + sums] + [("patients", "all", "all", patients)]
    table = pd.DataFrame(rows, columns=["who", "decade", "sex", "n_scans"])
    table["n_scans"] = table["n_scans"].astype("Int64")
    return table.assign(n_participants=table["n_scans"])


@pytest.mark.parametrize(
    "function", [show.recorded_cohort, show.recorded_quality, show.recorded_splits]
)
def test_without_a_recording_one_sentence_stands_there(function):
    shown = function(None, source="real scans")
    assert repr(shown) == NONE
    assert NONE in shown._repr_mimebundle_()["text/html"]


def test_counts_of_few_are_not_told_from_none():
    table = show.recorded_cohort(cohort(), source="real scans")
    assert table.cells.loc["90–100"].tolist() == ["–", "–", "–"]
    assert table.cells.loc["20–30"].tolist() == ["60", "40", "100"]
    assert "106 scans of 106 controls, 44 of patients" in table.title
    assert "few of patients" in show.recorded_cohort(cohort(None), source="s").title


def test_verdicts_are_counted():
    quality = pd.DataFrame(
        {"verdict": ["drop", "keep or look"], "n_scans": [None, 267], "hidden": [True, False]}
    ).astype({"n_scans": "Int64"})
    table = show.recorded_quality(quality, source="real scans")
    assert table.cells["Scans of controls"].tolist() == ["hidden (few)", "267"]
    assert table.title == "The recorded run: keep or look 267"


def test_test_sets_are_told_by_mode():
    scores = pd.DataFrame(
        {
            "mode": ["paper", "paper", "sound", "sound"], "fold": [0, 0, 0, 1],
            "partition": [1, 2, 0, 0], "role": ["test", "train", "test", "test"],
            "n_scans": [27, 27, 54, 53], "age_mean": [45.0, 40.0, 46.0, 44.0],
            "kl": [0.1, 0.2, 0.05, 0.06], "shared_participants": [2, 1, 0, 0], "hidden": False,
        }
    )  # fmt: skip
    table = show.recorded_splits(scores, source="real scans")
    assert table.cells.loc["sound"].tolist() == ["2", "53 to 54", "0.050 to 0.060",
                                                 "44.0 to 46.0", "0"]  # fmt: skip
    assert table.cells.loc["paper", "Scans in each"] == "27"


def test_errors_of_the_recording_are_named_as_its_own_with_their_intervals():
    table1 = pd.DataFrame(
        {"model": ["T", "A", "TA"], "mae": [8.2, 9.0, 8.1], "mae_low": [7.5, 8.0, 7.4],
         "mae_high": [9.0, 10.0, 8.9], "n_scans": 267}
    )  # fmt: skip
    differences = pd.DataFrame(
        {"first": ["T"], "second": ["TA"], "difference": [0.1], "low": [-0.2], "high": [0.4]}
    )
    assert show.recorded_errors(table1, differences, WHICH) == (
        f"In the recorded run ({WHICH}; n = 267 scans), T errs by 8.20 years "
        "(95 % interval 7.50 to 9.00) and "
        "TA errs by 8.10 years (95 % interval 7.40 to 8.90); the difference is 0.10 years "
        "(95 % interval −0.20 to 0.40)."
    )


def by_group(column, groups, **changes):
    rows = pd.DataFrame(
        {column: groups, "model": "TA", "mae": range(5, 5 + len(groups)), "small": False,
         "hidden": False, "n_scans": 30}
    )  # fmt: skip
    return rows.assign(mae_low=rows["mae"] - 1, mae_high=rows["mae"] + 1, **changes)


def test_errors_by_group_name_the_ends_and_leave_small_groups_out():
    ages = by_group("age_group", ["20–25", "25–30", "70–75"])
    ages.loc[2, "small"] = True
    told = show.recorded_by_group(ages, by_group("project", ["OAS1"]), WHICH)
    assert told == (
        f"In the recorded run ({WHICH}) TA errs by 5.00 years "
        "(95 % interval 4.00 to 6.00) at ages 20–25 and "
        "6.00 years (95 % interval 5.00 to 7.00) at ages 25–30; by 5.00 years (95 % interval "
        "4.00 to 6.00) in OAS1."
    )
    assert show.recorded_by_group(None, None, "") == NONE
    few = by_group("project", ["OAS1"], small=True)
    assert show.recorded_by_group(None, few, WHICH) == (
        f"In the recorded run ({WHICH}) every group is small."
    )


def test_figure_3_of_a_recording_copes_with_hidden_groups_and_tails():
    quantiles = pd.DataFrame(
        {"model": "T", "decade": ["20–30", "30–40", "40–50"], "n_scans": [100, 15, None],
         "q05": [-9.0, None, None], "q25": [-3.0, -4.0, None], "q50": [0.5, 1.5, None],
         "q75": [4.0, 6.0, None], "q95": [9.0, None, None]}
    ).astype({"n_scans": "Int64"})  # fmt: skip
    figure = show.error_quantiles(quantiles, source="real scans")
    (box,) = figure.fig.data
    assert list(box.lowerfence) == [-9.0, -4.0]
    assert list(box.upperfence) == [9.0, 6.0]
    assert "hidden (1); n = 115 scans" in figure.caption
    density = pd.DataFrame(
        {"model": "T", "decade": ["20–30", "30–40"], "predicted_decade": "20–30",
         "n_scans": [90, None]}
    ).astype({"n_scans": "Int64"})  # fmt: skip
    assert "n = 90 scans" in show.age_density(density, source="real scans").caption
