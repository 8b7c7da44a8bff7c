"""How far blood moves a voxel of a T1w, and how far all else does, by the signal equations.

The equations and the tissue's numbers are the simulator's (:mod:`brainage_lib.simulate`); no
scan takes part. Water is exchanged slowly between blood and tissue here: a voxel's signal is
the mixture of both (`fast_exchange_times` tells what fast exchange changes).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from brainage_lib.simulate.person import CBV_GREY, CBV_WHITE
from brainage_lib.simulate.scan import CBV_SMOOTH_CV, CBV_VOXEL_CV, GADOLINIUM_MM
from brainage_lib.simulate.scanner import RELAXIVITY
from brainage_lib.simulate.signal import Sequence, signal
from brainage_lib.simulate.sources import table

SEQUENCES = {
    "MPRAGE 3 T": Sequence("mprage", 3.0, 2300, 2.98, 9, 900),
    "MPRAGE 1.5 T": Sequence("mprage", 1.5, 2000, 3.9, 8, 900),
    "SPGR 3 T": Sequence("spgr", 3.0, 20, 6, 25),
    "SPGR 1.5 T": Sequence("spgr", 1.5, 9.8, 4.6, 8),
}
"""Usual ones; times in ms, angles in degrees."""

USUAL = "MPRAGE 3 T"

TISSUES = {"grey matter": ("grey", CBV_GREY), "white matter": ("white", CBV_WHITE)}
"""Class in the simulator's table, and mean blood volume, ml/100 ml."""

CBV_CV = float(np.hypot(CBV_SMOOTH_CV, CBV_VOXEL_CV))
"""Spread of blood volume within a tissue over its mean: the simulator's, 30 %."""

T1_CV = 0.05
"""Spread of T1 within a tissue; Wright et al. 2008 found 7 % in grey and 6 % in white matter at
3 T, places and people together."""

SNR = 40.0
"""White matter over noise in a voxel of 1 mm, as in most of the simulator's studies."""

FLIP_CV, BIAS_CV = 0.03, 0.03
"""Error of the flip angle from day to day, and intensity field that its correction leaves."""


CAUSES = (
    f"One SD: blood volume {100 * CBV_CV:.0f} % of its mean (assumption); T1 {100 * T1_CV:.0f} % "
    f"(assumption; 6 to 7 % in Wright et al. 2008); noise at a white-matter SNR of {SNR:.0f}; "
    f"scanner: {100 * FLIP_CV:.0f} % of flip angle and {100 * BIAS_CV:.0f} % of bias field "
    "together. T1, proton density, T2* and their sources: brainage_lib/simulate/physics.csv"
)
"""For the caption of a figure: how large each cause is, and by which source."""


class Physics(NamedTuple):
    """A voxel of tissue and blood under one sequence.

    Attributes
    ----------
    sequence : Sequence
    tissue : str
        Class in the simulator's table.
    gadolinium_mm : float
        Contrast agent in the blood, mmol/l.
    """

    sequence: Sequence
    tissue: str
    gadolinium_mm: float = 0.0

    def level(self, name: str, t1_factor: float = 1.0) -> float:
        """Signal of a voxel that is all of one class, its T1 times a factor."""
        row = table("physics").loc[name]
        t2s = row[f"t2s_{self._field()}_ms"]
        return float(signal(self.t1(name) * t1_factor, row.pd, t2s, self.sequence))

    def t1(self, name: str) -> float:
        """T1 of a class, ms; that of blood with its contrast agent."""
        t1 = table("physics").loc[name, f"t1_{self._field()}_ms"]
        if name == "blood":
            t1 = 1 / (1 / t1 + RELAXIVITY * self.gadolinium_mm / 1000)
        return float(t1)

    def _field(self) -> str:
        return "15" if self.sequence.field_t < 2 else "30"

    def voxel(self, cbv, t1_factor: float = 1.0):
        """Signal of tissue with some blood, ml/100 ml (a number or an array)."""
        share = np.asarray(cbv, float) / 100
        return (1 - share) * self.level(self.tissue, t1_factor) + share * self.level("blood")


