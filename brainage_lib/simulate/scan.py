"""Opening a ``sim:`` URI: one simulated person in one scanner, with the truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from brainage_lib.imaging import Grid, brain_mask
from brainage_lib.simulate.anatomy import make_tissue
from brainage_lib.simulate.faults import put_fault
from brainage_lib.simulate.fields import smooth_field
from brainage_lib.simulate.person import Person, person_of
from brainage_lib.simulate.scanner import image
from brainage_lib.simulate.uri import ScanSpec, parse
from brainage_lib.simulate.vessels import vessel_shares

CBV_SMOOTH_CV, CBV_VOXEL_CV = 0.21, 0.21
"""Variation of parenchymal blood volume within a tissue: smooth over some 30 mm, and from
voxel to voxel; 30 % together (our assumption)."""

GADOLINIUM_MM = 0.6
"""mmol/l of gadolinium in the blood in the first minutes after 0.1 mmol/kg (textbook value)."""


@dataclass(frozen=True)
class SimulatedScan:
    """A simulated T1w scan with everything it was made from.

    Attributes
    ----------
    t1w : (x, y, z) array of float32
        Arbitrary scanner units, 0 outside the brain; spoiled if a fault was planted, which
        CBV and tissue do not share.
    cbv : (x, y, z) array of float32
        Cerebral blood volume, ml/100 ml; resolved vessels up to 95.
    tissue : (3, x, y, z) array of float32, 0–1
        Grey matter, white matter, CSF; what vessels fill belongs to none of them.
    mask : (x, y, z) array of bool
        The brain; of a spoiled scan what looks like one.
    truth : dict
        ``latent_age``, ``deviation`` (years), ``tiv_ml``, ``<structure>_ml``,
        ``lesion_ml``, ``cbv_grey``, ``cbv_white`` (parenchyma, ml/100 ml).
    """

    t1w: np.ndarray
    cbv: np.ndarray
    tissue: np.ndarray
    mask: np.ndarray
    truth: dict[str, float] = field(repr=False)


def truth_of(spec: ScanSpec) -> dict[str, float]:
    """Tell what is known of a simulated scan, without making it."""
    return _truth(person_of(spec))


def _truth(person: Person) -> dict[str, float]:
    return {
        "latent_age": person.latent_age,
        "deviation": person.deviation,
        "tiv_ml": person.tiv_ml,
        **{f"{name}_ml": volume for name, volume in person.volumes_ml().items()},
        "lesion_ml": person.lesion_ml,
        "cbv_grey": person.cbv_grey,
        "cbv_white": person.cbv_white,
    }


def open_scan(uri: str, target: Grid) -> SimulatedScan:
    """Make the scan that a ``sim:`` URI names.

    Parameters
    ----------
    uri : str
        ``sim:v1?seed=…&session=…&age=…&sex=…&project=…&diagnosis=…``, and ``&fault=…`` for a
        scan with which something is wrong.
    target : Grid
        The same person is the same on every grid; noise is drawn for each.

    Returns
    -------
    SimulatedScan

    Raises
    ------
    BadInput
        If the URI is not understood.
    """
    spec, person, tissue, blood, artery, vein = _parts(uri, target)
    free = 1 - artery - vein
    grey, white = tissue.cortex + tissue.deep, tissue.white + tissue.lesion
    cbv = free * (grey * blood[0] + white * blood[1]) + 100 * (artery + vein)

    def volume(values: np.ndarray) -> np.ndarray:
        whole = np.zeros(target.shape, dtype=np.float32)
        whole[tissue.mask] = values
        return whole

    t1w, mask = image(spec, person, tissue, blood, artery, vein, target), tissue.mask
    if spec.fault:
        t1w = put_fault(spec.fault, t1w, mask, target)
        mask = brain_mask(t1w)
    return SimulatedScan(
        t1w=t1w,
        cbv=volume(cbv),
        tissue=np.stack([volume(free * share) for share in (grey, white, tissue.csf)]),
        mask=mask,
        truth=_truth(person),
    )


def open_contrast(uri: str, target: Grid, gadolinium_mm: float = GADOLINIUM_MM) -> np.ndarray:
    """Make the T1w of the same visit with contrast agent in the blood.

    Parameters
    ----------
    uri, target
        As for `open_scan`; a planted fault is left out.
    gadolinium_mm : float
        Gadolinium in the blood, mmol/l.

    Returns
    -------
    (x, y, z) array of float32
        Scanner units, those of `open_scan`; its noise is another.
    """
    return image(*_parts(uri, target), target, gadolinium_mm)


def _parts(uri: str, target: Grid) -> tuple:
    """Make what an image is made from: the visit, the person, their tissue and blood."""
    spec = parse(uri)
    person = person_of(spec)
    tissue = make_tissue(spec, person, target)
    artery, vein = vessel_shares(spec.seed, tissue.places, tissue.csf, tissue.mask, target)
    blood = _parenchymal_blood(spec, person, tissue.mask, target)
    return spec, person, tissue, blood, artery, vein


def _parenchymal_blood(spec, person: Person, mask: np.ndarray, target: Grid) -> np.ndarray:
    """(2, n) blood volume of grey and white matter at each voxel, ml/100 ml."""
    own = np.random.default_rng([spec.seed, 11])
    visit = np.random.default_rng([spec.seed, spec.session, target.mm, 12])
    log = CBV_SMOOTH_CV * smooth_field(target, 15.0, own)[mask]
    log = log + CBV_VOXEL_CV * visit.standard_normal(log.size, dtype=np.float32)
    # Log-normal with mean 1.
    pattern = np.exp(log - (CBV_SMOOTH_CV**2 + CBV_VOXEL_CV**2) / 2)
    return np.stack([person.cbv_grey * pattern, person.cbv_white * pattern])
