"""What was done to a scan before it came: whether it is a head, a brain, a brain in MNI152."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from brainage_lib.errors import BadImage
from brainage_lib.imaging.grids import grid
from brainage_lib.imaging.intensity import brain_mask
from brainage_lib.imaging.quality import measure_quality
from brainage_lib.imaging.resampling import to_grid

LARGEST_BRAIN_ML = 2800.0
"""No brain is larger, also none that was scaled to MNI152 (up to about 2,100 ml); heads that were
looked at have 4,000 ml and more."""

BACKGROUND = 0.05
"""Share of the scan's bright level up to which a voxel counts as background."""

LIKE_TEMPLATE = 0.7
MOST_TURNED, MOST_EMPTY = 15.0, 0.08


def guess_state(img: nib.Nifti1Image) -> tuple[str, str]:
    """Guess the ``t1w_state`` of an image from its voxels and its affine.

    Parameters
    ----------
    img : Nifti1Image
        As `open_image` returns it.

    Returns
    -------
    state : {"native-head", "native-brain", "mni152-brain"}
    why : str
        What was seen, to be told to whoever did not say the state.
    """
    data = np.asarray(img.dataobj)
    voxel_ml = abs(np.linalg.det(img.affine[:3, :3])) / 1000
    bright = np.percentile(data[data > 0], 98) if (data > 0).any() else 0.0
    ml = float(np.count_nonzero(data > BACKGROUND * bright) * voxel_ml)
    if ml > LARGEST_BRAIN_ML:
        return "native-head", f"{ml:.0f} ml of it are not background, more than a brain"
    seen = f"{ml:.0f} ml of it are not background, as of a brain alone"
    target = grid(4)
    try:
        volume = to_grid(img, target)
    except BadImage:
        return "native-brain", f"{seen}; its box is not one of MNI152 space"
    found = measure_quality(np.where(brain_mask(volume), volume, 0), target)
    placed = (
        found["template_correlation"] >= LIKE_TEMPLATE
        and found["turn_degrees"] <= MOST_TURNED
        and found["edge_fraction"] <= MOST_EMPTY
    )
    if placed:
        return "mni152-brain", f"{seen}; it lies where the MNI152 template does"
    return "native-brain", f"{seen}; it does not lie where the MNI152 template does"
