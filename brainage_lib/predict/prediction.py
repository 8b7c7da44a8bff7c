"""What is said about one scan, and how it is written into a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brainage_lib.data.volumes import SEPARATOR

BATCH_COLUMNS = (
    "scan_id", "predicted_age", "interval_low", "interval_high", "gap_raw", "gap_corrected",
    "verdict", "reasons", "warnings",
)  # fmt: skip


@dataclass(frozen=True)
class Prediction:
    """What the run says about one scan. Not for clinical use.

    Attributes
    ----------
    scan_id : str
    predicted_age : float
        Years.
    interval_low, interval_high : float or None
        Around it, with the probability ``level``; None where it cannot be known.
    gap_raw : float or None
        Predicted less true age in years; None without an age.
    gap_corrected : float or None
        Less the mean gap of controls of that age.
    verdict : {"keep", "look"}
    reasons : tuple of str
        Why the verdict is "look".
    warnings : tuple of str
        What a reader of the number must know.
    model : {"TAS", "TA"}
        The stacking: TA where the sex is not known.
    networks : dict of {"T", "A"} to float
        Years, before stacking; means over the networks that were asked.
    level : float or None
        Share of intervals that contain the true age, among scans like the run's.
    t1w, aicbv : (x, y, z) array of float32
        Normalised T1w, and blood volume in ml/100 ml, on the run's grid.
    """

    scan_id: str
    predicted_age: float
    interval_low: float | None
    interval_high: float | None
    gap_raw: float | None
    gap_corrected: float | None
    verdict: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    model: str
    networks: dict[str, float]
    level: float | None
    t1w: np.ndarray = field(repr=False)
    aicbv: np.ndarray = field(repr=False)

    def row(self) -> dict[str, Any]:
        """Return the line of a batch table; reasons and warnings become texts."""
        values = {name: getattr(self, name) for name in BATCH_COLUMNS}
        for name in ("reasons", "warnings"):
            values[name] = SEPARATOR.join(values[name])
        return values
