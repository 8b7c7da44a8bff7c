"""The anatomy from which every simulated person is made.

Tissue maps come from nilearn's packaged MNI152 templates; ventricles, nuclei, hippocampus and
lobes from the Neuromorphometrics labels that deepmriprep brings. Both are read where they are
installed and never copied (their licences are their authors').
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage

from brainage_lib.imaging import Grid, grid
from brainage_lib.imaging.template import deepmriprep_template
from brainage_lib.simulate.sources import table

VENTRICLES = (4, 49, 50, 51, 52)
"""Third and lateral ventricles with their temporal horns."""
HIPPOCAMPUS = (47, 48)
NUCLEI = (23, 30, 31, 32, 36, 37, 55, 56, 57, 58, 59, 60)
"""Accumbens, amygdala, caudate, pallidum, putamen, thalamus."""
CEREBELLUM = (38, 39, 40, 41, 71, 72, 73)

FAR_MM = 30.0
"""Distances are known up to here; farther out nothing is painted."""

SHARPNESS = 3
"""Power of the tissue probabilities: 1 keeps the average's blur, a large one makes labels."""

RIM_MM = 1
"""Width of the CSF rim about the template's brain."""

FWHM = 2 * np.sqrt(2 * np.log(2))


class BaseMaps(NamedTuple):
    """MNI152 anatomy on a grid, (x, y, z) arrays of float32.

    Parameters
    ----------
    head : 0–1
        Share of a voxel inside the brain's outline (with its CSF).
    white, grey : 0–1
        Tissue where ventricles, nuclei and hippocampus have been filled up.
    cerebellum : 0–1
        Membership; grey matter here is the cerebellum's.
    thinning : about 1
        How strongly the cortex here thins with age, relative to the mean.
    ventricle_mm, hippocampus_mm, nuclei_mm : mm
        Distance from the surface of each, negative inside.
    """

    head: np.ndarray
    white: np.ndarray
    grey: np.ndarray
    cerebellum: np.ndarray
    thinning: np.ndarray
    ventricle_mm: np.ndarray
    hippocampus_mm: np.ndarray
    nuclei_mm: np.ndarray


def base_maps(target: Grid) -> BaseMaps:
    """Return the anatomy on a grid; made once in a process."""
    return _base_maps(target.mm)


@lru_cache(maxsize=2)
def _base_maps(mm: int) -> BaseMaps:
    target = grid(mm)
    fine, affine = _fine_maps()
    coarse = [_to_grid(values, affine, target, name) for name, values in fine.items()]
    coarse.insert(BaseMaps._fields.index("thinning"), _thinning(target))
    for values in coarse:
        values.flags.writeable = False
    return BaseMaps(*coarse)


def label_path() -> Path:
    """Where deepmriprep keeps the Neuromorphometrics labels."""
    return deepmriprep_template("neuromorphometrics.nii.gz")


