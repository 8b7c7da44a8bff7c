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


def reasons_table(reasons: pd.DataFrame, *, source: str) -> Table:
    """Reasons for which scans do not go on.

    Parameters
    ----------
    reasons : DataFrame
        Columns reason and n_scans, as `brainage_lib.data.put_aside` gives them.
    """
    title = "No scan was put aside"
    if len(reasons):
        first = reasons.loc[reasons["n_scans"].idxmax()]
        title = f"Most often put aside: {first['reason']} ({count(first['n_scans'], 'scan')})"
    return table(
        reasons,
        by={"reason": "Reason"},
        columns={"n_scans": Measure("Scans", digits=0)},
        title=title,
        caption="Scans that do not go on, by reason; a scan with two reasons counts in both",
        source=source,
        name="put-aside",
    )
