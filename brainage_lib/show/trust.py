"""How far a prediction can be trusted: coverage, bias over age, repeated scans, patients."""

from __future__ import annotations

import pandas as pd

from brainage_lib.show.colours import GRID, MODEL_COLOURS, MODEL_SYMBOLS, NEUTRAL
from brainage_lib.show.figure import Figure, chart, finished
from brainage_lib.show.intervals import intervals
from brainage_lib.show.words import (
    NOTHING,
    count,
    interval,
    listed,
    number,
    p_value,
    percent,
    with_interval,
)

_KINDS = {
    "constant": "one half-width for all",
    "local": "a half-width that depends on the predicted age",
}
_VERDICTS = {
    "as said": ("#009E73", "circle"),
    "too few": ("#D55E00", "triangle-down"),
    "too many": ("#0072B2", "triangle-up"),
}
_GAPS = {
    "raw": "raw gap",
    "linear": "corrected, linear",
    "lowess": "corrected, lowess",
}


def coverage_by_group(table: pd.DataFrame, *, source: str) -> Figure:
    """Share of intervals that contain the true age, with the band that the level allows.

    Parameters
    ----------
    table : DataFrame
        Schema COVERAGE, of one recipe, mode, model and kind of interval.
    source : str
        Where the scans come from.
    """
    rows = table.reset_index(drop=True)
    labels = [
        f"{row.group} (n = {row.n_scans:,}{' †' if row.small else ''})" for row in rows.itertuples()
    ]
    level = float(rows["level"].iloc[0]) if len(rows) else 0.9
    height = {place: len(rows) - 1 - place for place in rows.index}
    fig = chart("share of intervals that contain the age (%)", "", height=130 + 26 * len(rows))
    known = rows[rows["covered"].notna()]
    fig.add_bar(
        y=[height[place] for place in known.index],
        base=100 * known["band_low"],
        x=100 * (known["band_high"] - known["band_low"]),
        orientation="h",
        marker={"color": GRID, "line": {"width": 0}},
        width=0.7,
        name="where the share lies in 95 of 100 samples",
        hoverinfo="skip",
    )
    for verdict, (colour, symbol) in _VERDICTS.items():
        part = known[known["verdict"] == verdict]
        fig.add_scatter(
            x=100 * part["covered"],
            y=[height[place] for place in part.index],
            mode="markers",
            name={"as said": "within"}.get(verdict, verdict),
            marker={"color": colour, "symbol": symbol, "size": 10},
            customdata=part[["group", "n_scans"]],
            hovertemplate="%{customdata[0]}: %{x:.0f} %, n = %{customdata[1]}<extra></extra>",
        )
    fig.add_vline(x=100 * level, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"})
    fig.update_yaxes(
        tickvals=list(height.values()),
        ticktext=labels,
        range=[-0.6, len(rows) - 0.4],
        showgrid=False,
    )
    fig.update_xaxes(range=[min([40.0, *(100 * known["covered"])]) - 4, 104])
    return finished(
        fig,
        title=_covered(rows, level),
        caption=f"Intervals of {percent(level)} with {_kind(rows)}, by all, decade of age, study "
        "and sex. Grey: a binomial band, which takes scans as independent; † marks fewer than "
        f"10 scans; n = {count(_whole(rows), 'test scan')}",
        alt="Dots over bands, a line a group. "
        + "; ".join(
            f"{row.group}: {percent(row.covered)} (band {number(100 * row.band_low, 0)} to "
            f"{number(100 * row.band_high, 0)} %)"
            for row in known.itertuples()
        ),
        data=rows[["by", "group", "n_scans", "covered", "band_low", "band_high", "verdict",
                   "half_width"]],
        source=source,
        name="coverage",
    )  # fmt: skip


def bland_altman(pairs: pd.DataFrame, agreement: pd.Series | None, *, source: str) -> Figure:
    """Differences of repeated scans over their mean, with the limits of agreement.

    Parameters
    ----------
    pairs : DataFrame
        mean, difference (second minus first session) of the gaps in years, a row a person.
    agreement : Series or None
        A row of schema RELIABILITY; None where fewer than two people have two sessions.
    source : str
    """
    fig = chart("mean gap of two sessions (years)", "second − first session (years)")
    fig.add_scatter(
        x=pairs["mean"],
        y=pairs["difference"],
        mode="markers",
        marker={"color": MODEL_COLOURS["TA"], "symbol": MODEL_SYMBOLS["TA"], "opacity": 0.75},
        hovertemplate="gap %{x:.1f}, difference %{y:.1f} years<extra></extra>",
        showlegend=False,
    )
    title = "No two controls have two sessions: nothing can be said of repeated scans"
    limits = ""
    if agreement is not None:
        for value in (agreement["limit_low"], agreement["bias"], agreement["limit_high"]):
            fig.add_hline(y=value, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"})
        icc = with_interval(agreement["icc"], agreement["icc_low"], agreement["icc_high"])
        change = with_interval(
            agreement["smallest_change"],
            agreement["smallest_change_low"],
            agreement["smallest_change_high"],
            "years",
            1,
        )
        title = f"Repeated scans: ICC {icc}; the smallest change that counts is {change}"
        ends = interval(agreement["limit_low"], agreement["limit_high"], 1)
        limits = f"; 95 % limits of agreement {ends} years"
    return finished(
        fig,
        title=title,
        caption="A mark is a control scanned in two sessions, gap: predicted minus chronological "
        f"age, so that ageing in between is no disagreement{limits}. Dashed: mean difference and "
        f"limits; n = {count(len(pairs), 'person', 'people')}",
        alt=f"Scatter of the difference of two gaps over their mean. {title}",
        data=pairs,
        source=source,
        name="bland-altman",
    )


def bias_slopes(table: pd.DataFrame, *, source: str) -> Figure:
    """Slope of the gap over age of each model, raw and corrected.

    Parameters
    ----------
    table : DataFrame
        Schema BIAS, of one recipe, mode and kind of fit.
    """
    rows = table.assign(label=table["model"] + ", " + table["kind"].map(_GAPS))
    return intervals(
        rows,
        label="label",
        value="slope",
        low="slope_low",
        high="slope_high",
        axis="slope of the gap (years a year)",
        reference=0.0,
        digits=3,
        title=_slope(rows),
        caption="Corrections are fitted on other people's scans and use the true age: a corrected "
        f"value is no prediction. {_sizes(rows)}",
        source=source,
        name="bias",
    )


def patients_against_controls(table: pd.DataFrame, *, source: str) -> Figure:
    """Difference of the mean gap between patients and controls.

    Parameters
    ----------
    table : DataFrame
        Schema PATIENTS, of one recipe, mode, kind of fit and model.
    """
    rows = table.assign(
        label=[
            f"{row.diagnosis} (n = {row.n_patients:,}{' †' if row.small else ''}), {_GAPS[row.gap]}"
            for row in table.itertuples()
        ]
    )
    trained = int(rows["trained_on"].max()) if len(rows) else 0
    warned = (
        f"Careful: networks learned from {count(trained, 'scan')} of these patients. "
        if trained
        else "No network learned from these patients. "
    )
    controls = int(rows["n_controls"].max()) if len(rows) else 0
    return intervals(
        rows,
        label="label",
        value="difference",
        axis="gap of patients − gap of controls (years)",
        reference=0.0,
        title=_older(rows),
        caption=f"{warned}Patients are often older than controls, whose raw gap falls with age: "
        "the corrected gaps compare people of one age. † marks fewer than 10 scans; controls: "
        f"n = {count(controls, 'scan')}",
        source=source,
        name="patients",
    )


def _covered(rows: pd.DataFrame, level: float) -> str:
    whole = rows[rows["by"] == "all"]
    if whole.empty or pd.isna(whole["covered"].iloc[0]):
        return "The scans are too few to calibrate intervals on"
    row = whole.iloc[0]
    parts = rows[(rows["by"] != "all") & rows["covered"].notna() & ~rows["small"]]
    off = {
        verdict: list(parts.loc[parts["verdict"] == verdict, "group"])
        for verdict in ("too few", "too many")
    }
    says = [f"{verdict} in {listed(names)}" for verdict, names in off.items() if names]
    beyond = f"; {', '.join(says)}" if says else "; no group beyond its band"
    return (
        f"{number(100 * row['covered'], 1)} % of the {percent(level)} intervals "
        f"(± {number(row['half_width'], 1)} years) contain the true age{beyond}"
    )


def _kind(rows: pd.DataFrame) -> str:
    return _KINDS.get(rows["kind"].iloc[0], "") if len(rows) else NOTHING


def _whole(rows: pd.DataFrame) -> int:
    whole = rows.loc[rows["by"] == "all", "n_scans"]
    return int(whole.iloc[0]) if len(whole) else 0


def _slope(rows: pd.DataFrame) -> str:
    raw = rows[(rows["kind"] == "raw") & rows["slope"].notna()]
    if raw.empty:
        return "The slope of the gap over age is not known"
    row = raw[raw["model"] == "TA"].iloc[0] if (raw["model"] == "TA").any() else raw.iloc[0]
    years = 40 * abs(row["slope"])
    look = "younger" if row["slope"] < 0 else "older"
    slope = with_interval(row["slope"], row["slope_low"], row["slope_high"], digits=3)
    return (
        f"{row['model']}: the gap changes by {slope} years a year of age; people forty years "
        f"older look {number(years, 1)} years {look} for their age"
    )


def _older(rows: pd.DataFrame) -> str:
    known = rows[rows["difference"].notna()]
    if known.empty:
        return "There are no patients to compare with controls"
    linear = known[known["gap"] == "linear"]
    row = (linear if len(linear) else known).iloc[0]
    difference, low, high = row["difference"], row["low"], row["high"]
    look = "older"
    if difference < 0:
        difference, low, high, look = -difference, -high, -low, "younger"
    span = with_interval(difference, low, high, "years", 1)
    p = p_value(row["p"])
    return (
        f"{row['diagnosis']}: brains look {span} {look} than those of controls of the same age "
        f"(p {p if p.startswith('<') else f'= {p}'}, n = {int(row['n_patients']):,} scans)"
    )


def _sizes(rows: pd.DataFrame) -> str:
    n = int(rows["n_scans"].max()) if len(rows) else 0
    return f"n = {count(n, 'test scan')} of controls"
