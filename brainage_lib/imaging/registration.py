"""Twelve parameters from a brain to the MNI152 template."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from brainage_lib.imaging.grids import grid
from brainage_lib.imaging.itk import TO_LPS, one_thread, to_itk
from brainage_lib.imaging.template import template

WORKING_MM = 2
"""Voxels on which brain and template are compared."""

LEVELS = ((4, 4.0), (2, 2.0), (1, 0.0))
"""Shrinking, and smoothing in mm, from coarse to fine."""

SHARE = 0.1
"""Share of the voxels that are compared in a step."""

LEAST_STEP = 2e-3
"""Where the descent stops, mm. Down to 1e-4 the brain moves by another 0.05 mm in twice the time,
while another draw of voxels moves it by 0.8 mm (measured on an OAS1 scan)."""


def register(data: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Find the affine transformation that lays a brain onto the template.

    Mattes mutual information, gradient descent, three levels; it begins with the centres of
    mass. Equal calls give equal results.

    Parameters
    ----------
    data : (x, y, z) array of float32
        A brain, zero outside it.
    affine : (4, 4) array
        To the scan's RAS+ millimetres, axes at right angles.

    Returns
    -------
    (4, 4) array
        From the scan's millimetres to MNI152 millimetres.
    """
    import SimpleITK as sitk

    target = grid(WORKING_MM)
    reference = template(target)
    fixed = to_itk(np.where(reference.mask, reference.t1w, 0).astype(np.float32), target.affine)
    moving = to_itk(*_coarser(data, affine))
    with one_thread():
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(32)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(SHARE, seed=1)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(
            1.0, LEAST_STEP, 200, gradientMagnitudeTolerance=1e-6
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel([shrink for shrink, _ in LEVELS])
        method.SetSmoothingSigmasPerLevel([sigma for _, sigma in LEVELS])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        method.SetNumberOfThreads(1)
        start = sitk.CenteredTransformInitializer(
            fixed,
            moving,
            sitk.AffineTransform(3),
            sitk.CenteredTransformInitializerFilter.MOMENTS,
        )
        method.SetInitialTransform(start, inPlace=False)
        found = sitk.AffineTransform(method.Execute(fixed, moving).GetNthTransform(0))
    return np.linalg.inv(TO_LPS @ _matrix(found) @ TO_LPS)


def _matrix(transform) -> np.ndarray:
    """(4, 4) matrix of an ITK affine: x ↦ A (x − c) + c + t."""
    linear = np.array(transform.GetMatrix()).reshape(3, 3)
    centre, shift = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    whole = np.eye(4)
    whole[:3, :3] = linear
    whole[:3, 3] = centre + shift - linear @ centre
    return whole


def _coarser(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Halve fine voxels, after smoothing: the template is compared at 2 mm."""
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    steps = np.maximum(1, np.floor(WORKING_MM / sides + 0.1)).astype(int)
    if (steps == 1).all():
        return data.astype(np.float32), affine
    sigma = np.sqrt(np.maximum(steps**2 - 1.0, 0)) / 2.355
    smooth = ndimage.gaussian_filter(data.astype(np.float32), sigma, mode="constant")
    taken = smooth[tuple(slice(None, None, step) for step in steps)]
    return np.ascontiguousarray(taken), affine @ np.diag([*steps, 1.0])
