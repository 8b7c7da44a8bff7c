"""Slow changes of brightness over the brain, taken out by N4."""

from __future__ import annotations

import numpy as np

from brainage_lib.imaging.itk import from_itk, one_thread, to_itk

WORKING_MM = 4.0
"""Size of the voxels on which the field is estimated; it is smooth over centimetres."""

ITERATIONS = (50, 50, 50)
"""At most, on each level of N4. A fourth level, N4's default, is fine enough to take anatomy for a
field: of a template without one it left 3.0 % of unevenness in white matter, three levels 1.7 %."""


def bias_field(data: np.ndarray, affine: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Estimate the bias field (N4, Tustison et al. 2010, doi:10.1109/TMI.2010.2046908).

    Parameters
    ----------
    data : (x, y, z) array
        T1w in any unit.
    affine : (4, 4) array
        To RAS+ millimetres, axes at right angles.
    mask : (x, y, z) array of bool
        The brain; only its voxels are looked at.

    Returns
    -------
    (x, y, z) array of float32
        Divide the scan by it; its mean over the brain is 1.
    """
    import SimpleITK as sitk

    where = mask & (data > 0)
    image = to_itk(np.where(where, data, 0).astype(np.float32), affine)
    inside = to_itk(where.astype(np.uint8), affine)
    shrink = [max(1, round(WORKING_MM / side)) for side in image.GetSpacing()]
    with one_thread():
        n4 = sitk.N4BiasFieldCorrectionImageFilter()
        n4.SetMaximumNumberOfIterations(ITERATIONS)
        n4.Execute(sitk.Shrink(image, shrink), sitk.Shrink(inside, shrink))
        field = np.exp(from_itk(n4.GetLogBiasFieldAsImage(image))).astype(np.float32)
    return field / np.float32(field[where].mean(dtype=np.float64))
