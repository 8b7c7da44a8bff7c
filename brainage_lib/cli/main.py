"""Commands of ``brainage``. Imports stay inside them, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from brainage_lib import __version__
from brainage_lib.cli import cbv, fetch, images, manifest, record
from brainage_lib.errors import UserError, WrongUsage

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


def main() -> None:
    """Run the command; errors meant for the user are printed without a traceback."""
    try:
        app()
    except UserError as error:
        print(f"brainage: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


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
    from brainage_lib.run import Run, locate, plan_networks
    from brainage_lib.train.cohort import fit_networks

    found = Run(locate(run))
    keys = {key.place: key for key in plan_networks(found.profile)}
    if training is not None and training not in keys:
        raise WrongUsage(f"{training} is no training of this run; it has {', '.join(keys)}")
    wanted = list(keys.values()) if training is None else [keys[training]]
    trained = fit_networks(found, wanted)
    for key in wanted:
        # Snakemake goes by times: what was found up to date is as good as new.
        (found.network_folder(*key) / "weights.safetensors").touch()
    for row in trained.itertuples():
        typer.echo(
            f"{row.recipe} {row.mode} {row.net} fold {row.fold}: epoch {row.best_epoch} of "
            f"{row.epochs}, validation MAE {row.validation_mae:.2f} years"
        )


@app.command("stats")
def stats_command(
    predictions: Annotated[Path, typer.Argument(help="A predictions table (CSV).")],
    out: Annotated[Path, typer.Option(help="Folder for the tables; it is created.")],
    replicates: Annotated[int, typer.Option(min=100, help="Replicates of the bootstrap.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
) -> None:
    """Stack anyone's predictions and write Tables 1, 2 and 3, the ANOVA and the coefficients.

    The table has a row a scan, network and fold, with the columns that the book's page
    *Your own cohort* lists. Example: `brainage stats predictions.csv --out tables`
    """
    from brainage_lib import stats, tables

    stacked = stats.stack(tables.read_table(predictions, tables.PREDICTIONS))
    results = {
        "table1": (stats.table1(stacked, replicates, seed), tables.TABLE1),
        "table2": (stats.table2(stacked, replicates, seed), tables.TABLE2),
        "table3": (stats.table3(stacked, replicates, seed), tables.TABLE3),
        "anova": (stats.anova(stacked, replicates, seed), tables.ANOVA),
        "coefficients": (stacked.coefficients, tables.COEFFICIENTS),
    }
    for warning in stacked.warnings:
        typer.echo(f"brainage: {warning}", err=True)
    for name, (table, schema) in results.items():
        tables.write_table(table, out / f"{name}.csv", schema)
    stats.save_model_json(stacked, out / "model.json")
    for row in results["table1"][0].itertuples():
        typer.echo(
            f"{row.mode:5} {row.fitted_on:11} {row.model:3} MAE {row.mae:5.2f} "
            f"({row.mae_low:.2f} to {row.mae_high:.2f}) years, R2 {row.r2:.3f}, n {row.n_scans}"
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
