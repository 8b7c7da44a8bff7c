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
from scipy import stats

from brainage_lib.errors import WrongUsage
from brainage_lib.imaging import Grid, template
from brainage_lib.stats import percentile_interval
from brainage_lib.stats.metrics import REPLICATES
from brainage_lib.stats.tested import resampled_means
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


def with_intervals(table: pd.DataFrame) -> dict[str, float]:
    """Means of columns over people, each with its 95 % interval.

    Parameters
    ----------
    table : DataFrame
        A row a person, numbers alone.

    Returns
    -------
    dict
        ``<column>``, ``<column>_low`` and ``<column>_high``; percentiles of a bootstrap of people.
    """
    values = table.to_numpy(float)
    draws = resampled_means(np.arange(len(table)), values, np.ones_like(values), REPLICATES, seed=0)
    ends = zip(table, values.mean(axis=0), *percentile_interval(draws), strict=True)
    return {
        f"{name}{end}": float(number)
        for name, *numbers in ends
        for end, number in zip(("", "_low", "_high"), numbers, strict=True)
    }


def atlas_agreement(maps: Sequence[np.ndarray], atlas: np.ndarray, target: Grid) -> pd.DataFrame:
    """Correlate the mean of AICBV maps with an atlas of blood flow, beside the anatomy alone.

    Parameters
    ----------
    maps : sequence of (x, y, z) arrays
        One a person, 0 outside the brain. The mean is taken where most of them have a brain.
    atlas : (x, y, z) array
        On the same grid; 0 where it knows nothing.
    target : Grid

    Returns
    -------
    DataFrame
        A row a map and region: ``map`` (AICBV, or grey matter of the template, the baseline),
        ``region`` (brain, grey matter, white matter), ``pearson``, ``spearman``, ``n_voxels``,
        and of AICBV ``spearman_low``, ``spearman_high``: 95 % over other people, not other
        atlases, by a jackknife (a bootstrap's means are of fewer people, and agree less).

    Raises
    ------
    WrongUsage
        The shapes differ from the grid's.
    """
    if any(array.shape != target.shape for array in (*maps, atlas)):
        shapes = sorted({array.shape for array in (*maps, atlas)})
        raise WrongUsage(f"maps of shape {shapes} are not all on {target.mm} mm {target.shape}")
    tissue = template(target)
    known = (np.mean([cbv > 0 for cbv in maps], axis=0) > 0.5) & (atlas > 0)
    regions = {
        "brain": known,
        "grey matter": known & (tissue.grey > PURE),
        "white matter": known & (tissue.white > PURE),
    }
    rows = []
    for region, inside in regions.items():
        people = np.stack([cbv[inside] for cbv in maps])
        scores = agreement(people.mean(axis=0, dtype=np.float64), atlas[inside])
        ranks, total = stats.rankdata(atlas[inside]), people.sum(axis=0, dtype=np.float64)
        without = [np.corrcoef(stats.rankdata(total - one), ranks)[0, 1] for one in people]
        half = _half_width(np.array(without))
        rows.append(
            {"map": "AICBV", "region": region, "n_voxels": int(inside.sum()),
             "spearman_low": scores["spearman"] - half, "spearman_high": scores["spearman"] + half}
            | {name: scores[name] for name in ("pearson", "spearman")}
        )  # fmt: skip
    for region, inside in regions.items():
        scores = agreement(tissue.grey[inside], atlas[inside])
        rows.append(
            {"map": "grey matter of the template", "region": region, "n_voxels": int(inside.sum())}
            | {name: scores[name] for name in ("pearson", "spearman")}
        )
    order = ["map", "region", "pearson", "spearman", "spearman_low", "spearman_high", "n_voxels"]
    return pd.DataFrame(rows)[order]


def _half_width(without: np.ndarray) -> float:
    """Half a 95 % interval from values that leave out one person each (jackknife)."""
    n = len(without)
    error = np.sqrt((n - 1) * np.square(without - without.mean()).mean())
    return float(stats.t.ppf(0.975, n - 1) * error) if n > 1 else np.nan


def repeatability(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Agreement of the maps of two scans of one person, the published figures beside.

    Parameters
    ----------
    pairs : sequence of (first, second)
        Maps (x, y, z) of each person, 0 outside the brain.

    Returns
    -------
    DataFrame
        A row a comparison: ``comparison``, the measures' means (our own with ``_low`` and
        ``_high``), ``n``.
    """
    scores = [compare_maps(b, a, (a > 0) & (b > 0)) for a, b in pairs]
    own = with_intervals(pd.DataFrame(scores, columns=list(MEASURES)))
    rows = [{"comparison": "AICBV, scan 1 against 2", **own, "n": len(pairs)}]
    rows += [{"comparison": name, **known, "n": 11} for name, known in REPEATED.items()]
    return pd.DataFrame(rows)
