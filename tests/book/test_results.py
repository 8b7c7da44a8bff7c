"""The demo's numbers are those that were accepted (``make accept``)."""

from __future__ import annotations

import importlib.util
import os

import pandas as pd
import pytest


@pytest.fixture(scope="module")
def accept(root):
    """The module that accepts numbers."""
    spec = importlib.util.spec_from_file_location("accept", root / "workflow" / "accept.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(*values, tolerance=0.5):
    rows = [("t", f"row {place}", "mae", value, tolerance) for place, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["table", "row", "column", "value", "tolerance"])


@pytest.mark.book
def test_the_demos_numbers_are_the_accepted_ones_within_their_tolerance(accept, book_run):
    if os.environ.get("BRAINAGE_BOOK", "demo") != "demo":
        pytest.skip("accepted numbers are those of the demo")
    changes = accept.differences(accept.read_expected(), accept.measured(book_run), beyond=True)
    assert changes == []


@pytest.mark.book
def test_the_readme_has_the_accepted_results(accept, root):
    text = (root / "README.md").read_text(encoding="utf-8")
    block = accept.MARKED.search(text)[0].splitlines()
    rows = {line.split("|")[1].strip(): line for line in block if line.startswith("|")}
    expected = accept.read_expected().set_index(["table", "row", "column"])["value"]
    for model in ("T", "A", "TA", "TAS"):
        for which in ("paper in-sample", "sound out-of-fold"):
            mae = expected["stacking/table1.csv", f"paper {which} {model}", "mae"]
            assert f"| {mae:.2f} (" in rows[model]


def test_a_number_beyond_its_tolerance_is_told_with_both_values(accept):
    lines = accept.differences(numbers(4.0, 5.0), numbers(4.4, 5.6), beyond=True)
    assert lines == ["t, row 1, mae: 5 → 5.6 (+0.6; tolerance 0.5)"]
    assert len(accept.differences(numbers(4.0, 5.0), numbers(4.4, 5.6), beyond=False)) == 2


def test_numbers_that_came_or_went_are_told(accept):
    assert accept.differences(numbers(4.0, 5.0), numbers(4.0), beyond=True) == [
        "t, row 1, mae: 5 → gone"
    ]
    assert accept.differences(numbers(4.0), numbers(4.0, 5.0), beyond=True) == [
        "t, row 1, mae: new, 5"
    ]


def test_counts_may_not_differ_at_all(accept):
    expected = numbers(4.0, tolerance=0)
    assert accept.differences(expected, numbers(4.0, tolerance=0), beyond=True) == []
    assert len(accept.differences(expected, numbers(5.0, tolerance=0), beyond=True)) == 1


def test_accepted_numbers_come_back_to_the_last_bit(accept, tmp_path):
    written = numbers(0.1 + 0.2, 1 / 3)
    written.to_csv(tmp_path / "expected.csv", index=False)
    again = accept.read_expected(tmp_path / "expected.csv")
    assert accept.differences(again, written, beyond=False) == []