def blood_curves(sequence: Sequence = SEQUENCES[USUAL]) -> pd.DataFrame:
    """Signal of a voxel against its blood volume, all else held fixed.

    Parameters
    ----------
    sequence : Sequence

    Returns
    -------
    DataFrame
        ``tissue``; ``contrast`` (bool: gadolinium in the blood); ``cbv`` (ml/100 ml, within two
        standard deviations of the tissue's mean); ``change_percent`` of the signal against
        that at the mean.
    """
    rows = []
    for tissue, (name, mean) in TISSUES.items():
        cbv = mean * (1 + CBV_CV * np.linspace(-2, 2, 9))
        for contrast in (False, True):
            voxel = Physics(sequence, name, GADOLINIUM_MM if contrast else 0.0).voxel
            change = 100 * (voxel(cbv) / voxel(mean) - 1)
            rows += [(tissue, contrast, *pair) for pair in zip(cbv, change, strict=True)]
    return pd.DataFrame(rows, columns=["tissue", "contrast", "cbv", "change_percent"])


def signal_spreads(sequence: Sequence = SEQUENCES[USUAL]) -> pd.DataFrame:
    """By how much one standard deviation of each cause moves the signal of a voxel.

    Parameters
    ----------
    sequence : Sequence

    Returns
    -------
    DataFrame
        ``tissue``; ``cause`` (blood volume, T1, noise, scanner); ``change_percent`` (> 0, of
        the signal at the tissue's mean blood volume); ``times_blood``, that over what blood
        volume does.
    """
    rows = []
    for tissue, (name, mean) in TISSUES.items():
        physics = Physics(sequence, name)
        usual = float(physics.voxel(mean))
        turned = Physics(sequence._replace(flip_deg=sequence.flip_deg * (1 + FLIP_CV)), name)
        causes = {
            "blood volume": abs(float(physics.voxel(mean * (1 + CBV_CV))) / usual - 1),
            "T1": abs(_per_t1(physics, mean)) * T1_CV,
            "noise": physics.level("white") / SNR / usual,
            "scanner": float(np.hypot(float(turned.voxel(mean)) / usual - 1, BIAS_CV)),
        }
        rows += [
            (tissue, cause, 100 * change, change / causes["blood volume"])
            for cause, change in causes.items()
        ]
    return pd.DataFrame(rows, columns=["tissue", "cause", "change_percent", "times_blood"])


def _per_t1(physics: Physics, mean: float) -> float:
    """Relative change of the signal per relative change of the tissue's T1."""
    longer, shorter = (float(physics.voxel(mean, factor)) for factor in (1.01, 0.99))
    return (longer - shorter) / (0.02 * float(physics.voxel(mean)))


def fast_exchange_times(sequence: Sequence = SEQUENCES[USUAL]) -> float:
    """Tell how much more blood shows in grey matter if water is exchanged fast.

    The voxel then has one T1, whose rate is the mixture of both.

    Parameters
    ----------
    sequence : Sequence

    Returns
    -------
    float
        Change of the signal at the mean blood volume over that of slow exchange.
    """
    name, mean = TISSUES["grey matter"]
    physics, share = Physics(sequence, name), mean / 100
    t1, blood_t1 = (physics.t1(kind) for kind in (name, "blood"))
    mixed = 1 / ((1 - share) / t1 + share / blood_t1)
    alone = physics.level(name)
    return (physics.level(name, mixed / t1) - alone) / (float(physics.voxel(mean)) - alone)


def sensitivities() -> pd.DataFrame:
    """Tell what one more ml of blood and one more per cent of T1 change, by sequence.

    Returns
    -------
    DataFrame
        ``sequence``, ``tissue``, ``per_ml_percent`` (per +1 ml/100 ml, of tissue without
        blood), ``per_t1_percent`` (per +1 % of its T1).
    """
    rows = []
    for name, sequence in SEQUENCES.items():
        for tissue, (kind, _) in TISSUES.items():
            physics = Physics(sequence, kind)
            per_ml = physics.level("blood") / physics.level(kind) - 1
            rows.append((name, tissue, per_ml, _per_t1(physics, 0)))
    return pd.DataFrame(rows, columns=["sequence", "tissue", "per_ml_percent", "per_t1_percent"])
