"""Who a simulated person is: latent brain age, head, and the sizes of brain structures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from brainage_lib.simulate.sources import STRUCTURES, TIV_ML, TIV_SD_LOG, log_change, table
from brainage_lib.simulate.uri import ScanSpec

DEVIATION_SD_Y = 3.0
"""SD of latent brain age about age in controls; between the 3 to 4 years of error that the
best networks leave on real scans and the spread within families (our assumption)."""

CBV_GREY, CBV_WHITE = 5.0, 2.3
"""Parenchymal blood volume at 50, ml/100 ml (Li et al. 2021; ratio as in DCE studies)."""

CBV_SD_LOG = 0.15
"""Between people, independent of anatomy (our assumption)."""

CBV_DECLINE_PERCENT_Y = (0.0, 0.5)
"""Range of the yearly decline, one value a person: Leenders et al. 1990 found 0.5 %, Meltzer
et al. 2000 none after partial-volume correction of flow."""


T1_PERSON_SD = 0.008


@dataclass(frozen=True)
class Person:
    """One person at one age.

    Attributes
    ----------
    latent_age, deviation : float
        Years; latent age = age + deviation.
    tiv_ml : float
        Total intracranial volume.
    shares : dict of str to float
        Volume of each structure over TIV at this latent age.
    lesion_ml : float
        White-matter hyperintensities.
    cbv_grey, cbv_white : float
        Parenchymal blood volume, ml/100 ml. They depend on age in years, not on latent
        age: blood tells nothing of the anatomy's deviation.
    t1_factors : dict of str to float
        This person's T1 over the table's, by tissue class.
    """

    latent_age: float
    deviation: float
    tiv_ml: float
    shares: dict[str, float]
    lesion_ml: float
    cbv_grey: float
    cbv_white: float
    t1_factors: dict[str, float]

    def volumes_ml(self) -> dict[str, float]:
        """Volumes of the structures in the person's own head."""
        return {name: share * self.tiv_ml for name, share in self.shares.items()}


def person_of(spec: ScanSpec) -> Person:
    """Return the person of a scan: the same seed gives the same person at every age."""
    rng = np.random.default_rng([spec.seed, 1])
    deviation = DEVIATION_SD_Y * rng.standard_normal()
    shift = rng.standard_normal()
    if spec.diagnosis != "control":
        row = table("diagnoses").loc[spec.diagnosis]
        deviation += row.shift_mean_y + row.shift_sd_y * shift
    latent = spec.age + deviation
    size = TIV_SD_LOG * rng.standard_normal()
    own = dict(zip(STRUCTURES, rng.standard_normal(len(STRUCTURES)), strict=True))
    lesions, blood, decline, *t1 = rng.standard_normal(6)
    ageing = table("ageing")
    shares = {}
    for name in STRUCTURES:
        row = ageing.loc[name]
        log_share = (
            np.log(row.share_of_tiv_at_20)
            + log_change(name, latent)
            + row.sd_log * own[name]
            # A structure that grows slower than the head has a smaller share of a big one.
            + (row.tiv_exponent - 1) * size
        )
        shares[name] = float(np.exp(log_share) * (row.male_ratio if spec.sex == "M" else 1))
    low, high = CBV_DECLINE_PERCENT_Y
    # The normal deviate's rank makes the decline uniform and keeps one stream of numbers.
    rate = low + (high - low) * float(ndtr(decline))
    blood_factor = np.exp(CBV_SD_LOG * blood - rate / 100 * (spec.age - 50))
    return Person(
        latent_age=float(latent),
        deviation=float(deviation),
        tiv_ml=float(TIV_ML[spec.sex] * np.exp(size)),
        shares=shares,
        lesion_ml=float(_lesions(latent) * np.exp(0.8 * lesions)),
        cbv_grey=float(CBV_GREY * blood_factor),
        cbv_white=float(CBV_WHITE * blood_factor),
        t1_factors=_t1_factors(latent, t1),
    )


def _lesions(latent: float) -> float:
    """Median ml of hyperintensities: half a ml at 40, 8 at 80.

    DeCarli et al. 2005 (Stroke 36:50), rounded by us.
    """
    return 0.5 * np.exp(0.069 * (latent - 40))


def _t1_factors(latent: float, deviates: list[float]) -> dict[str, float]:
    """T1 by age, over that of a young adult (25). Directions from papers, sizes tuned.

    White matter: shortest about 38, longer in old age (Yeatman et al. 2014, Nat Commun
    5:4932). Grey matter: shortens as iron and myelin gather, fast at first, most in the
    nuclei (Hallgren and Sourander 1958, J Neurochem 3:41: iron nears its final level by 40).
    The sizes are larger, and the 0.8 % between people smaller, than these sources support
    (Wright et al. 2008 find 4 to 7 % with their measurement): they were tuned, with the
    nuisances of shape and scanner, until a ridge regression on the cohort erred by 6.5 years.
    """
    gathered = 1 - np.exp(-(max(latent, 0) - 10) / 25)
    young = 1 - np.exp(-15 / 25)
    spread = np.exp(T1_PERSON_SD * np.asarray(deviates))
    return {
        "grey": float((1 - 0.12 * (gathered - young)) * spread[0]),
        "deep": float((1 - 0.22 * (gathered - young)) * spread[1]),
        "white": float((1 + 0.10 * ((latent - 38) / 42) ** 2) * spread[2]),
    }
