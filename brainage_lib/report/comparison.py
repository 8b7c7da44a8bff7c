"""Several runs beside one another: their Table 1 with intervals, on one page."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from brainage_lib.files import replacing, write_text
from brainage_lib.run import Run
from brainage_lib.tables import TABLE1, read_table

ROWS = ["recipe", "mode", "fitted_on", "model"]
KEPT = ["n_scans", "mae", "mae_low", "mae_high", "r2", "r2_low", "r2_high"]


def compare_runs(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Put Table 1 of some finished runs together.

    Parameters
    ----------
    runs : mapping of str to Run
        By the name under which they are shown.

    Returns
    -------
    DataFrame
        Columns run, profile, seed, source, recipe, mode, fitted_on, model, n_scans, mae,
        mae_low, mae_high (years), r2, r2_low, r2_high.
    """
    parts = []
    for name, run in runs.items():
        table = read_table(run.path("stacking", "table1.csv"), TABLE1)[[*ROWS, *KEPT]]
        facts = {"profile": run.profile.name, "seed": run.profile.seed, "source": run.source}
        parts.append(table.assign(run=name, **facts))
    first = ["run", "profile", "seed", "source", *ROWS]
    return pd.concat(parts, ignore_index=True)[[*first, *KEPT]]


def write_comparison(table: pd.DataFrame, folder: Path, failed: Mapping[str, int]) -> Path:
    """Write the page of a comparison, and its table as CSV beside it.

    Parameters
    ----------
    table : DataFrame
        Of `compare_runs`.
    folder : path
        Receives ``index.html`` and ``comparison.csv``.
    failed : mapping of str to int
        Runs that did not finish, with their exit codes: they are named, not left out silently.

    Returns
    -------
    Path
        The page.
    """
    with replacing(folder / "comparison.csv") as temporary:
        table.to_csv(temporary, index=False)
    runs = list(dict.fromkeys(table["run"]))
    sources = sorted(set(table["source"]))
    lines = [
        "<!doctype html>",
        '<html lang="en"><meta charset="utf-8"><title>Runs beside one another</title>',
        "<style>body{font:16px/1.5 sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}"
        "table{border-collapse:collapse}caption{text-align:left;padding:.5rem 0}"
        "th,td{border-bottom:1px solid #bbb;padding:.3rem .8rem;text-align:left}"
        "td{font-variant-numeric:tabular-nums}</style>",
        "<h1>Runs beside one another</h1>",
        f"<p>Mean absolute error on test scans, years, with 95 % intervals; {', '.join(sources)}. "
        "Intervals are of the scans that were tested. How far runs lie apart tells what a seed "
        "changes: splits, networks and bootstrap.</p>",
        "<table><caption>Table 1 by run</caption><thead><tr>",
        *(f'<th scope="col">{head}</th>' for head in ("Recipe", "Mode", "Fitted on", "Model")),
        *(f'<th scope="col">{_run_cell(table, run)}</th>' for run in runs),
        '<th scope="col">Apart by</th></tr></thead><tbody>',
    ]
    for key, rows in table.groupby(ROWS, sort=False):
        by_run = rows.set_index("run")
        cells = [_cell(by_run.loc[run]) if run in by_run.index else "–" for run in runs]
        apart = f"{rows['mae'].max() - rows['mae'].min():.2f}" if len(rows) > 1 else "–"
        heads = "".join(f'<th scope="row">{html.escape(str(part))}</th>' for part in key)
        values = "".join(f"<td>{cell}</td>" for cell in [*cells, apart])
        lines.append(f"<tr>{heads}{values}</tr>")
    lines.append("</tbody></table>")
    for name, code in failed.items():
        lines.append(
            f"<p><strong>{html.escape(name)}</strong> did not finish (exit code {code}); "
            "the same command goes on with it.</p>"
        )
    lines.append("<p>The same as a table: <a href='comparison.csv'>comparison.csv</a></p></html>")
    write_text(folder / "index.html", "\n".join(lines) + "\n")
    return folder / "index.html"


def _run_cell(table: pd.DataFrame, run: str) -> str:
    row = table[table["run"] == run].iloc[0]
    return html.escape(f"{run} ({row['profile']}, seed {row['seed']})")


def _cell(row: pd.Series) -> str:
    if math.isnan(row["mae_low"]):
        return f"{row['mae']:.2f} (no interval), n {row['n_scans']}"
    return f"{row['mae']:.2f} ({row['mae_low']:.2f} to {row['mae_high']:.2f}), n {row['n_scans']}"
