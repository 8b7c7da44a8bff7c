"""From a scan in its scanner's space to a brain with its way to MNI152."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np

from brainage_lib.errors import BadImage
from brainage_lib.imaging.bias import ITERATIONS, WORKING_MM, bias_field
from brainage_lib.imaging.extraction import extract_brain
from brainage_lib.imaging.orientation import to_ras
from brainage_lib.imaging.registration import LEVELS, SHARE, register

LARGEST_SCALE = 1.6
"""Beyond this, or its inverse, along any direction, an affine no longer fits a head."""


class NativeBrain(NamedTuple):
    """A preprocessed scan in its own space.

    Attributes
    ----------
    img : Nifti1Image
        The brain, RAS+, without its bias field, zero outside; the scan's own unit.
    to_mni : (4, 4) array
        From the scan's millimetres to MNI152 millimetres.
    steps : list of dict
        What was done, in order: name, tool, version, settings.
    """

    img: nib.Nifti1Image
    to_mni: np.ndarray
    steps: list[dict[str, Any]]


def preprocess(img: nib.Nifti1Image, t1w_state: str) -> NativeBrain:
    """Extract the brain if that was not done, correct its bias field, find its way to MNI152.

    Parameters
    ----------
    img : Nifti1Image
        As `open_image` returns it.
    t1w_state : {"native-head", "native-brain", "mni152-brain"}
        A head is stripped; a brain is where the scan is not zero. A brain in MNI152 is
        registered again, from where it lies.

    Returns
    -------
    NativeBrain

    Raises
    ------
    BadImage
        No brain was found, or no affine that could be one of a head.
    """
    img = to_ras(img)
    data = np.asarray(img.dataobj)
    steps = [_step("axes towards right, anterior, superior", "nibabel")]
    if t1w_state == "native-head":
        mask = extract_brain(img)
        steps.append(_step("brain extraction", "deepbet"))
    else:
        mask = data > 0
    if not (data[mask] > 0).any():
        raise BadImage("no value above zero within the brain", "export the scan again")
    try:
        brain = np.where(mask, data / bias_field(data, img.affine, mask), 0).astype(np.float32)
        to_mni = register(brain, img.affine)
    except RuntimeError as error:
        # What ITK says is long; its last line has the reason.
        said = str(error).strip().splitlines()[-1]
        raise BadImage(f"registration failed ({said})", "look at the scan") from None
    steps += [
        _step("N4", "SimpleITK", working_mm=WORKING_MM, iterations=list(ITERATIONS)),
        _step("affine to MNI152", "SimpleITK", levels=[list(level) for level in LEVELS],
              compared=SHARE),
    ]  # fmt: skip
    scales = np.linalg.svd(to_mni[:3, :3], compute_uv=False)
    if scales.max() > LARGEST_SCALE or scales.min() < 1 / LARGEST_SCALE:
        found = ", ".join(f"{scale:.2f}" for scale in scales)
        raise BadImage(
            f"registration failed (it would scale the head by {found})",
            "look at the scan and at its t1w_state",
        )
    return NativeBrain(nib.Nifti1Image(brain, img.affine), to_mni, steps)


def _step(name: str, tool: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "tool": tool, "version": version(tool), "settings": settings}
