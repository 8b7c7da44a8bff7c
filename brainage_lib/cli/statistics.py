"""``brainage stats``: everything that a predictions table tells, as tables and one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainage_lib.errors import WrongUsage


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("stats")(_stats)


def _stats(
    predictions: Annotated[Path, typer.Argument(help="A predictions table (CSV).")],
    out: Annotated[Path, typer.Option(help="Folder for tables and page; it is created.")],
    replicates: Annotated[int, typer.Option(min=100, help="Replicates of the bootstrap.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    level: Annotated[float, typer.Option(help="Coverage of the intervals, 0 to 1.")] = 0.9,
    page: Annotated[bool, typer.Option(help="Write report.html beside the tables.")] = True,
) -> None:
    """Put anyone's predictions through the book's statistics: tables (CSV) and one page (HTML).

    The table has a row a scan, network and fold, with the columns that the book's page
    *Your own cohort* lists; rows of training and validation scans are needed for the paper
    mode, and in sound mode show what flatters. What cannot be computed is named with its reason.
    Example: `brainage stats predictions.csv --out tables`
    """
    from brainage_lib import stats, tables

    if not 0 < level < 1:
        raise WrongUsage(f"--level {level}: a coverage lies between 0 and 1, such as 0.9")
    analysis = stats.analyse(stats.read_predictions(predictions), replicates, seed, level)
    for warning in analysis.warnings:
        typer.echo(f"brainage: {warning}", err=True)
    for name, table in analysis.tables.items():
        tables.write_table(table, out / f"{name}.csv", stats.ANALYSIS[name])
    for name in analysis.missing:
        # Of an earlier table: it would be taken for one of this.
        (out / f"{name}.csv").unlink(missing_ok=True)
    stats.save_model_json(analysis.stacked, out / "model.json")
    stats.save_calibration_json(analysis.stacked, out / "calibration.json", level)
    if page:
        _write_page(analysis, predictions.name, out / "report.html")
    for row in analysis.tables["table1"].itertuples():
        typer.echo(
            f"{row.mode:5} {row.fitted_on:11} {row.model:3} MAE {row.mae:5.2f} "
            f"({row.mae_low:.2f} to {row.mae_high:.2f}) years, R2 {row.r2:.3f}, n {row.n_scans}"
        )
    for name, reason in analysis.missing.items():
        typer.echo(f"no {name}.csv: {reason}")


def _write_page(analysis, name: str, path: Path) -> None:
    from brainage_lib import stats
    from brainage_lib.files import write_text
    from brainage_lib.show.statistics import MODEL, Told, statistics_page

    paper = {
        "table1": stats.paper_table1(),
        "table2": stats.paper_table2(),
        "table3": stats.paper_table3(),
        "anova": stats.paper_anova(),
        "coefficients": stats.paper_coefficients(),
    }
    which = analysis.headline
    told = Told(
        tables=analysis.tables,
        missing=analysis.missing,
        headline=which,
        rows=analysis.stacked.rows,
        pairs=stats.pairs_of(analysis.stacked, which["recipe"], which["mode"], MODEL),
        paper=paper,
        source=name,
    )
    write_text(path, statistics_page(told, f"Brain age: {name}", analysis.warnings))
