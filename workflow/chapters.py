"""What depends on what: the chapters, and the library files that a notebook uses."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import brainage_lib

LIBRARY = Path(brainage_lib.__file__).parent


class Chapter(NamedTuple):
    """One notebook.

    Attributes
    ----------
    after : tuple of str
        Chapters whose tables it reads.
    tables : tuple of str
        What it writes for others, relative to the run folder. Volumes and networks are not
        listed: Snakemake would remove them before each execution, and the steps that make
        them know by their content whether they are up to date.
    recorded : tuple of str
        What it shows of the recorded run: names or patterns of files in ``recorded``.
    """

    after: tuple[str, ...]
    tables: tuple[str, ...] = ()
    recorded: tuple[str, ...] = ()

    def recorded_files(self, run: Path) -> list[str]:
        """Files of the recorded run that it shows and that are there, relative to the run."""
        folder = run / "recorded"
        names = {path.name for pattern in self.recorded for path in folder.glob(pattern)}
        return [f"recorded/{name}" for name in sorted(names)]


CHAPTERS = {
    "01_data_curation": Chapter((), ("manifest.csv", "cohort.json"), ("cohort.csv",)),
    "02_images_and_quality": Chapter(("01_data_curation",), ("quality.csv",), ("quality.csv",)),
    "03_aicbv_synthesis": Chapter(("02_images_and_quality",), ("aicbv/scores.csv",)),
    "04_split": Chapter(
        ("03_aicbv_synthesis",), ("splits.csv", "split_scores.csv"), ("split_scores.csv",)
    ),
    "05_vgg8_training": Chapter(("04_split",), ("predictions.csv",), ("networks.csv",)),
    "06_stacking_and_anova": Chapter(
        ("05_vgg8_training",),
        (
            "stacking/table1.csv",
            "stacking/anova.csv",
            "stacking/coefficients.csv",
            "stacking/inflation.csv",
            "stacking/model.json",
            "stacking/calibration.json",
            "stacking/reference.json",
        ),
        (
            "table1.csv",
            "anova.csv",
            "coefficients.csv",
            "differences.csv",
            "error_quantiles.csv",
            "age_density.csv",
        ),
    ),
    "07_by_age_and_study": Chapter(
        ("06_stacking_and_anova",),
        ("table2.csv", "table3.csv", "studies.csv", "by_sex.csv", "coverage.csv", "bias.csv"),
        ("table1.csv", "table2.csv", "table3.csv"),
    ),
    "08_where_the_networks_look": Chapter(
        ("05_vgg8_training",),
        ("attribution/groups.csv", "attribution/statements.csv"),
        ("table1.csv", "attribution.csv", "overlap.csv", "statements.csv", "maps-*.npz"),
    ),
    "09_does_cbv_help": Chapter(
        ("05_vgg8_training", "06_stacking_and_anova"),
        ("cbv/ladder.csv", "cbv/ladder_null.csv"),
        ("table1.csv", "ladder.csv"),
    ),
    "10_the_claims": Chapter(
        ("06_stacking_and_anova", "07_by_age_and_study", "08_where_the_networks_look"),
        ("ledger.csv",),
        ("table1.csv", "ledger.csv", "statements.csv"),
    ),
    "00_one_scan": Chapter(("06_stacking_and_anova",)),
}


def existing(notebooks: Path) -> dict[str, Chapter]:
    """Chapters whose notebook is there; a missing one is left out of the others' needs too."""
    there = {name for name in CHAPTERS if (notebooks / f"{name}.ipynb").is_file()}
    return {
        name: chapter._replace(after=tuple(other for other in chapter.after if other in there))
        for name, chapter in CHAPTERS.items()
        if name in there
    }


def follows(name: str, other: str) -> bool:
    """Tell whether a chapter reads, directly or through others, what another one wrote."""
    return any(before == other or follows(before, other) for before in CHAPTERS[name].after)


def count_rows(manifest: str) -> int:
    """Rows of a manifest; 0 if it is not there, which Snakemake then says."""
    try:
        with open(manifest, newline="", encoding="utf-8") as stream:
            return max(0, sum(1 for row in csv.reader(stream) if row) - 1)
    except FileNotFoundError:
        return 0


@cache
def library(source: Path) -> list[str]:
    """Files of every room that a notebook or module imports, directly or through others.

    Snakemake does not see imports, so that they are inputs of a chapter's rule.
    """
    modules = {path.stem for path in LIBRARY.glob("*.py")} - {"__init__"}
    rooms = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
    files = {LIBRARY / "__init__.py"}
    used: set[str] = set()
    unread = [source]
    while unread:
        text = unread.pop().read_text(encoding="utf-8")
        names = set(re.findall(r"brainage_lib\.(\w+)", text))
        for several in re.findall(r"from brainage_lib import \(?([\w, \n]+)", text):
            names |= set(re.split(r"[,\s]+", several))
        for name in sorted(names - used):
            if name in modules:
                found = [LIBRARY / f"{name}.py"]
            elif name in rooms:
                found = [
                    path
                    for path in (LIBRARY / name).rglob("*")
                    if path.is_file() and "__pycache__" not in path.parts
                ]
            else:
                continue
            used.add(name)
            files.update(found)
            unread += [path for path in found if path.suffix == ".py"]
    return sorted(str(path) for path in files)
