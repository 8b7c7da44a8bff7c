"""``brainage fetch``: the studies that can be downloaded without registration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainage_lib.errors import BadInput


def fetch_command(
    study: Annotated[str, typer.Argument(help="ixi, dlbs, sald or corr.")],
    into: Annotated[Path, typer.Option(help="The study's folder; it is created.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask after showing the size.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only compare what is there with its checksums.")
    ] = False,
    mirror: Annotated[
        str | None, typer.Option(help="Address of another server with the same paths.")
    ] = None,
    pause: Annotated[float, typer.Option(min=0.1, help="Seconds between two requests.")] = 0.5,
) -> None:
    """Download an open study: size first, one connection, resumed where it broke, checksummed.

    Archives are unpacked. `checksums.csv` in the folder records every file. The licence is
    yours to keep. Example: `brainage fetch ixi --into data/ixi`
    """
    from brainage_lib.data.fetch import Host, describe, fetch, plan_fetch
    from brainage_lib.data.fetch import verify as differing

    if verify:
        wrong = differing(into)
        if wrong:
            raise BadInput(
                str(into),
                [f"{name}: changed since it was fetched; fetch it anew" for name in wrong],
            )
        typer.echo(f"{into}: every recorded file is as it came")
        return
    host = Host(mirror, pause)
    plan = plan_fetch(study, into, host)
    typer.echo(describe(plan))
    if plan.missing and not yes and not typer.confirm("Fetch it?"):
        typer.echo("nothing was fetched")
        return
    fetched = fetch(plan, host)
    typer.echo(f"{into}: {fetched.files} files came")
    if fetched.unverified:
        typer.echo(
            f"{len(fetched.unverified)} files have no published checksum: theirs were recorded at "
            "the first download and are not verified"
        )
    options = plan.study.fetch.next.format(into=into) if plan.study.fetch else ""
    out = into.parent / f"{study.lower()}.csv"
    typer.echo(f"next: brainage manifest build {options} --out {out}")


def register(app: typer.Typer) -> None:
    """Add ``fetch`` to the command."""
    app.command("fetch")(fetch_command)
