"""Commands of ``brainage``. Imports stay inside them, so that ``--help`` is quick."""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

from brainage_lib import __version__
from brainage_lib.cli import (
    cbv,
    doctor,
    fetch,
    images,
    manifest,
    model,
    plan,
    predict,
    record,
    stability,
    statistics,
)
from brainage_lib.errors import UserError, WrongUsage

UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""What the system says of a folder that may not be written to, or is full: no bug."""

app = typer.Typer(
    name="brainage",
    help="Brain age from T1w scans and AI-synthesised blood volume: the tools behind the book.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(manifest.app, name="manifest")
record.register(app)
fetch.register(app)
images.register(app)
cbv.register(app)
statistics.register(app)
predict.register(app)
model.register(app)
stability.register(app)
doctor.register(app)
plan.register(app)


def main() -> None:
    """Run the command; errors meant for the user are printed without a traceback."""
    try:
        app()
    except UserError as error:
        print(f"brainage: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        print(f"brainage: {error.filename or 'disk'}: {error.strerror}", file=sys.stderr)
        sys.exit(UserError.exit_code)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"brainage {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command("train")
def train_command(
    run: Annotated[str, typer.Argument(help="Name of a run, or path of its folder.")],
    training: Annotated[
        str | None,
        typer.Argument(help="RECIPE/MODE/NET-sSEED/FOLD; all that are missing unless given."),
    ] = None,
) -> None:
    """Train the networks of a run whose splits and volumes are there (chapters 1 to 4).

    What is up to date is left alone; an interrupted training goes on where it stopped.
    Example: `brainage train demo paper/sound/T-s0/1`
    """
    from brainage_lib.run import Run, ShuffledKey, locate, plan_networks, plan_shuffled
    from brainage_lib.train.cohort import fit_networks
    from brainage_lib.train.shuffled import fit_shuffled

    found = Run(locate(run))
    planned = [*plan_networks(found.profile), *plan_shuffled(found.profile)]
    keys = {key.place: key for key in planned}
    if training is not None and training not in keys:
        raise WrongUsage(f"{training} is no training of this run; it has {', '.join(keys)}")
    wanted = list(keys.values()) if training is None else [keys[training]]
    trained = fit_networks(found, [key for key in wanted if not isinstance(key, ShuffledKey)])
    learned = fit_shuffled(found, [key for key in wanted if isinstance(key, ShuffledKey)])
    for key in wanted:
        # Snakemake goes by times: what was found up to date is as good as new.
        found.path("networks", key.place, "weights.safetensors").touch()
    for row in trained.itertuples():
        typer.echo(
            f"{row.recipe} {row.mode} {row.net} fold {row.fold}: epoch {row.best_epoch} of "
            f"{row.epochs}, validation MAE {row.validation_mae:.2f} years"
        )
    for row in learned.itertuples():
        typer.echo(
            f"{row.recipe} {row.mode} {row.net} on shuffled ages: MAE {row.learned_mae:.2f} years "
            f"by heart, {row.guess_mae:.2f} by their median"
        )


@app.command("ledger")
def ledger_command(
    as_json: Annotated[bool, typer.Option("--json", help="A list for programs.")] = False,
) -> None:
    """Print every claim of the paper with what its printed numbers imply.

    Example: `brainage ledger --json`
    """
    import json

    from brainage_lib import stats

    rows = stats.ledger().to_dict("records")
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for row in rows:
        typer.echo(f"{row['id']:2}  {row['verdict']:16}  {row['claim']}")
        for name in ("printed", "recomputed", "reason"):
            if row[name]:
                typer.echo(f"{'':22}{name}: {row[name]}")
