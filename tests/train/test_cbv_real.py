"""Scores of AICBV on real scans, on maps whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.errors import WrongUsage
from brainage_lib.imaging import grid, template
from brainage_lib.train.cbv_real import (
    atlas_agreement,
    compare_maps,
    repeatability,
    tissue_contrast,
    with_intervals,
)

GRID = grid(4)


@pytest.fixture(scope="module")
def anatomy():
    """Grey matter 5, white matter 2 ml/100 ml, in the template's brain."""
    made = template(GRID)
    return np.where(made.mask, 5 * made.grey + 2 * made.white + 0.5, 0)


def test_contrast_of_a_map_of_two_tissues_is_theirs(anatomy):
    found = tissue_contrast(anatomy, GRID)
    assert found["grey"] == pytest.approx(5 * 0.9 + 0.5, abs=0.5)
    assert found["ratio"] == pytest.approx(found["grey"] / found["white"])
    assert 1.5 < found["ratio"] < 2.5


def test_a_map_of_anatomy_beats_the_atlas_no_more_than_anatomy_does(anatomy):
    rng = np.random.default_rng(0)
    brain = template(GRID).mask
    flow = np.where(brain, 60 * template(GRID).grey + 10 + rng.random(brain.shape), 0)
    table = atlas_agreement([anatomy, 2 * anatomy], flow, GRID).set_index(["map", "region"])
    assert table.loc[("AICBV", "brain"), "pearson"] > 0.9
    assert table.loc[("grey matter of the template", "brain"), "pearson"] > 0.99
    # Noise within grey matter is in neither.
    noise = [np.where(brain, rng.random(brain.shape) + 1, 0) for _ in range(4)]
    other = atlas_agreement(noise, flow, GRID)
    own = other[other["map"] == "AICBV"]
    assert own["spearman"].abs().max() < 0.1
    assert (own["spearman_low"] < own["spearman_high"]).all()
    # Half of people's maps agree with the atlas, the others are noise: how far depends on whom.
    mixed = [flow if person % 2 else noise[0] for person in range(8)]
    table = atlas_agreement(mixed, flow, GRID).set_index(["map", "region"])
    row = table.loc[("AICBV", "brain")]
    assert row["spearman_low"] < row["spearman"] < row["spearman_high"]
    alike = atlas_agreement([flow, flow], flow, GRID)["spearman_low"]
    assert alike.iloc[0] == pytest.approx(1)
    with pytest.raises(WrongUsage, match="not all on 4 mm"):
        atlas_agreement([anatomy], flow[:-1], GRID)


def test_intervals_are_of_people():
    rng = np.random.default_rng(3)
    found = with_intervals(pd.DataFrame({"grey": rng.normal(5, 1, 100), "white": 2.0}))
    assert found["grey_high"] - found["grey_low"] == pytest.approx(2 * 1.96 / 10, rel=0.25)
    assert found["grey_low"] < found["grey"] < found["grey_high"]
    assert found["white"] == found["white_low"] == found["white_high"] == 2


def test_the_same_map_twice_agrees_and_the_published_figures_stand_beside(anatomy):
    rng = np.random.default_rng(1)
    noisy = np.where(anatomy > 0, anatomy + 0.5 * rng.standard_normal(anatomy.shape), 0).clip(0)
    table = repeatability([(anatomy, anatomy), (anatomy, noisy)]).set_index("comparison")
    own = table.loc["AICBV, scan 1 against 2"]
    assert 0.9 < own["pearson"] < 1
    assert own["n"] == 2
    assert own["pearson_low"] < own["pearson"] < own["pearson_high"] == pytest.approx(1)
    assert table.loc["gadolinium, scan 1 against 2", "spearman"] == 0.415
    alone = compare_maps(anatomy, anatomy, anatomy > 0)
    assert alone["spearman"] == alone["concordance"] == pytest.approx(1)
    # Twice the blood is the same order, but not the same blood.
    double = compare_maps(2 * anatomy, anatomy, anatomy > 0)
    assert double["spearman"] == pytest.approx(1)
    assert double["concordance"] < 0.6
