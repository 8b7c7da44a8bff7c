"""For whom: MAE of the four models by age and by study, as a chart (the tables: `compare`)."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from brainage_lib.show.colours import GRID, MODEL_COLOURS, MODEL_NAMES, MODEL_SYMBOLS
from brainage_lib.show.compare import SMALL, lowest_counts
from brainage_lib.show.figure import Figure, chart, finished
from brainage_lib.show.words import count, with_interval
from brainage_lib.tables.schemas import MODELS, OUTSIDE

_OFFSETS = {"T": 0.27, "A": 0.09, "TA": -0.09, "TAS": -0.27}


def mae_by_group(
    this_run: pd.DataFrame, paper: pd.DataFrame | None = None, *, group: str, source: str
) -> Figure:
    """MAE of the four models in each group, with intervals, and the paper's beside it.

    Parameters
    ----------
    this_run : DataFrame
        Schema TABLE2 or TABLE3, of one recipe, mode and kind of fit. Groups without a scan
        keep their line.
    paper : DataFrame, optional
        Columns ``group``, ``model``, ``mae``; open symbols.
    group : {"age_group", "project"}
    source : str
        Where the scans of this run come from.
    """
    if this_run.duplicated([group, "model"]).any():
        raise ValueError(
            f"several rows for one {group} and model: choose one recipe, mode and kind of fit first"
        )
    sizes = this_run.drop_duplicates(group).set_index(group)["n_scans"]
    names = [name for name in sizes.index if name != OUTSIDE or sizes[name] > 0]
    labels = [
        f"{name} (n = {sizes[name]:,}{' †' if 0 < sizes[name] < SMALL else ''})" for name in names
    ]
    height = {name: len(names) - 1 - line for line, name in enumerate(names)}
    fig = chart("MAE (years)", "", height=130 + 48 * max(len(names), 2))
    for model in MODELS:
        _dots(fig, model, this_run[this_run["model"] == model], group, height)
        if paper is not None:
            _paper_dots(fig, model, paper[paper["model"] == model], group, height)
    for name in names:
        if sizes[name] == 0 and not _printed(paper, group, name):
            fig.add_annotation(
                x=0.5, xref="x domain", y=height[name], text="no test scan", showarrow=False
            )
        fig.add_hline(y=height[name] - 0.5, line={"color": GRID, "width": 1})
    fig.update_yaxes(
        tickvals=[height[name] for name in names],
        ticktext=labels,
        range=[-0.6, len(names) - 0.4],
        showgrid=False,
        title_text="age (years)" if group == "age_group" else "study",
    )
    fig.update_xaxes(rangemode="tozero")
    beside = "; open symbols: the paper" if paper is not None else ""
    return finished(
        fig,
        title=lowest_counts(this_run, group),
        caption=f"Filled symbols: this run with 95 % intervals{beside}. † marks fewer than {SMALL} "
        f"scans; n = {count(int(sizes.sum()), 'test scan')}",
        alt="Dots with intervals, four models a group. "
        + "; ".join(
            f"{getattr(row, group)} {row.model}: "
            f"{with_interval(row.mae, row.mae_low, row.mae_high, 'years')}"
            for row in this_run[this_run["mae"].notna()].itertuples()
        ),
        data=_numbers(this_run, paper, group),
        source=source,
        name=f"mae-by-{group.replace('_', '-')}",
    )


def _printed(paper: pd.DataFrame | None, group: str, name: str) -> bool:
    return paper is not None and name in set(paper[group])


def _dots(fig: go.Figure, model: str, rows: pd.DataFrame, group: str, height: dict) -> None:
    rows = rows[rows["mae"].notna()]
    fig.add_scatter(
        x=rows["mae"],
        y=[height[name] + _OFFSETS[model] for name in rows[group]],
        mode="markers",
        name=MODEL_NAMES[model],
        legendgroup=model,
        marker={"color": MODEL_COLOURS[model], "symbol": MODEL_SYMBOLS[model], "size": 8},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (rows["mae_high"] - rows["mae"]).fillna(0).clip(lower=0),
            "arrayminus": (rows["mae"] - rows["mae_low"]).fillna(0).clip(lower=0),
            "color": MODEL_COLOURS[model],
            "thickness": 1.5,
            "width": 0,
        },
        customdata=rows[[group, "n_scans"]],
        hovertemplate="%{customdata[0]}: %{x:.2f} years, n = %{customdata[1]}"
        f"<extra>{model}</extra>",
    )


def _paper_dots(fig: go.Figure, model: str, rows: pd.DataFrame, group: str, height: dict) -> None:
    rows = rows[rows[group].isin(height)]
    fig.add_scatter(
        x=rows["mae"],
        y=[height[name] + _OFFSETS[model] for name in rows[group]],
        mode="markers",
        name=f"{model}, paper",
        legendgroup=model,
        showlegend=False,
        marker={
            "color": MODEL_COLOURS[model],
            "symbol": f"{MODEL_SYMBOLS[model]}-open",
            "size": 8,
            "line": {"width": 1.5},
        },
        customdata=rows[[group]],
        hovertemplate="%{customdata[0]}, paper: %{x:.2f} years" + f"<extra>{model}</extra>",
    )


def _numbers(this_run: pd.DataFrame, paper: pd.DataFrame | None, group: str) -> pd.DataFrame:
    kept = [group, "model", "source", "n_scans", "mae", "mae_low", "mae_high"]
    parts = [this_run.assign(source="this run")]
    if paper is not None:
        parts.append(paper[[group, "model", "mae"]].assign(source="paper"))
    return pd.concat(parts)[kept] if len(parts) > 1 else parts[0][kept]
