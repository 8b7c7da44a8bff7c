"""Values with their intervals beside a reference: differences, the control ladder, coverage."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy import stats

from brainage_lib.show.colours import NEUTRAL
from brainage_lib.show.figure import Figure, chart, finished
from brainage_lib.show.words import NOTHING, count, interval, number, with_interval, with_unit

MARK = "#0072B2"


def intervals(
    rows: pd.DataFrame,
    *,
    label: str,
    value: str,
    axis: str,
    reference: float | None,
    title: str,
    caption: str,
    source: str,
    name: str,
    low: str = "low",
    high: str = "high",
    digits: int = 2,
) -> Figure:
    """Dots with intervals, one a row, from top to bottom as the table has them.

    Parameters
    ----------
    rows : DataFrame
        Columns ``label``, ``value``, ``low``, ``high``; ``n_scans`` where known. A missing
        value leaves its line empty and says so (in the words of ``status``, if there is such
        a column), a missing interval leaves the dot bare.
    label, value, low, high : str
        Names of the columns.
    axis : str
        Title of the axis, with the unit.
    reference : float or None
        Where a line is drawn: no difference, the nominal coverage.
    title, caption, source, name : str
        As in `Shown`.
    digits : int
        Of the numbers in the description and on hovering.
    """
    rows = rows.reset_index(drop=True)
    names = _labels(rows, label)
    fig = chart(axis, "", height=130 + 34 * max(len(rows), 3))
    known = rows[value].notna()
    fig.add_scatter(
        x=rows.loc[known, value],
        y=names[known],
        mode="markers",
        marker={"color": MARK, "size": 11, "symbol": "circle"},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (rows[high] - rows[value])[known].fillna(0).clip(lower=0),
            "arrayminus": (rows[value] - rows[low])[known].fillna(0).clip(lower=0),
            "color": MARK,
            "thickness": 2,
            "width": 5,
        },
        customdata=_texts(rows, value, low, high, digits)[known],
        hovertemplate="%{y}: %{customdata}<extra></extra>",
        showlegend=False,
    )
    why = rows["status"] if "status" in rows else pd.Series("not known", index=rows.index)
    for place, text in zip(names[~known], why[~known], strict=True):
        fig.add_annotation(x=0.5, xref="x domain", y=place, text=text, showarrow=False)
    if reference is not None:
        _line(fig, reference)
    fig.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=list(names[::-1]),
        range=[-0.6, len(rows) - 0.4],
    )
    texts = _texts(rows, value, low, high, digits)
    about = "" if reference is None else f" Reference line at {number(reference, digits)}."
    kept = [label, value, low, high, *[column for column in ("n_scans", "p", "p_holm")
                                      if column in rows]]  # fmt: skip
    return finished(
        fig,
        title=title,
        caption=f"Dot: {axis}; line: 95 % interval. {caption}",
        alt=f"Dots with intervals, {axis}.{about} "
        + "; ".join(
            f"{place.replace('<br>', ' ')}: {text}"
            for place, text in zip(names, texts, strict=True)
        ),
        data=rows[kept],
        source=source,
        name=name,
    )


def differences(
    rows: pd.DataFrame, *, source: str, what: str = "MAE", unit: str = "years", name: str
) -> Figure:
    """Paired differences (first minus second) with their intervals and the line of no difference.

    Parameters
    ----------
    rows : DataFrame
        Columns ``first``, ``second``, ``difference``, ``low``, ``high``, ``n_scans``, as
        `brainage_lib.stats.compare_models` and the control ladder give them; positive where
        the second errs less. ``label`` replaces "first − second" where it is there.
    what, unit : str
        What is compared, and its unit.
    name : str
        File name of the numbers.
    """
    rows = rows.reset_index(drop=True)
    if "label" not in rows:
        rows["label"] = [
            f"{first} − {second}"
            for first, second in zip(rows["first"], rows["second"], strict=True)
        ]
    return intervals(
        rows,
        label="label",
        value="difference",
        axis=f"difference of {what} ({unit})",
        reference=0.0,
        title=_findings(rows, unit),
        caption="Positive: the second errs less. Dashed: no difference. Scans that both "
        f"predicted; {_sizes(rows)}",
        source=source,
        name=name,
    )


def difference_sentence(row: pd.Series, unit: str = "years", digits: int = 2) -> str:
    """Say which of two errs less, by how much, and of how many scans; or that it is not clear.

    Parameters
    ----------
    row : Series
        ``first``, ``second``, ``difference`` (first minus second), ``low``, ``high``,
        ``n_scans``.

    Examples
    --------
    >>> row = pd.Series(dict(first="T", second="TA", difference=0.3, low=-0.1, high=0.7,
    ...                      n_scans=36))
    >>> difference_sentence(row, digits=1)
    'No clear difference: TA errs 0.3 years less than T (95 % interval −0.1 to 0.7), n = 36 scans'
    """
    gain, low, high = row["difference"], row["low"], row["high"]
    winner, loser = row["second"], row["first"]
    if pd.isna(gain):
        return f"{winner} and {loser} cannot be compared: no scan has both"
    if gain < 0:
        winner, loser = loser, winner
        gain, low, high = -gain, -high, -low
    text = with_unit(number(gain, digits), unit)
    ends = interval(low, high, digits)
    span = f" (95 % interval {ends})" if ends else ""
    n = count(int(row["n_scans"]), "scan")
    unclear = "No clear difference: " if ends and low <= 0 <= high else ""
    return f"{unclear}{winner} errs {text} less than {loser}{span}, n = {n}"


_OVER = {
    "t": ("gain_over_t", "T"),
    "second_look": ("gain_over_second_look", "T + T′"),
    "tissue": ("gain_over_tissue", "T + M"),
}


def control_ladder(ladder: pd.DataFrame, *, over: str, source: str) -> Figure:
    """Gain in MAE of each rung of the control ladder over one of them.

    Parameters
    ----------
    ladder : DataFrame
        Schema LADDER, of one recipe and mode. Rungs that were not run keep their line and
        say why.
    over : {"t", "second_look", "tissue"}
        Over T alone, over T with a second look at T1w, over T with tissue maps.
    """
    column, reference = _OVER[over]
    rows = ladder[ladder["rung"] != reference].reset_index(drop=True)
    with_a = rows[(rows["rung"] == "T + A") & rows[column].notna()]
    title = f"What AICBV gains over {reference} is not known"
    if len(with_a):
        row = with_a.iloc[0]
        ends = row[f"{column}_low"], row[f"{column}_high"]
        n = count(int(row["n_scans"]), "scan")
        gain = number(row[column]) + " years over " + reference
        span = interval(*ends)
        title = f"T + A gains {gain}{f' (95 % interval {span})' if span else ''}, n = {n}"
    return intervals(
        rows,
        label="rung",
        value=column,
        low=f"{column}_low",
        high=f"{column}_high",
        axis=f"gain over {reference} (years)",
        reference=0.0,
        title=title,
        caption=f"Positive: smaller MAE than {reference}. T′: second seed, F: fixed transform of "
        "T1w, M: tissue maps, X: shuffled AICBV (should gain nothing), P: planted signal (should "
        f"gain). Dashed: no gain; {_sizes(rows[rows[column].notna()])}",
        source=source,
        name=f"ladder-over-{over.replace('_', '-')}",
    )


def mean_interval(values: pd.Series) -> dict[str, float]:
    """Mean with its 95 % t interval: value, low, high, n_scans; no interval for one value."""
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return {"value": mean, "low": np.nan, "high": np.nan, "n_scans": n}
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return {"value": mean, "low": mean - half, "high": mean + half, "n_scans": n}


def _findings(rows: pd.DataFrame, unit: str) -> str:
    if rows.empty:
        return "There is nothing to compare"
    first = difference_sentence(rows.iloc[0], unit)
    if len(rows) == 1:
        return first
    clear = ((rows["low"] > 0) | (rows["high"] < 0)).sum()
    return f"{first}; {clear} of {count(len(rows), 'interval')} leave zero out"


def _sizes(rows: pd.DataFrame) -> str:
    if "n_scans" not in rows or rows.empty:
        return "n = 0 scans"
    low, high = int(rows["n_scans"].min()), int(rows["n_scans"].max())
    return f"n = {count(high, 'scan')}" if low == high else f"n = {low:,} to {high:,} scans"


def _labels(rows: pd.DataFrame, label: str) -> pd.Series:
    names = rows[label].astype(str)
    if "n_scans" in rows and rows["n_scans"].nunique() > 1:
        names = names + [f" (n = {int(n):,})" for n in rows["n_scans"]]
    # Plotly breaks no lines, and a phone leaves a label half of its width.
    return names.map(lambda name: "<br>".join(textwrap.wrap(name, 30, break_long_words=False)))


def _texts(rows: pd.DataFrame, value: str, low: str, high: str, digits: int) -> pd.Series:
    return pd.Series(
        [
            with_interval(*row, digits=digits) if pd.notna(row[0]) else NOTHING
            for row in rows[[value, low, high]].itertuples(index=False, name=None)
        ],
        index=rows.index,
        dtype=object,
    )


def _line(fig: go.Figure, at: float) -> None:
    fig.add_vline(x=at, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"})
