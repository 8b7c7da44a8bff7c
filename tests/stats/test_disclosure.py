"""What is hidden cannot be had back from what is shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage_lib import stats
from brainage_lib.stats.disclosure import LEAST, hidden_groups, hide_cells
from brainage_lib.stats.error_groups import age_density, error_quantiles, hide_by_group
from brainage_lib.tables import AGE_GROUPS, DECADES, age_group, decade
from brainage_lib.tables.files import check_table
from brainage_lib.tables.recorded import RECORDED

LABELS = ("a", "b", "c", "d")


def people(*sizes):
    return {name: {f"{name}{i}" for i in range(n)} for name, n in zip(LABELS, sizes, strict=False)}


def decade_of(label):
    return label if label == "outside" else f"{int(label[:2]) // 10 * 10}"


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((5, 6, 7), set()),
        ((4, 6, 7), {"a", "b"}),
        ((4, 7, 6), {"a", "c"}),
        ((2, 3, 7), {"a", "b"}),
        ((1, 3, 7), {"a", "b", "c"}),
        ((0, 3, 7, 9), {"b", "c"}),
        ((3,), {"a"}),
        ((), set()),
    ],
)
def test_small_groups_take_the_next_smallest_with_them(sizes, expected):
    assert hidden_groups(people(*sizes)) == expected


def test_people_of_several_groups_count_once():
    groups = {"a": set("123"), "b": set("321"), "c": set("456789"), "d": set("ABCDEFGHI")}
    assert hidden_groups(groups) == {"a", "b", "c"}


def test_a_neighbour_of_the_same_decade_is_hidden_and_no_other_for_it():
    sizes = {"30–35": 10, "35–40": 4, "40–45": 12, "90–95": 6}
    groups = {name: {f"{name}{i}" for i in range(n)} for name, n in sizes.items()}
    assert hidden_groups(groups, decade_of) == {"30–35", "35–40"}
    assert hidden_groups(groups) == {"35–40", "90–95"}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=len(AGE_GROUPS), max_size=len(AGE_GROUPS)))
def test_no_total_less_what_is_shown_leaves_few_people(sizes):
    counts = zip(AGE_GROUPS, sizes, strict=True)
    groups = {name: {f"{name}{i}" for i in range(n)} for name, n in counts}
    hidden = hidden_groups(groups, decade_of)
    totals = [list(groups)] + [
        [name for name in groups if decade_of(name) == parent]
        for parent in {decade_of(name) for name in groups}
    ]
    for total in totals:
        shown = sum(len(groups[name]) for name in total if name not in hidden)
        rest = sum(len(groups[name]) for name in total) - shown
        assert rest == 0 or rest >= LEAST or shown == 0


def test_error_of_a_hidden_group_does_not_follow_from_table_1(make_sound):
    """MAE × n of Table 1 less that of the groups shown belongs to five people at least."""
    predictions = make_sound(n=60, patients=0)
    stacked = stats.stack(predictions)
    test = stacked.rows[(stacked.rows["role"] == "test") & (stacked.rows["model"] == "T")]
    members = test.assign(age_group=age_group(test["age"]).astype(str))
    table = hide_by_group(stats.table2(stacked, 100), stacked, "age_group")
    assert table["hidden"].any()
    assert table.loc[table["hidden"], ["mae", "n_scans", "n_participants"]].isna().all(axis=None)
    assert table.loc[table["hidden"], "small"].all()
    check_table(table, RECORDED["table2"], "recorded")
    rows = table[table["model"] == "T"]
    rest = len(test) - rows["n_scans"].sum()
    assert rest >= LEAST
    for parent in {decade_of(name) for name in AGE_GROUPS}:
        inside = members["age_group"].map(decade_of) == parent
        shown = rows.loc[rows["age_group"].map(decade_of) == parent, "n_scans"].sum()
        assert inside.sum() - shown == 0 or inside.sum() - shown >= LEAST or shown == 0


CELLS = [(row, column) for row in LABELS for column in LABELS]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 0, 1, 2, 4, 5, 7, 20]), min_size=16, max_size=16))
def test_no_hidden_cell_follows_from_rows_columns_and_shown_cells(sizes):
    true = dict(zip(CELLS, sizes, strict=True))
    members = pd.DataFrame(
        [
            {"row": row, "column": column, "participant_id": f"{row}{column}{i}"}
            for (row, column), n in true.items()
            for i in range(n)
        ],
        columns=["row", "column", "participant_id"],
    )
    table = hide_cells(members, "row", "column", (LABELS, LABELS))
    shown = {
        (line.row, line.column): int(line.n_scans)
        for line in table.itertuples()
        if not pd.isna(line.n_scans)
    }
    assert all(true[cell] == n and n >= LEAST for cell, n in shown.items())
    # An attacker who knows every total that is not itself one of few people.
    lines = [[cell for cell in CELLS if cell[axis] == name] for axis in (0, 1) for name in LABELS]
    sums = [sum(true[cell] for cell in line) for line in lines]
    known = [
        line
        for axis in (0, 1)
        for line, name in zip(lines[4 * axis :], LABELS, strict=False)
        if name
        not in hidden_groups(
            {
                other: {str(i) for i in range(sums[4 * axis + place])}
                for place, other in enumerate(LABELS)
            }
        )
    ]
    unknown = [cell for cell in CELLS if cell not in shown]
    for line in [*known, CELLS]:
        rest = sum(true[cell] for cell in line if cell in unknown)
        assert rest == 0 or rest >= LEAST or not set(line) & set(shown)
    if not shown or not unknown:
        return
    equations = np.array([[cell in line for cell in unknown] for line in [*known, CELLS]], float)
    rank = np.linalg.matrix_rank(equations)
    for place, cell in enumerate(unknown):
        one = np.eye(len(unknown))[place]
        if 0 < true[cell] < LEAST:  # not a combination of what is known
            assert np.linalg.matrix_rank(np.vstack([equations, one])) > rank


def test_one_small_cell_takes_a_square_with_it():
    sizes = {("a", "a"): 2, ("a", "b"): 9, ("b", "a"): 8, ("b", "b"): 30}
    members = pd.DataFrame(
        [
            {"row": row, "column": column, "participant_id": f"{row}{column}{i}"}
            for (row, column), n in sizes.items()
            for i in range(n)
        ]
    )
    table = hide_cells(members, "row", "column", (LABELS, LABELS))
    assert table["n_scans"].isna().all()


def test_quantiles_need_ten_people_and_tails_twenty(make_sound):
    stacked = stats.stack(make_sound(n=100, patients=0))
    table = error_quantiles(stacked)
    check_table(table, RECORDED["error_quantiles"], "recorded")
    n = table["n_participants"].fillna(0)
    assert table.loc[n < 10, ["q25", "q50", "q75"]].isna().all(axis=None)
    assert table.loc[n >= 10, ["q25", "q50", "q75"]].notna().all(axis=None)
    assert table.loc[n < 20, ["q05", "q95"]].isna().all(axis=None)
    assert {True, False} <= set(n >= 10)
    rows = stacked.rows[(stacked.rows["role"] == "test") & (stacked.rows["model"] == "TA")]
    gap = (rows["stacked_age"] - rows["age"])[decade(rows["age"]) == "50–60"]
    here = table[(table["model"] == "TA") & (table["decade"] == "50–60")].iloc[0]
    assert here["q50"] == pytest.approx(gap.median(), abs=0.051)


def test_people_scanned_twice_are_one_person(make_sound):
    table = error_quantiles(stats.stack(make_sound(n=60, repeats=2, patients=0)))
    shown = table[~table["hidden"]]
    assert (shown["n_scans"] == 2 * shown["n_participants"]).all()
    assert shown.loc[shown["n_participants"] < 10, "q50"].isna().all()


def test_density_counts_scans_and_shows_no_cell_of_few(make_sound):
    stacked = stats.stack(make_sound(n=300, patients=0))
    table = age_density(stacked)
    check_table(table, RECORDED["age_density"], "recorded")
    shown = table.dropna()
    assert len(shown)
    assert (shown["n_scans"] >= LEAST).all()
    rows = stacked.rows[(stacked.rows["role"] == "test") & (stacked.rows["model"] == "T")]
    counts = pd.crosstab(decade(rows["age"]), decade(rows["stacked_age"]))
    for line in shown[shown["model"] == "T"].itertuples():
        assert counts.loc[line.decade, line.predicted_decade] == line.n_scans
    assert set(table["decade"]) <= set(DECADES)


def test_what_is_told_of_claims_leaves_hidden_groups_out(make_sound):
    stacked = stats.stack(make_sound(n=60, patients=3))
    plain, told = (stats.observe(stacked, replicates=100, protected=hide) for hide in (False, True))
    hidden = hide_by_group(stats.table2(stacked, 1), stacked, "age_group")
    shown = hidden.loc[(hidden["n_scans"] > 0) & (hidden["age_group"] != "outside"), "age_group"]
    assert f"of {shown.nunique()} age groups" in told[19]
    assert f"of {shown.nunique()} age groups" not in plain[19]
    assert "3 apart" in plain[37]
    assert 37 not in told
    assert told[11] == plain[11]


def test_claims_about_groups_are_silent_where_every_group_is_hidden(make_paper):
    stacked = stats.stack(make_paper(n=100))  # ten test scans
    told = stats.observe(stacked, replicates=100, protected=True)
    assert not {19, 20, 21, 23, 25, 26, 27, 28, 42} & set(told)
    assert "10 test rows" in told[1]
