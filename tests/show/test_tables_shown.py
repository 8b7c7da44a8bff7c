"""Tables can be read by all, and the three columns never mix."""

from __future__ import annotations

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage_lib import show
from brainage_lib.show.compare import lowest_counts
from brainage_lib.show.words import NOTHING

TABLES = ["cohort_table", "reasons_table", "table1", "anova_table", "coefficients_table",
          "table2", "table3"]  # fmt: skip
KEYS = {"model": "Model"}
WORDS = {"title": "t", "caption": "c", "source": "simulated scans", "name": "n"}


def three(paper, recorded, this_run, by=KEYS, measures=None):
    return show.three_columns(
        paper, recorded, this_run, by=by,
        measures=measures or {"mae": show.Measure("MAE", "years")}, **WORDS,
    )  # fmt: skip


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


def column(table, head: str) -> pd.DataFrame:
    found = [name for name in table.cells.columns.get_level_values(0) if name.startswith(head)]
    return table.cells[found[0]]


@pytest.mark.parametrize("name", [*TABLES, "ledger_table"])
def test_every_head_has_a_scope_and_words(everything, name):
    page = BeautifulSoup(everything[name].html(), "html.parser")
    heads = page.find_all("th")
    assert heads
    for head in heads:
        assert head["scope"] in ("col", "colgroup", "row", "rowgroup")
        assert head.text.strip()


@pytest.mark.parametrize("name", [*TABLES, "ledger_table"])
def test_every_line_fills_the_table(everything, name):
    page = BeautifulSoup(everything[name].html(), "html.parser")
    widths = []
    open_until: list[int] = []  # rows that heads from above still span
    for line in page.find_all("tr"):
        open_until = [rows - 1 for rows in open_until if rows > 1]
        own = sum(int(cell.get("colspan", 1)) for cell in line.find_all(["th", "td"]))
        widths.append(own + len(open_until))
        open_until += [int(cell.get("rowspan", 1)) for cell in line.find_all("th")
                       if int(cell.get("rowspan", 1)) > 1]  # fmt: skip
    assert len(set(widths)) == 1


@pytest.mark.parametrize("name", TABLES)
def test_wide_table_scrolls_in_its_own_box_and_by_keyboard(everything, name):
    box = BeautifulSoup(everything[name].html(), "html.parser").find(class_="shown-scroll")
    assert box["tabindex"] == "0"
    assert box["role"] == "region"
    assert box["aria-label"]


def test_a_column_without_a_head_is_refused():
    cells = pd.DataFrame({"": ["1"]}, index=pd.Index(["a"], name="Model"))
    with pytest.raises(ValueError, match="needs a head"):
        show.Table("t", "c", "a", pd.DataFrame({"x": [1]}), "n", cells)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["T", "A", "TA", "TAS"]), unique=True),
    st.none() | st.lists(st.sampled_from(["T", "A", "TA", "TAS"]), unique=True),
    st.lists(st.sampled_from(["T", "A", "TA", "TAS"]), unique=True, min_size=1),
)
def test_three_columns_never_mix(paper, recorded, this_run):
    # The digit before the point says where a number comes from.
    def made(models, digit):
        if models is None:
            return None
        return frame(model=models, mae=[digit + i / 100 for i in range(len(models))])

    table = three(made(paper, 1), made(recorded, 2), made(this_run, 3))
    heads = {"Paper": "1", "Recorded": "2", "This run": "3"}
    if not recorded:
        del heads["Recorded"]
        assert not any("Recorded" in head for head, _ in table.cells.columns)
    for head, digit in heads.items():
        for text in column(table, head).to_numpy().ravel():
            assert text.startswith(digit) or text in ("not printed", NOTHING)
    for source, digit in (("paper", 1), ("recorded", 2), ("this run", 3)):
        values = table.data.loc[table.data["source"] == source, "value"].dropna()
        assert (values.astype(float).astype(int) == digit).all()
    assert set(table.cells.index) == set(paper) | set(recorded or []) | set(this_run)


