"""The brain in a whole head, found by deepbet (Fisch et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import nibabel as nib
import numpy as np

from brainage_lib.errors import BadImage

SMALLEST_ML = 200.0
"""Less is no brain of a person of five years or more."""


def extract_brain(img: nib.Nifti1Image) -> np.ndarray:
    """Find the brain in a whole head.

    The networks of deepbet 1.0.2 (doi:10.1016/j.compbiomed.2024.108845) come with its package;
    nothing is downloaded.

    Parameters
    ----------
    img : Nifti1Image
        A T1w, RAS+.

    Returns
    -------
    (x, y, z) array of bool
        Brain and ventricles, one part without holes.

    Raises
    ------
    BadImage
        No brain was found.
    """
    try:
        with _one_thread():
            _, mask, ml = _network().run(img)
    except (AssertionError, ValueError):
        # What deepbet does where its first network finds nothing at all.
        ml = 0.0
    if ml < SMALLEST_ML:
        raise BadImage("no brain found in the head", "look at the scan; is it a T1w of a head?")
    return np.asarray(mask.dataobj) > 0


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let PyTorch use one thread: with more, a voxel at the edge may fall the other way."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def _network():
    # Seconds to import, and only raw heads need it.
    from deepbet import BrainExtraction

    return BrainExtraction(no_gpu=True)
