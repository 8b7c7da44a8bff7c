"""The simulator's numbers, read from the small tables beside this file."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import numpy as np
import pandas as pd

from brainage_lib.simulate.signal import Sequence

STRUCTURES = (
    "cortex", "cerebellum_grey", "subcortical", "hippocampus", "white", "ventricles",
)  # fmt: skip
"""Structures with an ageing curve of their own."""

RATE_AGES = (35.0, 60.0, 80.0)
"""Middles of the three spans of the table's rates; between them a rate changes linearly."""

TIV_ML = {"F": 1430.0, "M": 1590.0}
"""Total intracranial volume, mean of women and men (as in adult FreeSurfer cohorts, e.g.
Buckner et al. 2004 NeuroImage 23:724; rounded by us)."""

TIV_SD_LOG = 0.09


@lru_cache
def table(name: str) -> pd.DataFrame:
    """Read one of the package's tables; the first column is the index."""
    path = resources.files("brainage_lib.simulate").joinpath(f"{name}.csv")
    with path.open(encoding="utf-8") as stream:
        frame = pd.read_csv(stream, keep_default_na=False)
    return frame.set_index(frame.columns[0])


def log_change(structure: str, age: float | np.ndarray) -> float | np.ndarray:
    """Natural log of a structure's volume at an age over that at 20, TIV held fixed.

    The integral of a rate that is linear between ``RATE_AGES`` and constant outside.
    """
    row = table("ageing").loc[structure]
    rates = np.array([row.rate_20_50, row.rate_50_70, row.rate_70_90]) / 100
    knots = np.array([-100.0, *RATE_AGES, 300.0])
    values = np.array([rates[0], *rates, rates[-1]])
    grown = np.concatenate([[0], np.cumsum(np.diff(knots) * (values[1:] + values[:-1]) / 2)])

    def integral(at):
        at = np.asarray(at, dtype=float)
        left = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
        step = at - knots[left]
        slope = (values[left + 1] - values[left]) / (knots[left + 1] - knots[left])
        return grown[left] + step * values[left] + slope * step**2 / 2

    change = integral(age) - integral(20.0)
    return float(change) if np.ndim(change) == 0 else change


def sequence_of(project: str) -> Sequence:
    """Return the sequence that stands for a project: usual for its field, not its protocol."""
    row = table("projects").loc[project]
    return Sequence(
        str(row.sequence),
        float(row.field_t),
        float(row.tr_ms),
        float(row.te_ms),
        float(row.flip_deg),
        float(row.ti_ms),
    )
