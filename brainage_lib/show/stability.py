"""By how much answers move when scans are disturbed in ways that should not matter."""

from __future__ import annotations

import pandas as pd

from brainage_lib.show.colours import GRID, MODEL_COLOURS, MODEL_SYMBOLS, NEUTRAL
from brainage_lib.show.figure import Figure, chart, finished
from brainage_lib.show.words import count, number, with_unit
from brainage_lib.stats import summarise_stability


def stability_chart(table: pd.DataFrame, *, source: str) -> Figure:
    """Change of the predicted age under each disturbance, over what repeated scans differ by.

    Parameters
    ----------
    table : DataFrame
        Schema STABILITY, of one scan or several.
    source : str
        Where the scans come from.
    """
    summary = summarise_stability(table)
    names = [_label(row) for row in summary.itertuples()]
    places = {(row.disturbance, row.strength): len(summary) - 1 - row.Index
              for row in summary.itertuples()}  # fmt: skip
    moved = table[(table["disturbance"] != "none") & table["change"].notna()]
    fig = chart("change of the predicted age (years)", "", height=140 + 24 * max(len(summary), 3))
    stated = table["smallest_change"].max()
    if pd.notna(stated):
        fig.add_vrect(x0=-stated, x1=stated, fillcolor=GRID, line_width=0, layer="below")
    fig.add_vline(x=0, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"})
    fig.add_scatter(
        x=moved["change"],
        y=[places[key] for key in zip(moved["disturbance"], moved["strength"], strict=True)],
        mode="markers",
        marker={"color": MODEL_COLOURS["TA"], "symbol": MODEL_SYMBOLS["TA"], "size": 9,
                "opacity": 0.75},
        hovertemplate="%{x:+.1f} years<extra></extra>",
        showlegend=False,
    )  # fmt: skip
    for row in summary[summary["n_scans"] == 0].itertuples():
        fig.add_annotation(x=0.5, xref="x domain", y=places[row.disturbance, row.strength],
                           text="refused by quality", showarrow=False)  # fmt: skip
    fig.update_yaxes(
        tickvals=list(places.values()), ticktext=names, range=[-0.6, len(summary) - 0.4],
        showgrid=False,
    )  # fmt: skip
    band = ""
    if pd.notna(stated):
        band = f"Grey: ± {number(stated, 1)} years, the smallest change that counts, from repeated "
        band += "scans of one person. "
    n = table["scan_id"].nunique()
    return finished(
        fig,
        title=_finding(summary),
        caption="A mark is a scan whose copy was disturbed before anything else was done to it, "
        f"less the same scan as it came. {band}n = {count(n, 'scan')}",
        alt="Dots beside a line of no change, a line a disturbance. "
        + "; ".join(
            f"{name}: {number(row.largest_change, 1)} years" if row.n_scans else f"{name}: refused"
            for name, row in zip(names, summary.itertuples(), strict=True)
        ),
        data=summary,
        source=source,
        name="stability",
    )


def _label(row) -> str:
    words = {
        "axes": "other order of axes",
        "voxel": f"voxels of {row.strength:g} mm",
        "slices": f"slices of {row.strength:g} mm",
        "tilt": f"tilted by {row.strength:g}°",
        "noise": f"noise of {row.strength:g} %",
        "bias": f"bias field of ± {row.strength:g} %",
        "scale": f"values × {row.strength:g}",
        "offset": f"values + {row.strength:g} %",
        "gamma": f"values to the power {row.strength:g}",
    }
    return words.get(row.disturbance, f"{row.disturbance} {row.strength:g} {row.unit}")


def _finding(summary: pd.DataFrame) -> str:
    known = summary[summary["n_scans"] > 0].reset_index(drop=True)
    if known.empty:
        return "No scan was answered, so that no answer can move"
    row = next(known.loc[[known["largest_change"].abs().idxmax()]].itertuples())
    largest = with_unit(number(row.largest_change, 1), "years")
    text = f"The answer moves by {largest} at most ({_label(row)})"
    if known["smallest_change"].isna().all():
        return text
    still = int((known["n_beyond"] == 0).sum())
    return f"{text}; {still} of {len(known)} disturbances stay within what repeated scans differ by"
