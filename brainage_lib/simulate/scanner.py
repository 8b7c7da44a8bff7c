"""From tissue and blood to a T1w image: one scanner, one sequence, one day."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from brainage_lib.imaging import Grid
from brainage_lib.simulate.fields import smooth_field
from brainage_lib.simulate.person import CBV_GREY, CBV_WHITE, Person
from brainage_lib.simulate.signal import Sequence, signal
from brainage_lib.simulate.sources import sequence_of, table
from brainage_lib.simulate.uri import RANDOM, ScanSpec

T1_SD_GREY = 0.015
T1_SD_WHITE = (0.012, 0.03)
"""SD of the log of T1 from place to place within a tissue of one person; white matter's grows
from 20 to 80 years, as OASIS-1's white matter becomes uneven (our estimate from that)."""

RELAXIVITY = 3.47
"""Of gadobutrol in blood at 3 T, l/mmol/s (Szomolanyi et al. 2019)."""

FWHM = 2 * np.sqrt(2 * np.log(2))


@dataclass(frozen=True)
class Scanner:
    """What a project's scanner does to the signal.

    Attributes
    ----------
    sequence : Sequence
    snr : float
        White matter over noise in a voxel of 1 mm.
    bias : float
        SD of the log of the intensity field that N4 leaves.
    blur_mm : float
        Full width at half maximum of the point spread beyond the voxel.
    scale : float
        White matter's level in the scanner's units.
    """

    sequence: Sequence
    snr: float
    bias: float
    blur_mm: float
    scale: float


def scanner_of(spec: ScanSpec) -> Scanner:
    """Return the scanner of a scan; its day's flip angle and gain vary a little."""
    rng = np.random.default_rng([spec.seed, spec.session, 7])
    scanner = _random_scanner(rng) if spec.project == RANDOM else _project(spec.project)
    flip, gain, noise = rng.standard_normal(3)
    sequence = scanner.sequence._replace(
        flip_deg=scanner.sequence.flip_deg * float(np.exp(0.03 * flip))
    )
    return replace(
        scanner,
        sequence=sequence,
        snr=scanner.snr * float(np.exp(0.15 * noise)),
        scale=scanner.scale * float(np.exp(0.15 * gain)),
    )


def _project(name: str) -> Scanner:
    row = table("projects").loc[name]
    return Scanner(
        sequence_of(name), float(row.snr), float(row.bias), float(row.blur_mm), float(row.scale)
    )


def _random_scanner(rng: np.random.Generator) -> Scanner:
    """Draw every number of a sequence like a project's: for the generator's people."""
    field = float(rng.choice([1.5, 3.0]))
    if rng.random() < 0.7:
        sequence = Sequence(
            "mprage", field, rng.uniform(1900, 2500), rng.uniform(2, 4), rng.uniform(7, 12),
            rng.uniform(850, 1100),
        )  # fmt: skip
    else:
        sequence = Sequence(
            "spgr", field, rng.uniform(10, 22), rng.uniform(3, 6), rng.uniform(18, 30)
        )
    return Scanner(
        sequence,
        snr=rng.uniform(30, 65),
        bias=rng.uniform(0.02, 0.06),
        blur_mm=rng.uniform(0.2, 1.2),
        scale=float(np.exp(rng.uniform(np.log(200), np.log(2500)))),
    )


