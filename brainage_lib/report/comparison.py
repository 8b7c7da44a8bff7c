"""Several runs beside one another: their Tables 1 to 3 and their differences, on one page."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from brainage_lib.files import digest_file, replacing, write_text
from brainage_lib.run import Run
from brainage_lib.stats import between_runs, holm, stack
from brainage_lib.tables import PREDICTIONS, TABLE1, TABLE2, TABLE3, read_table

KIND = ["recipe", "mode", "fitted_on"]
ROWS = [*KIND, "model"]
INTERVAL = ["n_scans", "mae", "mae_low", "mae_high"]

TABLES = {
    "table1": ("stacking/table1.csv", TABLE1, ROWS, ["r2", "r2_low", "r2_high"]),
    "table2": ("table2.csv", TABLE2, [*ROWS, "age_group"], []),
    "table3": ("table3.csv", TABLE3, [*ROWS, "project"], []),
}
"""File, schema, what names a row, and what is kept beside the MAE."""

CAPTIONS = {
    "table1": "Table 1 by run",
    "table2": "Table 2 by run: groups of age",
    "table3": "Table 3 by run: studies",
}
HEADS = {
    "recipe": "Recipe", "mode": "Mode", "fitted_on": "Fitted on", "model": "Model",
    "age_group": "Age", "project": "Study",
}  # fmt: skip

STYLE = (
    "body{font:16px/1.5 sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem}"
    "table{border-collapse:collapse}caption{text-align:left;padding:.5rem 0}"
    "th,td{border-bottom:1px solid #bbb;padding:.3rem .8rem;text-align:left}"
    "td{font-variant-numeric:tabular-nums}div{overflow-x:auto}summary{cursor:pointer}"
)


def compare_runs(runs: Mapping[str, Run]) -> dict[str, pd.DataFrame]:
    """Put the tables of some finished runs together, and compare each run with each.

    Parameters
    ----------
    runs : mapping of str to Run
        By the name under which they are shown.

    Returns
    -------
    dict of str to DataFrame
        table1, table2, table3: columns run, profile, seed, source, recipe, mode, fitted_on,
        model, age_group or project, n_scans, mae, mae_low, mae_high (years), and of Table 1 r2,
        r2_low, r2_high. differences: first, second (runs), and as `between_runs`, with p_holm
        (Holm over all rows).
    """
    tables = {}
    for name, (file, schema, key, more) in TABLES.items():
        parts = []
        for label, run in runs.items():
            table = read_table(run.path(file), schema)[[*key, *INTERVAL, *more]]
            facts = {"profile": run.profile.name, "seed": run.profile.seed, "source": run.source}
            parts.append(table.assign(run=label, **facts))
        first = ["run", "profile", "seed", "source"]
        tables[name] = pd.concat(parts, ignore_index=True)[[*first, *key, *INTERVAL, *more]]
    return tables | {"differences": _differences(runs)}


def _differences(runs: Mapping[str, Run]) -> pd.DataFrame:
    cohorts = {name: digest_file(run.path("manifest.csv")) for name, run in runs.items()}
    stacked = {
        name: stack(read_table(run.path("predictions.csv"), PREDICTIONS))
        for name, run in runs.items()
    }
    parts = []
    for one, other in itertools.combinations(runs, 2):
        settings = runs[one].profile
        compared = between_runs(
            stacked[one],
            stacked[other],
            cohorts[one] == cohorts[other],
            settings.bootstrap,
            settings.seed,
        )
        if len(compared):
            compared.insert(0, "first", one)
            compared.insert(1, "second", other)
            parts.append(compared)
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    known = table["p"].notna()
    table["p_holm"] = math.nan
    table.loc[known, "p_holm"] = holm(table.loc[known, "p"])
    return table


def write_comparison(
    tables: Mapping[str, pd.DataFrame], folder: Path, failed: Mapping[str, int]
) -> Path:
    """Write the page of a comparison, and its tables as CSV beside it.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Of `compare_runs`.
    folder : path
        Receives ``index.html``, and ``table1.csv`` and so on.
    failed : mapping of str to int
        Runs that did not finish, with their exit codes: they are named, not left out silently.

    Returns
    -------
    Path
        The page.
    """
    for name, table in tables.items():
        with replacing(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    sources = sorted(set(tables["table1"]["source"]))
    lines = [
        "<!doctype html>",
        '<html lang="en"><meta charset="utf-8"><title>Runs beside one another</title>',
        f"<style>{STYLE}</style>",
        "<h1>Runs beside one another</h1>",
        f"<p>Mean absolute error on test scans, years, with 95 % intervals; {', '.join(sources)}. "
        "Intervals are of the scans that were tested. How far runs lie apart tells what a seed "
        "changes: splits, networks and bootstrap.</p>",
        *_by_run("table1", tables["table1"]),
        *_differences_table(tables["differences"]),
    ]
    for name in ("table2", "table3"):
        for kind, part in tables[name].groupby(KIND, sort=False):
            lines += _folded(f"{CAPTIONS[name]} ({', '.join(kind)})", _by_run(name, part))
    for name, code in failed.items():
        lines.append(
            f"<p><strong>{html.escape(name)}</strong> did not finish (exit code {code}); "
            "the same command goes on with it.</p>"
        )
    files = ", ".join(f"<a href='{name}.csv'>{name}.csv</a>" for name in tables)
    lines.append(f"<p>The same as tables: {files}</p></html>")
    write_text(folder / "index.html", "\n".join(lines) + "\n")
    return folder / "index.html"


def _by_run(name: str, table: pd.DataFrame) -> list[str]:
    """One table with a column a run, and how far the runs lie apart."""
    key = TABLES[name][2]
    runs = list(dict.fromkeys(table["run"]))
    rows = []
    for values, part in table.groupby(key, sort=False):
        by_run = part.set_index("run")
        cells = [_cell(by_run.loc[run]) if run in by_run.index else "–" for run in runs]
        known = part["mae"].dropna()
        apart = f"{known.max() - known.min():.2f}" if len(known) > 1 else "–"
        rows.append((values, [*cells, apart]))
    heads = [*(HEADS[part] for part in key), *(_run_cell(table, run) for run in runs), "Apart by"]
    return _table(CAPTIONS[name], heads, rows)


def _differences_table(table: pd.DataFrame) -> list[str]:
    if table.empty:
        return []
    rows = []
    for row in table.to_dict("records"):
        values = (row["first"], row["second"], *(row[part] for part in ROWS))
        p = "–" if math.isnan(row["p_holm"]) else f"{row['p_holm']:.3f}"
        scans = f"{row['n_first']} and {row['n_second']}, {row['n_both']} in both"
        change = _with_interval(row["difference"], row["low"], row["high"], "+.2f")
        rows.append((values, [change, p, scans]))
    heads = [
        "Run", "and run", *(HEADS[part] for part in ROWS), "Second less first, years",
        "p (Holm, over all rows)", "Tested scans",
    ]  # fmt: skip
    return [
        *_table("Differences between runs", heads, rows),
        "<p>A difference has an interval of its own, because people who were tested in both "
        "runs are drawn together. It is of the scans alone: that a network trained with another "
        "seed is another network is not in it, but in how far runs of equal settings lie "
        "apart.</p>",
    ]


def _table(
    caption: str, heads: Sequence[str], rows: Iterable[tuple[Sequence, Sequence[str]]]
) -> list[str]:
    lines = [
        f"<div><table><caption>{caption}</caption><thead><tr>",
        *(f'<th scope="col">{html.escape(head)}</th>' for head in heads),
        "</tr></thead><tbody>",
    ]
    for key, cells in rows:
        names = "".join(f'<th scope="row">{html.escape(str(part))}</th>' for part in key)
        lines.append(f"<tr>{names}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return [*lines, "</tbody></table></div>"]


def _folded(summary: str, lines: list[str]) -> list[str]:
    return [f"<details><summary>{html.escape(summary)}</summary>", *lines, "</details>"]


def _run_cell(table: pd.DataFrame, run: str) -> str:
    row = table[table["run"] == run].iloc[0]
    return f"{run} ({row['profile']}, seed {row['seed']})"


def _cell(row: pd.Series) -> str:
    if not row["n_scans"] or math.isnan(row["mae"]):
        return "–"
    return f"{_with_interval(row['mae'], row['mae_low'], row['mae_high'])}, n {row['n_scans']}"


def _with_interval(value: float, low: float, high: float, form: str = ".2f") -> str:
    if math.isnan(low):
        return f"{value:{form}} (no interval)"
    return f"{value:{form}} ({low:{form}} to {high:{form}})"
