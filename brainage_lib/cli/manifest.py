"""``brainage manifest``: check, build and merge tables of scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Tables of scans.", no_args_is_help=True)


@app.command("check")
def manifest_check(
    manifest: Annotated[Path, typer.Argument(help="A CSV file with a row a scan.")],
) -> None:
    """Check a table of scans; list every bad cell with line, column and remedy.

    Example: `brainage manifest check data_manifest.csv`
    """
    from brainage_lib.tables import read_manifest

    table = read_manifest(manifest)
    typer.echo(
        f"{manifest}: {len(table)} scans of {table['participant_id'].nunique()} participants in "
        f"{table['project'].nunique()} projects, nothing to mend"
    )
