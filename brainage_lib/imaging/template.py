"""The MNI152 template on a grid (nilearn's T1w, grey and white), and templates of deepmriprep."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from brainage_lib.errors import UserError
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


def deepmriprep_template(name: str) -> Path:
    """Find one of the templates that deepmriprep brings; nothing of the package is executed.

    Parameters
    ----------
    name : str
        Of the file.

    Raises
    ------
    UserError
        The package is not installed.
    """
    spec = importlib.util.find_spec("deepmriprep")
    if spec is None or spec.origin is None:
        raise UserError(
            f"the package deepmriprep, whose {name} is read, is not installed; "
            "run `pip install deepmriprep`"
        )
    return Path(spec.origin).parent / "data" / "templates" / name
