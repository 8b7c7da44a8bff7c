"""Accept the demo's numbers: write the expected ones and the README's table from a run.

``python workflow/accept.py`` prints what changed, for the changelog. The test of the numbers
(tests/book/test_results.py) compares a run with what was accepted.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from brainage_lib import show
from brainage_lib.files import write_text
from brainage_lib.run import Run, locate
from brainage_lib.stats.paper import paper_table1
from brainage_lib.tables import MODELS, TABLE1, Recorded, choose, read_table

ROOT = Path(__file__).resolve().parents[1]
EXPECTED = ROOT / "tests" / "reference" / "demo_results.csv"
KEYS = ["table", "row", "column"]


class Numbers(NamedTuple):
    """The numbers of one table that are accepted.

    Attributes
    ----------
    path : str
        The table in the run folder.
    keys : tuple of str
        Columns that name a row.
    tolerance : dict of str to float
        Columns, and by how much each may differ on another processor. Counts may not. What a
        trained network says may: sums are taken in another order there, and each step of a
        training enlarges the difference. Trained on two kinds of processor, the same code gave
        MAEs that differ by 1.1 years at most over all, by up to 10 in groups of one or two
        scans; the tolerances are about twice that.
    of_group : bool
        Whether a row is a group of scans: then `group_tolerance` is that of its MAE.
    """

    path: str
    keys: tuple[str, ...]
    tolerance: dict[str, float]
    of_group: bool = False


def group_tolerance(n_scans: float) -> float:
    """Years by which the MAE of a group of scans may differ on another processor."""
    return round(3 + 12 / max(n_scans, 1) ** 0.5, 2)


WHICH = ("recipe", "mode", "fitted_on", "model")
TABLES = (
    Numbers("split_scores.csv", ("mode", "fold", "partition"), {"n_scans": 0, "kl": 1e-6}),
    Numbers(
        "stacking/table1.csv", WHICH, {"n_scans": 0, "n_participants": 0, "mae": 2.0, "r2": 0.12}
    ),
    Numbers(
        "stacking/anova.csv",
        ("recipe", "mode", "rows", "smaller", "larger"),
        {"n_scans": 0, "df_residual": 0},
    ),
    Numbers("table2.csv", (*WHICH, "age_group"), {"n_scans": 0, "mae": 0}, of_group=True),
    Numbers("table3.csv", (*WHICH, "project"), {"n_scans": 0, "mae": 0}, of_group=True),
)
SCORES_TOLERANCE = 0.1
"""Of the mean scores of AICBV, relative where they are above 1."""


def measured(run: Run) -> pd.DataFrame:
    """Collect a run's numbers.

    Returns
    -------
    DataFrame
        ``table, row, column, value, tolerance``; a number that is empty in the run is left out.
    """
    rows = []
    for table, keys, tolerance, of_group in TABLES:
        for record in pd.read_csv(run.path(table)).to_dict("records"):
            row = " ".join(str(record[key]) for key in keys)
            if of_group:
                tolerance = tolerance | {"mae": group_tolerance(record["n_scans"])}
            rows += [(table, row, name, record[name], most) for name, most in tolerance.items()]
    quality = pd.read_csv(run.path("quality.csv"))
    for verdict, count in quality["verdict"].value_counts().sort_index().items():
        rows.append(("quality.csv", verdict, "n_scans", count, 0))
    scores = pd.read_csv(run.path("aicbv/scores.csv"))
    for key, value in scores.groupby(["predictor", "region", "measure"])["value"].mean().items():
        most = SCORES_TOLERANCE * max(1.0, abs(value))
        rows.append(("aicbv/scores.csv", " ".join(key), "mean", value, round(most, 3)))
    ledger = pd.read_csv(run.path("ledger.csv"))
    for verdict, count in ledger["verdict"].value_counts().sort_index().items():
        rows.append(("ledger.csv", verdict, "n_claims", count, 0))
    found = pd.DataFrame(rows, columns=[*KEYS, "value", "tolerance"])
    return found.dropna(subset="value").reset_index(drop=True).astype({"value": float})


def differences(expected: pd.DataFrame, found: pd.DataFrame, beyond: bool) -> list[str]:
    """Say where two sets of numbers differ, a line each.

    Parameters
    ----------
    expected, found : DataFrame
        As `measured` gives them; the tolerance is that of ``expected``.
    beyond : bool
        Only what differs by more than its tolerance, in place of any difference.
    """
    both = expected.merge(found, on=KEYS, how="outer", suffixes=("", "_found"), indicator="side")
    lines = []
    for row in both.itertuples():
        name = f"{row.table}, {row.row}, {row.column}"
        if row.side == "left_only":
            lines.append(f"{name}: {row.value:.6g} → gone")
        elif row.side == "right_only":
            lines.append(f"{name}: new, {row.value_found:.6g}")
        elif abs(row.value - row.value_found) > (row.tolerance if beyond else 0):
            lines.append(
                f"{name}: {row.value:.6g} → {row.value_found:.6g} "
                f"({row.value_found - row.value:+.3g}; tolerance {row.tolerance:g})"
            )
    return lines


def read_expected(path: Path = EXPECTED) -> pd.DataFrame:
    """Read the accepted numbers."""
    return pd.read_csv(path, dtype={"row": str}, float_precision="round_trip")


def results_table(run: Run, recorded: Path) -> str:
    """Write the README's table: the paper, the recorded runs if there are any, and the demo.

    Parameters
    ----------
    run : Run
        The demo.
    recorded : Path
        Folder with one folder a recorded run. A recipe without stacked models (a baseline
        without a network) has the error of its predictions in the row of T.
    """
    demo = read_table(run.path("stacking", "table1.csv"), TABLE1)
    columns = {"Paper": paper_table1()}
    for path in sorted(recorded.glob("*/card.json")):
        real, name = Recorded(path.parent), f"Recorded {path.parent.name}, sound mode"
        table, single = (real.table(each, mode="sound") for each in ("table1", "networks"))
        stacked = [] if table is None else list(dict.fromkeys(table["recipe"]))
        for recipe in stacked:
            rows = table[(table["recipe"] == recipe) & _headline(table, "sound")]
            columns[f"{name}, recipe {recipe}"] = rows
        for recipe in [] if single is None else dict.fromkeys(single["recipe"]):
            if recipe not in stacked:
                rows = choose(single, recipe=recipe, net="T").iloc[:1]
                columns[f"{name}, {recipe}"] = rows.rename(columns={"net": "model"})
    for mode in ("paper", "sound"):
        columns[f"Demo, simulated, {mode} mode"] = demo[_headline(demo, mode)]
    head = [f"{name} ({int(rows['n_scans'].iloc[0]):,} scans)" for name, rows in columns.items()]
    lines = [_line(["Model", *head]), _line([":--", *["--:"] * len(columns)])]
    cells = [_cells(rows) for rows in columns.values()]
    lines += [_line([model, *(column[model] for column in cells)]) for model in MODELS]
    return "\n".join(lines)


def _headline(table: pd.DataFrame, mode: str) -> pd.Series:
    """Rows of a mode as it is defined: the paper's fit in-sample, the sound one out of fold."""
    fitted = {"paper": "in-sample", "sound": "out-of-fold"}[mode]
    return (table["mode"] == mode) & (table["fitted_on"] == fitted)


