"""``brainage qc`` and ``brainage preprocess``: what can be done to scans without a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PARTLY = 5

Manifest = Annotated[Path, typer.Argument(help="A CSV file with a row a scan.")]
Grid = Annotated[int, typer.Option(min=1, max=4, help="Voxel of the MNI152 grid, mm.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes.")]
Again = Annotated[
    bool, typer.Option("--register-again", help="Register brains that claim to be in MNI152, too.")
]
Cache = Annotated[
    Path | None,
    typer.Option(help="Where preprocessed scans are kept; `preprocessed` beside what is written."),
]


def qc_command(
    manifest: Manifest,
    out: Annotated[Path, typer.Option(help="Table to write (CSV).")],
    grid_mm: Grid = 4,
    workers: Workers = 2,
    register_again: Again = False,
    cache: Cache = None,
) -> None:
    """Judge the images of a table of scans: keep, look, or drop, with the reasons.

    Nothing is asked about ages, and no scan stops the others. Raw scans are preprocessed for
    it, which is kept: a second call is quick. Example: `brainage qc scans.csv --out quality.csv`
    """
    from brainage_lib.data import check_scans
    from brainage_lib.tables import QUALITY, write_table

    kept = cache or out.resolve().parent / "preprocessed"
    quality = check_scans(manifest, grid_mm, kept, workers, register_again)
    write_table(quality, out, QUALITY)
    _say(quality, out)


def preprocess_command(
    manifest: Manifest,
    out: Annotated[Path, typer.Option(help="Folder to write to; it is created.")],
    grid_mm: Grid = 2,
    workers: Workers = 2,
    register_again: Again = False,
    cache: Cache = None,
) -> None:
    """Write normalised brains on an MNI152 grid, each with a record of the steps.

    Brain extraction, bias field, affine, grid, mean of the top 1 % at 1. The folder gets
    `quality.csv` and a `manifest.csv` that other commands read. A scan that cannot be used is
    put aside; the exit code is then 5.
    Example: `brainage preprocess scans.csv --out brains`
    """
    from brainage_lib.data import check_scans
    from brainage_lib.tables import QUALITY, write_table

    kept = cache or out / "preprocessed"
    quality = check_scans(manifest, grid_mm, kept, workers, register_again, into=out)
    write_table(quality, out / "quality.csv", QUALITY)
    _say(quality, out)
    if (quality["verdict"] == "drop").any():
        raise typer.Exit(PARTLY)


def _say(quality, place: Path) -> None:
    for row in quality[quality["verdict"] != "keep"].itertuples():
        typer.echo(f"{row.verdict:4}  {row.scan_id}: {row.reasons}")
    counts = quality["verdict"].value_counts()
    said = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("keep", "look", "drop"))
    typer.echo(f"{place}: {len(quality)} scans, {said}")


def register(app: typer.Typer) -> None:
    """Add the commands to ``brainage``."""
    app.command("qc")(qc_command)
    app.command("preprocess")(preprocess_command)
