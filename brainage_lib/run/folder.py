"""The run folder: where things lie and which of them are up to date."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml

from brainage_lib.errors import WrongUsage
from brainage_lib.files import digest_file, digest_files, read_json, write_json, write_text
from brainage_lib.run.networks import NetworkKey
from brainage_lib.run.profile import SHIPPED, Profile, load_profile

Item = TypeVar("Item")
PACKAGE = Path(__file__).resolve().parents[1]
SOURCES = (".py", ".yml", ".csv", ".json")


class Run:
    """One folder with everything that a run read, decided and produced.

    Parameters
    ----------
    folder : path
        Made by `start_run`; its ``profile.yml`` says what the run does.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder).resolve()
        if not self.path("profile.yml").is_file():
            raise WrongUsage(
                f"{folder} is not a run folder (no profile.yml); `make book` makes one"
            )

    def path(self, *parts: str) -> Path:
        """Path of something in the folder, for instance ``run.path("volumes", "t1w")``."""
        return self.folder.joinpath(*parts)

    @property
    def preprocessed(self) -> Path:
        """Folder of preprocessed scans, which all runs beside this one share."""
        return self.folder.parent / "preprocessed"

    def network_folder(self, recipe: str, mode: str, net: str, seed: int, fold: int) -> Path:
        """Folder of one training, the fields of a `NetworkKey`: its weights, log, checkpoint."""
        return self.path("networks", NetworkKey(recipe, mode, net, seed, fold).place)

    @cached_property
    def profile(self) -> Profile:
        """The settings of this run."""
        return load_profile(self.path("profile.yml"))

    @property
    def simulated(self) -> bool:
        """Whether every scan of the cohort is simulated (known once chapter 01 has run)."""
        return bool(read_json(self.path("cohort.json"))["simulated"])

    @property
    def source(self) -> str:
        """Where the scans come from, as captions say it: "simulated scans" or "real scans"."""
        return "simulated scans" if self.simulated else "real scans"

    def up_to_date(self, step: str, key: Any, outputs: Sequence[str | os.PathLike]) -> bool:
        """Tell whether a step was finished with the same key and its outputs are still there.

        Parameters
        ----------
        step : str
            Name of the step, for instance ``"volumes"``.
        key : JSON-able value
            All that the result depends on: settings, digests of inputs, `code_digest`.
        outputs : sequence of path
            Files that the step wrote, relative to the run folder.
        """
        record = self.path("steps", f"{step}.json")
        if not record.is_file():
            return False
        known = read_json(record)
        if known["key"] != _digest(key):
            return False
        for name in map(str, outputs):
            path = self.path(name)
            if not path.is_file() or known["outputs"].get(name) != digest_file(path):
                return False
        return True

    def finish(self, step: str, key: Any, outputs: Sequence[str | os.PathLike]) -> None:
        """Record that a step is complete; see `up_to_date`."""
        digests = {str(name): digest_file(self.path(str(name))) for name in outputs}
        write_json(self.path("steps", f"{step}.json"), {"key": _digest(key), "outputs": digests})


def _digest(key: Any) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()


def code_digest(*rooms: str) -> str:
    """Digest of the source of some rooms, for the keys of steps that depend on them.

    Parameters
    ----------
    *rooms : str
        Rooms or modules of the library: ``"models"``, ``"train/fit.py"``.
    """
    files: list[Path] = []
    for room in rooms:
        path = PACKAGE / room
        # Tables and recipes in a room decide its results as its code does.
        found = [path] if path.is_file() else []
        found += [file for kind in SOURCES for file in sorted(path.rglob(f"*{kind}"))]
        if not found:
            raise ValueError(f"no such room: {room}")
        files += found
    return digest_files(files)


def locate(name: str | os.PathLike) -> Path:
    """Find a run folder by its name or path.

    A bare name stands for a folder under ``$BRAINAGE_RUNS``, which is ``runs`` beside the
    project's ``_config.yml`` unless set; anything with a separator is a path.
    """
    text = os.fspath(name)
    if os.sep in text:
        return Path(text)
    if "BRAINAGE_RUNS" in os.environ:
        return Path(os.environ["BRAINAGE_RUNS"]) / text
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "_config.yml").is_file():
            return folder / "runs" / text
    return here / "runs" / text


def start_run(
    folder: str | os.PathLike, profile: str | os.PathLike, cohort: str | os.PathLike | None = None
) -> Run:
    """Make a run folder, or bring the settings of an existing one up to date.

    Parameters
    ----------
    folder : path
        The run folder.
    profile : path
        A profile's YAML file.
    cohort : path, optional
        A manifest in place of the profile's.

    Returns
    -------
    Run

    Raises
    ------
    WrongUsage
        If the profile is wrong; nothing is written.
    """
    settings = load_profile(profile)
    manifest = Path(cohort if cohort else settings.cohort).resolve()
    generator = settings.generator
    # Chapters run in another folder than the one from which a run is started.
    absolute = {
        name: str(Path(given).resolve())
        for name in ("weights", "pairs")
        if (given := getattr(generator, name)) not in (None, SHIPPED)
    }
    settings = settings.model_copy(
        update={"cohort": str(manifest), "generator": generator.model_copy(update=absolute)}
    )
    text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    target = Path(folder) / "profile.yml"
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        write_text(target, text)
    return Run(folder)


def progress(items: Iterable[Item], description: str, total: int | None = None) -> Iterable[Item]:
    """Go through ``items`` with a progress bar on standard error.

    Lines are at least ten seconds apart where nobody watches a terminal, so that logs
    and executed notebooks stay short.
    """
    from tqdm import tqdm

    apart = 0.5 if sys.stderr.isatty() else 10.0
    return tqdm(items, desc=description, total=total, mininterval=apart, ascii=" .:", ncols=88)