def _cells(rows: pd.DataFrame) -> dict[str, str]:
    found = {}
    for row in rows.to_dict("records"):
        interval = f" ({row['mae_low']:.2f}–{row['mae_high']:.2f})" if "mae_low" in row else ""
        r2 = f", R² {row['r2']:.3f}" if "r2" in row else ""
        found[row["model"]] = f"{row['mae']:.2f}{interval}{r2}"
    return {model: found.get(model, "—") for model in MODELS}


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


MARKED = re.compile(r"(<!-- results:.*?-->\n).*?(<!-- end of results -->)", re.DOTALL)


def main() -> int:
    """Accept the run ``demo``."""
    run = Run(locate("demo"))
    found = measured(run)
    if EXPECTED.is_file():
        changes = differences(read_expected(), found, beyond=False)
        print("\n".join(changes) or "nothing changed")
    else:
        print(f"{len(found)} numbers accepted for the first time")
    EXPECTED.parent.mkdir(exist_ok=True)
    write_text(EXPECTED, found.to_csv(index=False, lineterminator="\n"))
    readme = ROOT / "README.md"
    table = results_table(run, ROOT / "book" / "recorded")
    text = readme.read_text(encoding="utf-8")
    write_text(readme, MARKED.sub(lambda match: f"{match[1]}\n{table}\n\n{match[2]}", text))
    write_text(ROOT / "book" / "_static" / "pipeline.svg", show.pipeline().standalone())
    return 0


if __name__ == "__main__":
    sys.exit(main())
