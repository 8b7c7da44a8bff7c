"""Between nibabel's images and SimpleITK's, which count millimetres the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import SimpleITK as sitk

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From RAS+ to ITK's LPS+ millimetres, and back."""


def to_itk(data: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """Wrap a volume for SimpleITK.

    Parameters
    ----------
    data : (x, y, z) array
    affine : (4, 4) array
        To RAS+ millimetres; its axes must be at right angles.
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    lps = TO_LPS @ affine
    sides = np.linalg.norm(lps[:3, :3], axis=0)
    # ITK refuses directions that are not orthonormal to many digits.
    left, _, right = np.linalg.svd(lps[:3, :3] / sides)
    image.SetSpacing(sides.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((left @ right).ravel().tolist())
    return image


def from_itk(image: sitk.Image) -> np.ndarray:
    """(x, y, z) array of an image's voxels."""
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(image).T


@contextmanager
def one_thread() -> Iterator[None]:
    """Let ITK use one thread: sums over several come in another order each time."""
    import SimpleITK as sitk

    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
