"""Taking the rows of one kind out of a long table."""

from __future__ import annotations

import pandas as pd


def choose(table: pd.DataFrame, **values: str | int) -> pd.DataFrame:
    """Return the rows in which each named column has the given value.

    Examples
    --------
    >>> frame = pd.DataFrame({"mode": ["paper", "sound"], "mae": [4.0, 5.0]})
    >>> choose(frame, mode="sound")["mae"].item()
    5.0
    """
    keep = pd.Series(True, index=table.index)
    for column, value in values.items():
        keep &= table[column] == value
    return table[keep].reset_index(drop=True)