def class_signals(
    sequence: Sequence, person: Person, gadolinium_mm: float = 0.0
) -> dict[str, tuple[float, float, float]]:
    """Signal of each class, its relative change per relative change of T1, and blood's effect.

    Parameters
    ----------
    sequence : Sequence
    person : Person
    gadolinium_mm : float
        Contrast agent in the blood, mmol/l: 1/T1 of blood grows by `RELAXIVITY` times it.

    Returns
    -------
    dict of str to (float, float, float)
        Level; d ln S / d ln T1; change of the level per unit share of blood when blood and
        tissue exchange water fast (R1 is their mixture).
    """
    physics = table("physics")
    at = "15" if sequence.field_t < 2 else "30"
    rate = 1 / physics.loc["blood", f"t1_{at}_ms"] + RELAXIVITY * gadolinium_mm / 1000
    blood_t1 = 1 / rate
    usual = {"grey": CBV_GREY / 100, "deep": CBV_GREY / 100, "white": CBV_WHITE / 100}
    levels = {}
    for name in physics.index:
        row = physics.loc[name]
        t1 = row[f"t1_{at}_ms"] * person.t1_factors.get(name, 1.0)
        if name == "blood":
            t1 = blood_t1
        t2s = row[f"t2s_{at}_ms"]

        def at_t1(value, pd=row.pd, t2s=t2s):
            return float(signal(value, pd, t2s, sequence))

        level = at_t1(t1)
        slope = (at_t1(1.01 * t1) - at_t1(0.99 * t1)) / (0.02 * level)
        share = usual.get(name, 0.02)
        mixed = 1 / ((1 - share) / t1 + share / blood_t1)
        levels[name] = (level, slope, (at_t1(mixed) - level) / share)
    return levels


def image(
    spec: ScanSpec, person: Person, tissue, blood, artery, vein, target: Grid,
    gadolinium_mm: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """Make the T1w image of a brain.

    Parameters
    ----------
    spec, person : ScanSpec, Person
    tissue : Tissue
    blood : (2, n) array
        Parenchymal blood volume of grey and of white matter, ml/100 ml.
    artery, vein : (n,) arrays, 0–1
        Shares of resolved vessels.
    target : Grid

    Returns
    -------
    (x, y, z) array of float32
        Scanner units; 0 outside the brain.
    """
    scanner = scanner_of(spec)
    levels = class_signals(scanner.sequence, person, gadolinium_mm)
    rng = np.random.default_rng([spec.seed, spec.session, 8])
    fast = rng.random() < 0.5
    inflow = 1 + rng.uniform(0, 1.5)
    own = np.random.default_rng([spec.seed, 9])
    mask = tissue.mask
    uneven = np.interp(person.latent_age, (20, 80), T1_SD_WHITE)
    t1_grey, t1_white = (sd * smooth_field(target, 14.0, own)[mask] for sd in (T1_SD_GREY, uneven))
    classes = (
        ("grey", tissue.cortex, t1_grey, blood[0]),
        ("deep", tissue.deep, t1_grey, blood[0]),
        ("white", tissue.white, t1_white, blood[1]),
        ("lesion", tissue.lesion, t1_white, blood[1]),
        ("csf", tissue.csf, None, None),
    )
    level_blood = levels["blood"][0]
    value = np.zeros(int(mask.sum()), dtype=np.float32)
    for name, share, t1, ml in classes:
        level, slope, mixed = levels[name]
        here = np.float32(level)
        if t1 is not None:
            here = level * (1 + slope * t1) + ml / 100 * (mixed if fast else level_blood - level)
        value += share * here
    value *= 1 - artery - vein
    value += level_blood * (inflow * artery + vein)
    white = levels["white"][0]
    value *= np.exp(scanner.bias * smooth_field(target, 70.0, rng)[mask]) * scanner.scale / white
    volume = np.zeros(target.shape, dtype=np.float32)
    volume[mask] = value
    sigma = scanner.blur_mm / FWHM / target.mm
    if sigma > 0.05:
        value = ndimage.gaussian_filter(volume, sigma)[mask]
    volume[mask] = _noisy(value, scanner, target, spec, gadolinium_mm > 0)
    return volume


def _noisy(
    value: np.ndarray, scanner: Scanner, target: Grid, spec: ScanSpec, second: bool
) -> np.ndarray:
    """Magnitude of a complex signal with Gaussian noise in both parts (Rician).

    Averaging mm³ voxels of white noise would gain mm^1.5; noise in resampled images is
    correlated, and mm^0.5 gives at 4 mm what `measure_quality` finds on OASIS-1.
    """
    sd = scanner.scale / scanner.snr / target.mm**0.5
    rng = np.random.default_rng([spec.seed, spec.session, target.mm, 13 if second else 10])
    real, imaginary = sd * rng.standard_normal((2, value.size), dtype=np.float32)
    return np.hypot(value + real, imaginary)
