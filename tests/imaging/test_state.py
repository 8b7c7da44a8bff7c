"""A scan's state is told from its voxels: a head, a brain, a brain in MNI152."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from brainage_lib.imaging import grid, guess_state, template
from brainage_lib.simulate.head import put_head_around


@pytest.fixture(scope="module")
def brain():
    made = template(grid(4))
    return np.where(made.mask, made.t1w, 0).astype(np.float32)


def image(volume, shift=(0, 0, 0), turn=0.0):
    affine = grid(4).affine.copy()
    angle = np.deg2rad(turn)
    rotation = np.eye(4)
    rotation[1, 1] = rotation[2, 2] = np.cos(angle)
    rotation[1, 2], rotation[2, 1] = -np.sin(angle), np.sin(angle)
    affine = rotation @ affine
    affine[:3, 3] += shift
    return nib.Nifti1Image(volume, affine)


def head(brain):
    room = np.pad(brain, [(6, 6), (6, 6), (14, 6)])
    whole = put_head_around(room, room > 0, 4)
    noise = np.random.default_rng(2).normal(0, 0.01 * whole.max(), whole.shape)
    return (whole + np.abs(noise)).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "state"),
    [
        (lambda brain: image(brain), "mni152-brain"),
        (lambda brain: image(brain, shift=(0, 40, 30)), "native-brain"),
        (lambda brain: image(brain, turn=30), "native-brain"),
        (lambda brain: image(head(brain)), "native-head"),
    ],
    ids=["in MNI152", "elsewhere", "turned", "head with noise"],
)
def test_state_is_told_from_the_image(make, state, brain):
    found, why = guess_state(make(brain))
    assert found == state, why
    assert "ml" in why


def test_the_unit_does_not_matter(brain):
    assert guess_state(image(brain * 1000))[0] == "mni152-brain"
    assert guess_state(image(head(brain) / 500))[0] == "native-head"
