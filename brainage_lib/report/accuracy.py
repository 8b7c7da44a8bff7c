"""The page "How accurate": tables of ``benchmarks/accuracy.py`` and the shipped networks' card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from brainage_lib.files import read_json
from brainage_lib.stats import paper_table3
from brainage_lib.tables import choose

NOT_YET = "*Not recorded yet.*\n"


def accuracy_page(folder: Path) -> str:
    """Write the tables of the bench.

    Parameters
    ----------
    folder : path
        ``book/recorded/accuracy``.

    Returns
    -------
    str
        Markdown; a sentence that says so where the bench was not run.
    """
    names = ("levers", "by_decade", "choosing", "repeats", "learning_curve", "studies", "facts")
    if not all((folder / f"{name}.csv").is_file() for name in names):
        return NOT_YET
    levers, decades, choosing, repeats, curve, studies, facts = (
        pd.read_csv(folder / f"{name}.csv") for name in names
    )
    projects = [name.removeprefix("low_") for name in levers if name.startswith("low_")]
    parts = [_answer(levers, choosing, projects, studies), _levers(levers, projects)]
    parts.append(_choosing(choosing))
    if (folder / "screen.csv").is_file():
        parts.append("## What else was tried\n\n" + _screen(pd.read_csv(folder / "screen.csv")))
    if (folder / "registered_again.csv").is_file():
        again = pd.read_csv(folder / "registered_again.csv")
        parts.append("## Registering again what is in MNI152\n\n" + _registered_again(again))
    parts.append("## By age\n\n" + _by_decade(decades))
    parts.append("## Repeated scans\n\n" + _repeats(repeats))
    parts.append("## More people\n\n" + _curve(curve))
    parts.append("## A study that was never seen\n\n" + _studies(studies))
    told = dict(zip(facts["what"], facts["value"], strict=True))
    parts.append(
        f"*Recorded on {told['scans']} scans of {told['participants']} controls, {told['folds']} "
        f"folds by participant; digest of the table of scans {told['manifest sha256'][:12]}.*\n"
    )
    return "\n".join(parts)


def model_card(folder: Path) -> str:
    """Write what the card of shipped networks says.

    Parameters
    ----------
    folder : path
        Of the packed model (`predict.pack`).

    Returns
    -------
    str
        Markdown.
    """
    path = folder / "model_card.json"
    if not path.is_file():
        return "*No networks come with this version.*\n"
    card = read_json(path)
    rows = [
        ("Reads", card["reads"]),
        ("Gives", card["gives"]),
        ("Learned from", f"{card['n_scans']} {card['trained_on']}; ages {_range(card)}; "
                         f"{card['sex']['F']} women's, {card['sex']['M']} men's scans"),
        ("Recipe", ", ".join(f"{key} {value}" for key, value in card["headline"].items())),
        ("Licence", card["licence"]),
        ("Not for", "; ".join(card["not_for"])),
        ("Files", f"{len(card['sha256'])}"),
    ]  # fmt: skip
    lines = markdown_table(
        ("Property", "What the card says"), [(f"**{name}**", text) for name, text in rows]
    )
    scores = [
        (words, each["n_scans"], each["n_participants"],
         _with_interval(each["mae"], each["mae_low"], each["mae_high"]))
        for words, each in _scored(card["out_of_fold"])
    ]  # fmt: skip
    told = markdown_table(("Out of fold", "Scans", "People", "MAE, years (95 % interval)"), scores)
    return f"{lines}\n{told}"


def _scored(errors: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for each in errors["all"]:
        yield "All", each
    for each in errors["by_project"]:
        yield each["project"], each
    for each in errors["by_age"]:
        if each["n_scans"]:
            yield f"Ages {each['age_group']}", each


def _range(card: Mapping[str, Any]) -> str:
    return "–".join(map(str, card["age_range"])) if card["age_range"] else "not told"


def _answer(
    levers: pd.DataFrame, choosing: pd.DataFrame, projects: list[str], studies: pd.DataFrame
) -> str:
    (best,) = levers[levers["recipe"] == choosing["best"].iloc[0]].to_dict("records")
    printed = choose(paper_table3(), model="TAS").set_index("project")["mae"]
    told = []
    for name in projects:
        ends = best[f"mae_{name}"], best[f"low_{name}"], best[f"high_{name}"]
        beside = f", the paper prints {printed[name]:.2f}" if name in printed else ""
        told.append(f"{name} {_with_interval(*ends)}{beside}")
    by_study = "; ".join(told)
    return (
        f"**Answer.** Best is the {best['recipe'].removeprefix('network: ')}: MAE "
        f"{_with_interval(best['mae'], best['mae_low'], best['mae_high'])} years on "
        f"{best['n_scans']} scans of {best['n_participants']} people, age SD "
        f"{best['mae'] / best['mae_over_sd']:.1f}, R² {best['r2']:.3f} ({by_study})."
        f"{_strangers(studies, best['recipe'])}\n"
    )


def _strangers(studies: pd.DataFrame, recipe: str) -> str:
    """Say what the same recipe errs by where nobody of the study was learned from."""
    rows = studies[studies["recipe"] == recipe].to_dict("records")
    if not rows:
        return ""
    told = " and ".join(
        f"{_with_interval(row['mae'], row['mae_low'], row['mae_high'])} years on {row['tested']}"
        for row in rows
    )
    return f" **Kept from a whole study, the same recipe errs by {told}**: a scan of yours is such."


def _levers(levers: pd.DataFrame, projects: list[str]) -> str:
    heads = ("Recipe", "MAE, years", *projects, "MAE / SD", "R²", "Bias slope",
             "Less the row above", "Seconds")  # fmt: skip
    rows = []
    for row in levers.to_dict("records"):
        rows.append((
            row["recipe"],
            _with_interval(row["mae"], row["mae_low"], row["mae_high"]),
            *(_with_interval(row[f"mae_{p}"], row[f"low_{p}"], row[f"high_{p}"]) for p in projects),
            f"{row['mae_over_sd']:.2f}", _minus(row["r2"]), _signed(row["bias_slope"]),
            _step(row, "to_row_above"),
            "–" if pd.isna(row["seconds"]) else f"{row['seconds']:,.0f}",
        ))  # fmt: skip
    return markdown_table(heads, rows)


def _choosing(choosing: pd.DataFrame) -> str:
    (row,) = choosing.to_dict("records")
    return (
        "Choosing a row by its error is itself a choice. Chosen on four folds and asked about the "
        f"fifth, it errs by {row['mae_when_chosen_elsewhere']:.2f} years instead of "
        f"{row['mae_of_best']:.2f}: an optimism of {_signed(row['optimism'])} "
        f"({row['folds_that_choose_it']} of {row['folds']} choices fall on the same row).\n"
    )


def _screen(screen: pd.DataFrame) -> str:
    projects = [name.removeprefix("unseen_") for name in screen if name.startswith("unseen_")]
    unseen = [*(f"{p} never seen" for p in projects), *(f"Its mean gap, {p}" for p in projects)]
    heads = ("Lever", "Grid, mm", "Seeds", "MAE, years", "Less the recipe", *projects, *unseen)
    rows = []
    for row in screen.to_dict("records"):
        rows.append((
            row["lever"], row["grid_mm"], row["seeds"],
            _with_interval(row["mae"], row["mae_low"], row["mae_high"]),
            _step(row, "to_recipe"),
            *(f"{row[f'mae_{p}']:.2f}" for p in projects),
            *(f"{row[f'unseen_{p}']:.1f}" for p in projects),
            *(_signed(row[f"gap_{p}"]) for p in projects),
        ))  # fmt: skip
    told = screen[screen["to_recipe_difference"].notna()]
    better = int((told["to_recipe_high"] < 0).sum())
    worse = int((told["to_recipe_low"] > 0).sum())
    first = screen.iloc[0]
    return (
        "Each lever is one departure from the network on tissue maps, all else as in the first "
        "row: a screen on one GPU (`benchmarks/levers.py`), out of fold, before any regression. Of "
        f"{len(told)} levers {better} are better than the recipe with an interval of differences "
        f"that leaves out 0, {worse} are worse; one row in forty would be better by luck, and none "
        "was taken over. Several seeds do not help much either: the mean of "
        f"{first['seeds']} networks errs by {first['mae_of_mean']:.2f} years, one by "
        f"{first['mae']:.2f}. Networks that see the same maps of the same people err alike. A "
        "study that was never seen is another matter: there the mean gap moves by years from "
        "lever to lever, and from seed to seed.\n\n" + markdown_table(heads, rows)
    )


def _registered_again(again: pd.DataFrame) -> str:
    heads = ("Recipe", "As delivered: MAE, years", "Registered again", "Less as delivered")
    rows = []
    for row in again.to_dict("records"):
        rows.append((
            row["recipe"],
            *(_with_interval(row[name], row[f"{name}_low"], row[f"{name}_high"])
              for name in ("delivered", "again")),
            _step(row, "step"),
        ))  # fmt: skip
    first = again.iloc[0]
    helped, harmed = int((again["step_high"] < 0).sum()), int((again["step_low"] > 0).sum())
    return (
        f"The {first['n_scans']} scans of {first['n_participants']} controls whose brains came in "
        "MNI152, once as delivered and once with bias field and affine of our own (the setting "
        "`preprocessing: register_again`), same people, same folds "
        f"(`benchmarks/register_again.py`). Of {len(again)} recipes registering again helps "
        f"{helped} and harms {harmed} with an interval that leaves out 0. It is done all the same "
        "where such brains stand beside scans in scanner space, so that all come the same way.\n\n"
        + markdown_table(heads, rows)
    )


def _by_decade(decades: pd.DataFrame) -> str:
    labels = list(dict.fromkeys(decades["decade"]))
    sizes = decades.drop_duplicates("decade").set_index("decade")["n_scans"]
    heads = ("Recipe", *(f"{label} (n {sizes[label]})" for label in labels))
    rows = []
    for name, part in decades.groupby("recipe", sort=False):
        at = part.set_index("decade")
        rows.append((name, *(
            _with_interval(*at.loc[label, ["mae", "mae_low", "mae_high"]])
            if label in at.index else "–" for label in labels
        )))  # fmt: skip
    return markdown_table(heads, rows)


def _repeats(repeats: pd.DataFrame) -> str:
    rows = [
        (row["recipe"], row["n_participants"], f"{row['icc']:.2f}", f"{row['sd']:.2f}",
         f"{row['smallest_detectable_change']:.1f}") for row in repeats.to_dict("records")
    ]  # fmt: skip
    return (
        "Two sessions of one person, both predicted by networks that saw neither.\n\n"
        + markdown_table(
            ("Recipe", "People", "ICC", "SD, years", "Smallest detectable change, years"), rows
        )
    )


def _curve(curve: pd.DataFrame) -> str:
    rows = [(f"{row['people']:,.0f}", f"{row['mae']:.2f}", row["kind"])
            for row in curve.to_dict("records")]  # fmt: skip
    return (
        "The best kernel, learned from fewer people (mean of three draws), and a power law carried "
        "on to the paper's number of scans. One cannot know that the law holds so far out.\n\n"
        + markdown_table(("People learned from", "MAE, years", "How known"), rows)
    )


def _studies(studies: pd.DataFrame) -> str:
    after = next(name for name in studies if name.startswith("mae_after_"))
    few = after.removeprefix("mae_after_")
    rows = [(row["recipe"], row["tested"], row["n_scans"],
             _with_interval(row["mae"], row["mae_low"], row["mae_high"]),
             _signed(row["mean_gap"]), _signed(row["bias_slope"]), f"{row[after]:.2f}")
            for row in studies.to_dict("records")]  # fmt: skip
    return (
        "Learned from the other study alone; then the mean gap of "
        f"{few} scans of the new one is taken off (mean of many draws).\n\n"
        + markdown_table(("Recipe", "Tested on", "Scans", "MAE, years", "Mean gap", "Bias slope",
                  f"MAE after {few} scans"), rows)
    )  # fmt: skip


def markdown_table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Write a table in Markdown, its first column to the left."""
    heads = list(heads)
    lines = ["| " + " | ".join(heads) + " |", "| :-- |" + " --: |" * (len(heads) - 1)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _step(row: Mapping[str, Any], name: str) -> str:
    values = [row[f"{name}_{end}"] for end in ("difference", "low", "high")]
    return "–" if pd.isna(values[0]) else _with_interval(*values)


def _with_interval(value: float, low: float, high: float) -> str:
    between = " to " if low < 0 else "–"
    return f"{_minus(value)} ({_minus(low)}{between}{_minus(high)})"


def _minus(value: float) -> str:
    # A zero has no sign, also where it was rounded from below.
    return f"{round(value, 2) or 0.0:.2f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
