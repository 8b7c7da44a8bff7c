"""``brainage record``: the aggregates of a run on real scans, for the book."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def record_command(
    run: Annotated[str, typer.Argument(help="Name of a finished run, or path of its folder.")],
    name: Annotated[str, typer.Argument(help="Name of the recording, such as oas1.")],
    into: Annotated[Path, typer.Option(help="Folder of recordings.")] = Path("book/recorded"),
) -> None:
    """Record the aggregate results of a run on real scans, so that the book can show them.

    Nothing of a single participant is written: small groups are hidden, and everything is
    checked before it is put in place. Recording another run of the same cohort under the same
    name adds its recipes. Example: `brainage record runs/recorded oas1`
    """
    from brainage_lib.report.recorded import record
    from brainage_lib.run import Run, locate

    folder = record(Run(locate(run)), name, into)
    files = [path for path in folder.iterdir() if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    typer.echo(f"{folder}: {len(files)} files, {size / 1e6:.1f} MB; show it with recorded: {name}")


def register(app: typer.Typer) -> None:
    """Add the command to ``brainage``."""
    app.command("record")(record_command)
