from types import SimpleNamespace

import numpy as np

from brainage_lib import show


def test_the_caption_of_figure_4_says_how_finely_the_maps_can_see():
    top = np.zeros((6, 8, 6), np.float32)
    top[2:4, 3:5, 2:4] = 1
    group = SimpleNamespace(n_scans=3, top=top, slices=(2, 3, 2))
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    figure = show.gradcam_by_decade(
        {"20–30": np.ones((6, 8, 6))},
        {"T": {"20–30": group}},
        affine,
        source="simulated scans",
        resolution="3 × 4 × 3 cells of 64 mm, each of which sees 312 mm",
    )
    assert "The networks look in 3 × 4 × 3 cells of 64 mm" in figure.caption
    assert figure.caption.endswith("Data: simulated scans.")


def test_maps_in_half_precision_are_averaged_without_overflow():
    volume = np.full((40, 40, 40), 50, np.float16)
    picture = show.cbv_maps(volume, volume, np.diag([4.0, 4.0, 4.0, 1.0]), source="real scans")
    assert "50.00 ml/100 ml on average" in picture.title
