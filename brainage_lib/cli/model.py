"""``brainage model-train``: networks for ``brainage predict``, from a manifest, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def model_train_command(
    manifest: Annotated[Path, typer.Argument(help="Table of scans; controls are learned from.")],
    profile: Annotated[Path, typer.Option(help="Settings, such as workflow/profiles/shipped.yml.")],
    out: Annotated[Path, typer.Option(help="New folder for `brainage predict --model`.")],
    run: Annotated[
        str, typer.Option(help="Name or folder of the run that holds volumes and trainings.")
    ] = "model",
    licence: Annotated[str, typer.Option(help="Terms of the weights, for the card.")] = "",
) -> None:
    """Train networks on T1w alone, and pack what `brainage predict` needs of them.

    Scans are prepared and judged, split by participant, learned from fold by fold; errors,
    intervals and bias lines come from people whom a network did not see. Killed, the same line
    goes on where it stopped. The folder holds no row of anyone.
    Example: `brainage model-train scans.csv --profile workflow/profiles/shipped.yml --out model`
    """
    from brainage_lib.errors import WrongUsage
    from brainage_lib.predict.pack import pack_model
    from brainage_lib.run import locate, start_run
    from brainage_lib.train.alone import train_alone

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise WrongUsage(f"--out {out}: is not empty; give the name of a new folder")
    found = start_run(locate(run), profile, manifest)
    errors = train_alone(found)
    pack_model(found, out, licence)
    for row in errors[errors["recipe"] == found.profile.headline["recipe"]].itertuples():
        typer.echo(
            f"{out}: {row.n_scans} scans of {row.n_participants} people, MAE out of fold "
            f"{row.mae:.2f} years ({row.mae_low:.2f}–{row.mae_high:.2f}), age SD {row.age_sd:.1f}"
        )


def register(app: typer.Typer) -> None:
    """Add the command to ``brainage``."""
    app.command("model-train")(model_train_command)
