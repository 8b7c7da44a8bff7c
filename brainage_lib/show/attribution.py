"""Tests of the maps: whether they change when the network forgets what it learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from brainage_lib.show.colours import NEUTRAL, net_colour, net_name, net_symbol
from brainage_lib.show.figure import Figure, chart, finished
from brainage_lib.show.intervals import mean_interval
from brainage_lib.show.words import count, listed, number, with_interval


class Step(Protocol):
    """One step of the cascade: `brainage_lib.explain.RandomisedStep`, or alike."""

    layer: str
    similarity: np.ndarray


def randomisation(steps: Mapping[str, Sequence[Step]], *, source: str) -> Figure:
    """Similarity of maps to those of the same network, randomised layer by layer.

    Parameters
    ----------
    steps : mapping of net to sequence of Step
        As `brainage_lib.explain.randomisation_test` returns them, from the output back to
        the first layer.
    source : str
    """
    rows = [
        {"net": net, "layer": step.layer} | mean_interval(pd.Series(step.similarity))
        for net, cascade in steps.items()
        for step in cascade
    ]
    data = pd.DataFrame(rows, columns=["net", "layer", "value", "low", "high", "n_scans"])
    fig = chart("randomised back to this layer", "rank correlation of maps (−1 to 1)")
    for net in steps:
        part = data[data["net"] == net]
        fig.add_scatter(
            x=part["layer"],
            y=part["value"],
            name=net_name(net),
            mode="lines+markers",
            line={"color": net_colour(net), "width": 2},
            marker={"symbol": net_symbol(net), "size": 9},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": (part["high"] - part["value"]).fillna(0),
                "arrayminus": (part["value"] - part["low"]).fillna(0),
                "color": net_colour(net),
                "thickness": 1.5,
                "width": 4,
            },
            hovertemplate="%{x}: %{y:.2f}<extra>" + net + "</extra>",
        )
    fig.add_hline(y=0, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"})
    fig.update_xaxes(type="category")
    ends = []
    for net in steps:
        part = data[data["net"] == net]
        if len(part):
            last = part.iloc[-1]
            ends.append(f"{net} {with_interval(last['value'], last['low'], last['high'])}")
    n = int(data["n_scans"].max()) if len(data) else 0
    return finished(
        fig,
        title=f"With all layers random, maps correlate with the learned ones: {listed(ends)}"
        if ends
        else "No map was tested",
        caption="Spearman correlation within the brain between each scan's map and that of the "
        "network whose layers, from the output back to the named one, were drawn anew; mean and "
        "95 % interval. Near 1: the map shows the image, not what was learned; n = "
        f"{count(n, 'scan')}",
        alt="Lines over layers, one a network. "
        + "; ".join(f"{row.net}, {row.layer}: {number(row.value)}" for row in data.itertuples()),
        data=data,
        source=source,
        name="randomisation",
    )
