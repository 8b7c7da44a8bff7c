"""Age bins, strata and their pooling."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage_lib.data.strata import age_bins, age_edges, count_cells, stratify


def cohort(projects, ages):
    return pd.DataFrame(
        {
            "scan_id": [f"s{n}" for n in range(len(ages))],
            "project": projects,
            "age": np.asarray(ages, float),
        }
    )


def test_edges_are_minimum_deciles_and_maximum():
    edges = age_edges(np.arange(101.0) + 5)
    np.testing.assert_allclose(edges, [5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 105])


def test_each_bin_holds_a_tenth_and_an_edge_belongs_above():
    bins = age_bins(np.arange(100.0))
    np.testing.assert_array_equal(np.bincount(bins), [10] * 10)
    bins = age_bins(np.arange(101.0))
    assert bins[[0, 9, 10, 89, 90, 100]].tolist() == [0, 0, 1, 8, 9, 9]


@settings(deadline=None)
@given(st.lists(st.floats(5, 110), min_size=1, max_size=60))
def test_bins_follow_the_ages(ages):
    bins = age_bins(np.array(ages))
    assert bins.min() >= 0
    assert bins.max() <= 9
    assert (np.diff(bins[np.argsort(ages, kind="stable")]) >= 0).all()


def test_large_strata_are_not_pooled():
    table = stratify(cohort(["A"] * 100, np.arange(100)), least=10)
    assert (table["pooled_within"] == "").all()
    assert table["stratum"].nunique() == 10


def test_small_strata_are_pooled_in_project_then_age_bin_then_together():
    # A fills every bin. B: five scans in each of two bins, ten in all. C and D: three scans
    # each in the first bin, one of E in the last.
    ages = [*np.linspace(0, 100, 400), *[0.5] * 5, *[98.5] * 5, *[0.6] * 3, *[0.7] * 3, 98.6]
    projects = ["A"] * 400 + ["B"] * 10 + ["C"] * 3 + ["D"] * 3 + ["E"]
    table = stratify(cohort(projects, ages), least=6)
    by_project = table.groupby("project")["pooled_within"].agg(lambda values: set(values))
    assert by_project["A"] == {""}
    assert by_project["B"] == {"project"}
    assert by_project["C"] == by_project["D"] == {"age bin"}
    assert by_project["E"] == {"rest"}
    assert table.loc[table["project"] == "B", "stratum"].nunique() == 1
    assert table.loc[table["project"].isin(["C", "D"]), "stratum"].nunique() == 1


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from("ABCD"), st.floats(5, 110)), min_size=1, max_size=80),
    st.integers(2, 10),
)
def test_only_the_rest_may_be_small(scans, least):
    projects, ages = zip(*scans, strict=True)
    table = stratify(cohort(list(projects), ages), least)
    sizes = table.groupby("stratum").size()
    assert (sizes[sizes < least].index == "rest").all()
    assert table["scan_id"].tolist() == [f"s{n}" for n in range(len(ages))]
    # Pooled or not, a stratum is one project, or one age bin, or the rest.
    for stratum, rows in table.groupby("stratum"):
        assert rows["project"].nunique() == 1 or rows["age_bin"].nunique() == 1 or stratum == "rest"


def test_cells_are_counted_by_part_and_in_the_whole():
    scans = cohort(["A", "A", "B", "A"], [10, 10, 10, 90])
    counts, whole = count_cells(scans, np.array([0, 1, 1, 2]), 4)
    assert counts.shape == (4, 3)
    assert whole.sum() == 4
    assert sorted(whole) == [1, 1, 2]
    assert counts.sum(axis=1).tolist() == [1, 2, 1, 0]
    np.testing.assert_array_equal(counts.sum(axis=0), whole)
