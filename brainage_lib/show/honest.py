"""What flatters a model, what chance does, and for whom it errs."""

from __future__ import annotations

import pandas as pd

from brainage_lib.show.figure import Figure
from brainage_lib.show.intervals import intervals
from brainage_lib.show.table import Measure, Table, table
from brainage_lib.show.words import (
    count,
    listed,
    number,
    percent,
    with_interval,
    with_unit,
)


def inflation_table(found: pd.DataFrame, *, source: str) -> Table:
    """Put flattered beside honest figures, each with the interval of their difference.

    Parameters
    ----------
    found : DataFrame
        Schema INFLATION, of one recipe.
    """
    # Comparisons of one kind below each other, whatever their mode.
    kinds = {name: place for place, name in enumerate(dict.fromkeys(found["what"]))}
    found = found.sort_values("what", key=lambda what: what.map(kinds), kind="stable")
    rows = found.assign(
        sizes=[f"{row.n_honest:,} / {row.n_flattered:,}" for row in found.itertuples()],
        rows=found["honest_rows"] + " / " + found["flattered_rows"],
        measured=found["measure"] + " (" + found["unit"] + ")",
        inflation_low=found["low"],
        inflation_high=found["high"],
    )
    return table(
        rows,
        by={"what": "What flatters", "mode": "Mode", "model": "Model"},
        columns={
            "measured": "Measure",
            "inflation": Measure("Inflation"),
            "honest": Measure("Honest"),
            "flattered": Measure("Flattered"),
            "sizes": "n, honest / flattered",
            "rows": "Honest / flattered rows",
        },
        title=_largest(found),
        caption="Inflation: by how much the flattered figure looks better, with its 95 % interval "
        "over people; negative where it looks worse. n counts scans",
        source=source,
        name="inflation",
    )


def false_alarm_chart(found: pd.DataFrame, *, source: str) -> Figure:
    """Show how often the F test finds a second network useful that brings new people nothing.

    Parameters
    ----------
    found : DataFrame
        Schema FALSE_ALARMS, of one recipe.
    """
    rows = found.assign(
        label=found["rows"] + ", " + [f"{size:,} rows" for size in found["n_scans"]],
        value=100 * found["rate"],
        low=100 * found["rate_low"],
        high=100 * found["rate_high"],
    ).drop(columns="n_scans")
    fitted = found[found["rows"] == "fitted, in-sample"].iloc[-1]
    new = found[found["rows"] == "out of fold"].iloc[-1]
    return intervals(
        rows,
        label="label",
        value="value",
        axis="tables with p below 0.05 (%)",
        reference=5.0,
        digits=1,
        title="A second network that brings new people nothing is called useful in "
        f"{number(100 * fitted['rate'], 1)} % of tables on rows that the networks learned from, in "
        f"{number(100 * new['rate'], 1)} % out of fold",
        caption=f"Simulated with these networks' own errors, {int(fitted['tables']):,} tables "
        "each; dashed: the 5 % that the test promises. On new people the useless network would "
        f"change the squared error by {number(fitted['null_gain'], 1)} % (negative: for the "
        f"worse); n = {int(fitted['n_scans']):,} rows in the largest tables",
        source=source,
        name="false-alarms",
    )


def ladder_null_table(found: pd.DataFrame, *, source: str) -> Table:
    """Show how often the ladder's intervals are right where the truth is known.

    Parameters
    ----------
    found : DataFrame
        Schema LADDER_NULL.
    """
    rows = found.assign(
        people=[f"{size:,}" for size in found["n_scans"]],
        parts=found["folds"].astype(str),
        **{name: 100 * found[name] for name in ("rate", "rate_low", "rate_high", "wanted")},
    )
    null = found[found["truth"] == "no difference"].iloc[0]
    planted = found[found["truth"] == "a gain"].iloc[0]
    return table(
        rows,
        by={"question": "Question", "truth": "Truth", "people": "People", "parts": "Folds"},
        columns={
            "rate": Measure("Intervals that are so", "%", 1),
            "wanted": Measure("Wanted", "%", 1),
            "gain": Measure("Mean gain", "years"),
        },
        title=f"Of {int(null['tables']):,} simulated tables, the ladder's interval covers no "
        f"difference in {number(100 * null['rate'], 1)} %, and the planted signal is found in "
        f"{number(100 * planted['rate'], 1)} %",
        caption="No difference: A is one more look like T′, and the interval should cover "
        "zero. Nothing to find: the interval should hardly ever be above zero. A gain: it should "
        "be. Below the share its binomial 95 % interval. The ladder's interval takes the "
        "coefficients as they are, whose luck is missing where few folds leave few people to fit "
        f"on; n = {int(null['n_scans']):,} people in the first line",
        source=source,
        name="ladder-null",
    )


