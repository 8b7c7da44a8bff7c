"""Figure 3: the four models on the test scans, and what may be recorded of it."""

from __future__ import annotations

import pandas as pd

from brainage_lib.show.colours import MODEL_COLOURS, MODEL_NAMES, MODEL_SYMBOLS, NEUTRAL
from brainage_lib.show.figure import Figure, chart, finished, place
from brainage_lib.show.words import count, number, percent, scans_and_people
from brainage_lib.tables.schemas import DECADES, MODELS


def model_scatter(rows: pd.DataFrame, *, source: str) -> Figure:
    """Fig. 3, upper row: predicted against chronological age of each model on the test scans.

    Parameters
    ----------
    rows : DataFrame
        ``stacked.rows`` of one recipe, mode and kind of fit; rows of other roles than test
        are left out.
    """
    return _by_model(rows, source=source, residuals=False)


def model_residuals(rows: pd.DataFrame, *, source: str) -> Figure:
    """Fig. 3, lower row: predicted minus chronological age of each model on the test scans.

    Parameters
    ----------
    rows : DataFrame
        As for `model_scatter`.
    """
    return _by_model(rows, source=source, residuals=True)


def _by_model(rows: pd.DataFrame, *, source: str, residuals: bool) -> Figure:
    test = rows[rows["role"] == "test"].assign(gap=lambda t: t["stacked_age"] - t["age"])
    if test["scan_id"].size and test.duplicated(["scan_id", "model"]).any():
        raise ValueError(
            "a scan occurs twice for one model: choose one recipe, mode and kind of fit first"
        )
    y = "gap" if residuals else "stacked_age"
    parts = {model: test[test["model"] == model] for model in MODELS}
    errors = {model: part["gap"].abs().mean() for model, part in parts.items()}
    fig = chart(
        "age (years)",
        "gap (years)" if residuals else "predicted age (years)",
        height=640,
        panels=[_panel(model, part, residuals) for model, part in parts.items()],
    )
    ends = [test["age"].min(), test["age"].max()] if len(test) else []
    for panel, (model, part) in enumerate(parts.items()):
        fig.add_scatter(
            x=ends,
            y=[0] * len(ends) if residuals else ends,
            mode="lines",
            line={"color": NEUTRAL, "dash": "dash", "width": 1.5},
            hoverinfo="skip",
            showlegend=False,
            **place(panel),
        )
        fig.add_scatter(
            x=part["age"],
            y=part[y],
            mode="markers",
            marker={
                "color": MODEL_COLOURS[model],
                "symbol": MODEL_SYMBOLS[model],
                "opacity": 0.75,
                "size": 7,
            },
            customdata=part["project"],
            hovertemplate="%{customdata}: age %{x:.1f}, "
            + ("gap" if residuals else "predicted")
            + " %{y:.1f} years<extra></extra>",
            showlegend=False,
            **place(panel),
        )
    says = ", ".join(f"{model} {number(error)}" for model, error in errors.items())
    title = f"MAE on test scans: {says} years"
    if residuals:
        says = ", ".join(f"{model} {number(slope)}" for model, slope in _slopes(parts).items())
        title = f"Gap for each year of age: {says} years"
    dashed = "a gap of zero" if residuals else "predicted age equals age"
    return finished(
        fig,
        title=title if len(test) else "There are no test scans",
        caption=f"{_models()}. Each mark is one test scan; dashed: {dashed}; gap: predicted minus "
        f"chronological age; {scans_and_people(test)}",
        alt=f"Scatter over age, a panel a model. {title}",
        data=test[["model", "project", "sex", "age", "stacked_age", "gap"]],
        source=source,
        name="figure3-residuals" if residuals else "figure3-scatter",
    )


