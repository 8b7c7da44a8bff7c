"""What a T1w can say of blood, and what one generator says beside another: chapter 03."""

from __future__ import annotations

import pandas as pd

from brainage_lib.show.colours import NET_COLOURS, NEUTRAL
from brainage_lib.show.figure import Figure, chart, finished, place
from brainage_lib.show.table import Table, table
from brainage_lib.show.words import listed, number

SPREADS = {"T1": "square", "noise": "diamond", "scanner": "triangle-up"}
"""Causes other than blood, each with its symbol."""


def signal_against_blood(
    curves: pd.DataFrame, spreads: pd.DataFrame, *, sequence: str, causes: str, source: str
) -> Figure:
    """T1w signal against blood volume, beside the scatter that it drowns in.

    Parameters
    ----------
    curves, spreads : DataFrame
        As `brainage_lib.train.cbv_signal` gives them.
    sequence : str
        What the sequence is called.
    causes : str
        How large one standard deviation of each cause is, and by which source.
    source : str
        Where the numbers come from.
    """
    tissues = list(curves["tissue"].unique())
    fig = chart("blood volume (ml/100 ml)", "change of the T1w signal (%)", panels=tissues)
    for panel, tissue in enumerate(tissues):
        lines = curves[curves["tissue"] == tissue]
        for contrast, dash in ((False, "solid"), (True, "dashdot")):
            line = lines[lines["contrast"] == contrast]
            fig.add_scatter(
                x=line["cbv"],
                y=line["change_percent"],
                mode="lines",
                name="with contrast agent" if contrast else "T1w",
                line={"color": NET_COLOURS["T"], "dash": dash, "width": 2.5},
                hovertemplate="%{x:.1f} ml/100 ml: %{y:.2f} %<extra></extra>",
                showlegend=panel == 0,
                **place(panel),
            )
        plain = lines[~lines["contrast"]]
        rows = spreads[spreads["tissue"] == tissue].set_index("cause")["change_percent"]
        # On the line at a quarter, the middle and three quarters, so that they stand apart.
        for (cause, symbol), quarter in zip(SPREADS.items(), (1, 2, 3), strict=True):
            at = plain.iloc[quarter * (len(plain) - 1) // 4]
            fig.add_scatter(
                x=[at["cbv"]],
                y=[at["change_percent"]],
                mode="markers",
                name=f"± one SD of {cause}",
                marker={"color": NEUTRAL, "symbol": symbol, "size": 9},
                error_y={"array": [rows[cause]], "color": NEUTRAL, "thickness": 2, "width": 6},
                hovertemplate=f"{cause}: ± {rows[cause]:.2f} %<extra></extra>",
                showlegend=panel == 0,
                **place(panel),
            )
    fig.update_xaxes(rangemode="tozero")
    said = "; ".join(_spread_said(tissue, spreads) for tissue in tissues)
    return finished(
        fig,
        title=_drowned(spreads),
        caption=f"{sequence}. Solid: the signal of a voxel over two standard deviations (SD) of "
        "its blood volume to either side, all else fixed; dashed and dotted: the same with "
        f"gadolinium in the blood. Bars: ± one SD of what else moves the same voxel. {causes}. "
        "Computed from the equations, n = 0 scans",
        alt=f"A nearly flat line of signal against blood volume in {listed(tissues)}, a steep one "
        f"with contrast agent, and bars of scatter far taller than the flat line's rise. {said}",
        data=spreads,
        source=source,
        name="signal-against-blood",
    )


def _drowned(spreads: pd.DataFrame) -> str:
    if spreads.empty:
        return "No tissue was computed"
    rows = spreads[spreads["tissue"] == spreads["tissue"].iloc[0]].set_index("cause")
    blood, noise = rows.loc["blood volume"], rows.loc["noise"]
    return (
        f"One SD of blood volume moves a voxel of {rows['tissue'].iloc[0]} by "
        f"{number(blood['change_percent'])} %, its noise by {number(noise['change_percent'], 1)} "
        f"%: {number(noise['times_blood'], 0)} times more"
    )


def _spread_said(tissue: str, spreads: pd.DataFrame) -> str:
    rows = spreads[spreads["tissue"] == tissue]
    says = [f"{row.cause} {number(row.change_percent)} %" for row in rows.itertuples()]
    return f"{tissue}, one SD of each: {', '.join(says)}"


def generators_table(scores: pd.DataFrame, *, source: str) -> Table:
    """Scores of generators beside each other, and beside tissue means and ceiling.

    Parameters
    ----------
    scores : DataFrame
        As `brainage_lib.train.cbv_shipped.put_beside` gives them: ``predictor``, ``size``,
        ``learned``, measures by name.
    source : str
        Whose maps are scored.
    """
    best = scores.dropna(subset="spearman")
    says = [f"{row.predictor} {number(row.spearman)}" for row in best.itertuples()]
    return table(
        scores,
        by={"predictor": "Map"},
        columns={
            "size": "Size",
            "learned": "Learned",
            "spearman": ("Spearman",),
            "pearson": ("Pearson",),
            "ssim": ("SSIM",),
            "mae": ("MAE", "ml/100 ml"),
            "grey_residual_r2": ("R² within grey matter",),
        },
        title=f"Spearman correlation with the true CBV: {', '.join(says)}"
        if says
        else "No generator was scored",
        caption="Means over simulated people whom no generator has learned from, over the "
        "brain's voxels; R² within grey matter: what is left once tissue is known. SSIM: "
        "structural similarity. AICBV is a simulation-trained prior",
        source=source,
        name="generators",
    )
