"""Time and peak memory of each chapter as the cohort grows, and with which power they grow.

Simulated scans at 4 mm, one epoch, the whole book; a run for each size, in a folder that is
removed. An exponent of 1 is growth in proportion. Sizes are arguments: ``scaling.py 20 40``.
``--record CSV`` keeps the table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from brainage_lib.files import read_json, replacing
from brainage_lib.simulate.cohort import simulate_cohort

ROOT = Path(__file__).resolve().parents[1]
SIZES = (100, 300, 1000, 2851)


def make_run(folder: Path, n: int) -> pd.DataFrame:
    """Make the book of n simulated scans; a row a chapter."""
    settings = yaml.safe_load(
        (ROOT / "workflow" / "profiles" / "demo.yml").read_text(encoding="utf-8")
    )
    settings |= {"epochs": 1, "recorded": "none"}
    settings["generator"] |= {"people": 16, "steps": 20}
    (folder / "scaling.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    manifest, _ = simulate_cohort(n_scans=n, n_participants=n * 5 // 6, faults=False)
    manifest.to_csv(folder / "manifest.csv", index=False)
    command = [
        sys.executable, str(ROOT / "workflow" / "book.py"), "--profile",
        str(folder / "scaling.yml"), "--manifest", str(folder / "manifest.csv"),
        "--run", str(folder / "run"),
    ]  # fmt: skip
    subprocess.run(command, check=True, cwd=ROOT, stdin=subprocess.DEVNULL)
    cards = [read_json(path) for path in sorted((folder / "run" / "cards").glob("*.json"))]
    trained = [
        sum(read_json(path)["seconds_per_epoch"])
        for path in (folder / "run" / "networks").rglob("durations.json")
    ]
    rows = [(card["chapter"], card["seconds"], card["peak_memory_mb"]) for card in cards]
    # Jobs of their own, before chapter 05 finds them trained.
    rows.append(("all trainings", float(np.sum(trained)), np.nan))
    return pd.DataFrame(rows, columns=["chapter", "seconds", "peak_memory_mb"]).assign(n_scans=n)


def exponents(table: pd.DataFrame) -> pd.DataFrame:
    """Fit seconds and memory ~ scans^exponent for each chapter.

    Returns
    -------
    DataFrame
        Columns chapter, time_exponent, memory_exponent. Chapters that take a second or two are
        mostly their start, so that their exponent is near 0.
    """
    rows = []
    for chapter, part in table.groupby("chapter"):
        log = np.log(part["n_scans"])
        powers = [
            np.polyfit(log, np.log(part[name]), 1)[0] if part[name].notna().all() else np.nan
            for name in ("seconds", "peak_memory_mb")
        ]
        rows.append((chapter, *powers))
    return pd.DataFrame(rows, columns=["chapter", "time_exponent", "memory_exponent"])


def main() -> None:
    """Print a table of chapters by size, with exponents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--record", type=Path, help="a CSV to write")
    options = parser.parse_args()
    parts = []
    for n in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            parts.append(make_run(Path(folder), n))
    table = pd.concat(parts, ignore_index=True)
    wide = table.pivot(index="chapter", columns="n_scans", values=["seconds", "peak_memory_mb"])
    print(wide.round(1).to_string())
    if len(options.sizes) > 1:
        print(exponents(table).round(2).to_string(index=False))
    if options.record:
        with replacing(options.record) as temporary:
            table.to_csv(temporary, index=False)


if __name__ == "__main__":
    main()
