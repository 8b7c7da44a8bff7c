"""The page that ``brainage stats`` writes of anyone's predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from brainage_lib.show.compare import mae_by_group_table
from brainage_lib.show.figure3 import model_residuals, model_scatter
from brainage_lib.show.groups import mae_by_group
from brainage_lib.show.honest import (
    by_sex_table,
    false_alarm_chart,
    guess_table,
    inflation_table,
    ladder_null_table,
    left_out_chart,
    studies_chart,
)
from brainage_lib.show.intervals import control_ladder, differences
from brainage_lib.show.page import Shown
from brainage_lib.show.stacking import anova_table, coefficients_table, table1
from brainage_lib.show.table import Measure, table
from brainage_lib.show.trust import (
    bias_slopes,
    bland_altman,
    coverage_by_group,
    patients_against_controls,
)
from brainage_lib.show.whole_page import Section, whole_page
from brainage_lib.tables import choose

MODEL = "TA"
"""The model of which a chart speaks that has room for one."""


@dataclass(frozen=True)
class Told:
    """What the page is made of.

    Attributes
    ----------
    tables : mapping of str to DataFrame
        By name, as `brainage_lib.stats.analyse` gives them.
    missing : mapping of str to str
        By name: why there is no such table.
    headline : mapping of str to str
        recipe, mode and fitted_on of which charts speak.
    rows : DataFrame
        Stacked rows, for the scatter.
    pairs : DataFrame
        mean, difference (years) of repeated scans, for the headline and `MODEL`.
    paper : mapping of str to DataFrame
        The paper's printed tables: table1, table2, table3, anova, coefficients.
    source : str
        Where the scans come from.
    """

    tables: Mapping[str, pd.DataFrame]
    missing: Mapping[str, str]
    headline: Mapping[str, str]
    rows: pd.DataFrame
    pairs: pd.DataFrame
    paper: Mapping[str, pd.DataFrame]
    source: str

    def of(self, name: str, **chosen: str) -> pd.DataFrame:
        """Rows of the headline of a table that is there; ``chosen`` narrows them."""
        rows = self.tables[name]
        wanted = {**self.headline, **chosen}
        return choose(rows, **{key: value for key, value in wanted.items() if key in rows})


def statistics_page(told: Told, title: str, warnings: tuple[str, ...] = ()) -> str:
    """Return the page as one HTML text that asks nothing of any host.

    Parameters
    ----------
    told : Told
    title : str
    warnings : tuple of str
        What could not be done as described, or looks odd.
    """
    which = told.headline
    return whole_page(
        title,
        (
            f"Charts speak of the recipe {which['recipe']}, {which['mode']} mode, stacking fitted "
            f"{which['fitted_on']}; tables and the CSV files beside this page have all. Intervals "
            "are of 95 %, by resampling people with all their scans; they hold the luck of who was "
            "tested, not that of training. The paper's printed numbers stand beside where there "
            "are any.",
            "Each mark of the scatters is one person's scan: treat this page as you treat the "
            "scans. Not for clinical use.",
        ),
        [
            *_accuracy(told),
            *_second(told),
            *_honest(told),
            *_for_whom(told),
            *_trust(told),
        ],
        warnings,
    )


def _accuracy(told: Told) -> list[Section]:
    tables, paper, source = told.tables, told.paper, told.source
    rows = choose(told.rows, **told.headline)
    return [
        Section(
            "Table 1: errors of the four models",
            (
                "Paper mode is fitted on rows that the networks learned from and tested on a "
                "tenth of the scans; sound mode is fitted out of fold, by participant. The two "
                "must not be subtracted.",
            ),
            (
                table1(paper["table1"], None, tables["table1"], headline=told.headline,
                       source=source, recorded_source=""),
                differences(told.of("differences"), source=source, name="differences"),
                model_scatter(rows, source=source),
                model_residuals(rows, source=source),
                guess_table(tables["guesses"], tables["networks"], source=source),
            ),
        ),
        Section("Table 2: by age", _WHOSE, _groups(told, "table2", "age_group")),
        Section("Table 3: by study", _WHOSE, _groups(told, "table3", "project")),
    ]  # fmt: skip


_WHOSE = (
    "A chart for the mode that is spoken of first, and a table for each recipe and mode. The "
    "lowest error of a group is no finding: look whether the intervals in it exclude one another.",
)


def _groups(told: Told, name: str, group: str) -> tuple[Shown, ...]:
    """Chart of the headline, and a table of each recipe and mode, by its main fit."""
    found: list[Shown] = [mae_by_group(told.of(name), group=group, source=told.source)]
    rows = told.tables[name]
    rows = rows[rows["fitted_on"] != "validation"]
    for (recipe, mode), part in rows.groupby(["recipe", "mode"], sort=False):
        found.append(
            mae_by_group_table(
                told.paper[name],
                None,
                part,
                group=group,
                source=f"{told.source}, {recipe} recipe, {mode} mode",
                recorded_source="",
            )
        )
    return tuple(found)


def _second(told: Told) -> list[Section]:
    tables, paper, source = told.tables, told.paper, told.source
    ladder = _made(told, "ladder", lambda: [
        control_ladder(told.of("ladder"), over=over, source=source)
        for over in ("t", "second_look")
        if told.of("ladder")[f"gain_over_{over}"].notna().any()
    ])  # fmt: skip
    null = _made(told, "ladder_null", lambda: [
        ladder_null_table(tables["ladder_null"], source=source)
    ])  # fmt: skip
    return [
        Section(
            "Does the second network help?",
            (
                "The F test belongs to the rows of the fit. On rows that networks have memorised, "
                "residuals are too small and p with them; the test rows have a p from resampling.",
            ),
            (
                anova_table(paper["anova"], None, tables["anova"], headline=told.headline,
                            source=source, recorded_source=""),
                coefficients_table(paper["coefficients"], None, _of_whole_fits(told),
                                   headline=told.headline, source=source, recorded_source=""),
            ),
        ),
        Section("The control ladder", (
            "Any second network may lower the error. A gain is more than one of a second look only "
            "beyond T + T′ (a second seed) and T + M (tissue maps).", *ladder[1], *null[1],
        ), (*ladder[0], *null[0])),
    ]  # fmt: skip


def _of_whole_fits(told: Told) -> pd.DataFrame:
    """Coefficients of TAS, the model that has them all; of several folds the fit on all."""
    rows = choose(told.tables["coefficients"], model="TAS")
    return rows[rows["fold"].isna() | (rows["mode"] == "paper")]


def _honest(told: Told) -> list[Section]:
    source = told.source
    recipe = {"recipe": told.headline["recipe"]}
    inflation = _made(told, "inflation", lambda: [
        inflation_table(choose(told.tables["inflation"], **recipe), source=source)
    ])  # fmt: skip
    alarms = _made(told, "false_alarms", lambda: [
        false_alarm_chart(rows, source=source)
        for rows in [choose(told.tables["false_alarms"], **recipe)]
        if len(rows)
    ])  # fmt: skip
    return [
        Section("What flatters", (*inflation[1], *alarms[1]), (*inflation[0], *alarms[0])),
    ]


def _for_whom(told: Told) -> list[Section]:
    source = told.source
    left_out = _made(told, "left_out", lambda: [
        left_out_chart(rows, source=source)
        for rows in [told.of("left_out", model=MODEL)]
        if len(rows)
    ])  # fmt: skip
    patients = _made(told, "patients", lambda: [
        patients_against_controls(rows, source=source)
        for rows in [told.of("patients", model=MODEL)]
        if len(rows)
    ])  # fmt: skip
    return [
        Section("Women and men", (), (by_sex_table(told.of("by_sex"), source=source),)),
        Section(
            "Studies at equal ages, and left out",
            left_out[1],
            (studies_chart(told.of("studies", model=MODEL), source=source), *left_out[0]),
        ),
        Section("Patients against controls", patients[1], patients[0]),
    ]


def _trust(told: Told) -> list[Section]:
    source, tables = told.source, told.tables
    agreement = told.of("reliability", model=MODEL) if "reliability" in tables else pd.DataFrame()
    repeated: list[Shown] = []
    text = [told.missing["reliability"]] if "reliability" not in tables else []
    if len(agreement):
        repeated = [
            bland_altman(told.pairs, agreement.iloc[0], source=source),
            _reliability(tables["reliability"], source),
        ]
    return [
        Section(
            "Intervals: do they contain the age as often as they say?",
            (
                "Half-widths come from tested controls of the other folds (in paper mode: from the "
                "other half of the tested people), never from the scan itself.",
            ),
            tuple(
                coverage_by_group(told.of("coverage", model=MODEL, kind=kind), source=source)
                for kind in ("constant", "local")
            ),
        ),
        Section(
            "The gap over age",
            (
                "Young brains come out too old and old ones too young. A correction needs the true "
                "age: corrected.csv carries the column uses_true_age, and no accuracy is measured "
                "on it.",
            ),
            (bias_slopes(told.of("bias"), source=source),),
        ),
        Section("Repeated scans", tuple(text), tuple(repeated)),
    ]


def _reliability(found: pd.DataFrame, source: str) -> Shown:
    rows = found.rename(columns={"limit_low": "bias_low", "limit_high": "bias_high"})
    best = found.loc[found["smallest_change"].idxmin()]
    return table(
        rows,
        by={"recipe": "Recipe", "mode": "Mode", "model": "Model"},
        columns={
            "n_participants": Measure("People", digits=0),
            "icc": Measure("ICC(2,1)"),
            "bias": Measure("Second − first session", "years"),
            "smallest_change": Measure("Smallest detectable change", "years"),
        },
        title=f"{best['model']} repeats itself best: a change of less than "
        f"{best['smallest_change']:.1f} years is within what repetition brings",
        caption="Below ICC and smallest change their 95 % intervals, below the difference the "
        f"limits of agreement; n = {int(best['n_participants']):,} people",
        source=source,
        name="reliability",
    )


def _made(told: Told, name: str, make) -> tuple[tuple[Shown, ...], tuple[str, ...]]:
    """Give what a table shows, or the sentence that says why it is not there."""
    if name in told.tables:
        return tuple(make()), ()
    why = told.missing.get(name, "nothing to compute it from")
    return (), (f"Not shown: {why}.",)
