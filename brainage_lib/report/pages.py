"""The parts of the book that are written from a run: banner, status page, citation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd


def announcement(simulated: bool, projects: Sequence[str]) -> str:
    """Write the banner that stands on every page of a run's book.

    Parameters
    ----------
    simulated : bool
        Whether every scan of the cohort is simulated.
    projects : sequence of str
        The studies of the cohort.

    Examples
    --------
    >>> announcement(False, ["OAS1", "IXI"])
    'Real scans of OAS1 and IXI. Research only: no result here is fit for diagnosis.'
    """
    if simulated:
        return (
            "Simulated scans: what this run computed shows that every step works and says "
            "nothing about real brains. What is marked as recorded comes from real scans."
        )
    names = list(dict.fromkeys(projects))
    if len(names) > 4:
        text = f"{len(names)} studies"
    else:
        text = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"Real scans of {text}. Research only: no result here is fit for diagnosis."


def status(cards: Mapping[str, Mapping[str, Any]], trainings: Mapping[str, Sequence[float]]) -> str:
    """Write the tables of the status page: what ran, for how long, with which versions.

    Parameters
    ----------
    cards : mapping of chapter to run card
        The ``chapters`` of a run's ``card.json``.
    trainings : mapping of place to durations
        Seconds of each epoch, by the place of the network in the run.

    Returns
    -------
    str
        Markdown.
    """
    lines = [
        "| Chapter | Started (UTC) | Duration | Peak memory | Device |",
        "| :-- | :-- | --: | --: | :-- |",
    ]
    for name, card in sorted(cards.items()):
        lines.append(
            f"| [{name}](../notebooks/{name}.ipynb) | {_minute(card['started'])} "
            f"| {_duration(card['seconds'])} | {card['peak_memory_mb']:,} MB | {card['device']} |"
        )
    total = sum(card["seconds"] for card in cards.values())
    highest = max(card["peak_memory_mb"] for card in cards.values())
    lines.append(f"| all chapters | | {_duration(total)} | {highest:,} MB | |")
    lines += [
        "",
        "Durations are those of the last execution; a step that was up to date was not repeated. "
        "Networks are trained beside the chapters, several at a time:",
        "",
        "| Network (recipe/mode/net-seed/fold) | Epochs | Duration |",
        "| :-- | --: | --: |",
    ]
    for place, seconds in trainings.items():
        lines.append(f"| {place} | {len(seconds)} | {_duration(sum(seconds))} |")
    if trainings:
        epochs = sum(len(seconds) for seconds in trainings.values())
        total = sum(sum(seconds) for seconds in trainings.values())
        lines.append(f"| all networks | {epochs} | {_duration(total)} |")
    lines.append("")
    # Chapters that were executed at another time may have seen other versions.
    columns = {
        "Code (commit; several where chapters ran at several times)": lambda card: card["commit"],
        "Machine": lambda card: card["machine"],
        "Profile, seed": lambda card: f"{card['profile']}, {card['seed']}",
        "Python": lambda card: card["python"],
    }
    lines += ["| What | In this run |", "| :-- | :-- |"]
    for label, read in columns.items():
        values = dict.fromkeys(str(read(card)) for card in cards.values())
        lines.append(f"| {label} | {'; '.join(values)} |")
    packages: dict[str, dict[str, None]] = {}
    for card in cards.values():
        for package, version in card["versions"].items():
            packages.setdefault(package, {})[version] = None
    for package, versions in packages.items():
        lines.append(f"| {package} | {', '.join(versions)} |")
    return "\n".join(lines) + "\n"


def _minute(moment: str) -> str:
    return pd.Timestamp(moment).strftime("%Y-%m-%d %H:%M")


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def recorded_status(card: Mapping[str, Any] | None) -> str:
    """Write what ran for the recorded run that the pages show.

    Parameters
    ----------
    card : mapping or None
        ``card.json`` of a recording; None where none is shown.

    Returns
    -------
    str
        Markdown.
    """
    if card is None:
        return "No run on real scans is recorded yet.\n"
    cohort = card["cohort"]
    lines = [
        f"**{card['name']}**: {cohort['controls']['n_scans']:,} scans of "
        f"{cohort['controls']['n_participants']:,} controls of {', '.join(cohort['projects'])}, "
        f"{cohort['grid_mm']} mm, {cohort['folds']} folds, seed {cohort['seed']}.",
        "",
        "| Recipe | Code (commit) | Device of the training | Chapters took | torch | Python |",
        "| :-- | :-- | :-- | --: | :-- | :-- |",
    ]
    for recipe, piece in card["pieces"].items():
        chapters = list(piece["chapters"].values())
        torch = _each(chapter.get("versions", {}).get("torch") for chapter in chapters)
        python = _each(chapter.get("python") for chapter in chapters)
        lines.append(
            f"| {recipe} | {piece['commit']} | {piece['device']} | {_duration(piece['seconds'])} "
            f"| {torch} | {python} |"
        )
    return "\n".join([*lines, ""])


def _each(values: Iterable[str | None]) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value)) or "unknown"


def citation(facts: Mapping[str, Any]) -> str:
    """Write how to cite, from the facts of ``CITATION.cff``.

    Parameters
    ----------
    facts : mapping
        The file's content; its ``references`` are the works to cite beside it.

    Returns
    -------
    str
        Markdown with a sentence and BibTeX for each work.
    """
    works = [facts, *facts.get("references", [])]
    return "\n".join(_work(work) for work in works)


def _work(work: Mapping[str, Any]) -> str:
    """One work: a sentence, then BibTeX."""
    full = [_names(author) for author in work["authors"]]
    year = str(work.get("year") or work["date-released"])[:4]
    article = work["type"] in ("article", "generic")
    fields = {
        "author": " and ".join(
            f"{family}, {given}" if given else f"{{{family}}}" for family, given in full
        ),
        "title": f"{{{work['title']}}}",
        "year": year,
    }
    if "version" in work:
        fields["version"] = work["version"]
    if "notes" in work:
        fields["note"] = work["notes"]
    people = ", ".join(f"{given} {family}".strip() for family, given in full)
    end = work.get("notes") or f"version {work['version']}"
    key = full[0][0].split()[-1].lower() + year
    body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return "\n".join(
        [
            f"{people} ({year}). *{work['title']}*. {end}.",
            "",
            "```bibtex",
            f"@{'article' if article else 'software'}{{{key},",
            body,
            "}",
            "```",
            "",
        ]
    )


def _names(author: Mapping[str, str]) -> tuple[str, str]:
    return author.get("family-names") or author["name"], author.get("given-names", "")