@lru_cache(maxsize=1)
def _fine_maps() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Make the maps at 1 mm in a box about the brain; also their affine."""
    from nilearn import datasets

    loaders = (
        datasets.load_mni152_template,
        datasets.load_mni152_gm_template,
        datasets.load_mni152_wm_template,
    )
    imgs = [load(resolution=1) for load in loaders]
    box = ndimage.find_objects((np.asarray(imgs[0].dataobj) > 0).astype(np.int8))[0]
    box = tuple(slice(max(0, s.start - 8), s.stop + 8) for s in box)
    imgs = [img.slicer[box] for img in imgs]
    t1w, grey, white = (np.array(i.dataobj, dtype=np.float32) for i in imgs)
    affine = imgs[0].affine
    labels = _labels(affine, t1w.shape)
    # The average hugs the cortex; skull stripping of one person keeps a rim of CSF.
    head = ndimage.binary_dilation(t1w > 0, iterations=RIM_MM).astype(np.float32)

    def within(numbers) -> np.ndarray:
        return np.isin(labels, numbers)

    ventricles, hippocampus, nuclei = within(VENTRICLES), within(HIPPOCAMPUS), within(NUCLEI)
    # What a shrinking hippocampus leaves is mostly the temporal horn; what small ventricles
    # and nuclei leave is white matter.
    for mask, share in ((hippocampus, 0.3), (nuclei, 1.0), (ventricles, 1.0)):
        around = ndimage.binary_dilation(mask, iterations=1)
        white[around], grey[around] = share, 0.0
    white, grey = _sharpen(white, grey, head)
    cerebellum = ndimage.gaussian_filter(within(CEREBELLUM).astype(np.float32), 2)
    return (
        dict(
            head=head,
            white=white,
            grey=grey,
            cerebellum=np.clip(2 * cerebellum, 0, 1),
            ventricle_mm=_distance(ventricles),
            hippocampus_mm=_distance(hippocampus),
            nuclei_mm=_distance(nuclei),
        ),
        affine,
    )


def _sharpen(
    white: np.ndarray, grey: np.ndarray, head: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """From probabilities over 152 people towards one person's tissue.

    Each tissue's share becomes p^k / sum of p^k: a voxel goes to its likeliest tissue, with
    soft edges.
    """
    csf = np.clip(1 - white - grey, 0, None)
    powers = [share**SHARPNESS for share in (white, grey, csf)]
    total = np.maximum(sum(powers), 1e-6)
    return powers[0] / total * head, powers[1] / total * head


def _labels(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Neuromorphometrics numbers at the voxels of a grid."""
    img = nib.load(label_path())
    matrix = np.linalg.inv(img.affine) @ affine
    labels = np.asarray(img.dataobj).astype(np.int16)
    return ndimage.affine_transform(labels, matrix, output_shape=shape, order=0)


def _distance(mask: np.ndarray) -> np.ndarray:
    """Signed distance (mm) from a mask's surface, smooth, at 1 mm."""
    distance = np.full(mask.shape, FAR_MM, dtype=np.float32)
    reach = int(FAR_MM)
    box = tuple(
        slice(max(0, s.start - reach), s.stop + reach)
        for s in ndimage.find_objects(mask.astype(np.int8))[0]
    )
    inside = mask[box]
    outside_mm = ndimage.distance_transform_edt(~inside)
    inside_mm = ndimage.distance_transform_edt(inside)
    # Voxel centres lie half a voxel from the surface between them.
    signed = np.where(inside, 0.5 - inside_mm, outside_mm - 0.5)
    distance[box] = ndimage.gaussian_filter(np.minimum(signed, FAR_MM).astype(np.float32), 0.7)
    return distance


def _thinning(target: Grid) -> np.ndarray:
    """Spread the lobes' weights (regions.csv) smoothly over the brain."""
    labels = _labels(target.affine, target.shape)
    weights = np.zeros(256, dtype=np.float32)
    for row in table("regions").itertuples():
        weights[[int(n) for n in row.labels.split()]] = row.thinning
    known = (weights[labels] > 0).astype(np.float32)
    sigma = 6 / target.mm
    spread = ndimage.gaussian_filter(weights[labels], sigma)
    share = ndimage.gaussian_filter(known, sigma)
    return (spread + 1e-3) / (share + 1e-3)


def _to_grid(values: np.ndarray, affine: np.ndarray, target: Grid, name: str) -> np.ndarray:
    """Resample from 1 mm; shares are averaged over the voxel, distances are only read off."""
    sigma = np.sqrt(target.mm**2 - 1) / FWHM
    if sigma and not name.endswith("_mm"):
        values = ndimage.gaussian_filter(values, sigma)
    matrix = np.linalg.inv(affine) @ target.affine
    outside = FAR_MM if name.endswith("_mm") else 0.0
    return ndimage.affine_transform(
        values, matrix, output_shape=target.shape, order=1, cval=outside
    )
