"""Charts: plotly figures that read well in a page, in JupyterLab, in the dark and on a phone."""

from __future__ import annotations

import html
import json
import textwrap
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from brainage_lib.show.colours import GRID, NEUTRAL
from brainage_lib.show.page import STYLE, Shown, captioned

_AXIS = {
    "automargin": True,
    "gridcolor": GRID,
    "linecolor": NEUTRAL,
    "tickcolor": NEUTRAL,
    "zeroline": False,
    "title": {"standoff": 8},
}

TEMPLATE = go.layout.Template(
    layout={
        "font": {"color": NEUTRAL, "size": 13, "family": "system-ui, sans-serif"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "margin": {"l": 8, "r": 20, "t": 12, "b": 8},
        "legend": {
            "orientation": "h",
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "x": 0,
            "xanchor": "left",
            "traceorder": "normal",
        },
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": NEUTRAL, "font": {"color": "#1a1a1a"}},
        "autosize": True,
        "dragmode": False,
    }
)
"""No ground of its own, no width of its own, legend below; dragging is left to the page, which a
finger scrolls (in JupyterLab it zooms)."""

CONFIG = {"responsive": True, "displayModeBar": False, "displaylogo": False}
"""Without plotly's buttons: they would sit inside an element that counts as one picture."""

HEIGHT = 420

_BREAK_TITLES = (
    "if(place.clientWidth<480)for(var k in f.layout)if(/^xaxis/.test(k)){"
    "var t=f.layout[k].title;"
    "if(t&&t.text)t.text=t.text.replace(/(.{8,18}) (?=\\S)/g,'$1<br>')}"
)
"""Plotly breaks no lines: on a phone an axis's title would run over the edge, or over the next
panel's."""


@dataclass(frozen=True, repr=False)
class Figure(Shown):
    """A chart with its words and numbers.

    Attributes
    ----------
    fig : plotly Figure
        The chart without title and caption; these stand around it in a page and are drawn
        into it in JupyterLab.
    """

    fig: go.Figure

    def save_buttons(self) -> str:
        """Return buttons that save the chart, at the width of a page of paper."""
        size = {"width": 960, "height": self.fig.layout.height or HEIGHT}
        return "".join(
            self._save_button(
                kind,
                "Plotly.downloadImage(figure.querySelector('.plotly-graph-div'),"
                + json.dumps(size | {"format": kind.lower(), "filename": self.name})
                + ")",
            )
            for kind in ("SVG", "PNG")
        )

    def html(self) -> str:
        """Return the chart for a page that has loaded plotly.js; nothing else is fetched."""
        plain = go.Figure(self.fig)
        height = plain.layout.height or HEIGHT
        plain.layout.height = None
        spec = json.loads(plain.to_json())
        code = json.dumps(
            {"data": spec["data"], "layout": spec["layout"], "config": CONFIG},
            separators=(",", ":"),
        ).replace("<", "\\u003c")
        return self._figure(
            f'<div class="shown-chart" role="img" aria-label="{html.escape(self.alt)}" '
            f'style="height:{height}px"><div class="plotly-graph-div" '
            'style="width:100%;height:100%"></div></div>'
            "<script>(function(){var place=document.currentScript.previousElementSibling"
            f".firstElementChild,f={code};"
            "function draw(){"
            f"{_BREAK_TITLES}"
            "Plotly.newPlot(place,f.data,f.layout,f.config)}"
            'window.Plotly?draw():window.addEventListener("load",draw)})()</script>'
            "<noscript>The chart needs JavaScript; its numbers are linked below.</noscript>"
        )

    def with_words(self) -> go.Figure:
        """Return the chart with title and caption drawn above it, as JupyterLab shows it."""
        worded = go.Figure(self.fig)
        title = textwrap.wrap(self.title, 90)
        caption = textwrap.wrap(self.caption, 120)
        escaped = [line.replace("<", "&lt;") for line in title + caption]
        lines = [f"<b>{line}</b>" for line in escaped[: len(title)]]
        lines += [f'<span style="font-size:12px">{line}</span>' for line in escaped[len(title) :]]
        above = 20 * len(title) + 18 * len(caption) + 36
        worded.update_layout(
            title={
                "text": "<br>".join(lines),
                "font": {"size": 15},
                "x": 0,
                "xanchor": "left",
                "y": 1,
                "yanchor": "top",
                "yref": "container",
                "pad": {"t": 20, "l": 8},
            },
            margin={"t": above + (worded.layout.margin.t or 12)},
            height=(worded.layout.height or HEIGHT) + above,
            dragmode="zoom",
        )
        return worded

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {
            "application/vnd.plotly.v1+json": json.loads(self.with_words().to_json())
            | {"config": {"responsive": True, "displaylogo": False}},
            "text/html": STYLE + self.html(),
            "text/plain": repr(self),
        }


def chart(
    x: str, y: str, *, height: int = HEIGHT, panels: list[str] | None = None, columns: int = 2
) -> go.Figure:
    """Begin a chart: axes named with their units, one panel or several with equal axes.

    Parameters
    ----------
    x, y : str
        Titles of the axes with units, for instance ``"age (years)"``.
    height : int
        In pixels; the width is the page's.
    panels : list of str, optional
        Titles of the panels, row by row; lines of at most 20 letters (``<br>`` between them)
        fit on a phone.
    columns : int
        Panels beside each other.
    """
    if not panels:
        fig = go.Figure()
        fig.update_xaxes(title_text=x)
        fig.update_yaxes(title_text=y)
    else:
        columns = min(columns, len(panels))
        rows = -(-len(panels) // columns)
        above = 10 + 16 * (1 + max(title.count("<br>") for title in panels))
        fig = make_subplots(
            rows=rows,
            cols=columns,
            shared_xaxes="all",
            shared_yaxes="all",
            subplot_titles=panels,
            horizontal_spacing=0.04,
            vertical_spacing=(above + 12) / height,
        )
        fig.update_annotations(font_size=12)
        for panel in range(len(panels)):
            where = place(panel, columns)
            if panel + columns >= len(panels):
                fig.update_xaxes(title_text=x, showticklabels=True, **where)
            if where["col"] == 1:
                fig.update_yaxes(title_text=y, **where)
        fig.update_layout(margin_t=above + 4)
    fig.update_layout(template=TEMPLATE, height=height)
    return fig


def place(panel: int, columns: int = 2) -> dict[str, int]:
    """Row and column of a panel, as plotly's ``add_trace`` takes them (counted from 1)."""
    return {"row": panel // columns + 1, "col": panel % columns + 1}


def finished(
    fig: go.Figure,
    *,
    title: str,
    caption: str,
    alt: str,
    data: pd.DataFrame,
    source: str,
    name: str,
) -> Figure:
    """Put words and numbers to a chart; one without any row says so in its middle.

    Parameters
    ----------
    source : str
        Where the scans come from, for instance ``"simulated scans"``; ends the caption.
    """
    if data.empty:
        fig.add_annotation(
            text="no scans", showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper"
        )
    return Figure(title, captioned(caption, source), alt, data.reset_index(drop=True), name, fig)
