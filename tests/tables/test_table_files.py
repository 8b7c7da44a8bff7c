"""Tables are checked, written whole or not at all, and read back as they were."""

from __future__ import annotations

import math
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainage_lib.errors import BadInput
from brainage_lib.tables import (
    AGE_GROUPS,
    DECADES,
    PREDICTIONS,
    QUALITY,
    SPLITS,
    age_group,
    decade,
    files,
    read_table,
    write_table,
)

ROW = {
    "scan_id": "s1",
    "participant_id": "007",
    "project": "IXI",
    "session": "1",
    "age": 34.5,
    "sex": "F",
    "diagnosis": "control",
    "recipe": "paper",
    "mode": "sound",
    "role": "test",
    "fold": 0,
    "net": "T",
    "seed": 0,
    "predicted_age": 36.25,
}

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
WORDS = NAMES.filter(lambda text: text not in files.MISSING)
PREDICTED = st.lists(
    st.fixed_dictionaries(
        {
            "participant_id": WORDS,
            "project": WORDS,
            "age": st.floats(5, 110),
            "sex": st.sampled_from("FM"),
            "fold": st.integers(0, 9),
            # A column of whole numbers is read as such, and there is no whole number -0.
            "predicted_age": st.floats(-200, 300, width=32).map(lambda age: age + 0.0),
        }
    ),
    min_size=1,
    max_size=6,
)

SETTINGS = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30
)


@SETTINGS
@given(PREDICTED)
def test_a_table_comes_back_as_it_was_written(tmp_path, rows):
    table = pd.DataFrame(
        [{**ROW, **row, "scan_id": f"0{number}"} for number, row in enumerate(rows)]
    )
    path = tmp_path / "predictions.csv"
    write_table(table, path, PREDICTIONS)
    back = read_table(path, PREDICTIONS)
    exact = [name for name in PREDICTIONS.columns if name not in ("age", "predicted_age")]
    pd.testing.assert_frame_equal(back[exact], table[exact])
    # Nine significant digits hold every float32 exactly.
    assert (back["predicted_age"].astype(np.float32) == table["predicted_age"]).all()
    np.testing.assert_allclose(back["age"], table["age"], rtol=1e-8)


@SETTINGS
@given(PREDICTED)
def test_writing_what_was_read_changes_no_byte(tmp_path, rows):
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    table = pd.DataFrame([{**ROW, **row, "scan_id": str(n)} for n, row in enumerate(rows)])
    write_table(table, first, PREDICTIONS)
    write_table(read_table(first, PREDICTIONS), second, PREDICTIONS)
    assert first.read_bytes() == second.read_bytes()


def test_columns_are_written_in_the_order_of_the_schema(tmp_path):
    path = tmp_path / "predictions.csv"
    write_table(pd.DataFrame([ROW])[list(reversed(ROW))], path, PREDICTIONS)
    assert path.read_text().splitlines()[0] == ",".join(PREDICTIONS.columns)


def test_every_wrong_cell_is_found_with_its_line_and_the_old_file_stays(tmp_path):
    path = tmp_path / "predictions.csv"
    write_table(pd.DataFrame([ROW]), path, PREDICTIONS)
    before = path.read_bytes()
    wrong = pd.DataFrame([{**ROW, "sex": "X"}, {**ROW, "scan_id": "s2", "age": 130.0}])
    with pytest.raises(BadInput) as raised:
        write_table(wrong, path, PREDICTIONS)
    assert any(f.startswith("line 2, sex: 'X'") for f in raised.value.findings)
    assert any(f.startswith("line 3, age: 130.0") for f in raised.value.findings)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["predictions.csv"]


def test_a_write_that_dies_half_way_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "predictions.csv"
    write_table(pd.DataFrame([ROW]), path, PREDICTIONS)
    before = path.read_bytes()

    def half(self, target, **_):
        target.write_text("scan_id,partic")
        raise OSError("no space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    with pytest.raises(OSError, match="no space left"):
        write_table(pd.DataFrame([{**ROW, "age": 50.0}]), path, PREDICTIONS)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["predictions.csv"]


def test_a_duplicated_key_a_missing_and_an_unknown_column_are_refused(tmp_path):
    path = tmp_path / "predictions.csv"
    for wrong in (
        pd.DataFrame([ROW, {**ROW, "predicted_age": 1.0}]),
        pd.DataFrame([ROW]).drop(columns="net"),
        pd.DataFrame([{**ROW, "gap": 1.0}]),
    ):
        with pytest.raises(BadInput):
            write_table(wrong, path, PREDICTIONS)
    assert not path.exists()


def test_a_file_that_is_no_table_is_named(tmp_path):
    with pytest.raises(BadInput, match="the file does not exist"):
        read_table(tmp_path / "none.csv", PREDICTIONS)
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(BadInput, match="not a CSV table"):
        read_table(tmp_path / "empty.csv", PREDICTIONS)


def test_empty_cells_stay_empty(tmp_path):
    quality = pd.DataFrame(
        [
            {"scan_id": "a", "project": "IXI", "verdict": "drop", "reasons": "file is empty"},
            {"scan_id": "b", "project": "IXI", "verdict": "keep", "reasons": ""},
        ]
    ).reindex(columns=list(QUALITY.columns))
    write_table(quality, tmp_path / "q.csv", QUALITY)
    back = read_table(tmp_path / "q.csv", QUALITY)
    assert back["brain_ml"].isna().all()
    assert back["reasons"].isna().tolist() == [False, True]
    splits = pd.DataFrame(
        {"scan_id": ["a", "b"], "mode": "paper", "fold": 0, "role": ["apart", "test"]}
    ).assign(partition=pd.array([pd.NA, 3], "Int64"))
    write_table(splits, tmp_path / "s.csv", SPLITS)
    assert read_table(tmp_path / "s.csv", SPLITS)["partition"].tolist() == [pd.NA, 3]


@settings(deadline=None)
@given(st.floats(0, 120))
def test_every_age_has_one_group_and_the_edges_belong_above(age):
    group = str(age_group(pd.Series([age]))[0])
    if 15 <= age < 95:
        low = 5 * math.floor(age / 5)
        assert group == f"{low}–{low + 5}"
    else:
        assert group == ("90–95" if age == 95 else "outside")
    ten = str(decade(pd.Series([age]))[0])
    low = 10 * math.floor(age / 10)
    assert ten == (f"{low}–{low + 10}" if 10 <= age < 100 else "outside")
    assert group in AGE_GROUPS
    assert ten in DECADES
