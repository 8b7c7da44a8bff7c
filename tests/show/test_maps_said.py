from types import SimpleNamespace

import numpy as np
import pandas as pd

from brainage_lib import show
from brainage_lib.show.words import NOTHING
from brainage_lib.tables import TRIALS


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


def test_the_title_of_figure_4_says_by_how_much_the_networks_overlap():
    def group(start):
        top = np.zeros((6, 8, 6), np.float32)
        top[2:4, start : start + 2, 2:4] = 1
        return SimpleNamespace(n_scans=3, top=top, slices=(2, 3, 2))

    brains = dict.fromkeys(["20–30", "30–40"], np.ones((6, 8, 6)))
    maps = {
        "T": {"20–30": group(3), "30–40": group(3)},
        "A": {"20–30": group(3), "30–40": group(4)},
    }
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    figure = show.gradcam_by_decade(brains, maps, affine, source="simulated scans")
    assert figure.title == (
        "The highest fifths of T (T1w) and A (AICBV) overlap by 0.50 to 1.00, in 2 groups of ten "
        "years (n = 6 scans)"
    )
    del maps["A"]
    alone = show.gradcam_by_decade(brains, maps, affine, source="simulated scans")
    assert alone.title.startswith("Where T (T1w) looks, in 2 groups")


def test_maps_in_half_precision_are_averaged_without_overflow():
    volume = np.full((40, 40, 40), 50, np.float16)
    picture = show.cbv_maps(volume, volume, np.diag([4.0, 4.0, 4.0, 1.0]), source="real scans")
    assert "50.00 ml/100 ml on average" in picture.title


def test_a_map_that_stays_when_ages_are_shuffled_is_named_and_what_was_not_run_says_why():
    row = {"mode": "sound", "net": "T", "method": "smoothgrad", "block": 0, "n_scans": 2}
    trials = pd.DataFrame(
        [row | {"test": "seeds", "value": np.nan, "chance": np.nan, "verdict": "not run: one seed"},
         row | {"test": "labels", "value": 0.93, "chance": 0.0, "verdict": "fails"}]
    )  # fmt: skip
    table = show.trials_table(
        TRIALS.validate(trials), {("smoothgrad", 0): "SmoothGrad"}, source="s"
    )
    assert table.title == "Fails at one test or more: SmoothGrad (T)"
    cells = table.cells.iloc[0]
    assert cells["Two seeds"] == "not run: one seed"
    assert cells["Shuffled ages"] == "0.93 ✗ (0.00)"


def test_recorded_statements_of_few_people_have_no_number():
    row = {"finding": 44, "net": "A", "method": "occlusion", "block": 0, "mode": "sound"}
    hidden = {"statement": "medial temporal more in the old", "measure": "share", "value": np.nan,
              "null_low": np.nan, "null_high": np.nan, "p": np.nan, "n_scans": pd.NA,
              "outcome": "not tested", "reason": "of fewer than 5 participants"}  # fmt: skip
    table = show.statements_table(
        pd.DataFrame([row | hidden]), {("occlusion", 0): "occlusion"}, source="s", name="recorded"
    )
    cells = table.cells.iloc[0]
    assert (cells["Scans"], cells["p"]) == (NOTHING, NOTHING)
    assert "fewer than 5 participants" in cells["Outcome"]


def test_the_methods_that_are_most_alike_are_named_and_one_method_alone_is_no_error():
    pair = {"net": "T", "one": "SmoothGrad", "n_scans": 2}
    pairs = pd.DataFrame(
        [pair | {"other": "occlusion", "similarity": 0.7}, pair | {"other": "x", "similarity": 0.2}]
    )
    shown = show.agreement_table(pd.concat([pairs, pairs]), source="s")
    assert shown.title == "Most alike are SmoothGrad and occlusion (T): 0.70"
    for none in (pairs[:0], pairs.assign(similarity=np.nan)):
        assert show.agreement_table(none, source="s").title == "No two methods can be compared"
