"""Settings of weights that are made for others."""

from __future__ import annotations

from brainage_lib.imaging import grid, template
from brainage_lib.models.synthesis import windows
from brainage_lib.train.shipping import OVERLAP, PATCH


def test_eight_windows_cover_a_brain_at_1_mm_and_one_or_two_at_4_mm():
    # The template's box, found at 2 mm: at 1 mm it is a voxel longer or shorter.
    inside = template(grid(2)).mask.nonzero()
    sides = [2 * int(places.max() - places.min() + 1) + 2 for places in inside]
    for mm, most in ((1, 8), (4, 2)):
        box = [max(PATCH[mm], -(-side // mm)) for side in sides]
        shared = int(OVERLAP[mm] * PATCH[mm])
        assert len(list(windows(box, (PATCH[mm],) * 3, shared))) <= most
