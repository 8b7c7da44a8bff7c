"""What the tests said of each method's maps, and where the maps lie by region."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from brainage_lib.show.colours import NET_COLOURS, NEUTRAL, net_colour, net_name, net_symbol
from brainage_lib.show.figure import Figure, chart, finished, place
from brainage_lib.show.table import Table, table
from brainage_lib.show.words import NOTHING, count, listed, number, p_value

SIGNS = {"passes": "✓", "fails": "✗", "told": ""}
HEADS = {
    "randomised": "Random weights",
    "outside": "Outside the brain",
    "trainings": "Two trainings",
    "seeds": "Two seeds",
    "labels": "Shuffled ages",
    "deletion": "Deletion",
    "insertion": "Insertion",
    "pointing": "Pointing",
    "mass": "Mass on truth",
    "rank": "Rank on truth",
}
LINES = ("circle", "square", "diamond", "triangle-up", "x")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def trials_table(trials: pd.DataFrame, words: Mapping[tuple[str, int], str], *,
                 source: str) -> Table:  # fmt: skip
    """Show methods by tests: each value, what chance gives, and whether it passes.

    Parameters
    ----------
    trials : DataFrame
        Schema ``TRIALS``.
    words : mapping of (method, block) to str
        Names of the methods.
    source : str
    """
    rows = []
    tests = [name for name in HEADS if name in set(trials["test"])]
    for (net, method, block), part in trials.groupby(["net", "method", "block"], sort=False):
        by_test = part.set_index("test")
        row = {"net": net, "method": words[method, block]}
        for name in tests:
            row[name] = _cell(by_test.loc[name]) if name in by_test.index else NOTHING
        rows.append(row)
    wide = pd.DataFrame(rows, columns=["net", "method", *tests])
    failing = trials[trials["verdict"] == "fails"]
    names = listed(
        sorted(
            {f"{words[m, b]} ({n})" for n, m, b in
             failing[["net", "method", "block"]].itertuples(index=False)}
        )
    )  # fmt: skip
    shown = table(
        wide,
        by={"net": "Network", "method": "Method"},
        columns={name: HEADS[name] for name in tests},
        title=f"Fails at one test or more: {names or 'none'}",
        caption="✓ passes, ✗ fails. Random weights: rank correlation with the map of the network "
        "whose layers were all drawn anew; below 0.5 passes. Outside the brain: share of the map; "
        "less than half of an even map's passes. Two trainings: rank correlation with another "
        "fold's network; two seeds: with that of the same people and another start; above that "
        "with a random one passes. Shuffled ages: with a network that learned the same scans with "
        "their ages in another order; below 0.5 passes. Deletion and insertion: area under the "
        "curve over that of a map scattered over the brain; above and below 1 pass. Truth, of "
        "simulated scans: share of the mean map on the voxels that carry age, and of these among "
        "as many highest; above 95 of 100 scattered maps passes. After the sign: by chance",
        source=source,
        name="trials",
    )
    # The CSV has numbers, not words.
    return Table(shown.title, shown.caption, shown.alt, trials, shown.name, shown.cells)


def _cell(row: pd.Series) -> str:
    if row["verdict"] not in SIGNS:
        return str(row["verdict"])
    if pd.isna(row["value"]):
        return NOTHING
    return f"{number(row['value'])} {SIGNS[row['verdict']]} ({number(row['chance'])})"


def cascades(steps: pd.DataFrame, words: Mapping[tuple[str, int], str], *, source: str) -> Figure:
    """Similarity of each method's maps to those of the network, randomised layer by layer.

    Parameters
    ----------
    steps : DataFrame
        Columns net, method, block, layer, similarity, n_scans.
    words : mapping of (method, block) to str
    source : str
    """
    nets = list(dict.fromkeys(steps["net"]))
    fig = chart(
        "randomised back to this layer", "rank correlation of maps (−1 to 1)",
        panels=[net_name(net) for net in nets] or None, columns=1, height=380 * max(len(nets), 1),
    )  # fmt: skip
    kinds = list(dict.fromkeys(steps[["method", "block"]].itertuples(index=False, name=None)))
    for panel, net in enumerate(nets):
        where = place(panel, 1)
        for line, kind in enumerate(kinds):
            part = steps[(steps["net"] == net) & (steps["method"] == kind[0])
                         & (steps["block"] == kind[1])]  # fmt: skip
            fig.add_scatter(
                x=part["layer"], y=part["similarity"], name=words[kind], mode="lines+markers",
                legendgroup=words[kind], showlegend=panel == 0,
                line={"color": net_colour(net) if line == 0 else NEUTRAL, "width": 2,
                      "dash": DASHES[line % len(DASHES)]},
                marker={"symbol": LINES[line % len(LINES)], "size": 9},
                hovertemplate="%{x}: %{y:.2f}<extra>" + words[kind] + "</extra>", **where,
            )  # fmt: skip
        fig.add_hline(y=0.5, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"}, **where)
    fig.update_xaxes(type="category")
    last = steps.groupby(["net", "method", "block"], sort=False).tail(1)
    ends = [f"{words[row.method, row.block]} {number(row.similarity)} ({row.net})"
            for row in last.itertuples()]  # fmt: skip
    n = int(steps["n_scans"].max()) if len(steps) else 0
    return finished(
        fig,
        title=f"With all layers random: {listed(ends)}" if ends else "No map was tested",
        caption="Mean Spearman correlation within the brain between a scan's map and that of the "
        "network whose layers, from the output back to the named one, were drawn anew. Above the "
        f"dashed line a method fails; slow methods at fewer layers; n = {count(n, 'scan')} at most",
        alt="Lines over layers, one a method. " + "; ".join(ends),
        data=steps,
        source=source,
        name="cascades",
    )


def region_figure(
    shares: pd.DataFrame, *, method: str, source: str, name: str = "regions"
) -> Figure:
    """Share of the maps in each region over what an even map has there, over all ages.

    Parameters
    ----------
    shares : DataFrame
        Schema ``REGIONS``, of one method; decades are in the CSV.
    method : str
        In words.
    source, name : str
    """
    whole = shares[(shares["decade"] == "all ages") & (shares["even"] > 0)]
    fig = chart("share of the map over share of the brain (ratio)", "", height=520)
    for net in dict.fromkeys(whole["net"]):
        part = whole[whole["net"] == net]
        ratio = part["share"] / part["even"]
        fig.add_scatter(
            x=ratio, y=part["region"], name=net_name(net), mode="markers",
            marker={"color": NET_COLOURS.get(net, NEUTRAL), "symbol": net_symbol(net), "size": 10},
            error_x={
                "type": "data", "symmetric": False,
                "array": ((part["high"] - part["share"]) / part["even"]).fillna(0),
                "arrayminus": ((part["share"] - part["low"]) / part["even"]).fillna(0),
                "color": net_colour(net), "thickness": 1.5, "width": 4,
            },
            hovertemplate="%{y}: %{x:.2f}<extra>" + net + "</extra>",
        )  # fmt: skip
    fig.add_vline(x=1, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"})
    fig.update_yaxes(type="category", autorange="reversed")
    n = int(whole["n_scans"].max()) if len(whole) else 0
    tops = []
    for net, part in whole.groupby("net", sort=False):
        best = part.loc[(part["share"] / part["even"]).idxmax()]
        tops.append(f"{net}: {best['region']}, {number(best['share'] / best['even'], 1)} times")
    return finished(
        fig,
        title=f"More than an even map has most of all ({method}): {listed(tops)}"
        if tops else "No map was made",
        caption="Share of the absolute map within the brain that lies in each region, over the "
        "region's share of the brain; 95 % intervals by a bootstrap of participants; dashed: an "
        f"even map. Decades are in the CSV; n = {count(n, 'scan')}",
        alt="Dots with intervals, one a region and network. " + "; ".join(tops),
        data=shares,
        source=source,
        name=name,
    )  # fmt: skip


def statements_table(
    statements: pd.DataFrame,
    words: Mapping[tuple[str, int], str],
    *,
    source: str,
    name: str = "statements",
) -> Table:
    """Show the paper's statements about regions, each with its number and its null.

    Parameters
    ----------
    statements : DataFrame
        Schema ``STATEMENTS``, or a recording's table of them.
    words : mapping of (method, block) to str
    source, name : str
    """
    rows = []
    for row in statements.to_dict("records"):
        tried = row["outcome"] in ("agrees", "does not agree")
        rows.append(
            {
                "net": row["net"],
                "statement": row["statement"],
                "method": words[row["method"], row["block"]],
                "value": f"{row['measure']}: {number(row['value'], 3)}" if tried else NOTHING,
                "null": f"{number(row['null_low'], 3)} to {number(row['null_high'], 3)}"
                if tried
                else NOTHING,
                "p": p_value(row["p"]) if tried else NOTHING,
                "outcome": row["outcome"] + ("" if tried else f": {row['reason']}"),
                "n": NOTHING if pd.isna(row["n_scans"]) else str(row["n_scans"]),
            }
        )
    columns = {"method": "Method", "outcome": "Outcome", "value": "Measure", "null": "By chance",
               "p": "p", "n": "Scans"}  # fmt: skip
    wide = pd.DataFrame(rows, columns=["net", "statement", *columns])
    counts = statements["outcome"].value_counts()
    said = ", ".join(f"{name} {n}" for name, n in counts.items())
    shown = table(
        wide,
        by={"net": "Network", "statement": "Statement"},
        columns=columns,
        title=f"The paper's statements about regions: {said or 'none was tried'}",
        caption="By chance: 95 % of maps of the same values and smoothness, scattered over the "
        "brain; of changes with age, of shuffled ages. p is one-sided, in the statement's "
        "direction, without correction for their number. A region narrower than a cell of the map "
        "is refused",
        source=source,
        name=name,
    )
    return Table(shown.title, shown.caption, shown.alt, statements, shown.name, shown.cells)


def agreement_table(agreement: pd.DataFrame, *, source: str) -> Table:
    """Show how alike two methods' maps of the same scans are.

    Parameters
    ----------
    agreement : DataFrame
        Of each network what `brainage_lib.explain.method_agreement` returns; no row where a run
        has one method, no number where none of their scans are the same.
    source : str
    """
    known = agreement.reset_index(drop=True).dropna(subset="similarity")
    if known.empty:
        title = "No two methods can be compared"
    else:
        best = known.loc[known["similarity"].idxmax()]
        title = (
            f"Most alike are {best['one']} and {best['other']} ({best['net']}): "
            f"{number(best['similarity'])}"
        )
    return table(
        agreement,
        by={"net": "Network", "one": "Method", "other": "and"},
        columns={"similarity": ("Rank correlation", "−1 to 1", 2), "n_scans": ("Scans", "", 0)},
        title=title,
        caption="Methods that ask the same network for the same scans: absolute maps smoothed to "
        "16 mm, within the brain",
        source=source,
        name="method-agreement",
    )


def phantom_table(
    ranked: pd.DataFrame, *, source: str, errors: tuple[float, float] | None = None
) -> Table:
    """Show which methods found the planted lesion, the best first.

    Parameters
    ----------
    ranked : DataFrame
        Of `brainage_lib.explain.rank_methods`.
    source : str
    errors : (float, float), optional
        Of the network that was looked at, and of a guess, in years
        (`brainage_lib.explain.reading_error`).
    """
    read = ""
    if errors is not None:
        read = (
            f"The network errs by {number(errors[0], 1)} years on these heads, a guess by "
            f"{number(errors[1], 1)}; "
        )
    found = list(ranked.loc[ranked["found"], "method"])
    missed = list(ranked.loc[~ranked["found"], "method"])
    return table(
        ranked.assign(found=ranked["found"].map({True: "✓ finds it", False: "✗ fails"})),
        by={"method": "Method"},
        columns={
            "rank": ("Lesion among highest voxels", "share", 2),
            "mass": ("Map on the lesion", "share", 2),
            "pointing": ("Highest voxel in it", "share", 2),
            "decoy": ("Decoy among highest voxels", "share", 2),
            "chance": ("By chance", "share", 3),
            "found": "Verdict",
        },
        title=f"Found by {listed(found) or 'none'}; missed by {listed(missed) or 'none'}",
        caption="Heads in which one ball tells the age and another, the decoy, changes as much at "
        "random. A method finds the lesion if it has three times what chance gives, and more than "
        f"the decoy. {read}n = {count(int(ranked['n_scans'].max()) if len(ranked) else 0, 'head')}",
        source=source,
        name="phantom",
    )
