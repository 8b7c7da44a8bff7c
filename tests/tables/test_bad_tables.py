"""A table that breaks its schema is told in plain words: line, column, what may stand there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.errors import BadInput
from brainage_lib.tables import PREDICTIONS, read_table

ROW = {
    "scan_id": "s1", "participant_id": "p1", "project": "IXI", "session": "1", "age": 50.0,
    "sex": "F", "diagnosis": "control", "recipe": "mine", "mode": "sound", "role": "test",
    "fold": 0, "net": "T", "seed": 0, "predicted_age": 52.0,
}  # fmt: skip


def findings(tmp_path, table):
    path = tmp_path / "predictions.csv"
    table.to_csv(path, index=False)
    with pytest.raises(BadInput) as raised:
        read_table(path, PREDICTIONS)
    return list(raised.value.findings)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("predicted_age", np.nan, ["line 3, predicted_age: is empty; every row needs a value"]),
        ("age", np.nan, ["line 3, age: is empty; every row needs a value"]),
        ("predicted_age", np.inf, ["line 3, predicted_age: inf fails in_range(-1000, 1000)"]),
        ("predicted_age", "n.n.", ["line 3, predicted_age: 'n.n.' is no number"]),
        ("fold", "first", ["line 3, fold: 'first' is no whole number"]),
        ("sex", "male", ["line 3, sex: 'male' is not one of F, M"]),
        ("mode", "loud", ["line 3, mode: 'loud' is not one of paper, sound"]),
    ],
)
def test_a_wrong_cell_is_told_once(tmp_path, column, value, said):
    table = pd.DataFrame([ROW, {**ROW, "scan_id": "s2", column: value}])
    assert findings(tmp_path, table) == said


def test_a_misspelt_column_is_told_with_the_one_that_is_meant(tmp_path):
    table = pd.DataFrame([ROW]).rename(columns={"predicted_age": "predicted_ages"})
    missing, unknown = findings(tmp_path, table)
    assert missing == "predicted_age: column is missing; rename predicted_ages"
    assert unknown.startswith("predicted_ages: unknown column; did you mean predicted_age?")


def test_a_missing_and_a_foreign_column_are_told_without_a_guess(tmp_path):
    table = pd.DataFrame([{**ROW, "weather": "fair"}]).drop(columns="age")
    missing, unknown = findings(tmp_path, table)
    assert missing == "age: column is missing; add it"
    assert unknown.startswith("weather: unknown column; remove it")


def test_a_scan_that_is_there_twice_is_told_with_both_lines(tmp_path):
    table = pd.DataFrame([ROW, {**ROW, "scan_id": "s2"}, {**ROW, "predicted_age": 60.0}])
    assert findings(tmp_path, table) == [
        "lines 2 and 4: scan_id s1, recipe mine, mode sound, fold 0, net T, seed 0 stand there "
        "twice; keep one row"
    ]


def test_a_thousand_scans_twice_are_not_all_listed(tmp_path):
    rows = pd.DataFrame([{**ROW, "scan_id": f"s{i}"} for i in range(1000)])
    assert len(findings(tmp_path, pd.concat([rows, rows]))) == 10
