"""Half-widths and bias lines for new scans, from the out-of-fold predictions of controls."""

from __future__ import annotations

import math
import os

from brainage_lib.files import write_json
from brainage_lib.stats.bias import fit_bias
from brainage_lib.stats.conformal import COVERAGE, conformal_half_width
from brainage_lib.stats.stacking import Stacked

VERSION = 1


def calibrate(stacked: Stacked, level: float = COVERAGE) -> dict:
    """Give conformal and bias coefficients of each recipe and model, of sound mode.

    A new scan is predicted by the mean of the folds' networks, the rows here by one network
    each; the mean errs less, so the intervals are wide enough. Paper mode has no rows that
    are free of fitting, and is left out.

    Parameters
    ----------
    stacked : Stacked
    level : float
        Coverage of the intervals.

    Returns
    -------
    dict
        By recipe and model: level, half_width (years; None where the controls are too few
        for the level), slope and intercept of the mean gap over age (see `LinearBias`),
        n_scans.
    """
    rows = stacked.rows
    rows = rows[
        (rows["mode"] == "sound") & (rows["role"] == "test") & (rows["diagnosis"] == "control")
    ]
    found: dict = {}
    for (recipe, model), part in rows.groupby(["recipe", "model"], sort=False):
        width = conformal_half_width(part["stacked_age"] - part["age"], level)
        bias = fit_bias(part["age"], part["stacked_age"])
        found.setdefault(recipe, {})[model] = {
            "level": level,
            "half_width": width if math.isfinite(width) else None,
            "slope": bias.slope,
            "intercept": bias.intercept,
            "n_scans": bias.n_scans,
        }
    return found


def save_calibration_json(
    stacked: Stacked, path: str | os.PathLike, level: float = COVERAGE
) -> None:
    """Write what `calibrate` gives under ``calibration``, beside the version of the file."""
    write_json(path, {"version": VERSION, "calibration": calibrate(stacked, level)})