def by_sex_table(found: pd.DataFrame, *, source: str) -> Table:
    """Print MAE and gaps of women and men, and their difference.

    Parameters
    ----------
    found : DataFrame
        Schema BY_SEX, of one recipe, mode and kind of fit.
    """
    rows = found.assign(
        n=[f"{row.n_scans:,}{' †' if row.small else ''}" for row in found.itertuples()]
    )
    return table(
        rows,
        by={"model": "Model", "sex": "Sex"},
        columns={
            "n": "n",
            "mae": Measure("MAE", "years"),
            "gap": Measure("Mean gap", "years"),
            "corrected_gap": Measure("Mean gap at equal ages", "years"),
        },
        title=_sexes(found),
        caption="Gap: predicted minus chronological age; at equal ages: less the mean gap of "
        "controls of that age. 95 % intervals below; n counts test scans, † marks fewer than 10 of "
        "one sex",
        source=source,
        name="by-sex",
    )


def studies_chart(found: pd.DataFrame, *, source: str) -> Figure:
    """Error of each study over what its ages alone would let one expect.

    Parameters
    ----------
    found : DataFrame
        Schema STUDIES, of one recipe, mode, kind of fit and model.
    """
    rows = found.assign(
        label=[
            f"{row.project} (n = {row.n_scans:,}{' †' if row.small else ''})"
            for row in found.itertuples()
        ]
    ).drop(columns="n_scans")
    return intervals(
        rows,
        label="label",
        value="ratio",
        low="ratio_low",
        high="ratio_high",
        axis="MAE / MAE expected at these ages (ratio)",
        reference=1.0,
        title=_unequal(found),
        caption="Expected: each scan errs as all tested scans of its decade do. Right of the "
        "dashed line: harder than its ages explain. † marks fewer than 10 scans; "
        f"n = {count(int(found['n_scans'].sum()), 'test scan')}",
        source=source,
        name="studies-at-equal-ages",
    )


def left_out_chart(found: pd.DataFrame, *, source: str) -> Figure:
    """How much more each study errs when it is left out.

    Parameters
    ----------
    found : DataFrame
        Schema LEFT_OUT, of one recipe, mode and model.
    """
    rows = found.assign(
        label=[
            f"{row.project} (n = {row.n_scans:,}{' †' if row.small else ''})"
            for row in found.itertuples()
        ]
    ).drop(columns="n_scans")
    worse = found[(found["low"] > 0) & ~found["small"]]
    most = found.loc[found["difference"].idxmax()]
    names = f": {listed(list(worse['project']))}" if len(worse) else ""
    return intervals(
        rows,
        label="label",
        value="difference",
        axis="MAE left out − MAE out of fold (years)",
        reference=0.0,
        title=f"Left out, {len(worse)} of {count(len(found), 'study', 'studies')} err clearly "
        f"more{names}; most {most['project']}, by {with_unit(number(most['difference']), 'years')}",
        caption=f"Left out of the {found['left_out_of'].iloc[0]}. Positive: the study errs more "
        f"when nothing is fitted on it; n = {count(int(found['n_scans'].sum()), 'test scan')}",
        source=source,
        name="left-out",
    )


