"""What can be asked of AICBV on real scans, where no voxel's blood volume is known.

None of these can show that a person's blood volume is right: an average map agrees with an atlas
of blood flow because both show anatomy, and so does a map of grey matter, which therefore stands
beside it; a repeated scan gives the same map because the anatomy is the same. A pair before and
after contrast has a measured blood volume, with what contrast leaks from and the noise of two
scans.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from brainage_lib.errors import WrongUsage
from brainage_lib.imaging import Grid, template
from brainage_lib.train.cbv_scores import agreement, similarity

PURE = 0.8
"""Probability in the template from which a voxel counts as grey or as white matter."""

PUBLISHED_RATIO = (2.1, 2.7)
"""Grey over white blood volume: Li et al. 2021 (5.4 and 2.6 ml/100 g), and a DCE study (5.01 and
1.84; PMC5801598)."""

REPEATED = {
    "gadolinium, scan 1 against 2": {"pearson": 0.815, "spearman": 0.415, "psnr": 27.70,
                                     "ssim": 0.832},
    "prediction, scan 1 against 2": {"pearson": 0.919, "spearman": 0.722, "psnr": 30.11,
                                     "ssim": 0.948},
    "gadolinium against prediction": {"pearson": 0.832, "spearman": 0.587, "psnr": 26.59,
                                      "ssim": 0.858},
}  # fmt: skip
"""DeepContrast's test-retest run, 11 people, whole brain (a picture in its repository)."""

MEASURES = ("pearson", "spearman", "concordance", "psnr", "ssim")


def compare_maps(found: np.ndarray, true: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Pearson, Spearman, concordance, PSNR (dB) and SSIM of two maps inside a mask.

    Parameters
    ----------
    found, true : (x, y, z) arrays
        One unit; PSNR and SSIM take the range of ``true``.
    mask : (x, y, z) array of bool
    """
    scores = agreement(found[mask], true[mask]) | {"ssim": similarity(found, true, mask)}
    return {name: scores[name] for name in MEASURES}


def tissue_contrast(cbv: np.ndarray, target: Grid) -> dict[str, float]:
    """Mean AICBV of grey and of white matter, and their ratio.

    Parameters
    ----------
    cbv : (x, y, z) array
        ml/100 ml on the grid, 0 outside the brain.
    target : Grid

    Returns
    -------
    dict
        ``grey``, ``white`` (ml/100 ml) and ``ratio``, over the voxels of the brain that are
        grey or white matter in the template. Each voxel of real cortex holds some white matter
        and CSF, which brings the ratio nearer to 1 than the published one of pure tissue.
    """
    tissue, brain = template(target), cbv > 0
    grey, white = (
        float(cbv[brain & (share > PURE)].mean(dtype=np.float64))
        for share in (tissue.grey, tissue.white)
    )
    return {"grey": grey, "white": white, "ratio": grey / white}


def atlas_agreement(cbv: np.ndarray, atlas: np.ndarray, target: Grid) -> pd.DataFrame:
    """Correlate an average AICBV map with an atlas of blood flow, beside the anatomy alone.

    Parameters
    ----------
    cbv : (x, y, z) array
        Mean over scans, 0 outside the brain.
    atlas : (x, y, z) array
        On the same grid; 0 where it knows nothing.
    target : Grid

    Returns
    -------
    DataFrame
        A row a map and region: ``map`` (AICBV, or grey matter of the template, the baseline),
        ``region`` (brain, grey matter, white matter), ``pearson``, ``spearman``, ``n_voxels``.

    Raises
    ------
    WrongUsage
        The shapes differ from the grid's.
    """
    if not cbv.shape == atlas.shape == target.shape:
        raise WrongUsage(f"maps of shape {cbv.shape} and {atlas.shape} are not on {target.mm} mm")
    tissue, known = template(target), (cbv > 0) & (atlas > 0)
    regions = {
        "brain": known,
        "grey matter": known & (tissue.grey > PURE),
        "white matter": known & (tissue.white > PURE),
    }
    rows = []
    for name, values in (("AICBV", cbv), ("grey matter of the template", tissue.grey)):
        for region, inside in regions.items():
            scores = agreement(values[inside], atlas[inside])
            rows.append((name, region, scores["pearson"], scores["spearman"], int(inside.sum())))
    return pd.DataFrame(rows, columns=["map", "region", "pearson", "spearman", "n_voxels"])


def repeatability(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Agreement of the maps of two scans of one person, the published figures beside.

    Parameters
    ----------
    pairs : sequence of (first, second)
        Maps (x, y, z) of each person, 0 outside the brain.

    Returns
    -------
    DataFrame
        A row a comparison: ``comparison``, the measures' means, ``n``.
    """
    scores = [compare_maps(b, a, (a > 0) & (b > 0)) for a, b in pairs]
    own = pd.DataFrame(scores, columns=list(MEASURES)).mean().to_dict()
    rows = [{"comparison": "AICBV, scan 1 against 2", **own, "n": len(pairs)}]
    rows += [{"comparison": name, **known, "n": 11} for name, known in REPEATED.items()]
    return pd.DataFrame(rows)
