"""Half-widths and bias lines for new scans, from the out-of-fold predictions of controls."""

from __future__ import annotations

import math
import os

import pandas as pd

from brainage_lib.files import write_json
from brainage_lib.stats.bias import fit_bias
from brainage_lib.stats.conformal import COVERAGE, conformal_half_width, local_half_width
from brainage_lib.stats.model_file import read_versioned
from brainage_lib.stats.reliability import reliability
from brainage_lib.stats.stacking import Stacked
from brainage_lib.stats.tested import SMALL

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
        n_scans; ``lowess`` has the knots of the smooth curve (age, gap in years), ``local``
        those of the locally weighted half-width (predicted, half_width in years; None where the
        controls are too few). ``repeated`` has the smallest change that counts (years; what
        repeated scans of a person differ by, see `Reliability`) and of how many people it is
        known; None with fewer than ten. ``uses_true_age`` says which of these need the age that a
        prediction should find: nothing that they correct is a prediction.
    """
    rows = stacked.rows
    rows = rows[
        (rows["mode"] == "sound") & (rows["role"] == "test") & (rows["diagnosis"] == "control")
    ]
    found: dict = {}
    for (recipe, model), part in rows.groupby(["recipe", "model"], sort=False):
        width = conformal_half_width(part["stacked_age"] - part["age"], level)
        bias = fit_bias(part["age"], part["stacked_age"])
        curve = fit_bias(part["age"], part["stacked_age"], "lowess")
        local = local_half_width(part, level)
        found.setdefault(recipe, {})[model] = {
            "level": level,
            "half_width": width if math.isfinite(width) else None,
            "slope": bias.slope,
            "intercept": bias.intercept,
            "n_scans": bias.n_scans,
            "lowess": {"age": list(curve.age), "gap": list(curve.gap)},
            "local": {"predicted": list(local.predicted), "half_width": list(local.half_width)}
            if math.isfinite(max(local.half_width))
            else None,
            "repeated": _repeated(part),
            "uses_true_age": {
                "half_width": False, "local": False, "slope": True, "intercept": True,
                "lowess": True,
            },
        }  # fmt: skip
    return found


def _repeated(rows: pd.DataFrame) -> dict | None:
    found = reliability(rows)
    if found is None or found.n_participants < SMALL:
        return None
    return {
        "smallest_change": found.smallest_detectable_change,
        "n_participants": found.n_participants,
    }


def save_calibration_json(
    stacked: Stacked, path: str | os.PathLike, level: float = COVERAGE
) -> None:
    """Write what `calibrate` gives under ``calibration``, beside the version of the file."""
    write_json(path, {"version": VERSION, "calibration": calibrate(stacked, level)})


def load_calibration_json(path: str | os.PathLike) -> dict:
    """Read what `save_calibration_json` wrote; the value is that of `calibrate`.

    Raises
    ------
    BadInput
        The file is not of this kind or version.
    """
    return read_versioned(path, "calibration", VERSION)["calibration"]
