"""Brain pictures show what lies where: sides, places, units."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from brainage_lib import show
from brainage_lib.show.brain import VIEWS, Sheet, cut, frame, oriented


def point(shape, affine, mm) -> np.ndarray:
    """A volume with one bright voxel at a place in millimetres."""
    volume = np.zeros(shape, np.float32)
    index = np.linalg.solve(affine, [*mm, 1.0])[:3].round().astype(int)
    volume[tuple(index)] = 1
    return volume


@pytest.mark.parametrize("flip", [(), (0,), (0, 1), (2,)])
def test_what_is_on_the_right_is_drawn_on_the_right(volume, flip):
    shape, affine = volume[0].shape, volume[1]
    bright = point(shape, affine, (60, 40, -30))
    for axis in flip:  # another orientation of the same scan, such as LAS
        turn = np.eye(4)
        turn[axis, axis], turn[axis, 3] = -1, shape[axis] - 1
        bright, affine = np.flip(bright, axis), affine @ turn
    turned, grid = oriented(bright, affine)
    for view, (across, up) in zip(VIEWS, ((1, 2), (0, 2), (0, 1)), strict=True):
        at = (60, 40, -30)[VIEWS.index(view)]
        piece = cut(turned, grid, view, at)
        row, column = np.unravel_index(piece.image.argmax(), piece.image.shape)
        left, right, bottom, top = piece.extent
        height, width = piece.image.shape
        x = left + (column + 0.5) * (right - left) / width
        y = bottom + (row + 0.5) * (top - bottom) / height
        assert abs(x - (60, 40, -30)[across]) <= 4
        assert abs(y - (60, 40, -30)[up]) <= 4
        assert abs(piece.at - at) <= 4


def test_picture_has_the_bright_side_on_the_right(volume):
    brain, affine = volume
    sheet = Sheet(1, 1, left=0, top=0)
    right_only = brain * (np.arange(brain.shape[0]) > 12)[:, None, None]
    shown = frame([brain], affine)
    sheet.draw(0, 0, "axial", cut(right_only, affine, "axial", 8), window=(0, 1), shown=shown)
    pixels = np.asarray(Image.open(io.BytesIO(sheet.png())).convert("L"), float)
    middle = pixels[40:-40]  # without letters
    half = middle.shape[1] // 2
    assert middle[:, half + 5 :].mean() > 20 * max(middle[:, : half - 5].mean(), 0.1)


def test_cut_stays_inside_the_volume(volume):
    brain, affine = volume
    assert cut(brain, affine, "axial", 1e6).at == affine[2, 3] + 23 * 8
    assert cut(brain, affine, "axial", -1e6).at == affine[2, 3]


def test_frame_holds_all_of_the_brain(volume):
    brain, affine = volume
    shown = frame([brain], affine, margin=0)
    places = np.argwhere(brain > 0) @ affine[:3, :3].T + affine[:3, 3]
    assert (places.min(0) - 4 == shown.low).all()
    assert (places.max(0) + 4 == shown.high).all()


def test_volume_of_four_axes_is_refused(volume):
    with pytest.raises(ValueError, match="three axes"):
        oriented(np.zeros((2, 2, 2, 2)), volume[1])


def test_pictures_are_png_on_black(everything):
    for name in ("contact_sheet", "scan_steps", "cbv_maps", "gradcam_by_decade"):
        picture = Image.open(io.BytesIO(everything[name].png)).convert("RGB")
        assert picture.getpixel((0, 0)) == (0, 0, 0)
        assert picture.width > 400


def test_likeness_of_maps_is_the_correlation_within_the_brain(volume):
    brain, affine = volume
    rng = np.random.default_rng([5])
    true = brain * rng.uniform(1, 3, brain.shape)
    guess = brain * rng.uniform(1, 3, brain.shape)
    inside = brain > 0
    expected = np.corrcoef(true[inside], guess[inside])[0, 1]
    picture = show.cbv_maps(brain, guess, affine, source="simulated scans", true_cbv=true)
    assert f"correlate {expected:.2f} over" in picture.title.replace("−", "-")


def test_maps_of_several_generators_are_told_apart(volume):
    brain, affine = volume
    rng = np.random.default_rng([6])
    true = brain * rng.uniform(1, 3, brain.shape)
    maps = {name: brain * rng.uniform(1, 3, brain.shape) for name in ("live", "shipped")}
    picture = show.cbv_maps(brain, maps, affine, source="simulated scans", true_cbv=true)
    inside = brain > 0
    for name, made in maps.items():
        expected = np.corrcoef(true[inside], made[inside])[0, 1]
        assert f"{expected:.2f} ({name})" in picture.title.replace("−", "-")
    assert list(picture.data["map"]) == ["T1w", "true CBV", "AICBV, live", "AICBV, shipped"]
    assert picture.name != show.cbv_maps(brain, brain, affine, source="x").name


def test_unknown_blood_volume_is_said_to_be_unknown(volume):
    picture = show.cbv_maps(volume[0], volume[0], volume[1], source="real scans")
    assert "not shown" in picture.title
    assert list(picture.data["map"]) == ["T1w", "AICBV"]


def test_figure4_cuts_where_the_map_says(everything, volume):
    data = everything["gradcam_by_decade"].data
    places = data[(data["net"] == "T") & (data["decade"] == "20–30")].set_index("view")["at_mm"]
    expected = volume[1][:3, 3] + np.array([14, 16, 12]) * 8
    assert places[list(VIEWS)].tolist() == expected.tolist()
    assert set(data["net"] + data["decade"]) == {"T20–30", "A20–30", "A30–40"}
