"""How long Snakemake takes to build the graph of a large run, and a run with nothing to do.

Manifests of 360, 2,851 and 10,000 rows with the profile ``paper``, whose scans have jobs of their
own. Outputs are empty files: nothing is computed. Compare the rows: the first is mostly Snakemake's
own start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
ROWS = (360, 2851, 10000)


def make_manifest(path: Path, n: int) -> None:
    """Repeat the simulated cohort's rows under new names."""
    table = pd.read_csv(ROOT / "data_manifest.csv", dtype=str)
    copies = pd.concat([table] * -(-n // len(table)), ignore_index=True).iloc[:n]
    numbers = copies.index.astype(str)
    for name in ("scan_id", "participant_id"):
        copies[name] = copies[name] + "-" + numbers
    copies.to_csv(path, index=False)


def make(folder: Path, *rest: str) -> tuple[float, str]:
    """Call what `make book` calls; returns seconds and what was said."""
    command = [
        sys.executable, str(ROOT / "workflow" / "book.py"), "--profile", str(folder / "big.yml"),
        "--manifest", str(folder / "manifest.csv"), "--run", str(folder / "runs" / "big"), *rest,
    ]  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - began, done.stdout + done.stderr


def make_outputs(run: Path) -> int:
    """Write an empty file for everything that a job promises; returns how many there are."""
    listed = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile"),
            "--directory", str(run), "--cores", "1", "--nolock", "--summary",
        ],
        capture_output=True, text=True, check=True, cwd=ROOT,
    ).stdout  # fmt: skip
    for line in listed.splitlines()[1:]:
        path = run / line.split("\t")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return len(listed.splitlines()) - 1


def main() -> None:
    """Print seconds by number of rows."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    profile = yaml.safe_load(
        (ROOT / "workflow" / "profiles" / "paper.yml").read_text(encoding="utf-8")
    )
    print(f"{'scans':>8} {'files':>6} {'graph':>9} {'nothing to do':>14}")
    for n in [int(text) for text in sys.argv[1:]] or ROWS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "big.yml").write_text(
                yaml.safe_dump(profile | {"recorded": "none"}), encoding="utf-8"
            )
            make_manifest(folder / "manifest.csv", n)
            graph, _ = make(folder, "--dry-run")
            files = make_outputs(folder / "runs" / "big")
            make(folder, "--touch")
            nothing, said = make(folder)
            if "Reasons:" in said or "Execute" in said:
                sys.exit(f"something was left to do:\n{said}")
            print(f"{n:>8} {files:>6} {graph:7.1f} s {nothing:12.1f} s", flush=True)


if __name__ == "__main__":
    main()
