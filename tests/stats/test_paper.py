"""The paper's numbers as data."""

from __future__ import annotations

import re

import pytest

from brainage_lib.stats.paper import (
    paper_anova,
    paper_claims,
    paper_coefficients,
    paper_numbers,
    paper_table1,
    paper_table2,
    paper_table3,
)
from brainage_lib.tables import AGE_GROUPS, MODELS, PROJECTS


def test_tables_have_the_rows_of_ours():
    assert paper_table1()["model"].tolist() == list(MODELS)
    two, three = paper_table2(), paper_table3()
    assert list(dict.fromkeys(two["age_group"])) == list(AGE_GROUPS[:-1])
    assert list(dict.fromkeys(three["project"])) == list(PROJECTS)
    for table in (two, three):
        assert table["model"].tolist() == list(MODELS) * (len(table) // 4)
        assert table["mae"].between(1.5, 7).all()
    assert len(two) == 64
    assert len(three) == 52


def test_numbers_of_the_text():
    numbers = paper_numbers()["value"].astype(float)
    assert numbers["n_scans"] == 2851
    assert numbers["n_test"] == 288
    assert numbers["sex_coefficient"] == -0.168
    assert numbers["feng_n"] == 10158
    assert paper_anova()["printed"].tolist() == ["< 2.2e-16", "< 2.2e-16", "0.02"]
    assert paper_coefficients().loc[0].tolist() == ["TAS", "sex", -0.168, 0.02]
    assert (paper_table1()["n_scans"] == 288).all()
    assert paper_claims()["claim"].str.len().min() > 10


def test_tables_equal_the_reference_page(shared):
    """Every number of the page's three tables, read from its text."""
    text = (shared / "SCIENCE.md").read_text(encoding="utf-8")
    one = re.findall(r"^\| (TA?S?|A) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", text, re.M)
    assert len(one) == 4
    table = paper_table1().set_index("model")
    for model, *values in one:
        assert table.loc[model, ["mae", "mse", "r2"]].tolist() == [float(value) for value in values]
    for name, found in (("Table 2", paper_table2()), ("Table 3", paper_table3())):
        line = re.search(rf"^\*\*{name},.*$", text, re.M).group()
        rows = re.findall(r"(\S+) (\d\.\d\d) (\d\.\d\d) (\d\.\d\d) (\d\.\d\d)", line)
        wide = found.pivot(index=found.columns[0], columns="model", values="mae")
        assert len(rows) == len(wide)
        for label, *values in rows:
            assert wide.loc[label, list(MODELS)].tolist() == pytest.approx(
                [float(value) for value in values]
            )
