"""Signal equations: what a T1-weighted sequence makes of T1, proton density and T2*.

Closed forms of the steady state. All times in ms, angles in degrees, field in tesla.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

INVERSION_EFFICIENCY = 0.96
"""Usual of adiabatic inversion pulses on clinical scanners."""


class Sequence(NamedTuple):
    """A T1-weighted sequence.

    Parameters
    ----------
    kind : {"mprage", "spgr"}
    field_t : {1.5, 3.0}
    tr_ms, te_ms, flip_deg : float
        Repetition time (of the inversions for MPRAGE), echo time, flip angle.
    ti_ms : float
        Inversion to the middle of the readout (MPRAGE only).
    spacing_ms : float
        Between two readouts (MPRAGE only).
    n_readouts : int
        Readouts after one inversion (MPRAGE only).
    """

    kind: str
    field_t: float
    tr_ms: float
    te_ms: float
    flip_deg: float
    ti_ms: float = 900.0
    spacing_ms: float = 7.1
    n_readouts: int = 160


def spgr(t1_ms, pd, t2s_ms, tr_ms: float, te_ms: float, flip_deg: float):
    """Spoiled gradient echo: PD sin α (1 − E1) / (1 − cos α E1) exp(−TE / T2*).

    Ernst and Anderson 1966. Arguments may be arrays.

    Examples
    --------
    >>> round(float(spgr(1000.0, 1.0, 1e9, 1e9, 0.0, 90.0)), 6)
    1.0
    """
    alpha = np.deg2rad(flip_deg)
    e1 = np.exp(-tr_ms / np.asarray(t1_ms, dtype=float))
    return pd * np.sin(alpha) * (1 - e1) / (1 - np.cos(alpha) * e1) * np.exp(-te_ms / t2s_ms)


def mprage(t1_ms, pd, t2s_ms, sequence: Sequence):
    """Magnetisation-prepared rapid gradient echo, at the middle of its readouts.

    The steady state over inversions of the recurrences for recovery and readout, in closed
    form (as in Deichmann et al. 2000; derived in the book's page on the simulator).
    """
    t1 = np.asarray(t1_ms, dtype=float)
    n, tau, f = sequence.n_readouts, sequence.spacing_ms, INVERSION_EFFICIENCY
    alpha = np.deg2rad(sequence.flip_deg)
    before = sequence.ti_ms - n * tau / 2
    after = sequence.tr_ms - before - n * tau
    e_tau = np.exp(-tau / t1)
    ea, ed = np.exp(-before / t1), np.exp(-after / t1)
    c = np.cos(alpha) * e_tau
    g = (1 - e_tau) / (1 - c)
    # Longitudinal magnetisation just before the inversion, then at the first readout.
    start = ((c**n * (1 - ea) + g * (1 - c**n)) * ed + 1 - ed) / (1 + f * ea * c**n * ed)
    first = 1 - ea - f * start * ea
    middle = first * c ** (n / 2) + g * (1 - c ** (n / 2))
    return pd * np.sin(alpha) * np.abs(middle) * np.exp(-sequence.te_ms / t2s_ms)


def signal(t1_ms, pd, t2s_ms, sequence: Sequence):
    """Signal of a tissue (arbitrary units, PD 1 = full magnetisation)."""
    if sequence.kind == "mprage":
        return mprage(t1_ms, pd, t2s_ms, sequence)
    return spgr(t1_ms, pd, t2s_ms, sequence.tr_ms, sequence.te_ms, sequence.flip_deg)
