"""What was recorded of a real run: its counts in small tables, its errors in a sentence."""

from __future__ import annotations

import html
from dataclasses import dataclass

import pandas as pd

from brainage_lib.show.compare import HIDDEN, NO_RECORDING, WHY_HIDDEN
from brainage_lib.show.page import STYLE
from brainage_lib.show.table import Table, table
from brainage_lib.show.words import count, listed, number, with_interval
from brainage_lib.tables.schemas import DECADES

MODEL_OF_GROUPS = "TA"
"""The model whose errors by group are said in a sentence."""


@dataclass(frozen=True)
class Note:
    """A sentence that stands where there is nothing to show.

    Examples
    --------
    >>> Note("No run on real scans is recorded yet")
    No run on real scans is recorded yet.
    """

    text: str

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        shown = f'<p class="shown-note">{html.escape(self.text)}.</p>'
        return {"text/html": STYLE + shown, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"{self.text}."


def recorded_cohort(cohort: pd.DataFrame | None, *, source: str) -> Table | Note:
    """Who was scanned in the recorded run: controls by decade and sex.

    Parameters
    ----------
    cohort : DataFrame or None
        Table "cohort" of a recording; None where nothing is recorded.
    source : str
    """
    if cohort is None:
        return Note(NO_RECORDING)
    people = cohort.set_index(["who", "decade", "sex"])["n_scans"]
    controls = people["controls"]
    decades = [name for name in (*DECADES, "all") if name in controls.index.get_level_values(0)]
    rows = [
        {"decade": name, **{sex: _counted(controls, name, sex) for sex in ("F", "M", "all")}}
        for name in decades
    ]
    whole = cohort.set_index(["who", "decade", "sex"]).loc[[("controls", "all", "all")]].iloc[0]
    patients = people.get(("patients", "all", "all"))
    n, m = int(whole["n_scans"]), int(whole["n_participants"])
    apart = "few" if pd.isna(patients) else number(int(patients), 0)
    return table(
        pd.DataFrame(rows),
        by={"decade": "Age (years)"},
        columns={"F": "Women", "M": "Men", "all": "All"},
        title=f"The recorded run: {count(n, 'scan')} of {count(m, 'control')}, {apart} of patients",
        caption="Scans of controls that went on. –: none, or fewer than five people, or a count "
        "from which theirs could be worked out",
        source=source,
        name="recorded-cohort",
    )


def _counted(counts: pd.Series, decade: str, sex: str) -> str:
    n = counts.get((decade, sex))
    return "–" if n is None or pd.isna(n) else number(int(n), 0)


def recorded_quality(quality: pd.DataFrame | None, *, source: str) -> Table | Note:
    """How many scans of the recorded run went on.

    Parameters
    ----------
    quality : DataFrame or None
        Table "quality" of a recording.
    source : str
    """
    if quality is None:
        return Note(NO_RECORDING)
    rows = quality.assign(
        n=[HIDDEN if row.hidden else number(int(row.n_scans), 0) for row in quality.itertuples()]
    )
    kept = rows[rows["verdict"].str.startswith("keep")]
    told = listed([f"{row.verdict} {row.n}" for row in kept.itertuples()]) or "no scan was kept"
    return table(
        rows[["verdict", "n"]],
        by={"verdict": "Verdict"},
        columns={"n": "Scans of controls"},
        title=f"The recorded run: {told}",
        caption=f"Verdicts on the images. {WHY_HIDDEN}" if quality["hidden"].any()
        else "Verdicts on the images",
        source=source,
        name="recorded-quality",
    )  # fmt: skip


def recorded_splits(scores: pd.DataFrame | None, *, source: str) -> Table | Note:
    """How large and how typical the test sets of the recorded run are.

    Parameters
    ----------
    scores : DataFrame or None
        Table "split_scores" of a recording.
    source : str
    """
    if scores is None:
        return Note(NO_RECORDING)
    test = scores[(scores["role"] == "test") & ~scores["hidden"]]
    rows = [
        {
            "mode": mode,
            "tests": number(len(part), 0),
            "scans": _range(part["n_scans"], 0),
            "kl": _range(part["kl"], 3),
            "age": _range(part["age_mean"], 1),
            "shared": _range(part["shared_participants"], 0),
        }
        for mode, part in test.groupby("mode", sort=False)
    ]
    n = count(int(test["n_scans"].sum()), "test scan")
    return table(
        pd.DataFrame(rows, columns=["mode", "tests", "scans", "kl", "age", "shared"]),
        by={"mode": "Mode"},
        columns={
            "tests": "Test sets",
            "scans": "Scans in each",
            "kl": "Divergence from the whole (nats)",
            "age": "Mean age (years)",
            "shared": "People who are also elsewhere",
        },
        title=f"The recorded run: {n} in {count(len(test), 'test set')}",
        caption="From the smallest to the largest",
        source=source,
        name="recorded-splits",
    )


def _range(values: pd.Series, digits: int) -> str:
    low, high = number(float(values.min()), digits), number(float(values.max()), digits)
    return low if low == high else f"{low} to {high}"


def recorded_errors(
    table1: pd.DataFrame | None, differences: pd.DataFrame | None, which: str
) -> str:
    """Say in a sentence how much T and TA err in the recorded run.

    Parameters
    ----------
    table1, differences : DataFrame or None
        Tables of a recording, of one recipe, mode and kind of fit.
    which : str
        What is recorded, in words: `Recorded.words`.

    Examples
    --------
    >>> recorded_errors(None, None, "")
    'No run on real scans is recorded yet.'
    """
    if table1 is None or differences is None:
        return f"{NO_RECORDING}."
    rows = table1.set_index("model")
    told = [
        f"{model} errs by "
        + with_interval(*rows.loc[model, ["mae", "mae_low", "mae_high"]], unit="years")
        for model in ("T", "TA")
    ]
    pair = differences[(differences["first"] == "T") & (differences["second"] == "TA")].iloc[0]
    gain = with_interval(pair["difference"], pair["low"], pair["high"], "years")
    n = count(int(rows.loc["T", "n_scans"]), "scan")
    return f"In the recorded run ({which}; n = {n}), {listed(told)}; the difference is {gain}."


def recorded_by_group(table2: pd.DataFrame | None, table3: pd.DataFrame | None, which: str) -> str:
    """Say in a sentence how the error of TA depends on age and study in the recorded run.

    Parameters
    ----------
    table2, table3 : DataFrame or None
        Tables of a recording, of one recipe, mode and kind of fit.
    which : str
        As for `recorded_errors`.
    """
    told = []
    for groups, column, place in ((table2, "age_group", "at ages "), (table3, "project", "in ")):
        rows = None if groups is None else groups[groups["model"] == MODEL_OF_GROUPS]
        rows = None if rows is None else rows[rows["mae"].notna() & ~rows["small"]]
        if rows is None or rows.empty:
            continue
        rows = rows.sort_values("mae", kind="stable")
        ends = [rows.iloc[0], rows.iloc[-1]] if len(rows) > 1 else [rows.iloc[0]]
        told.append(
            listed(
                [
                    with_interval(row["mae"], row["mae_low"], row["mae_high"], "years")
                    + f" {place}{row[column]}"
                    for row in ends
                ]
            )
        )
    if not told:
        small = f"In the recorded run ({which}) every group is small."
        return f"{NO_RECORDING}." if table3 is None else small
    return f"In the recorded run ({which}) {MODEL_OF_GROUPS} errs by {'; by '.join(told)}."
