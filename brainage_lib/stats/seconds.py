"""Second networks beside T: those of a predictions table, a shuffled and a planted one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.stats.wide import DESCRIPTION
from brainage_lib.tables import PREDICTIONS
from brainage_lib.tables.files import check_table

SETTINGS = {
    "T + T′": "seeds: [0, 1]",
    "T + F": "second_nets: [F]",
    "T + M": "second_nets: [M]",
}
"""What in a profile trains a rung's second network."""


def beside(
    predictions: pd.DataFrame, recipe: str, mode: str
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Put the second networks of one recipe and mode beside T.

    Parameters
    ----------
    predictions : DataFrame
        Schema ``PREDICTIONS``.
    recipe, mode : str

    Returns
    -------
    rows : DataFrame
        A row a scan that is fitted on or tested, in the order of fold and scan_id:
        description, mode, role, fold, ``T`` and, under the name of its rung, the predicted
        age (years) of each second network that is there.
    reasons : dict
        By rung: why it has no column.

    Raises
    ------
    WrongUsage, BadInput
        The recipe or mode is not there, or the table has no net T.
    """
    table = check_table(predictions.reset_index(drop=True), PREDICTIONS, "predictions")
    for column, value in (("recipe", recipe), ("mode", mode)):
        known = list(dict.fromkeys(table[column]))
        if value not in known:
            raise WrongUsage(f"the predictions have no {column} {value}; use {', '.join(known)}")
        table = table[table[column] == value]
    if mode == "sound":
        table = table[table["role"] == "test"]
    key = ["fold", "scan_id"]
    rows = _of_net(table, "T").sort_values(key, ignore_index=True)
    if rows.empty:
        where = f"predictions, recipe {recipe}, {mode} mode"
        raise BadInput(where, ["no rows with net T; every rung needs the network on T1w"])
    rows = rows[[*DESCRIPTION, "mode", "role", "fold", "predicted_age"]]
    rows = rows.rename(columns={"predicted_age": "T"})
    seconds = {f"T + {net}": _of_net(table, net) for net in ("A", "F", "M")}
    seconds["T + T′"] = _of_net(table, "T", place=1)
    reasons = {}
    for rung, second in seconds.items():
        name = "a second seed of net T" if rung == "T + T′" else f"net {rung[-1]}"
        if second.empty:
            setting = SETTINGS.get(rung)
            hint = f" ({setting} in the profile)" if setting else ""
            reasons[rung] = f"not run: no rows with {name}{hint}"
            continue
        ages = second[[*key, "role", "predicted_age"]]
        ages = rows[[*key, "role"]].merge(ages, on=[*key, "role"], how="left")["predicted_age"]
        lacking = int(ages.isna().sum())
        if lacking:
            reasons[rung] = f"not run: {name} lacks {lacking:,} of {len(rows):,} rows of T"
        else:
            rows[rung] = ages.to_numpy()
    if "T + A" in reasons:
        reasons["T + X"] = "not run: there is no complete net A to shuffle"
    return rows, reasons


def shuffled(rows: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    """Give what A has beyond T to other people.

    Parameters
    ----------
    rows : DataFrame
        As `beside` gives them.
    rng : Generator

    Returns
    -------
    Series
        Years: intercept and slope of A on T, of each role and fold, plus the residual of a scan of
        the person that the permutation names; a person with fewer scans lends them again.
    """
    values = pd.Series(np.nan, index=rows.index)
    for _, part in rows.groupby(["fold", "role"], sort=True):
        columns = np.column_stack([np.ones(len(part)), part["T"]])
        line = columns @ np.linalg.lstsq(columns, part["T + A"], rcond=None)[0]
        rest = part["T + A"].to_numpy() - line
        people = list(part.groupby("participant_id", sort=True).indices.values())
        given = np.empty(len(part))
        for person, other in enumerate(rng.permutation(len(people))):
            mine, theirs = people[person], people[other]
            given[mine] = rest[theirs[np.arange(len(mine)) % len(theirs)]]
        values[part.index] = line + given
    return values


def planted(rows: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    """Make a signal of age with errors of its own, as large as A's.

    Parameters
    ----------
    rows : DataFrame
        As `beside` gives them; where there is no A, T's errors give the size.
    rng : Generator

    Returns
    -------
    Series
        Years: age plus normal errors with the SD of A's errors in the same role and fold.
    """
    second = rows["T + A"] if "T + A" in rows else rows["T"]
    size = (second - rows["age"]).groupby([rows["fold"], rows["role"]]).transform("std", ddof=0)
    return rows["age"] + size * rng.normal(size=len(rows))


def fitted_and_tested(rows: pd.DataFrame, mode: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Say on which rows the stacking is fitted and which it predicts, as `stack` does.

    Parameters
    ----------
    rows : DataFrame
        As `beside` gives them.
    mode : str

    Returns
    -------
    list of (fitted, tested)
        Two (n,) arrays of bool; one pair in paper mode, one a fold in sound mode.
    """
    test = (rows["role"] == "test").to_numpy()
    if mode == "paper":
        return [(rows["role"].isin(["train", "validation"]).to_numpy(), test)]
    control = (rows["diagnosis"] == "control").to_numpy()
    fold = rows["fold"].to_numpy()
    return [(control & (fold != name), fold == name) for name in np.unique(fold)]


def least_squares_errors(
    age: np.ndarray, columns: np.ndarray, parts: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Errors of the regression of age on some columns, fast enough for thousands of draws.

    Parameters
    ----------
    age : (n,) array of float
    columns : (n, k) array of float
        Without the intercept.
    parts : list of (fitted, tested)
        (n,) arrays of bool.

    Returns
    -------
    (n,) array of float
        Predicted minus true age in years; NaN where nothing was tested.
    """
    design = np.column_stack([np.ones(len(age)), columns])
    error = np.full(len(age), np.nan)
    for fitted, tested in parts:
        fit = np.linalg.lstsq(design[fitted], age[fitted], rcond=None)[0]
        error[tested] = design[tested] @ fit - age[tested]
    return error


def _of_net(table: pd.DataFrame, net: str, place: int = 0) -> pd.DataFrame:
    """Rows of a net's lowest seed, or of its next one."""
    rows = table[table["net"] == net]
    seeds = sorted(rows["seed"].unique())
    return rows[rows["seed"] == seeds[place]] if len(seeds) > place else rows.iloc[:0]
