"""Tables 1 to 3: their numbers, their rows, their marks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.stats import (
    compare_models,
    evaluated,
    mae,
    mse,
    r2,
    stack,
    table1,
    table2,
    table3,
)
from brainage_lib.tables import AGE_GROUPS, TABLE1, TABLE2, TABLE3, read_table, write_table


@pytest.fixture(scope="module")
def stacked(both_modes):
    return stack(both_modes)


def test_table_1_holds_the_metrics_of_the_test_rows(stacked):
    table = table1(stacked, replicates=300)
    TABLE1.validate(table)
    assert len(table) == 3 * 4
    rows = stacked.rows.query("role == 'test'")
    for row in table.to_dict("records"):
        part = rows[
            (rows["mode"] == row["mode"])
            & (rows["fitted_on"] == row["fitted_on"])
            & (rows["model"] == row["model"])
        ]
        for name, measure in (("mae", mae), ("mse", mse), ("r2", r2)):
            assert row[name] == pytest.approx(measure(part["age"], part["stacked_age"]))
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
        assert row["mae_over_sd"] == pytest.approx(row["mae"] / part["age"].std(ddof=0))


def test_table_1_finds_a_known_answer(make_sound):
    """T has errors of 5 years: MAE 5·√(2/π) ≈ 3.99; TA 5·√0.8 of it."""
    table = table1(stack(make_sound(n=3000, sd=5.0)), replicates=500).set_index("model")
    expected = 5 * np.sqrt(2 / np.pi)
    for model, size in (("T", 1.0), ("A", 1.0), ("TA", np.sqrt(0.8))):
        # Regression towards the mean takes R² of it: SD 5 beside an age SD of 20.8.
        shrunk = size * expected * np.sqrt(20.8**2 / (20.8**2 + 25 * size**2))
        assert table.loc[model, "mae"] == pytest.approx(shrunk, rel=0.04)
        assert table.loc[model, "mae_low"] < shrunk < table.loc[model, "mae_high"]


def test_interval_of_the_mae_is_that_of_a_mean(stacked):
    """Half-width ≈ 1.96 · SD of |error| / √n, as for the paper's ± 0.40."""
    table = table1(stacked, replicates=4000).query("mode == 'sound'")
    n = table["n_scans"]
    expected = 1.96 * np.sqrt((table["mse"] - table["mae"] ** 2) / n)
    half = (table["mae_high"] - table["mae_low"]) / 2
    assert half.to_numpy() == pytest.approx(expected.to_numpy(), rel=0.06)


def test_table_2_has_every_group_and_counts_add_up(stacked):
    table = table2(stacked, replicates=200)
    TABLE2.validate(table)
    for _, part in table.groupby(["mode", "fitted_on", "model"]):
        assert part["age_group"].tolist() == list(AGE_GROUPS)
    first = table.query("mode == 'sound' and model == 'TA'").set_index("age_group")
    assert first["n_scans"].sum() == 600
    assert first.loc["90–95", "n_scans"] == 0
    assert np.isnan(first.loc["90–95", "mae"])
    assert first.loc["90–95", "small"]
    assert not first.loc["20–25", "small"]
    whole = table1(stacked, replicates=10).query("mode == 'sound' and model == 'TA'")
    weighted = (first["mae"] * first["n_scans"]).sum() / 600
    assert weighted == pytest.approx(whole["mae"].item())


def test_ages_outside_the_groups_are_counted(make_sound):
    predictions = make_sound(n=60, patients=0)
    predictions.loc[predictions["scan_id"] == "s00000", "age"] = 99.0
    table = table2(stack(predictions), replicates=20).query("model == 'T'")
    assert table.set_index("age_group").loc["outside", "n_scans"] == 1
    assert table["n_scans"].sum() == 60


