"""Make the book once for each row of a table, and a page that puts their results side by side.

The table is a CSV: ``run`` (a name), ``profile`` (a name or a path), and where wanted ``manifest``
and ``seed``. What is done is not done again; a row that fails does not stop the others.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

from brainage_lib.errors import BadInput, UserError
from brainage_lib.files import write_text
from brainage_lib.report.comparison import compare_runs, write_comparison
from brainage_lib.run import Run, load_profile, locate
from brainage_lib.run.processes import stop_on_signals, stop_with_parent

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("run", "profile", "manifest", "seed")
PARTLY = 5
SHARED = ("volumes/t1w", "steps/volumes.json")
"""What runs of one cohort, grid and preprocessing have in common, whatever their seeds."""


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read the table of parameter sets.

    Raises
    ------
    BadInput
        With one finding a bad cell.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise BadInput(str(path) or "TABLE", [f"no table can be read: {error}"]) from None
    findings = [f"line 1, {name}: unknown column" for name in table.columns if name not in COLUMNS]
    findings += [f"line 1, {name}: is missing" for name in COLUMNS[:2] if name not in table.columns]
    if findings:
        raise BadInput(str(path), [f"{text}; give {', '.join(COLUMNS)}" for text in findings])
    for name in COLUMNS[2:]:
        table[name] = table.get(name, "")
    for line, row in enumerate(table.to_dict("records"), start=2):
        if not row["run"] or os.sep in row["run"]:
            findings.append(f"line {line}, run: {row['run']!r} cannot name a folder")
        if row["seed"] and not row["seed"].isdigit():
            findings.append(f"line {line}, seed: {row['seed']!r} is no whole number of 0 or more")
    twice = table["run"][table["run"].duplicated()]
    findings += [f"line {row + 2}, run: {name!r} stands twice" for row, name in twice.items()]
    if findings or table.empty:
        raise BadInput(str(path), findings or ["no rows: give a row a run"])
    return table.to_dict("records")


def ask(row: dict[str, str], folder: Path) -> Path:
    """Write the profile of a row, with its seed; it keeps its name."""
    named = os.sep in row["profile"] or row["profile"].endswith(".yml")
    source = Path(row["profile"])
    if not named:
        source = ROOT / "workflow" / "profiles" / f"{row['profile']}.yml"
    load_profile(source)
    settings = yaml.safe_load(source.read_text(encoding="utf-8"))
    if row["seed"]:
        settings["seed"] = int(row["seed"])
    target = folder / "asked" / row["run"] / source.name
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        write_text(target, text)
    load_profile(target)
    return target


def images_key(profile: Path, manifest: str) -> str:
    """Tell what decides a run's preprocessed volumes."""
    settings = load_profile(profile)
    parts = [
        str(Path(manifest or settings.cohort).resolve()),
        settings.grid_mm,
        settings.preprocessing.model_dump(),
    ]
    return json.dumps(parts, sort_keys=True)


def share(source: Path, target: Path) -> None:
    """Give a run the volumes of another: the same files under two names, where that is possible.

    The run looks for itself whether they are what it needs.
    """
    if (target / SHARED[0]).exists() or not (source / SHARED[1]).is_file():
        return
    for name in SHARED:
        path = source / name
        for file in [path] if path.is_file() else path.iterdir():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, copy)
            except OSError:
                shutil.copy2(file, copy)


def main(arguments: list[str]) -> int:
    """Make all runs of a table; returns the exit code."""
    table, rest = Path(arguments[0] if arguments else ""), arguments[1:]
    stop_on_signals()
    stop_with_parent()
    try:
        rows = read_rows(table)
        folder = locate(f"{table.stem}-batch").resolve()
        profiles = {row["run"]: ask(row, folder) for row in rows}
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    done: dict[str, Run] = {}
    first: dict[str, Path] = {}
    failed: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        name, profile = row["run"], profiles[row["run"]]
        print(f"== {name} ({number} of {len(rows)})", flush=True)
        place = folder.parent / name
        key = images_key(profile, row["manifest"])
        if key in first:
            share(first[key], place)
        command = [
            sys.executable, str(ROOT / "workflow" / "book.py"), "--profile", str(profile),
            "--manifest", row["manifest"], "--run", str(place), *rest,
        ]  # fmt: skip
        code = subprocess.call(command, cwd=ROOT)
        if code:
            failed[name] = code
            continue
        first.setdefault(key, place)
        done[name] = Run(place)
    if done and not rest:
        page = write_comparison(compare_runs(done), folder, failed)
        print(f"The runs beside one another: {page}")
    for name, code in failed.items():
        print(f"{name} did not finish (exit code {code})", file=sys.stderr)
    return PARTLY if failed and done else max(failed.values(), default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
