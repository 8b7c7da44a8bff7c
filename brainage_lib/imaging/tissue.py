"""Grey matter, white matter and cerebrospinal fluid of a brain: a mixture of three Gaussians.

Each tissue's brightness is a Gaussian, fitted by expectation and maximisation within the brain,
with the tissues' usual places as priors (Ashburner and Friston 2005,
doi:10.1016/j.neuroimage.2005.02.018, without its deformation), followed by a few mean-field
passes of a Potts model that lets neighbours agree (Zhang et al. 2001, doi:10.1109/42.906424).
Priors are the group means that deepmriprep brings, read where they are installed.

What lies near the brain's edge depends on who stripped it: some leave all the fluid about the
brain, some none, and with the fluid's share its fitted brightness changes, and so the border of
grey matter everywhere. The rim is therefore left out, both of the fit and of the maps.
"""

from __future__ import annotations

from functools import lru_cache

import nibabel as nib
import numpy as np
from scipy import ndimage

from brainage_lib.errors import BadImage
from brainage_lib.imaging.grids import SHAPES, Grid, grid
from brainage_lib.imaging.resampling import resample
from brainage_lib.imaging.template import deepmriprep_template, template

TISSUES = ("grey", "white", "csf")
"""Order of the maps."""

PRIOR_SIGMA_MM = 3.0
"""Standard deviation of the Gaussian that widens the priors, as an affine leaves the folds of
two brains apart."""

FLOOR = 0.02
"""Least prior of each tissue within the brain, so that large ventricles are found where young
brains have none."""

ROUNDS = 25
"""Of expectation and maximisation; the means then move by less than a thousandth."""

PASSES = 4
"""Mean-field passes of the Potts model."""

AGREEMENT = 0.3
"""Weight of a neighbour of the same tissue, in log-probability."""

NARROWEST = 0.02
"""Least standard deviation of a tissue, as a share of the 99th percentile."""

RIM_MM = 8.0
"""Depth below the edge of the template's brain of what is left out: the error of a Gaussian
process on the maps of 414 real scans fell from 6.48 to 6.31 years (`benchmarks/accuracy.py`), and
brains in scanner space were no longer read older than the same in MNI152
(`benchmarks/stripping.py`). No other depth was tried on whole bench and networks."""


def inner(target: Grid) -> np.ndarray:
    """(x, y, z) mask of the template's brain without its rim; kept, not writeable."""
    return _inner(target.mm)


def tissue_maps(volume: np.ndarray, target: Grid) -> np.ndarray:
    """Share of grey matter, white matter and fluid in each voxel of the brain but for its rim.

    Parameters
    ----------
    volume : (x, y, z) array
        T1w on the grid, in any unit, without bias field; zero outside the brain.
    target : Grid
        2 mm is what it was made for: on coarser grids most voxels are mixed.

    Returns
    -------
    (3, x, y, z) array of float32, 0–1
        In the order of `TISSUES`. They add up to 1 where the brain and `inner` are, and are 0
        elsewhere.

    Raises
    ------
    BadImage
        The volume has no brain, or no three tissues of rising brightness (CSF, grey, white) in
        it: not a T1w, or too little of one.
    """
    if np.shape(volume) != target.shape:
        raise ValueError(f"the volume has the shape {np.shape(volume)}, the grid {target.shape}")
    mask = (np.asarray(volume) > 0) & inner(target)
    if not mask.any():
        raise BadImage("no value above zero within the brain", "export the scan again")
    box = ndimage.find_objects(mask.astype(np.int8))[0]
    mask = mask[box]
    values = np.asarray(volume, np.float32)[box][mask]
    values = values / np.percentile(values, 99)
    prior = np.stack([each[box][mask] for each in _priors(target.mm)])
    likelihood = _fit(values, prior)
    shares = _agree(prior * likelihood, mask)
    maps = np.zeros((len(TISSUES), *target.shape), np.float32)
    maps[(slice(None), *box)] = shares
    return maps


def _fit(values: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(3, n) likelihoods of n brightnesses under the three fitted Gaussians."""
    shares = prior
    for _ in range(ROUNDS):
        weights = shares.sum(axis=1)
        means = shares @ values / weights
        spreads = np.einsum("kn,kn->k", shares, (values - means[:, None]) ** 2) / weights
        spreads = np.maximum(np.sqrt(spreads), NARROWEST)
        likelihood = np.exp(-0.5 * ((values - means[:, None]) / spreads[:, None]) ** 2)
        # Far from all three means nothing is told from brightness; the prior decides.
        likelihood = likelihood / spreads[:, None] + np.float32(1e-6)
        shares = prior * likelihood
        shares /= shares.sum(axis=0)
    grey, white, csf = means
    if not csf < grey < white:
        raise BadImage(
            f"no CSF, grey and white matter of rising brightness (fitted: {csf:.2f}, {grey:.2f}, "
            f"{white:.2f} of the brightest)",
            "look whether the scan is a T1w of a whole brain",
        )
    return likelihood


def _agree(start: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(3, x, y, z) shares in the mask's box, after neighbours were asked."""
    shares = np.zeros((len(start), *mask.shape), np.float32)
    shares[:, mask] = start / start.sum(axis=0)
    for _ in range(PASSES):
        around = np.zeros_like(shares)
        for axis in (1, 2, 3):
            ahead, behind = [slice(None)] * 4, [slice(None)] * 4
            ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
            around[tuple(ahead)] += shares[tuple(behind)]
            around[tuple(behind)] += shares[tuple(ahead)]
        asked = start * np.exp(AGREEMENT * around[:, mask])
        shares[:, mask] = asked / asked.sum(axis=0)
    return shares


@lru_cache(maxsize=len(SHAPES))
def _inner(mm: int) -> np.ndarray:
    depth = ndimage.distance_transform_edt(template(grid(mm)).mask, sampling=float(mm))
    found = depth > RIM_MM
    found.flags.writeable = False
    return found


@lru_cache(maxsize=len(SHAPES))
def _priors(mm: int) -> np.ndarray:
    """(3, x, y, z) usual shares of the tissues on a grid; they add up to 1 everywhere."""
    img = nib.load(deepmriprep_template("Template_4_GS.nii.gz"))
    data = np.asarray(img.dataobj, dtype=np.float32)
    target = grid(mm)
    sigma = PRIOR_SIGMA_MM / np.linalg.norm(img.affine[:3, :3], axis=0)
    found = np.empty((len(TISSUES), *target.shape), np.float32)
    for number in range(len(TISSUES)):
        wide = ndimage.gaussian_filter(data[..., number], sigma, mode="constant")
        found[number] = resample(wide, img.affine, target)
    found = found.clip(min=0) + FLOOR
    # Beyond the group's brain there is fluid rather than a third of each.
    found[TISSUES.index("csf")] += (1 - found.sum(axis=0)).clip(min=0)
    found /= found.sum(axis=0)
    found.flags.writeable = False
    return found
