"""The MNI152 template on a grid: nilearn's packaged T1w, grey and white maps."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from brainage_lib.imaging.grids import SHAPES, Grid, grid


class Template(NamedTuple):
    """MNI152NLin2009 (symmetric, 09a) on a grid.

    Parameters
    ----------
    t1w : (x, y, z) array of float32, 0–1
        Skull-stripped average of 152 young adults.
    grey, white : (x, y, z) arrays of float32, 0–1
        Probabilities.
    mask : (x, y, z) array of bool
        The brain.
    """

    t1w: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    mask: np.ndarray


def template(target: Grid) -> Template:
    """Return the template on a grid; kept for the life of the process."""
    return _template(target.mm)


@lru_cache(maxsize=len(SHAPES))
def _template(mm: int) -> Template:
    # nilearn takes a second to import and only this function needs it.
    from nilearn import datasets

    from brainage_lib.imaging.resampling import resample

    target = grid(mm)
    loaders = (
        datasets.load_mni152_template,
        datasets.load_mni152_gm_template,
        datasets.load_mni152_wm_template,
    )
    imgs = [load(resolution=1) for load in loaders]
    maps = [resample(np.asarray(i.dataobj, np.float32), i.affine, target) for i in imgs]
    # The average's dark rim is air and dura between the sulci of many people.
    maps.append(maps[0] > 0.1 * maps[0].max())
    for values in maps:
        values.flags.writeable = False
    return Template(*maps)
