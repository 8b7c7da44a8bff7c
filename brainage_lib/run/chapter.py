"""A chapter of the book: its parameters are checked first, its run card is written last."""

from __future__ import annotations

import ast
import html
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from brainage_lib.errors import WrongUsage
from brainage_lib.files import digest_file, read_json, write_json
from brainage_lib.run.folder import PACKAGE, Run, locate
from brainage_lib.run.profile import Profile

DECLARED = ("run", "profile")
"""The parameters that every chapter declares; DESIGN's contract for notebooks."""

PACKAGES = (
    "brainage", "torch", "lightning", "numpy", "pandas", "scipy", "scikit-learn", "statsmodels",
    "nibabel", "nilearn", "SimpleITK", "numba", "plotly", "papermill", "jupytext",
    "jupyter-book", "snakemake",
)  # fmt: skip


@dataclass
class Chapter:
    """One execution of a notebook.

    Attributes
    ----------
    name : str
        Name of the notebook without its suffix.
    run : Run
        The folder it works in.
    """

    name: str
    run: Run
    began: float = field(default_factory=time.monotonic)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def card(self, selective_scan: str | None = None) -> Card:
        """Write this chapter's run card, merge all cards into ``card.json``, and return it.

        Parameters
        ----------
        selective_scan : str, optional
            Backend of the generator's scan, of a chapter that uses it.
        """
        profile = self.run.profile
        facts: dict[str, Any] = {
            "chapter": self.name,
            "started": self.started,
            "seconds": round(time.monotonic() - self.began, 1),
            "peak_memory_mb": round(_peak_memory_mb()),
            "profile": profile.name,
            "source": self.run.source,
            "seed": profile.seed,
            "for_speed": list(profile.for_speed),
            "device": _device(),
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "commit": _commit(),
            "versions": _versions(),
            "tables": {
                path.relative_to(self.run.folder).as_posix(): digest_file(path)
                for pattern in (
                    "*.csv",
                    "aicbv/*.csv",
                    "stacking/*.csv",
                    "cbv/*.csv",
                    "attribution/*.csv",
                )
                for path in sorted(self.run.folder.glob(pattern))
            },
        }
        if selective_scan is not None:
            facts["selective_scan"] = selective_scan
        write_json(self.run.path("cards", f"{self.name}.json"), facts)
        cards = sorted(self.run.path("cards").glob("*.json"))
        merged = {
            "profile": _plain(profile),
            "chapters": {path.stem: read_json(path) for path in cards},
        }
        write_json(self.run.path("card.json"), merged)
        return Card(facts)


@dataclass(frozen=True)
class Card:
    """What ran: shown at the end of a chapter and kept in the run folder."""

    facts: dict[str, Any]

    def rows(self) -> list[tuple[str, str]]:
        """Return the card as pairs of a label and a text."""
        facts = self.facts
        chapter = facts["chapter"]
        versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
        scan = facts.get("selective_scan")
        return [
            ("Data", f"{facts['source']}, profile {facts['profile']}, seed {facts['seed']}"),
            ("Duration", f"{facts['seconds']} s, peak memory {facts['peak_memory_mb']} MB"),
            ("Machine", f"{facts['machine']}, {facts['device']}, Python {facts['python']}"),
            *([("Selective scan", scan)] if scan else []),
            ("Code", f"commit {facts['commit']}"),
            ("Versions", versions),
            *([("For speed", ", ".join(facts["for_speed"]) + ": not as the paper")]
              if facts.get("for_speed") else []),
            ("Repeat", f"make book PROFILE={facts['profile']}, or: papermill "
             f"notebooks/{chapter}.ipynb out.ipynb -k brainage --cwd notebooks"),
        ]  # fmt: skip

    def _repr_html_(self) -> str:
        body = "".join(
            f'<tr><th scope="row">{label}</th><td>{html.escape(text)}</td></tr>'
            for label, text in self.rows()
        )
        return f'<table class="run-card"><caption>Run card</caption><tbody>{body}</tbody></table>'

    def __repr__(self) -> str:
        return "\n".join(f"{label}: {text}" for label, text in self.rows())


def open_chapter(name: str, run: str | os.PathLike, profile: str) -> Chapter:
    """Begin a chapter: check its parameters, find its run.

    Parameters
    ----------
    name : str
        Name of the notebook without its suffix.
    run : str
        Name of a run (under ``$BRAINAGE_RUNS`` or ``runs``) or path of its folder.
    profile : str
        Name of the profile with which the run was made.

    Raises
    ------
    WrongUsage
        A parameter was injected that the notebook does not declare, the folder is not a
        run, or it was made with another profile.
    """
    unknown = sorted(_injected() - set(DECLARED))
    if unknown:
        raise WrongUsage(
            f"{name}: unknown parameter {', '.join(unknown)}; allowed: {', '.join(DECLARED)}"
        )
    found = Run(locate(run))
    if found.profile.name != profile:
        raise WrongUsage(
            f"{name}: the run {found.folder.name} was made with the profile "
            f"{found.profile.name}, not {profile}; give profile={found.profile.name}, or "
            "another run"
        )
    return Chapter(name, found)


def _plain(profile: Profile) -> dict[str, Any]:
    """Give the profile without the folders of this machine, and without what it leaves out."""
    facts = profile.model_dump(mode="json")
    facts["cohort"] = os.path.basename(profile.cohort)
    generator = {name: value for name, value in facts["generator"].items() if value is not None}
    for name in ("weights", "pairs"):
        if name in generator:
            generator[name] = os.path.basename(generator[name])
    return facts | {"generator": generator}


def _injected() -> set[str]:
    """Names that papermill put into this session, read from the cells that were executed.

    Papermill marks its cell with the comment ``# Parameters`` and only logs a parameter
    that the notebook does not declare.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    names: set[str] = set()
    for source in shell.user_ns.get("In", []) if shell else []:
        if not source.lstrip().startswith("# Parameters"):
            continue
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign):
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _peak_memory_mb() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1024**2 if sys.platform == "darwin" else 1024)


def _device() -> str:
    torch = sys.modules.get("torch")
    if torch is None:
        return "CPU"
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def _commit() -> str:
    command = ["git", "-C", str(PACKAGE.parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.strip()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