def guess_table(guesses: pd.DataFrame, networks: pd.DataFrame, *, source: str) -> Table:
    """Put the same age said of everyone beside each network as it comes.

    Parameters
    ----------
    guesses, networks : DataFrame
        Schemas GUESSES and NETWORKS.
    """
    said = guesses.assign(who=guesses["guess"] + " of everyone, from " + guesses["learned_from"])
    nets = networks.assign(
        who="net " + networks["net"] + ", seed " + networks["seed"].astype(str),
    )
    spread = guesses.groupby(["mode"])["age_sd"].first()
    nets["mae_over_sd"] = nets["mae"] / nets["mode"].map(spread)
    rows = pd.concat([said, nets], ignore_index=True)
    rows["recipe"] = "recipe " + rows["recipe"]
    modes = list(nets["mode"])
    mode = "sound" if "sound" in modes else modes[0]
    best, least = (part.loc[part["mode"] == mode, "mae"].min() for part in (nets, guesses))
    return table(
        rows,
        by={"recipe": "Recipe", "mode": "Mode", "who": "Says"},
        columns={
            "n_scans": Measure("n", digits=0),
            "mae": Measure("MAE", "years"),
            "mae_over_sd": Measure("MAE / SD of age"),
        },
        title=f"In {mode} mode, saying one age of everyone errs by {number(least)} years; the best "
        f"network by {number(best)}",
        caption="Networks before any stacking. 95 % intervals below; n counts test scans",
        source=source,
        name="guesses",
    )


def harmonised_table(found: pd.DataFrame, *, source: str) -> Table:
    """Print the error and the study read from features, without and with ComBat.

    Parameters
    ----------
    found : DataFrame
        Schema HARMONISED, of one recipe.
    """
    rows = found.assign(
        **{name: 100 * found[name] for name in ("read", "read_low", "read_high", "chance")}
    )
    return table(
        rows,
        by={"net": "Network", "harmonised": "Harmonised"},
        columns={
            "n_scans": Measure("n", digits=0),
            "mae": Measure("MAE", "years"),
            "read": Measure("Study told", "%", 0),
            "chance": Measure("By chance", "%", 0),
        },
        title=_harmonised(found),
        caption="Penultimate features of tested scans; age by a ridge regression on them, the "
        "study by a linear classifier, out of fold by participant, as the mean over studies of ten "
        "people or more. 95 % intervals below; n counts test scans",
        source=source,
        name="harmonised",
    )


def _harmonised(found: pd.DataFrame) -> str:
    first = found[found["net"] == found["net"].iloc[0]].set_index("harmonised")
    before, after = first.loc["no"], first.loc["ComBat"]
    if pd.isna(before["read"]):
        return "Fewer than two studies of ten people: no study can be told from another"
    return (
        f"Net {before['net']}: the study is told from its features in {percent(before['read'])} "
        f"(chance {percent(before['chance'])}), after ComBat in {percent(after['read'])}; MAE "
        f"{number(before['mae'])} and {number(after['mae'])} years"
    )


def _largest(found: pd.DataFrame) -> str:
    rows = found[(found["unit"] == "years") & found["inflation"].notna()]
    if rows.empty:
        return "No inflation can be measured with these rows"
    clear = rows[rows["low"] > 0]
    row = (clear if len(clear) else rows).sort_values("inflation").iloc[-1]
    size = with_interval(row["inflation"], row["low"], row["high"], "years")
    return (
        f"{len(clear)} of {count(len(rows), 'error')} look clearly better than they are; most by "
        f"{size}: {row['model']}, {row['mode']} mode, {row['what']}"
    )


def _sexes(found: pd.DataFrame) -> str:
    rows = found[(found["sex"] == "F − M") & found["corrected_gap"].notna()]
    if rows.empty:
        return "Women and men cannot be compared"
    row = rows[rows["model"] == "TA"].iloc[0] if (rows["model"] == "TA").any() else rows.iloc[0]
    value, low, high = (row[f"corrected_gap{end}"] for end in ("", "_low", "_high"))
    look = "older"
    if value < 0:
        value, low, high, look = -value, -high, -low, "younger"
    gap = with_interval(value, low, high, "years", 1)
    mae = with_interval(row["mae"], row["mae_low"], row["mae_high"], "years", 1)
    return (
        f"{row['model']}: at equal ages women's brains look {gap} {look} than men's; their MAE "
        f"less that of men is {mae}"
    )


def _unequal(found: pd.DataFrame) -> str:
    known = found[found["ratio"].notna() & ~found["small"]]
    if len(known) < 2:
        return "One study is its own yardstick: nothing can be compared"
    harder = known.loc[known["ratio_low"] > 1, "project"]
    easier = known.loc[known["ratio_high"] < 1, "project"]
    says = [
        f"{word} than its ages explain: {listed(list(names))}"
        for word, names in (("harder", harder), ("easier", easier))
        if len(names)
    ]
    if not says:
        return f"No study of {len(known)} differs clearly from what its ages explain"
    return "; ".join(says)[0].upper() + "; ".join(says)[1:]
