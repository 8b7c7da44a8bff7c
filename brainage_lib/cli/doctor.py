"""``brainage doctor``: whether everything works here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainage_lib.errors import UserError


class Unsound(UserError):
    """Something of the installation is not as it should be."""

    exit_code = 3


def doctor_command(
    model: Annotated[
        str | None, typer.Option(help="Look at these networks, too: a run or a packed model.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    head: Annotated[
        Path | None, typer.Option(help="Write the simulated head there (.nii.gz), and end.")
    ] = None,
) -> None:
    """Check the installation: versions, weights, and a simulated head whose answer is known.

    The head is stripped, corrected and registered as any raw scan; it takes about a minute.
    The hashes of the networks, those of the package unless `--model` is given, are compared with
    their card, and their answer on a simulated brain with the one that is known. Exit code 3 if
    something is not sound.

    Examples: `brainage doctor`; `brainage doctor --model weights`; a scan to practise on:
    `brainage doctor --head head.nii.gz`
    """
    from brainage_lib.predict import find_model
    from brainage_lib.predict.checkup import check_up, write_head
    from brainage_lib.predict.model import there_are_shipped

    if head is not None:
        write_head(head)
        typer.echo(f"{head}: a simulated head; try `brainage predict {head} --model …`")
        return
    run = find_model(model) if model is not None or there_are_shipped() else None
    unsound = []
    for finding in check_up(run, device):
        word = {True: "sound", False: "WRONG", None: ""}[finding.sound]
        typer.echo(f"{finding.name:17} {word:6} {finding.text}")
        if finding.sound is False:
            unsound.append(finding.name)
    if unsound:
        raise Unsound(f"not sound: {', '.join(unsound)}")


def register(app: typer.Typer) -> None:
    """Add the command to ``brainage``."""
    app.command("doctor")(doctor_command)
