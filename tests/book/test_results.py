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


def test_the_readme_has_a_column_for_each_recorded_recipe(accept, tmp_path):
    from brainage_lib.run import start_run
    from brainage_lib.tables import MODELS, TABLE1, write_table
    from brainage_lib.tables.recorded import RECORDED

    def table1(mae):
        rows = [
            {"recipe": "paper", "mode": mode, "fitted_on": fit, "model": model, "n_scans": 50,
             "n_participants": 50, "age_sd": 20.0, "mae_over_sd": 0.3, "r2": 0.9, "mae": mae,
             "mae_low": mae - 1, "mae_high": mae + 1}
            for mode, fit in (("paper", "in-sample"), ("sound", "out-of-fold"))
            for model in MODELS
        ]  # fmt: skip
        ends = ("mse", "mse_low", "mse_high", "r2_low", "r2_high")
        return pd.DataFrame(rows).assign(**dict.fromkeys(ends, 1.0))

    run = start_run(tmp_path / "demo", accept.ROOT / "workflow" / "profiles" / "demo.yml")
    write_table(table1(6.0), run.path("stacking/table1.csv"), TABLE1)
    plain = accept.results_table(run, tmp_path / "recorded")
    assert "Recorded" not in plain
    real = tmp_path / "recorded" / "oas1"
    real.mkdir(parents=True)
    (real / "card.json").write_text('{"name": "oas1"}')
    write_table(table1(8.0), real / "table1.csv", TABLE1)
    networks = pd.DataFrame(
        [{"recipe": recipe, "mode": "sound", "net": net, "seed": 0, "n_scans": 50,
          "n_participants": 50, "mae": 8.12, "mae_low": 7.5, "mae_high": 8.8, "guess_mae": 20.6}
         for recipe, net in (("paper", "T"), ("paper", "A"), ("linear-svr", "T"))]
    )  # fmt: skip
    write_table(networks, real / "networks.csv", RECORDED["networks"])
    head, _, *lines = accept.results_table(run, tmp_path / "recorded").splitlines()
    assert [cell.strip() for cell in head.split("|")[3:5]] == [
        "Recorded oas1, sound mode, recipe paper (50 scans)",
        "Recorded oas1, sound mode, linear-svr (50 scans)",
    ]  # fmt: skip
    cells = {line.split("|")[1].strip(): line.split("|") for line in lines}
    assert cells["TA"][3].strip() == "8.00 (7.00–9.00), R² 0.900"
    assert cells["T"][4].strip() == "8.12 (7.50–8.80)"
    assert cells["TA"][4].strip() == "—"
