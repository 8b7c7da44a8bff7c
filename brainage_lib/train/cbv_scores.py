"""Scores of a synthesised map, and what they must be compared with.

A T1w says little about blood volume but where which tissue is, so a raw score measures
anatomy. Three predictors without a network therefore stand beside it, fitted on simulated
people on whom the generator was trained:

- *tissue means*: the mean blood volume of grey matter, white matter and CSF, mixed by the
  voxel's true tissue;
- *T1w transform*: one monotone function of the normalised T1w, the same for all;
- *ceiling*: boosted trees on the signal and its surroundings, on the place and the mean blood
  volume of others there, and on the true tissue, which no network is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import ndimage, stats
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.isotonic import IsotonicRegression

from brainage_lib.train.losses import structural_similarity
from brainage_lib.train.people import Truth

PURE = 0.8
"""Share of a voxel from which it counts as grey or white matter …"""

VESSELS = 0.01
"""… and share of large vessels up to which it does: as many ml/100 ml as percent of the voxel, and
grey matter's own blood has a standard deviation of 1.5. At 0.05 the vessels' share made a fifth of
the variance, and a network that knows where vessels run was read as one that sees capillaries
(residual R² 0.04 in grey matter; 0.006 at 0.01 and below; 12 simulated people at 4 mm)."""


TISSUE_CEILING = 0.03
"""Residual R² that the best regression on the signal reaches in pure grey or white matter; it is
0.00 but in white matter of a scan without noise and with known T1."""


class Baselines(NamedTuple):
    """Predictors without a network, estimated on people outside the cohort.

    Attributes
    ----------
    tissue_means : (3,) array
        Mean CBV of grey matter, white matter and CSF, ml/100 ml.
    transform : IsotonicRegression
        The best monotone function of the normalised T1w.
    ceiling : HistGradientBoostingRegressor
        Regression on what no network is told: true tissue, and the mean CBV of others at this
        place; beside signal, surroundings and place.
    place : (x, y, z) array
        Mean CBV of the people at each voxel.
    """

    tissue_means: np.ndarray
    transform: IsotonicRegression
    ceiling: HistGradientBoostingRegressor
    place: np.ndarray


def _shares(truth: Truth) -> np.ndarray:
    """(n, 3) tissue of brain voxels, vessels left out: with them, their sum would tell CBV."""
    tissue = truth.tissue[:, truth.mask].T
    return tissue / np.maximum(tissue.sum(axis=1, keepdims=True), 1e-3)


def _known(truth: Truth, place: np.ndarray) -> np.ndarray:
    """(n, 13) what the ceiling may use of each brain voxel."""
    mask, t1w = truth.mask, truth.t1w.astype(np.float32)
    shares = _shares(truth)
    columns = [shares, t1w[mask][:, None], (t1w[mask] / t1w[mask].mean())[:, None]]
    columns += [ndimage.uniform_filter(t1w, size)[mask][:, None] for size in (3, 7)]
    for tissue in (0, 1):
        whole = np.zeros(mask.shape, np.float32)
        whole[mask] = shares[:, tissue]
        columns.append(ndimage.uniform_filter(whole, 3)[mask][:, None])
    columns += [place[mask][:, None], np.argwhere(mask)]
    return np.concatenate(columns, axis=1).astype(np.float32)


def fit_baselines(people: Sequence[Truth], seed: int) -> Baselines:
    """Estimate the predictors without a network.

    Parameters
    ----------
    people : sequence of Truth
        Outside the cohort, two at least.
    seed : int
    """
    place = np.mean([person.cbv for person in people], axis=0)
    shares = np.concatenate([_shares(person) for person in people])
    signal = np.concatenate([person.t1w[person.mask] for person in people]).astype(np.float64)
    cbv = np.concatenate([person.cbv[person.mask] for person in people]).astype(np.float64)
    means = np.linalg.lstsq(shares, cbv, rcond=None)[0]
    monotone = [
        IsotonicRegression(increasing=rising, out_of_bounds="clip").fit(signal, cbv)
        for rising in (False, True)
    ]
    best = min(monotone, key=lambda curve: float(np.square(curve.predict(signal) - cbv).mean()))
    # A voxel's own person takes part in the mean of its place: it is left out there.
    n = len(people)
    known = np.concatenate(
        [_known(person, (place * n - person.cbv) / max(n - 1, 1)) for person in people]
    )
    ceiling = HistGradientBoostingRegressor(max_iter=150, early_stopping=False, random_state=seed)
    return Baselines(means, best, ceiling.fit(known, cbv), place)


def regions(truth: Truth) -> dict[str, np.ndarray]:
    """Which of the brain's voxels belong to each region of the table."""
    tissue = truth.tissue[:, truth.mask]
    free = tissue.sum(axis=0) > 1 - VESSELS
    return {
        "brain": np.ones(tissue.shape[1], bool),
        "grey matter": free & (tissue[0] >= PURE),
        "white matter": free & (tissue[1] >= PURE),
    }


