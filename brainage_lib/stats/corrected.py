"""Values corrected with the true age are told from predictions, and kept out of accuracies."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brainage_lib.errors import BadInput

CORRECTED_NAMES = ("gap_corrected", "gap_corrected_lowess", "age_corrected", "corrected_age")
"""Columns that are never a prediction."""

FLAG = "uses_true_age"
"""Column of every table of corrected values."""


def refuse_corrected(values: pd.DataFrame | pd.Series | np.ndarray, where: str) -> None:
    """Raise `BadInput` if values are corrected with the true age.

    Parameters
    ----------
    values : DataFrame, Series or array
        A table is known by its column ``uses_true_age`` or one of `CORRECTED_NAMES`, a
        series by its name.
    where : str
        Named in the message.
    """
    names = []
    if isinstance(values, pd.DataFrame):
        names = [name for name in (*CORRECTED_NAMES, FLAG) if name in values.columns]
    elif isinstance(values, pd.Series) and values.name in CORRECTED_NAMES:
        names = [str(values.name)]
    if names:
        raise BadInput(
            where,
            [f"{', '.join(names)}: corrected with the true age, so no accuracy can be measured "
             "on it; use the raw prediction"],
        )  # fmt: skip
