"""What disturbed scans do, summed up: on tables whose answer can be counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.stats import summarise_stability
from brainage_lib.tables import STABILITY, STABILITY_SUMMARY


def answers(ages):
    """Rows of one disturbance: by scan, (age as it came, age when tilted)."""
    rows = []
    for name, (came, tilted) in ages.items():
        for kind, strength, age in (("none", 0.0, came), ("tilt", 5.0, tilted)):
            rows.append(
                {
                    "scan_id": name, "disturbance": kind, "strength": strength, "unit": "degrees",
                    "verdict": "drop" if np.isnan(age) else "keep", "reasons": "",
                    "predicted_age": age, "change": age - came, "smallest_change": 2.0,
                }
            )  # fmt: skip
    return STABILITY.validate(pd.DataFrame(rows))


def test_changes_are_summed_up_with_their_signs_and_without():
    ages = {"a": (50, 51), "b": (60, 57), "c": (70, 72), "d": (40, np.nan)}
    (row,) = STABILITY_SUMMARY.validate(summarise_stability(answers(ages))).to_dict("records")
    assert (row["n_scans"], row["n_refused"]) == (3, 1)
    assert row["mean_change"] == pytest.approx(0)
    assert row["mean_size"] == pytest.approx(2)
    assert row["largest_change"] == -3
    # 2.0 is not smaller than what is stated.
    assert row["n_beyond"] == 2


def test_a_scan_that_was_refused_as_it_came_counts_nowhere():
    ages = {"a": (50, 51), "b": (np.nan, np.nan)}
    (row,) = summarise_stability(answers(ages)).to_dict("records")
    assert (row["n_scans"], row["n_refused"], row["mean_change"]) == (1, 0, 1)


def test_nothing_that_was_answered_gives_an_empty_table_or_no_numbers():
    assert summarise_stability(answers({"a": (np.nan, np.nan)})).empty
    (row,) = summarise_stability(answers({"a": (50, np.nan)})).to_dict("records")
    assert (row["n_scans"], row["n_refused"], row["n_beyond"]) == (0, 1, 0)
    assert np.isnan(row["largest_change"])


def test_without_a_stated_change_nothing_is_beyond_it():
    table = answers({"a": (50, 70)}).assign(smallest_change=np.nan)
    (row,) = summarise_stability(table).to_dict("records")
    assert row["n_beyond"] == 0
    assert np.isnan(row["smallest_change"])
