"""Which voxels of the simulated brains carry age: the truth for attribution maps."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from brainage_lib.imaging import Grid, grid, normalise
from brainage_lib.simulate.scan import open_scan
from brainage_lib.simulate.uri import ScanSpec

YOUNG, OLD = 25.0, 80.0
N_PEOPLE = 12
THRESHOLD = 0.08
"""Of the brightest values: a change that is larger than the spread between people of an age
in most of the cortex."""

_FIRST_SEED = 2 * 10**15
"""These people are in no cohort and in no training set."""


def age_effect(target: Grid) -> np.ndarray:
    """Mean change of the normalised T1w between 25 and 80 in the same people.

    Returns
    -------
    (x, y, z) array of float32
        Old minus young, in units of the brightest values; negative where CSF replaces
        tissue. 0 outside the brain.
    """
    return _age_effect(target.mm)


@lru_cache(maxsize=2)
def _age_effect(mm: int) -> np.ndarray:
    target = grid(mm)
    total = np.zeros(target.shape, dtype=np.float64)
    for i in range(N_PEOPLE):
        for age, sign in ((OLD, 1), (YOUNG, -1)):
            spec = ScanSpec(_FIRST_SEED + i, 1, age, "FM"[i % 2], "ADNI", "control")
            total += sign * normalise(open_scan(spec.uri, target).t1w)
    effect = (total / N_PEOPLE).astype(np.float32)
    effect.flags.writeable = False
    return effect


def age_voxels(target: Grid) -> np.ndarray:
    """Voxels whose intensity truly changes with age.

    Returns
    -------
    (x, y, z) array of bool
        `age_effect` beyond ``THRESHOLD`` in size: ventricles and their rim, the furrows of
        the thinning cortex, hippocampus.
    """
    return np.abs(age_effect(target)) > THRESHOLD