def agreement(found: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """How far two maps agree over some voxels.

    Parameters
    ----------
    found, true : (n,) arrays
        ml/100 ml.

    Returns
    -------
    dict
        ``pearson``, ``spearman`` and Lin's ``concordance``, 2 cov / (var + var + (difference of
        means)²); NaN for a constant prediction. ``r2``, 1 − MSE/variance; ``mae`` in ml/100 ml;
        ``psnr`` in dB, 10·log10(range(true)²/MSE).
    """
    found, true = (np.asarray(values, np.float64) for values in (found, true))
    squares = np.square(found - true).mean()
    varies = np.ptp(found) > 0 and np.ptp(true) > 0
    spread = found.var() + true.var() + (found.mean() - true.mean()) ** 2
    both = np.mean((found - found.mean()) * (true - true.mean()))
    return {
        "pearson": float(np.corrcoef(found, true)[0, 1]) if varies else np.nan,
        "spearman": float(stats.spearmanr(found, true).statistic) if varies else np.nan,
        "concordance": float(2 * both / spread) if varies else np.nan,
        "r2": float(1 - squares / true.var()),
        "mae": float(np.abs(found - true).mean()),
        "psnr": float(10 * np.log10(np.ptp(true) ** 2 / squares)) if squares else np.nan,
    }


def similarity(found: np.ndarray, true: np.ndarray, mask: np.ndarray) -> float:
    """Structural similarity of two maps, the mean over the voxels of a mask.

    In windows of 7×7×7 voxels with equal weights, data range = range of ``true`` in the mask;
    windows that leave the mask see zeros there in both maps, as in the literature, which raises
    the index at the border.

    Parameters
    ----------
    found, true : (x, y, z) arrays
    mask : (x, y, z) array of bool

    Returns
    -------
    float
        −1–1.
    """
    pair = (np.where(mask, volume, 0).astype(np.float32) for volume in (found, true))
    first, second = (torch.from_numpy(np.pad(volume, 3)[None, None]) for volume in pair)
    index = structural_similarity(first, second, float(np.ptp(true[mask])))[0, 0].numpy()
    return float(index[mask].mean(dtype=np.float64))


def measure(found: np.ndarray, true: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    """Scores of predicted CBV in the voxels of one region of one scan.

    Parameters
    ----------
    found, true : (n,) arrays
        ml/100 ml.
    shares : (n, 3) array
        The voxels' true tissue.

    Returns
    -------
    dict
        Those of `agreement`, and ``residual_r2``, the squared correlation of what is left of
        both after a regression on tissue: the most that the map, however scaled, can say
        beyond it.
    """
    return agreement(found, true) | {"residual_r2": _residual_r2(found, true, shares)}


def _residual_r2(found: np.ndarray, true: np.ndarray, shares: np.ndarray) -> float:
    design = np.column_stack([np.ones(len(true)), shares])
    both = np.column_stack([found, true])
    left = both - design @ np.linalg.lstsq(design, both, rcond=None)[0]
    spread = left.std(axis=0)
    # What a function of tissue leaves is rounding.
    if (spread <= 1e-6 * np.maximum(both.std(axis=0), 1e-12)).any():
        return 0.0
    return float(np.corrcoef(left.T)[0, 1] ** 2)


def score_scan(truth: Truth, network: np.ndarray, baselines: Baselines) -> pd.DataFrame:
    """Score a generator's map of one scan, and the predictors beside it.

    Parameters
    ----------
    truth : Truth
    network : (x, y, z) array
        The generator's map, ml/100 ml.
    baselines : Baselines

    Returns
    -------
    DataFrame
        Columns predictor, region, measure, value; a region of fewer than ten voxels is left
        out.
    """
    shares = _shares(truth)
    found = {
        "network": network[truth.mask].astype(np.float64),
        "tissue means": shares @ baselines.tissue_means,
        "T1w transform": baselines.transform.predict(truth.t1w[truth.mask].astype(np.float64)),
        "ceiling": baselines.ceiling.predict(_known(truth, baselines.place)),
    }
    true = truth.cbv[truth.mask].astype(np.float64)
    rows = [
        (predictor, region, name, value)
        for region, inside in regions(truth).items()
        if inside.sum() >= 10
        for predictor, values in found.items()
        for name, value in measure(values[inside], true[inside], shares[inside]).items()
    ]
    for predictor, values in found.items():
        whole = np.zeros(truth.mask.shape)
        whole[truth.mask] = values
        rows.append((predictor, "brain", "ssim", similarity(whole, truth.cbv, truth.mask)))
    return pd.DataFrame(rows, columns=["predictor", "region", "measure", "value"])


def above_ceiling(scores: pd.DataFrame, margin: float = 0.02) -> list[str]:
    """Find where a network says more of blood than can be known: a leak, or another bug.

    Compared by ``residual_r2``, what is said beyond tissue, which no rescaling changes: the
    ceiling is told the true tissue of every voxel, and in pure grey and white matter the best
    regression on the signal reaches 0.00 (SCIENCE's Bayes ceiling).

    Parameters
    ----------
    scores : DataFrame
        Schema ``AICBV_SCORES``, without regard to scan_id.
    margin : float
        Error of a mean over some scans, R².

    Returns
    -------
    list of str
        A sentence a finding; empty where all is well.
    """
    rows = scores[scores["measure"] == "residual_r2"]
    means = rows.groupby(["region", "predictor"])["value"].mean()
    findings = []
    for region in means.index.unique("region"):
        found, ceiling = means[region, "network"], means[region, "ceiling"]
        limit = max(ceiling, 0) + margin
        if region != "brain":
            limit = min(limit, TISSUE_CEILING + margin)
        if found > limit:
            findings.append(
                f"{region}: the network explains {found:.3f} of what tissue leaves, the ceiling "
                f"{ceiling:.3f}"
            )
    return findings
