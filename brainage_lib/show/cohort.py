"""Who is in the data, and how they are divided: figures 1a, 1b and 1c."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from brainage_lib.show.colours import (
    ROLE_COLOURS,
    ROLE_SYMBOLS,
    SEX_COLOURS,
    SEX_NAMES,
)
from brainage_lib.show.figure import Figure, chart, finished
from brainage_lib.show.table import Measure, Table, table
from brainage_lib.show.words import count, listed, percent, scans_and_people
from brainage_lib.tables.schemas import DECADES, PROJECTS, ROLES, decade

_QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}


def counts_by_decade(manifest: pd.DataFrame, *, source: str) -> Figure:
    """Fig. 1a: scans in each group of ten years, women and men stacked.

    Parameters
    ----------
    manifest : DataFrame
        Schema MANIFEST.
    source : str
        Where the scans come from, for the caption.
    """
    groups = pd.crosstab(decade(manifest["age"]), manifest["sex"], dropna=False)
    groups = groups.reindex(index=list(DECADES), columns=["F", "M"], fill_value=0)
    if not groups.loc["outside"].any():
        groups = groups.drop(index="outside")
    fig = chart("age (years)", "scans (count)")
    for sex, pattern in (("F", ""), ("M", "/")):
        fig.add_bar(
            x=list(groups.index),
            y=groups[sex],
            name=SEX_NAMES[sex],
            marker={
                "color": SEX_COLOURS[sex],
                "pattern": {"shape": pattern, "fgcolor": "#ffffff", "fillmode": "overlay"},
            },
            hovertemplate="%{x} years: %{y} scans<extra>" + SEX_NAMES[sex] + "</extra>",
        )
    fig.update_layout(barmode="stack")
    fig.update_xaxes(type="category")
    total = groups.sum(axis=1)
    data = groups.rename(columns=SEX_NAMES).assign(n_scans=total).reset_index(names="decade")
    title = "There are no scans"
    if total.any():
        top, n, share = total.idxmax(), total.max(), total.max() / total.sum()
        title = (
            f"{_first_upper(str(top))} years is the largest of {count((total > 0).sum(), 'group')}"
            f": {n} of {count(total.sum(), 'scan')} ({percent(share)})"
        )
    return finished(
        fig,
        title=title,
        caption=f"Scans by age at the scan, in groups of ten years; {scans_and_people(manifest)}",
        alt="Stacked bars, women and men. " + _counted(total, "years"),
        data=data if len(manifest) else data.iloc[:0],
        source=source,
        name="counts-by-decade",
    )


def ages_by_study(manifest: pd.DataFrame, *, source: str) -> Figure:
    """Fig. 1b: ages of women and men in each study, as boxes drawn from quantiles.

    Parameters
    ----------
    manifest : DataFrame
        Schema MANIFEST.
    """
    spread = _spread(manifest, ["project", "sex"])
    projects = in_order(manifest["project"])
    sizes = manifest["project"].value_counts()
    labels = {name: f"{name} (n = {sizes[name]:,})" for name in projects}
    fig = chart("age (years)", "study", height=140 + 44 * max(len(projects), 2))
    for sex in ("M", "F"):  # drawn from below, so that women come first in each study
        rows = spread[spread["sex"] == sex]
        _boxes(
            fig, rows, [labels[name] for name in rows["project"]], SEX_COLOURS[sex], SEX_NAMES[sex]
        )
    fig.update_layout(boxmode="group", legend_traceorder="reversed")
    fig.update_yaxes(
        categoryorder="array", categoryarray=[labels[name] for name in reversed(projects)]
    )
    title = "There are no scans"
    if len(manifest):
        women = (manifest["sex"] == "F").mean()
        middle = manifest.groupby("project")["age"].median()
        low, high = middle.idxmin(), middle.idxmax()
        ages = (
            f"median ages run from {middle[low]:.0f} ({low}) to {middle[high]:.0f} years ({high})"
            if len(middle) > 1
            else f"the median age in {low} is {middle[low]:.0f} years"
        )
        title = (
            f"{_first_upper(ages)}; {percent(women)} of {count(len(manifest), 'scan')} are of women"
        )
    return finished(
        fig,
        title=title,
        caption="Box: middle half of the ages with the median; whiskers: from the 5th to the 95th "
        f"percentile; {scans_and_people(manifest)}",
        alt="Boxes of age by study and sex. "
        + "; ".join(
            f"{row.project}, {SEX_NAMES[row.sex]}: n = {row.n_scans}, median {row.median:.0f} years"
            for row in spread.itertuples()
        ),
        data=spread,
        source=source,
        name="ages-by-study",
    )


def cohort_table(projects: pd.DataFrame, *, source: str) -> Table:
    """Tabulate the studies: scans, people, repeated scans, patients, sex and age.

    Parameters
    ----------
    projects : DataFrame
        As `brainage_lib.data.describe_projects` returns it, with the row "all".
    """
    whole = projects[projects["project"] == "all"].iloc[0]
    studies = count(len(projects) - 1, "study", "studies")
    return table(
        projects.assign(women=100 * projects["female"]),
        by={"project": "Study"},
        columns={
            "n_scans": Measure("Scans", digits=0),
            "n_participants": Measure("People", digits=0),
            "n_repeated": Measure("Scanned again", digits=0),
            "n_patients": Measure("Patients", digits=0),
            "women": Measure("Women", "%", 0),
            "age_mean": Measure("Mean age", "years", 1),
            "age_sd": Measure("SD of age", "years", 1),
        },
        title=f"{count(whole['n_scans'], 'scan')} of "
        f"{count(whole['n_participants'], 'person', 'people')} from {studies}",
        caption="Scanned again counts people with more than one scan, patients counts people with "
        "a diagnosis other than control, and women is their share of the people",
        source=source,
        name="cohort",
    )


def partition_divergence(scores: pd.DataFrame, *, source: str, mode: str = "paper") -> Figure:
    """How much each partition differs from the whole; in paper mode test and validation stand out.

    Parameters
    ----------
    scores : DataFrame
        Schema SPLIT_SCORES.
    mode : {"paper", "sound"}
        In sound mode each fold's test set is a partition.
    """
    rows = scores[scores["mode"] == mode].sort_values("kl", ignore_index=True)
    if mode == "sound":
        rows = rows[rows["role"] == "test"].reset_index(drop=True)
        rows["label"] = [f"fold {fold}" for fold in rows["fold"]]
    else:
        rows["label"] = [f"partition {partition}" for partition in rows["partition"]]
    fig = chart("KL divergence (nats)", "", height=420)
    for role in [role for role in ROLES if role in set(rows["role"])]:
        part = rows[rows["role"] == role]
        fig.add_scatter(
            x=part["kl"],
            y=part["label"],
            mode="markers",
            name=role,
            marker={"color": ROLE_COLOURS[role], "symbol": ROLE_SYMBOLS[role], "size": 12},
            customdata=part[["n_scans", "shared_participants"]],
            hovertemplate="%{y}: %{x:.3f} nats, n = %{customdata[0]}, people shared with "
            "another set: %{customdata[1]}<extra>" + role + "</extra>",
        )
    fig.update_yaxes(categoryorder="array", categoryarray=list(rows["label"][::-1]))
    fig.update_xaxes(rangemode="tozero")
    title = "There are no partitions"
    if len(rows):
        title = f"Divergences run from {rows['kl'].iloc[0]:.3f} to {rows['kl'].iloc[-1]:.3f} nats"
        if mode == "paper":
            chosen = [
                f"{role} {rows.loc[rows['role'] == role, 'kl'].iloc[0]:.3f}"
                for role in ("test", "validation")
                if role in set(rows["role"])
            ]
            title += f"; the two smallest are taken: {listed(chosen)}"
    return finished(
        fig,
        title=title,
        caption="Each mark is one partition of the scans, compared with all of them over age bin × "
        f"study; smaller is more alike; n = {count(int(rows['n_scans'].sum()), 'scan')}",
        alt="Dots, one a partition, sorted. "
        + "; ".join(f"{row.label} ({row.role}): {row.kl:.3f}" for row in rows.itertuples()),
        data=rows[["label", "role", "kl", "n_scans", "n_participants", "shared_participants"]],
        source=source,
        name=f"partition-divergence-{mode}",
    )


def ages_by_split(
    splits: pd.DataFrame,
    manifest: pd.DataFrame,
    *,
    source: str,
    mode: str = "paper",
    fold: int = 0,
) -> Figure:
    """Fig. 1c: the ages of training, validation and test scans, as shares of each set.

    Parameters
    ----------
    splits : DataFrame
        Schema SPLITS.
    manifest : DataFrame
        Schema MANIFEST; gives the ages.
    mode : {"paper", "sound"}
    fold : int
        Which fold, in sound mode.
    """
    chosen = splits[(splits["mode"] == mode) & (splits["fold"] == fold)]
    rows = chosen[["scan_id", "role"]].merge(manifest, on="scan_id")
    rows = rows[rows["role"] != "apart"]
    roles = [role for role in ROLES if role in set(rows["role"])]
    shares = pd.crosstab(decade(rows["age"]), rows["role"], dropna=False)
    shares = shares.reindex(index=[name for name in DECADES if name != "outside"], fill_value=0)
    fig = chart("age (years)", "share of the set (%)")
    long = []
    for role in roles:
        counts = shares[role]
        share = 100 * counts / max(counts.sum(), 1)
        fig.add_scatter(
            x=list(shares.index),
            y=share,
            name=f"{role} (n = {counts.sum():,})",
            mode="lines+markers",
            line={"color": ROLE_COLOURS[role], "width": 2},
            marker={"symbol": ROLE_SYMBOLS[role], "size": 9},
            customdata=counts,
            hovertemplate="%{x} years: %{y:.1f} %, n = %{customdata}<extra>" + role + "</extra>",
        )
        long.append(
            pd.DataFrame({"role": role, "decade": shares.index, "n_scans": counts, "share": share})
        )
    fig.update_xaxes(type="category")
    fig.update_yaxes(rangemode="tozero")
    middle = rows.groupby("role")["age"].median()
    medians = [f"{role} {middle[role]:.1f}" for role in roles]
    where = "paper mode" if mode == "paper" else f"sound mode, fold {fold}"
    return finished(
        fig,
        title=f"Median ages: {listed(medians)} years" if roles else "There are no scans",
        caption=f"Share of each set by age at the scan, {where}; {scans_and_people(rows)}",
        alt="Lines over age, one a set, that show how alike the ages are. "
        + "; ".join(f"{role}: n = {(rows['role'] == role).sum()}" for role in roles),
        data=pd.concat(long)
        if long
        else pd.DataFrame(columns=["role", "decade", "n_scans", "share"]),
        source=source,
        name=f"ages-by-split-{mode}-{fold}",
    )


def _spread(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Count and quantiles of age by group, studies in the paper's order."""
    order = {name: place for place, name in enumerate(in_order(rows["project"]))}
    ages = rows.groupby(by, observed=True)["age"]
    spread = pd.DataFrame({"n_scans": ages.size()})
    for name, level in _QUANTILES.items():
        spread[name] = ages.quantile(level)
    return (
        spread.reset_index()
        .sort_values(
            by, key=lambda column: column.map(order) if column.name == "project" else column
        )
        .reset_index(drop=True)
    )


def _boxes(fig: go.Figure, rows: pd.DataFrame, labels: list[str], colour: str, name: str) -> None:
    fig.add_box(
        y=labels,
        q1=rows["q25"],
        median=rows["median"],
        q3=rows["q75"],
        lowerfence=rows["q05"],
        upperfence=rows["q95"],
        name=name,
        orientation="h",
        line={"color": colour, "width": 2},
        fillcolor="rgba(0,0,0,0)",
    )


def in_order(projects: pd.Series) -> list[str]:
    """Names of the studies: the paper's 13 in its order, then others by name."""
    found = set(projects)
    return [name for name in PROJECTS if name in found] + sorted(found - set(PROJECTS))


def _counted(counts: pd.Series, unit: str) -> str:
    return "; ".join(f"{name} {unit}: {n}" for name, n in counts.items())


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