def test_what_is_not_recorded_yet_is_said_once_and_takes_no_column():
    rows = frame(model=["T"], mae=[5.0])
    by_group = show.mae_by_group_table(
        None, None, rows.assign(project="IXI", n_scans=20), group="project", source="s"
    )
    for table in (three(frame(model=["T"], mae=[4.1]), None, rows), by_group):
        assert table.html().count("No run on real scans is recorded yet") == 1
        assert not any("Recorded" in head for head, _ in table.cells.columns)
    recorded = three(None, rows, rows)
    assert "is recorded yet" not in recorded.html()


def test_hidden_groups_say_so_and_why():
    hidden = frame(
        project=["ADNI", "IXI"], model="T", mae=[None, 4.0], n_scans=[None, 30],
        hidden=[True, False],
    ).astype({"n_scans": "Int64"})  # fmt: skip
    this_run = frame(project=["IXI"], model="T", mae=[5.0], n_scans=[20])
    by_group = show.mae_by_group_table(None, hidden, this_run, group="project", source="s")
    cells = column(by_group, "Recorded")
    assert cells["n"].tolist() == ["few", "30"]
    assert cells["T"].tolist() == ["hidden (few)", "4.00"]
    assert "hidden (few): fewer than five people" in by_group.caption
    general = three(None, hidden, this_run, by={"project": "Study"})
    assert column(general, "Recorded").loc["ADNI"].tolist() == ["few", "hidden (few)"]


def test_recipes_that_only_one_run_has_keep_their_rows():
    by = {"recipe": "Recipe", "model": "Model"}
    table = three(
        frame(model=["T"], mae=[4.1]),
        frame(recipe=["sound", "linear"], model="T", mae=[5.0, 6.0]),
        frame(recipe=["paper"], model="T", mae=[7.0]),
        by=by,
    )
    assert list(table.cells.index) == [("paper", "T"), ("sound", "T"), ("linear", "T")]
    assert column(table, "Recorded")["MAE (years)"].tolist() == [NOTHING, "5.00", "6.00"]
    assert column(table, "This run")["MAE (years)"].tolist() == ["7.00", NOTHING, NOTHING]


def test_of_a_recorded_runs_folds_only_the_fit_on_all_is_shown():
    def rows(folds):
        return frame(
            recipe="paper", mode="sound", fitted_on="out-of-fold", fold=folds, model="TAS",
            term="sex", estimate=-0.2, low=-0.5, high=0.1, p=0.2, n_scans=200,
        )  # fmt: skip

    table = show.coefficients_table(None, rows([0, 1, None]), rows([0, None]), source="s")
    assert len(table.cells) == 2


def test_printed_text_stays_as_printed():
    table = three(frame(model=["T"], mae=["< 2.2e-16"]), None, frame(model=["T"], mae=[5.0]))
    assert column(table, "Paper").iloc[0, 0] == "< 2.2e-16"


def test_value_interval_and_n_stand_in_their_cells():
    this_run = frame(model=["T"], mae=[4.104], mae_low=[3.7], mae_high=[4.5], n_scans=[36])
    cells = column(three(None, None, this_run), "This run").iloc[0]
    assert cells["n"] == "36"
    assert cells["MAE (years)"] == "4.10\n3.70 to 4.50"


def test_papers_number_stands_beside_every_mode_and_others_only_beside_their_own():
    by = {"mode": "Mode", "model": "Model"}
    table = three(
        frame(model=["T"], mae=[4.1]),
        frame(mode=["sound"], model=["T"], mae=[5.0]),
        frame(mode=["paper", "sound"], model=["T", "T"], mae=[6.0, 7.0]),
        by=by,
    )
    assert list(table.cells.index) == [("paper", "T"), ("sound", "T")]
    assert column(table, "Paper")["MAE (years)"].tolist() == ["4.10", "4.10"]
    assert column(table, "Recorded")["MAE (years)"].tolist() == [NOTHING, "5.00"]
    assert column(table, "This run")["MAE (years)"].tolist() == ["6.00", "7.00"]


def test_two_rows_for_one_key_are_refused():
    with pytest.raises(ValueError, match="2 rows for"):
        three(None, None, frame(model=["T", "T"], mae=[4.0, 5.0]))