def error_quantiles(quantiles: pd.DataFrame, *, source: str) -> Figure:
    """Draw recorded Fig. 3: the gap by decade and model, without a single participant.

    Parameters
    ----------
    quantiles : DataFrame
        Columns decade, model, n_scans, q05, q25, q50, q75, q95 (years), of one recipe, mode and
        kind of fit. A group of few people has missing quantiles, or only its tails missing.
    """
    fig = chart("age (years)", "gap (years)", height=460)
    order = [name for name in DECADES if name in set(quantiles["decade"])]
    for model in MODELS:
        part = quantiles[(quantiles["model"] == model) & quantiles["q50"].notna()]
        if part.empty:
            continue
        fig.add_box(
            x=part["decade"],
            q1=part["q25"],
            median=part["q50"],
            q3=part["q75"],
            lowerfence=part["q05"].fillna(part["q25"]),
            upperfence=part["q95"].fillna(part["q75"]),
            name=MODEL_NAMES[model],
            line={"color": MODEL_COLOURS[model], "width": 2},
            fillcolor="rgba(0,0,0,0)",
        )
    fig.add_hline(y=0, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"})
    fig.update_layout(boxmode="group")
    fig.update_xaxes(type="category", categoryorder="array", categoryarray=order)
    known = quantiles[quantiles["q50"].notna()]
    hidden = quantiles.loc[quantiles["q50"].isna(), "decade"].nunique()
    sizes = known.drop_duplicates("decade")["n_scans"].sum()
    title = "No group is large enough to be shown"
    if len(known):
        worst = known.loc[known["q50"].abs().idxmax()]
        title = (
            f"The largest median gap is {number(worst['q50'], 1)} years ({worst['model']}, "
            f"ages {worst['decade']})"
        )
    return finished(
        fig,
        title=title,
        caption="Predicted minus chronological age. Box: middle half with the median; whiskers: "
        "5th to 95th percentile, where twenty people are behind them. Decades of fewer than ten "
        f"people are hidden ({hidden}); n = {count(int(sizes), 'scan')}",
        alt="Boxes of the gap by decade and model. "
        + "; ".join(
            f"{row.decade}, {row.model}: median {number(row.q50, 1)} years"
            for row in known.itertuples()
        ),
        data=quantiles,
        source=source,
        name="error-quantiles",
    )


def age_density(counts: pd.DataFrame, *, source: str) -> Figure:
    """Draw recorded Fig. 3: how many scans of each decade were predicted into which decade.

    Parameters
    ----------
    counts : DataFrame
        Columns model, decade, predicted_decade, n_scans; cells that are hidden because few
        people are in them have no n_scans.
    """
    models = [model for model in MODELS if model in set(counts["model"])]
    found = set(counts["decade"]) | set(counts["predicted_decade"])
    order = [name for name in DECADES if name in found]
    fig = chart("age (years)", "predicted age (years)", height=700, panels=models)
    largest = counts["n_scans"].max()
    for panel, model in enumerate(models):
        cells = (
            counts[counts["model"] == model]
            .pivot_table(index="predicted_decade", columns="decade", values="n_scans")
            .reindex(index=order, columns=order)
        )
        colour = MODEL_COLOURS[model]
        channels = ",".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
        fig.add_heatmap(
            x=order,
            y=order,
            z=cells.to_numpy(),
            text=[["" if pd.isna(n) else f"{n:.0f}" for n in row] for row in cells.to_numpy()],
            texttemplate="%{text}",
            # Never so strong that the page's text colour could not be read on it.
            colorscale=[[0, f"rgba({channels},0)"], [1, f"rgba({channels},0.55)"]],
            zmin=0,
            zmax=largest,
            showscale=False,
            hoverongaps=False,
            hovertemplate="%{x} years, predicted %{y}: %{z} scans<extra>" + model + "</extra>",
            **place(panel),
        )
    fig.update_xaxes(type="category", categoryorder="array", categoryarray=order)
    fig.update_yaxes(type="category", categoryorder="array", categoryarray=order)
    known = counts[counts["n_scans"].notna()]
    n = int(known.groupby("model")["n_scans"].sum().max()) if len(known) else 0
    same = known[known["decade"] == known["predicted_decade"]].groupby("model")["n_scans"].sum()
    total = known.groupby("model")["n_scans"].sum()
    says = ", ".join(f"{m} {percent(same.get(m, 0) / total[m])}" for m in models if m in total)
    return finished(
        fig,
        title=f"Of the scans in the cells shown, predicted into their own decade: {says}"
        if says
        else "No cell may be shown",
        caption="Counts of scans by decade of age and of predicted age; empty cells hold none or "
        f"too few to be shown; n = {count(n, 'scan')} in the cells shown",
        alt=f"Table of counts as a heat map, a panel a model. {says}",
        data=counts,
        source=source,
        name="age-density",
    )


def _models() -> str:
    """Say what the models' letters stand for."""
    return "Models: " + ", ".join(MODEL_NAMES[model] for model in MODELS)


def _panel(model: str, part: pd.DataFrame, residuals: bool) -> str:
    if part.empty:
        return f"{model}<br>no scans"
    if residuals:
        return f"{model}<br>SD {number(part['gap'].std())} years"
    return f"{model}<br>MAE {number(part['gap'].abs().mean())} years"


def _slopes(parts: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Slope of the gap on age by model; unknown for fewer than two ages."""
    slopes = {}
    for model, part in parts.items():
        variance = part["age"].var()
        known = len(part) > 1 and variance > 0
        slopes[model] = part["gap"].cov(part["age"]) / variance if known else float("nan")
    return slopes
