"""Make a run and its book: check what was asked, let Snakemake do the rest.

Arguments that are not listed below go to Snakemake: ``--dry-run``, or a file of the run folder,
such as ``predictions.csv``, to go no further than that.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

from brainage_lib.errors import UserError, WrongUsage
from brainage_lib.files import replacing
from brainage_lib.run import count_gpus, load_profile, locate, start_run
from brainage_lib.run.processes import stop_on_signals, stop_with_parent
from brainage_lib.tables import read_manifest

ROOT = Path(__file__).resolve().parents[1]


def lock(folder: Path) -> int:
    """Hold the run for this process, and for Snakemake, which inherits the descriptor.

    The system releases it when the last of them has gone, however that happened.
    """
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    # One that was killed outright needs a second to notice and end.
    for _ in range(10):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            time.sleep(1)
    raise WrongUsage(
        f"another process works on {folder}; wait until it ends, or give this one RUN=name"
    )


def bring_recorded(source: Path, target: Path) -> None:
    """Make the run's copy of the recorded run that its pages show equal to the original.

    A chapter reads no path but its run's. Files that are equal are not touched, so that only
    chapters that show something new are executed again.

    Parameters
    ----------
    source : Path
        A folder of ``book/recorded``; where it is missing, nothing is recorded yet.
    target : Path
        ``recorded`` in the run folder; removed where nothing is recorded.
    """
    wanted = {}
    if (source / "card.json").is_file():
        wanted = {path.name: path for path in source.iterdir() if path.is_file()}
    if target.is_dir():
        for path in target.iterdir():
            if path.name not in wanted:
                path.unlink()
    for name, path in wanted.items():
        content, copy = path.read_bytes(), target / name
        if not copy.is_file() or copy.read_bytes() != content:
            with replacing(copy) as temporary:
                temporary.write_bytes(content)
    if not wanted and target.is_dir():
        target.rmdir()


def _gpus() -> list[str]:
    """Let no more jobs run at once than there are GPUs, if there are any: each takes one."""
    n = count_gpus()
    return ["--resources", f"gpu={n}"] if n else []


def _absolute(rest: list[str]) -> list[str]:
    """Snakemake works in the run folder: paths of the checkout are made absolute."""
    return [str(ROOT / text) if text.startswith("workflow/") else text for text in rest]


def make(profile: str, manifest: str | None, run: str | None, rest: list[str]) -> int:
    """Make the run folder, execute what is not up to date, build the pages."""
    path = Path(profile) if os.sep in profile else ROOT / "workflow" / "profiles" / f"{profile}.yml"
    # Whatever is wrong with the settings or the table of scans is said before anything is done.
    settings = load_profile(path)
    read_manifest(manifest or settings.cohort)
    folder = locate(run or path.stem).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    held = lock(folder)
    start_run(folder, path, manifest)
    bring_recorded(ROOT / "book" / "recorded" / settings.recorded, folder / "recorded")
    failure = folder / "failure.txt"
    failure.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile"),
        "--directory", str(folder), "--cores", "all",
        "--quiet", "rules", "host", "progress", "reason",
        # Not "code": a change in the Snakefile's wording is no reason to train again.
        "--rerun-triggers", "mtime", "params", "input",
        "--nolock", "--rerun-incomplete", *_gpus(), *_absolute(rest),
    ]  # fmt: skip
    # Notebooks know their run by its name alone, so that no page shows where it lies.
    environment = os.environ | {"BRAINAGE_RUNS": str(folder.parent)}
    code = subprocess.call(command, env=environment, pass_fds=[held])
    if code:
        if failure.is_file():
            print(f"\n{failure.read_text(encoding='utf-8')}", end="", file=sys.stderr)
        return code
    if not rest:
        print(f"The book of the run {folder.name}: {folder / 'book' / 'html' / 'index.html'}")
    return 0


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make book", description=__doc__)
    parser.add_argument("--profile", default="demo", help="name in workflow/profiles, or a path")
    parser.add_argument("--manifest", help="a manifest in place of the profile's cohort")
    parser.add_argument("--run", help="name or path of the run; the profile's name unless given")
    options, rest = parser.parse_known_args()
    stop_on_signals()
    stop_with_parent()
    try:
        return make(options.profile, options.manifest or None, options.run or None, rest)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