def test_groups_without_scans_and_small_groups_are_marked():
    this_run = frame(
        age_group=["15–20", "20–25", "25–30"], model="T", mae=[4.0, 5.0, None],
        mae_low=[3.0, None, None], mae_high=[5.0, None, None], n_scans=[12, 9, 0],
    )  # fmt: skip
    table = show.mae_by_group_table(
        None, None, this_run, group="age_group", source="simulated scans"
    )
    cells = column(table, "This run")
    assert cells["n"].tolist() == ["12", "9 †", "0"]
    assert cells["T"].tolist() == ["4.00\n3.00 to 5.00", "5.00", NOTHING]


def test_age_groups_and_studies_stand_in_the_papers_order():
    this_run = frame(project=["Mine", "SLIM", "ADNI"], model="T", mae=[4.0, 5.0, 6.0], n_scans=20)
    table = show.mae_by_group_table(None, None, this_run, group="project", source="real scans")
    assert table.cells.index.tolist() == ["ADNI", "SLIM", "Mine"]


def test_shared_lowest_errors_count_for_nobody():
    rows = frame(
        project=["a", "a", "b", "b"], model=["T", "TA"] * 2, mae=[4.0, 3.0, 5.001, 5.002],
        n_scans=10,
    )  # fmt: skip
    assert lowest_counts(rows, "project") == (
        "Lowest MAE in 2 studies of 10 scans or more (n = 20 scans): TA in 1"
    )


def test_groups_of_fewer_than_ten_scans_are_not_counted():
    rows = frame(project=["a", "a", "b", "b"], model=["T", "TA"] * 2, mae=[4.0, 3.0, 5.0, 6.0])
    few = rows.assign(n_scans=[10, 10, 9, 9])
    assert lowest_counts(few, "project").endswith("(n = 10 scans): TA in 1")


def test_glued_text_reaches_the_page_as_it_was_written(monkeypatch):
    from myst_nb.core.variables import format_plain_text

    glued = {}
    monkeypatch.setattr(
        "myst_nb.glue", lambda name, variable, display: glued.update({name: repr(variable)})
    )
    for name, value, digits, text in (("n", 2851, 0, "2,851"), ("mae", 4.1, 2, "4.10")):
        assert show.glue_number(name, value, digits=digits) == text
        assert format_plain_text(glued[name], "") == text


def test_unknown_verdicts_are_refused():
    row = {"id": 1, "section": "s", "claim": "c", "printed": "", "recomputed": "",
           "verdict": "maybe", "reason": "", "kind": "computed"}  # fmt: skip
    with pytest.raises(ValueError, match="unknown verdict maybe; allowed: holds"):
        show.ledger_table(pd.DataFrame([row]), source="simulated scans")


def test_ledger_says_each_verdict_in_words_and_sign(everything):
    page = BeautifulSoup(everything["ledger_table"].html(), "html.parser")
    rows = page.select("tbody tr")
    assert [row.b.text for row in rows] == ["✓ holds", "✗ contradicted"]
    assert "Recorded run" not in page.thead.text
    assert not any(row.has_attr("hidden") for row in rows)


def test_ledger_says_whether_there_is_a_recorded_run(everything):
    ledger = everything["ledger_table"].data
    words = {"recorded_source": "", "source": "simulated scans"}
    assert "No run on real scans is recorded yet" in show.ledger_table(ledger, **words).caption
    assert "recorded" not in everything["ledger_table"].caption
    told = ledger.assign(recorded=["p 0.01", ""])
    shown = show.ledger_table(told, **words | {"recorded_source": "real scans, oas1"})
    page = BeautifulSoup(shown.html(), "html.parser")
    assert "Recorded run" in page.thead.text
    assert "Recorded run: real scans, oas1." in shown.caption


def test_caption_names_whose_scans_each_column_is_of():
    rows = pd.DataFrame({"model": ["T"], "mae": [4.0]})
    how = dict(by={"model": "Model"}, measures={"mae": ("MAE", "years")}, title="t", caption="c",
               source="made up", name="n", recorded_source="real scans")  # fmt: skip
    beside = show.three_columns(rows, rows, rows, **how).caption
    assert beside.endswith(
        "Data: the paper's own scans; real scans (recorded run); made up (this run)."
    )
    assert show.three_columns(None, None, rows, **how).caption.endswith("Data: made up.")
    # A table without a row is still one of this run.
    assert show.three_columns(None, None, rows[:0], **how).caption.endswith("Data: made up.")
