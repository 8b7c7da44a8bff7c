"""The stacked models beside the paper: Table 1, the ANOVA, the coefficients."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from brainage_lib.show.compare import three_columns
from brainage_lib.show.table import Measure, Table
from brainage_lib.show.words import count, number, p_value, with_interval
from brainage_lib.tables import choose

_WHICH = ["recipe", "mode", "fitted_on"]


def table1(
    paper: pd.DataFrame | None,
    recorded: pd.DataFrame | None,
    this_run: pd.DataFrame,
    *,
    source: str,
    recorded_source: str = "real scans",
    headline: Mapping[str, str] | None = None,
) -> Table:
    """Table 1 in three columns: MAE, MSE and R² of the four models, in each mode and fit.

    Parameters
    ----------
    paper : DataFrame or None
        Columns model, mae, mse, r2, and n_scans if it is to be printed. The paper has one
        mode, so its numbers stand beside every mode of the others.
    recorded : DataFrame or None
        Schema TABLE1.
    this_run : DataFrame
        Schema TABLE1.
    source, recorded_source : str
        Where the scans come from.
    headline : mapping of column to value, optional
        Which recipe, mode and kind of fit the title speaks of (``profile.headline``); the
        first in the table unless given.
    """
    return three_columns(
        paper,
        _with_fit(recorded),
        _with_fit(this_run),
        by={"fit": "Recipe, mode, fitted on", "model": "Model"},
        measures={
            "mae": Measure("MAE", "years"),
            "mse": Measure("MSE", "years²"),
            "r2": Measure("R²", digits=3),
            "mae_over_sd": Measure("MAE / SD of age"),
        },
        title=_maes(_spoken_of(this_run, headline)),
        caption="Errors on the test scans. The paper fitted on training and validation rows, "
        "by scan (paper mode, in-sample), and its numbers are repeated beside other fits",
        source=source,
        name="table1",
        recorded_source=recorded_source,
    )


def anova_table(
    paper: pd.DataFrame | None,
    recorded: pd.DataFrame | None,
    this_run: pd.DataFrame,
    *,
    source: str,
    recorded_source: str = "real scans",
    headline: Mapping[str, str] | None = None,
) -> Table:
    """Nested comparisons in three columns.

    Parameters
    ----------
    paper : DataFrame or None
        Columns smaller, larger, p, and printed where p is to be shown as it was printed. It
        stands beside the fitted rows, on which the paper tested (SCIENCE, section 2).
    recorded, this_run : DataFrame
        Schema ANOVA (recorded may be None).
    source, recorded_source, headline
        As for `table1`.
    """
    return three_columns(
        _with_comparison(_as_printed(paper)),
        _with_comparison(_with_fit(recorded)),
        _with_comparison(_with_fit(this_run)),
        by={"fit": "Recipe, mode", "rows": "Rows", "comparison": "Models"},
        measures={"f": Measure("F"), "p": Measure("p", p=True)},
        title=_significant(_spoken_of(this_run, headline)),
        caption="Fitted rows: nested F test on the rows that the stacking was fitted on, as R's "
        "anova. Test rows: the same ratio on the test scans; of this run and the recorded one, p "
        "comes from a bootstrap over people. A negative F: the larger model errs more there",
        source=source,
        name="anova",
        recorded_source=recorded_source,
    )


def coefficients_table(
    paper: pd.DataFrame | None,
    recorded: pd.DataFrame | None,
    this_run: pd.DataFrame,
    *,
    source: str,
    recorded_source: str = "real scans",
    headline: Mapping[str, str] | None = None,
) -> Table:
    """Coefficients of the stacked models in three columns.

    Parameters
    ----------
    paper : DataFrame or None
        Columns model, term, estimate, p.
    recorded, this_run : DataFrame
        Schema COEFFICIENTS; a fit over all folds has no fold. Recorded may be None; of its
        folds only the fit on all of them is shown.
    source, recorded_source, headline
        As for `table1`.
    """
    return three_columns(
        paper,
        _with_fit(_with_ends(_of_all_folds(recorded))),
        _with_fit(_with_ends(this_run)),
        by={"fit": "Recipe, mode, fitted on", "model": "Model", "term": "Term"},
        measures={"estimate": Measure("Estimate", digits=3), "p": Measure("p", p=True)},
        title=_sex_effect(_spoken_of(this_run, headline)),
        caption="Intercept and sex in years (sex: 0 women, 1 men), T and A in years a year; "
        "n is that of the rows of the fit",
        source=source,
        name="coefficients",
        recorded_source=recorded_source,
    )


def _with_fit(rows: pd.DataFrame | None) -> pd.DataFrame | None:
    """Add what was fitted on what, in words."""
    if rows is None:
        return None
    fit = rows["recipe"] + " recipe, " + rows["mode"] + " mode"
    if "fitted_on" in rows:
        fit = fit + ", " + rows["fitted_on"]
    if "fold" in rows:
        folds = ["all folds" if pd.isna(fold) else f"fold {int(fold)}" for fold in rows["fold"]]
        fit = fit + ", " + pd.Series(folds, index=rows.index)
    return rows.assign(fit=fit)


def _of_all_folds(rows: pd.DataFrame | None) -> pd.DataFrame | None:
    """Leave out the fits of single folds, of which the paper mode has one."""
    return None if rows is None else rows[rows["fold"].isna() | (rows["mode"] == "paper")]


def _with_ends(rows: pd.DataFrame | None) -> pd.DataFrame | None:
    """Name the interval of the estimates as those of measures are named."""
    ends = {"low": "estimate_low", "high": "estimate_high"}
    return None if rows is None else rows.rename(columns=ends)


def _as_printed(paper: pd.DataFrame | None) -> pd.DataFrame | None:
    if paper is None:
        return None
    return paper.assign(p=paper.get("printed", paper["p"]), rows="fitted")


def _spoken_of(table: pd.DataFrame, headline: Mapping[str, str] | None) -> pd.DataFrame:
    """Rows of the kind of result that the title speaks of."""
    chosen = headline or {column: table[column].iloc[0] for column in _WHICH if column in table}
    return choose(table, **{name: value for name, value in chosen.items() if name in table})


def _with_comparison(rows: pd.DataFrame | None) -> pd.DataFrame | None:
    return (
        None if rows is None else rows.assign(comparison=rows["smaller"] + " vs " + rows["larger"])
    )


def _maes(rows: pd.DataFrame) -> str:
    if rows["mae"].notna().sum() == 0:
        return "There are no test scans"
    first = rows.iloc[0]
    says = ", ".join(f"{row.model} {number(row.mae)}" for row in rows.itertuples())
    return (
        f"MAE on test: {says} years ({first['recipe']} recipe, {first['mode']} mode, "
        f"{first['fitted_on']}; n = {count(int(first['n_scans']), 'scan')})"
    )


def _significant(table: pd.DataFrame) -> str:
    """Name the first comparison on fitted rows and on test rows."""
    says = []
    for rows in ("fitted", "test"):
        part = table[(table["rows"] == rows) & table["p"].notna()]
        if len(part):
            row = part.iloc[0]
            says.append(f"p {_equals(row['p'])} on the {int(row['n_scans']):,} {rows} rows")
    if not says:
        return "The nested models cannot be compared"
    row = table.iloc[0]
    return f"{row['smaller']} against {row['larger']}: {', '.join(says)}"


def _equals(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _sex_effect(table: pd.DataFrame) -> str:
    rows = table[(table["term"] == "sex") & table["estimate"].notna()]
    if rows["fold"].isna().any():  # of several folds, the fit on all of them
        rows = rows[rows["fold"].isna()]
    if rows.empty:
        return "Coefficients of the stacked models (no effect of sex could be fitted)"
    row = rows.iloc[0]
    text = with_interval(row["estimate"], row["low"], row["high"], "years", 3)
    return f"Men against women: {text}, n = {count(int(row['n_scans']), 'row')}"
