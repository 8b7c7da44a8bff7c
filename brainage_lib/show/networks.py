"""How the networks learned and what they predict: charts of chapters 03 and 05."""

from __future__ import annotations

import pandas as pd

from brainage_lib.show.colours import NEUTRAL, net_colour, net_name, net_short, net_symbol
from brainage_lib.show.figure import Figure, chart, finished, place
from brainage_lib.show.intervals import intervals, mean_interval
from brainage_lib.show.words import count, listed, number, scans_and_people

MEASURES = {
    "pearson": "Pearson correlation with the true CBV",
    "spearman": "Spearman correlation with the true CBV",
    "concordance": "Lin's concordance with the true CBV",
    "r2": "R² against the true CBV",
    "residual_r2": "R² within tissue",
    "mae": "mean absolute error (ml/100 ml)",
    "psnr": "peak signal-to-noise ratio (dB)",
    "ssim": "structural similarity",
}
"""Measures of schema AICBV_SCORES, with units where they have one."""

REGIONS = ("brain", "grey matter", "white matter")
PREDICTORS = ("network", "T1w transform", "tissue means", "ceiling")

_PANEL = ["recipe", "mode", "net", "seed"]


def training_curves(logs: pd.DataFrame, *, source: str) -> Figure:
    """Mean absolute error by epoch, a panel a network, a pair of lines a fold.

    Parameters
    ----------
    logs : DataFrame
        Columns recipe, mode, net, seed, fold, epoch, train_mae, validation_mae (years), kept:
        the ``log.csv`` of each training with its place in the run, and its kept epoch.
    """
    groups = list(logs.groupby(_PANEL, sort=False))
    fig = chart(
        "epoch",
        "MAE (years)",
        height=90 + 260 * -(-max(len(groups), 1) // 2),
        panels=[_panel_name(*key) for key, _ in groups],
    )
    best = []
    for number_of, (key, rows) in enumerate(groups):
        net = key[2]
        for fold, part in rows.groupby("fold"):
            chosen = part[part["kept"]].iloc[0]
            best.append({**dict(zip(_PANEL, key, strict=True)), "fold": fold} | chosen.to_dict())
            for column, dash in (("train_mae", "dot"), ("validation_mae", "solid")):
                fig.add_scatter(
                    x=part["epoch"],
                    y=part[column],
                    mode="lines",
                    line={"color": net_colour(net), "dash": dash, "width": 2},
                    hovertemplate=f"fold {fold}, {column.removesuffix('_mae')}, epoch %{{x}}: "
                    "%{y:.2f} years<extra></extra>",
                    showlegend=False,
                    **place(number_of),
                )
            fig.add_scatter(
                x=[chosen["epoch"]],
                y=[chosen["validation_mae"]],
                mode="markers",
                marker={"color": net_colour(net), "symbol": net_symbol(net), "size": 11},
                hovertemplate=f"fold {fold}, kept: epoch %{{x}}, %{{y:.2f}} years<extra></extra>",
                showlegend=False,
                **place(number_of),
            )
    _legend(fig, {"training": "dot", "validation": "solid"})
    fig.update_yaxes(rangemode="tozero")
    kept = pd.DataFrame(best, columns=[*_PANEL, "fold", "epoch", "validation_mae"])
    return finished(
        fig,
        title=_best_of(kept),
        caption="Dotted: training scans, as the network met them (augmented, if they are); solid: "
        "validation scans; mark: the epoch whose weights were kept; "
        f"n = {count(len(kept), 'training')}",
        alt="Lines of error by epoch, a panel a network. "
        + "; ".join(
            f"{_in_words(row.recipe, row.mode, row.net, row.seed)}, fold {row.fold}: kept epoch "
            f"{row.epoch:.0f}, validation {row.validation_mae:.2f} years"
            for row in kept.itertuples()
        ),
        data=logs[[*_PANEL, "fold", "epoch", "train_mae", "validation_mae"]],
        source=source,
        name="training-curves",
    )


def generator_curve(log: pd.DataFrame, *, source: str) -> Figure:
    """Loss of the generator over its training steps.

    Parameters
    ----------
    log : DataFrame
        Columns step and loss: ``aicbv/log.csv``, the mean loss of the steps since the line
        before.
    source : str
        Where the people come from that it was trained on.
    """
    fig = chart("training step", "loss (ml/100 ml)")
    fig.add_scatter(
        x=log["step"],
        y=log["loss"],
        mode="lines",
        line={"color": net_colour("A"), "width": 2},
        hovertemplate="step %{x}: %{y:.4g}<extra></extra>",
        showlegend=False,
    )
    fig.update_yaxes(rangemode="tozero")
    title = "The generator was not trained"
    if len(log):
        first, last = number(log["loss"].iloc[0], 3), number(log["loss"].iloc[-1], 3)
        steps = count(int(log["step"].max()), "step")
        title = f"The loss went from {first} to {last} ml/100 ml in {steps}"
    return finished(
        fig,
        title=title,
        caption="Mean loss of the steps since the point before, on people outside the cohort; "
        f"n = {count(len(log), 'logged point')}",
        alt=f"Line of the loss over the training steps. {title}",
        data=log[["step", "loss"]],
        source=source,
        name="generator-curve",
    )


def predicted_against_age(predictions: pd.DataFrame, *, source: str) -> Figure:
    """Predicted against chronological age on the test scans, a panel a network.

    Parameters
    ----------
    predictions : DataFrame
        Schema PREDICTIONS; rows of other roles than test are left out.
    """
    test = predictions[predictions["role"] == "test"]
    groups = list(test.groupby(_PANEL, sort=False))
    errors = {key: (rows["predicted_age"] - rows["age"]).abs().mean() for key, rows in groups}
    panels = [
        f"{_panel_name(*key)}<br>MAE {number(errors[key])} years<br>n = {len(rows):,}"
        for key, rows in groups
    ]
    fig = chart(
        "age (years)",
        "predicted age (years)",
        height=90 + 330 * -(-max(len(groups), 1) // 2),
        panels=panels,
    )
    for number_of, (key, rows) in enumerate(groups):
        ends = [float(rows["age"].min()), float(rows["age"].max())]
        fig.add_scatter(
            x=ends,
            y=ends,
            mode="lines",
            line={"color": NEUTRAL, "dash": "dash", "width": 1.5},
            hoverinfo="skip",
            showlegend=False,
            **place(number_of),
        )
        fig.add_scatter(
            x=rows["age"],
            y=rows["predicted_age"],
            mode="markers",
            marker={"color": net_colour(key[2]), "symbol": net_symbol(key[2]), "opacity": 0.75},
            customdata=rows["project"],
            hovertemplate="%{customdata}: age %{x:.1f}, predicted %{y:.1f} years<extra></extra>",
            showlegend=False,
            **place(number_of),
        )
    says = [f"{_in_words(*key)} {number(error)}" for key, error in errors.items()]
    return finished(
        fig,
        title=f"MAE on test scans: {listed(says)} years" if says else "There are no test scans",
        caption="Each mark is one test scan; dashed: predicted age equals age; "
        f"{scans_and_people(test)}",
        alt=f"Scatter of predicted age over age, a panel a network. MAE: {listed(says)} years",
        data=test[[*_PANEL, "fold", "project", "sex", "age", "predicted_age"]],
        source=source,
        name="predicted-against-age",
    )


def cbv_scores(scores: pd.DataFrame, *, measure: str, source: str) -> Figure:
    """Scores of the generator beside its baselines and its ceiling, by region.

    Parameters
    ----------
    scores : DataFrame
        Schema AICBV_SCORES.
    measure : str
        One of its measures.
    """
    rows = scores[(scores["measure"] == measure) & scores["value"].notna()]
    summary = [
        {"region": region, "predictor": predictor, "label": f"{region}: {predictor}"}
        | mean_interval(part["value"])
        for region in REGIONS
        for predictor in PREDICTORS
        if len(part := rows[(rows["region"] == region) & (rows["predictor"] == predictor)])
    ]
    table = pd.DataFrame(
        summary, columns=["region", "predictor", "label", "value", "low", "high", "n_scans"]
    )
    digits = 1 if measure == "psnr" else 2
    figure = intervals(
        table,
        label="label",
        value="value",
        axis=MEASURES[measure],
        reference=None,
        title=_scored(table, measure, digits),
        caption="AICBV is a simulation-trained prior. Mean over scans and its interval. Tissue "
        "means and a fixed transform of T1w are baselines; the ceiling is told the true tissue of "
        "each voxel as well; "
        f"n = {count(rows['scan_id'].nunique(), 'scan')}",
        source=source,
        name=f"cbv-{measure}",
        digits=digits,
    )
    return figure


def _scored(table: pd.DataFrame, measure: str, digits: int) -> str:
    if table.empty:
        return f"No scan has a score: {MEASURES[measure]}"
    region = table["region"].iloc[0]
    rows = table[table["region"] == region]
    says = [f"{row.predictor} {number(row.value, digits)}" for row in rows.itertuples()]
    name = MEASURES[measure]
    return f"{name[:1].upper()}{name[1:]}, {region}: {', '.join(says)}"


def _panel_name(recipe: str, mode: str, net: str, seed: int) -> str:
    """Name a panel in two short lines."""
    return f"{net_name(net, int(seed))}<br>{recipe}, {mode} mode"


def _in_words(recipe: str, mode: str, net: str, seed: int) -> str:
    return f"{net_short(net, int(seed))} ({recipe} recipe, {mode} mode)"


def _best_of(kept: pd.DataFrame) -> str:
    if kept.empty:
        return "No network was trained"
    says = []
    for key, rows in kept.groupby(_PANEL, sort=False):
        low, high = number(rows["validation_mae"].min()), number(rows["validation_mae"].max())
        says.append(f"{_in_words(*key)} {low if low == high else f'{low}–{high}'}")
    return f"Validation MAE at the kept epoch: {listed(says)} years"


def _legend(fig, dashes: dict[str, str]) -> None:
    """Explain the dashes once, whatever the panels hold."""
    for label, dash in dashes.items():
        fig.add_scatter(
            x=[None], y=[None], mode="lines", name=label, line={"color": NEUTRAL, "dash": dash}
        )
