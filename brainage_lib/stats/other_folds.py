"""Rows of a fold, and the tested controls of the others, on which its numbers are fitted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

OTHER_FOLDS = "tested controls of the other folds"
OTHER_HALF = "the other half of the tested people"


def by_other_folds(rows: pd.DataFrame) -> Iterator[tuple[pd.Series, pd.DataFrame]]:
    """Yield each fold with the rows that its numbers may come from.

    Parameters
    ----------
    rows : DataFrame
        Stacked rows of one recipe, mode and model: fold, diagnosis, and role where people
        set apart are among them.

    Yields
    ------
    here : Series of bool
        Rows of the fold, or those without one (people set apart).
    other : DataFrame
        Tested controls of the other folds; for people set apart, of all folds.
    """
    free = rows["diagnosis"] == "control"
    if "role" in rows:
        free &= rows["role"] == "test"
    fold = rows["fold"].astype("Int64")
    for name in fold.dropna().unique():
        here = (fold == name).fillna(False).astype(bool)
        yield here, rows[free & ~here & fold.notna()]
    if fold.isna().any():
        yield fold.isna(), rows[free & fold.notna()]


def halved(rows: pd.DataFrame, seed: int = 0) -> pd.Series:
    """Deal the tested people of a paper mode to two halves, in the place of folds.

    A scan's half is free of it, as the other folds are in the sound mode: neither the
    networks nor the stacking were fitted on test rows.

    Returns
    -------
    Series of Int64
        0 or 1 by participant; missing for people set apart.
    """
    people = np.sort(rows.loc[rows["role"] == "test", "participant_id"].unique())
    order = np.random.default_rng([seed, 9104]).permutation(len(people))
    half = dict(zip(people[order], np.arange(len(people)) % 2, strict=True))
    of_scan = rows["participant_id"].map(half).astype("Int64")
    return of_scan.mask(rows["role"] != "test")
