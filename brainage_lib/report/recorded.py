"""Write a finished run on real scans to ``book/recorded``: aggregates, nothing of a person."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.files import digest_file, read_json, write_json
from brainage_lib.report.recorded_check import check
from brainage_lib.report.recorded_tables import Finished, collect, shown_decades
from brainage_lib.run import Run
from brainage_lib.tables import RECORDED, read_table, write_table
from brainage_lib.tables.recorded import CARD, maps_file

NEEDED = {
    "cohort.json": "01_data_curation",
    "manifest.csv": "01_data_curation",
    "quality.csv": "02_images_and_quality",
    "aicbv/scores.csv": "03_aicbv_synthesis",
    "splits.csv": "04_split",
    "split_scores.csv": "04_split",
    "predictions.csv": "05_vgg8_training",
    "stacking/table1.csv": "06_stacking_and_anova",
    "stacking/anova.csv": "06_stacking_and_anova",
    "stacking/coefficients.csv": "06_stacking_and_anova",
    "table2.csv": "07_by_age_and_study",
    "table3.csv": "07_by_age_and_study",
    "attribution/groups.csv": "08_where_the_networks_look",
    "attribution/statements.csv": "08_where_the_networks_look",
    "cbv/ladder.csv": "09_does_cbv_help",
    "ledger.csv": "10_the_claims",
}
"""What a recording is made of, and the chapter that writes it."""

FROM_PREDICTIONS = ("06_stacking_and_anova", "07_by_age_and_study", "09_does_cbv_help",
                    "10_the_claims")  # fmt: skip
LEAST_TESTED = 10
"""Participants that each recipe and mode must have tested."""

CARD_KEEPS = ("chapter", "started", "seconds", "peak_memory_mb", "seed", "device", "python",
              "machine", "commit", "versions")  # fmt: skip
NOT_A_NAME = "none"
"""Word of the profile for showing no recording."""


def record(run: Run, name: str, into: str | os.PathLike) -> Path:
    """Write the aggregate results of a run, after a check that they give nobody away.

    A recording under the same name keeps the results of recipes that this run does not have,
    if both runs are of the same cohort and splits; those of the recipes that it has are
    replaced.

    Parameters
    ----------
    run : Run
        Of real scans, finished.
    name : str
        Name of the recording, and of its folder.
    into : path
        Folder of recordings, ``book/recorded``.

    Returns
    -------
    Path
        The folder of the recording, put in place whole.

    Raises
    ------
    WrongUsage
        The name is no plain folder name, the scans are simulated, or the recording is of
        another cohort.
    BadInput
        Chapters are not finished, too few people were tested, or the check found something;
        nothing is written.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name) or name == NOT_A_NAME:
        raise WrongUsage(
            f"{name!r} is no name of a recording; use letters, digits, - and _, such as oas1"
        )
    _finished(run)
    finished = Finished(run)
    _enough(finished)
    card = _card(finished, name)
    target = Path(into) / name
    old = read_json(target / CARD) if (target / CARD).is_file() else None
    if old is not None:
        _same_cohort(old["cohort"], card["cohort"], name)
        card["pieces"] = old["pieces"] | card["pieces"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as temporary:
        folder = Path(temporary) / name
        folder.mkdir()
        for file, table in collect(finished).items():
            if old is not None:
                table = _with_others(table, target / f"{file}.csv", file)
            write_table(table, folder / f"{file}.csv", RECORDED[file])
        _write_maps(finished, target, folder)
        write_json(folder / CARD, card)
        check(folder, finished)
        if target.exists():
            os.replace(target, Path(temporary) / "before")
        os.replace(folder, target)
    return target


def _finished(run: Run) -> None:
    """Refuse a run of simulated scans, or one whose chapters are not all up to date."""
    if run.path("cohort.json").is_file() and run.simulated:
        raise WrongUsage(
            f"{run.folder.name} is a run of simulated scans; only real scans are recorded"
        )
    missing = [
        f"{file} is missing: chapter {chapter} has not run"
        for file, chapter in NEEDED.items()
        if not run.path(file).is_file()
    ]
    cards = {name: run.path("cards", f"{name}.json") for name in dict.fromkeys(NEEDED.values())}
    missing += [
        f"chapter {name} has not run to its end"
        for name, path in cards.items()
        if not path.is_file() and not any(name in line for line in missing)
    ]
    if not missing:
        seen = digest_file(run.path("predictions.csv"))
        missing = [
            f"chapter {name} read other predictions than there are now"
            for name in FROM_PREDICTIONS
            if read_json(cards[name]).get("tables", {}).get("predictions.csv") != seen
        ]
    if missing:
        remedy = "make the book of the run to its end first"
        raise BadInput(f"run {run.folder.name}", [*missing, remedy])


def _enough(finished: Finished) -> None:
    test = finished.predictions[finished.predictions["role"] == "test"]
    people = test.groupby(["recipe", "mode"])["participant_id"].nunique()
    few = people[people < LEAST_TESTED]
    if len(few):
        raise BadInput(
            f"run {finished.run.folder.name}",
            [f"recipe {recipe}, {mode} mode: fewer than {LEAST_TESTED} participants are tested"
             for recipe, mode in few.index],
        )  # fmt: skip


def _card(finished: Finished, name: str) -> dict[str, Any]:
    """Say what is recorded and, by recipe, what ran: no path, no date of a scan."""
    run = finished.run
    profile = run.profile.model_dump(mode="json")
    profile["cohort"] = os.path.basename(profile["cohort"])
    chapters = {}
    for path in sorted(run.path("cards").glob("*.json")):
        card = read_json(path)
        chapters[path.stem] = {key: card[key] for key in CARD_KEEPS if key in card}
    piece = {
        "profile": profile,
        "seeds": {"splits and bootstrap": run.profile.seed, "networks": run.profile.seeds},
        "commit": chapters[NEEDED["predictions.csv"]].get("commit", "unknown"),
        "device": chapters[NEEDED["predictions.csv"]].get("device", "unknown"),
        "seconds": round(sum(card.get("seconds", 0) for card in chapters.values())),
        "n_scans": len(finished.controls),
        "chapters": chapters,
    }
    return {
        "name": name,
        "cohort": {
            "digest": _digest(finished.kept),
            "folds": run.profile.folds,
            "grid_mm": run.profile.grid_mm,
            "patients": run.profile.patients,
            "seed": run.profile.seed,
            "projects": sorted(finished.kept["project"].unique()),
            "controls": {
                "n_scans": len(finished.controls),
                "n_participants": int(finished.controls["participant_id"].nunique()),
            },
        },
        "pieces": dict.fromkeys(finished.recipes, piece),
    }


def _digest(kept: pd.DataFrame) -> str:
    """One number that tells whether two runs are of the same scans and ages."""
    lines = sorted(f"{row.scan_id}\t{row.age:.6g}\n" for row in kept.itertuples())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _same_cohort(old: dict, new: dict, name: str) -> None:
    differing = [key for key in new if old.get(key) != new[key]]
    if differing:
        words = {"digest": "scans or ages"}
        told = ", ".join(words.get(key, key) for key in differing)
        raise WrongUsage(
            f"the recording {name} is of another cohort ({told} differ); record under another "
            "name, or remove its folder first"
        )


def _with_others(table: pd.DataFrame, path: Path, file: str) -> pd.DataFrame:
    """Put the rows of other recipes beside those of this run (of other modes, without recipe)."""
    by = next((name for name in ("recipe", "mode") if name in table), None)
    if by is None or not path.is_file():
        return table
    old = read_table(path, RECORDED[file])
    others = old[~old[by].isin(table[by])]
    return table if others.empty else pd.concat([others, table], ignore_index=True)


def _write_maps(finished: Finished, target: Path, folder: Path) -> None:
    """Write this run's mean maps, and keep those of other recipes."""
    from brainage_lib.explain.finished import save_maps

    maps = finished.attribution
    mode = finished.run.profile.headline["mode"]
    for recipe, rows in maps[maps["mode"] == mode].groupby("recipe"):
        decades = shown_decades(rows)
        if decades:
            nets = list(dict.fromkeys(rows["net"]))
            save_maps(folder / maps_file(str(recipe)), finished.run, nets, mode, decades)
    for path in target.glob("*.npz"):
        if path.name not in {maps_file(recipe) for recipe in finished.recipes}:
            shutil.copy(path, folder)
