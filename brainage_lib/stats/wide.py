"""From the long predictions table to one row a scan with both networks beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from brainage_lib.errors import BadInput
from brainage_lib.stats.corrected import refuse_corrected
from brainage_lib.tables import PREDICTIONS
from brainage_lib.tables.files import check_table

DESCRIPTION = ("scan_id", "participant_id", "project", "session", "age", "sex", "diagnosis")
NETS = ("T", "A")
_ROW = ["recipe", "mode", "fold", "scan_id"]
# A message that lists thousands of scans hides the others.
_LISTED = 10


def widen(predictions: pd.DataFrame, nets: Sequence[str] = NETS) -> pd.DataFrame:
    """Put the predictions of T and A side by side.

    Parameters
    ----------
    predictions : DataFrame
        Schema ``PREDICTIONS``; without a column ``recipe`` all rows are one recipe, "given".
        Of each recipe, mode and net the lowest seed is used; nets other than T and A are
        left out.
    nets : sequence of str
        T and A, or T alone.

    Returns
    -------
    DataFrame
        A row a scan × recipe × mode × fold, in the order of T's rows: description, recipe,
        mode, fold, role, T, A (years).

    Raises
    ------
    BadInput
        The schema is broken, a net is missing for some scan, or a scan is described in two
        ways.
    """
    where = "predictions"
    refuse_corrected(predictions, where)
    if "recipe" not in predictions.columns:
        predictions = predictions.assign(recipe="given")
    table = check_table(predictions.reset_index(drop=True), PREDICTIONS, where)
    table = table[table["net"].isin(nets)]
    for net in nets:
        if not (table["net"] == net).any():
            raise BadInput(
                where, [f"no rows with net {net}; the stacking needs both networks, T and A"]
            )
    table = _lowest_seed(table)
    wanted = [*DESCRIPTION, "recipe", "mode", "fold", "role"]
    of_t = table[table["net"] == "T"][[*wanted, "predicted_age"]]
    if list(nets) == ["T"]:
        if findings := _described_twice(table):
            raise BadInput(where, findings)
        return of_t.rename(columns={"predicted_age": "T"}).reset_index(drop=True)
    of_a = table[table["net"] == "A"][[*_ROW, "role", "predicted_age"]]
    both = of_t.merge(of_a, on=_ROW, how="outer", suffixes=("", "_a"), indicator="in", sort=False)
    findings = _unpaired(both) + _described_twice(table)
    moved = both[(both["in"] == "both") & (both["role"] != both["role_a"])]
    findings += [
        f"{_place(row)}: role is {row['role']} for net T and {row['role_a']} for net A; "
        "both networks need the same split"
        for row in moved.head(_LISTED).to_dict("records")
    ]
    if findings:
        raise BadInput(where, findings)
    both = of_t.merge(of_a.drop(columns="role"), on=_ROW, suffixes=("_t", "_a"))
    both = both.rename(columns={"predicted_age_t": "T", "predicted_age_a": "A"})
    return both.reset_index(drop=True)


def _lowest_seed(table: pd.DataFrame) -> pd.DataFrame:
    lowest = table.groupby(["recipe", "mode", "net"])["seed"].transform("min")
    return table[table["seed"] == lowest]


def _unpaired(both: pd.DataFrame) -> list[str]:
    findings = []
    for side, missing in (("left_only", "A"), ("right_only", "T")):
        lacking = both[both["in"] == side]
        findings += [
            f"{_place(row)}: no row with net {missing}; predict it with both networks"
            for row in lacking.head(_LISTED).to_dict("records")
        ]
        if len(lacking) > _LISTED:
            findings.append(f"… and {len(lacking) - _LISTED} more rows without net {missing}")
    return findings


def _described_twice(table: pd.DataFrame) -> list[str]:
    names = list(DESCRIPTION[1:])
    counts = table.groupby("scan_id", sort=False)[names].nunique()
    odd = counts[(counts > 1).any(axis=1)].head(_LISTED)
    return [
        f"scan {scan}: {', '.join(name for name in names if row[name] > 1)} differ between its "
        "rows; describe a scan in one way"
        for scan, row in odd.iterrows()
    ]


def _place(row: dict) -> str:
    return f"scan {row['scan_id']}, recipe {row['recipe']}, {row['mode']} mode, fold {row['fold']}"
