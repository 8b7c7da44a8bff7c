"""Verdicts on the images: chapter 02."""

from __future__ import annotations

import pandas as pd

from brainage_lib.show.cohort import in_order
from brainage_lib.show.colours import QUALITY_COLOURS, QUALITY_PATTERNS
from brainage_lib.show.figure import Figure, chart, finished
from brainage_lib.show.table import Measure, Table, table
from brainage_lib.show.words import count, percent

MEANING = {"keep": "kept", "look": "to be looked at", "drop": "put aside"}


def verdict_counts(quality: pd.DataFrame, *, source: str) -> Figure:
    """Verdicts by study, as stacked bars.

    Parameters
    ----------
    quality : DataFrame
        Schema QUALITY.
    """
    projects = in_order(quality["project"])
    counts = pd.crosstab(quality["project"], quality["verdict"])
    counts = counts.reindex(index=projects, columns=list(MEANING), fill_value=0)
    fig = chart("scans (count)", "study", height=140 + 30 * max(len(projects), 3))
    for verdict, meaning in MEANING.items():
        fig.add_bar(
            x=counts[verdict],
            y=projects,
            orientation="h",
            name=meaning,
            marker={
                "color": QUALITY_COLOURS[verdict],
                "pattern": {
                    "shape": QUALITY_PATTERNS[verdict],
                    "fgcolor": "#ffffff",
                    "fillmode": "overlay",
                },
            },
            hovertemplate="%{y}: %{x} scans<extra>" + meaning + "</extra>",
        )
    fig.update_layout(barmode="stack")
    fig.update_yaxes(categoryorder="array", categoryarray=projects[::-1])
    total, n = counts.sum(), len(quality)
    title = "There are no scans"
    if n:
        title = (
            f"{total['keep']:,} of {count(n, 'scan')} are kept ({percent(total['keep'] / n)}), "
            f"{total['look']:,} are to be looked at, {total['drop']:,} put aside"
        )
    return finished(
        fig,
        title=title,
        caption=f"Verdicts of the quality measures by study; n = {count(n, 'scan')}",
        alt="Stacked bars by study. "
        + "; ".join(
            f"{name}: " + ", ".join(f"{row[key]} {meaning}" for key, meaning in MEANING.items())
            for name, row in counts.iterrows()
        ),
        data=counts.reset_index(names="project"),
        source=source,
        name="verdicts",
    )


def reasons_table(quality: pd.DataFrame, *, source: str) -> Table:
    """Reasons of the verdicts look and drop, the most frequent first.

    Parameters
    ----------
    quality : DataFrame
        Schema QUALITY; several reasons of a scan are separated by "; ".
    """
    rows = quality[quality["reasons"].fillna("") != ""]
    reasons = rows.assign(reason=rows["reasons"].str.split("; ")).explode("reason")
    data = (
        reasons.groupby(["verdict", "reason"])
        .size()
        .reset_index(name="n_scans")
        .sort_values(["verdict", "n_scans"], ascending=[True, False], ignore_index=True)
    )
    return table(
        data,
        by={"verdict": "Verdict", "reason": "Reason"},
        columns={"n_scans": Measure("Scans", digits=0)},
        title=f"{count(len(rows), 'scan')} of {len(quality):,} have a remark",
        caption="A scan can have several reasons",
        source=source,
        name="quality-reasons",
    )