def test_table_3_orders_projects_as_the_paper_and_then_by_name(make_sound):
    predictions = make_sound(n=130, patients=0)
    renamed = {"BGSP": "zebra", "IXI": "Mine"}
    predictions["project"] = predictions["project"].replace(renamed)
    table = table3(stack(predictions), replicates=100)
    TABLE3.validate(table)
    names = table.query("model == 'T'")["project"].tolist()
    assert names == [
        "ADNI", "AIBL", "CoRR", "DLBS", "NIFD", "OAS1", "OAS2", "PPMI", "SALD", "SLIM",
        "SchizConnect", "Mine", "zebra",
    ]  # fmt: skip
    assert (table["n_scans"] == 10).all()
    assert not table["small"].any()


def test_one_project_is_enough(make_paper):
    stacked = stack(make_paper(n=200).assign(project="OAS1"))
    table = table3(stacked, replicates=50)
    assert table["project"].unique().tolist() == ["OAS1"]
    assert table["n_scans"].unique().tolist() == [20]


def test_a_project_without_test_rows_stays_visible(make_paper):
    predictions = make_paper(n=200)
    predictions.loc[predictions["role"] == "test", "project"] = "ADNI"
    table = table3(stack(predictions), replicates=50).query("model == 'T' and project == 'SLIM'")
    assert table["n_scans"].tolist() == [0, 0]
    assert table["mae"].isna().all()


def test_groups_of_one_person_have_no_interval(make_sound):
    predictions = make_sound(n=130, patients=0)
    predictions.loc[predictions["scan_id"] == "s00005", "project"] = "alone"
    row = table3(stack(predictions), 50).query("model == 'T' and project == 'alone'").iloc[0]
    assert row["n_participants"] == 1
    assert np.isfinite(row["mae"])
    assert np.isnan([row["mae_low"], row["mae_high"]]).all()


def test_repeated_scans_widen_the_intervals(make_sound):
    """Copies of a scan are no new information: n grows, the interval does not shrink."""
    once = make_sound(n=200, patients=0)
    copies = [once.assign(scan_id=once["scan_id"] + f"r{i}") for i in range(3)]
    single = table1(stack(once), 1000).query("model == 'T'").iloc[0]
    triple = table1(stack(pd.concat(copies)), 1000).query("model == 'T'").iloc[0]
    assert triple["n_scans"] == 3 * single["n_scans"]
    assert triple["n_participants"] == single["n_participants"]
    width = single["mae_high"] - single["mae_low"]
    assert triple["mae_high"] - triple["mae_low"] == pytest.approx(width, rel=0.05)


def test_differences_agree_with_table_1_and_are_corrected(stacked):
    differences = compare_models(stacked, replicates=500)
    table = table1(stacked, replicates=10).set_index(["mode", "fitted_on", "model"])["mae"]
    for row in differences.to_dict("records"):
        key = row["mode"], row["fitted_on"]
        expected = table[(*key, row["first"])] - table[(*key, row["second"])]
        assert row["difference"] == pytest.approx(expected)
    assert (differences["p_holm"] >= differences["p"]).all()
    sound = differences.query("mode == 'sound' and first == 'T'")
    assert sound["p_holm"].item() < 0.05


def test_only_test_rows_are_evaluated(stacked):
    sizes = {(key["mode"], key["fitted_on"]): len(rows) for key, rows in evaluated(stacked)}
    assert sizes == {
        ("paper", "in-sample"): 100,
        ("paper", "validation"): 100,
        ("sound", "out-of-fold"): 600,
    }


def test_tables_survive_their_files_and_a_second_run_is_equal(stacked, tmp_path):
    for function, schema in ((table1, TABLE1), (table2, TABLE2), (table3, TABLE3)):
        first, second = function(stacked, 100, seed=4), function(stacked, 100, seed=4)
        pd.testing.assert_frame_equal(first, second, check_exact=True)
        path = tmp_path / f"{function.__name__}.csv"
        write_table(first, path, schema)
        pd.testing.assert_frame_equal(read_table(path, schema), first, rtol=1e-8)


def test_importing_statistics_loads_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys, brainage_lib.stats\n"
        "heavy = {'torch', 'nilearn', 'SimpleITK', 'plotly', 'statsmodels', 'sklearn', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
