"""How small a gain would be found: simulation against formula, and against other simulations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.errors import BadInput
from brainage_lib.stats import detectable_gain, detectable_sentence, power, scans_needed
from brainage_lib.stats.power import formula_power

MAIN = {"recipe": "paper", "mode": "sound"}


def test_simulated_power_is_that_of_the_formula(make_sound):
    table = power(
        make_sound(n=2000, patients=0), **MAIN, shares=(0.0, 0.005, 0.012, 0.03), draws=200
    )
    # The sample's own errors are not quite normal, so that its gains are not quite the shares.
    assert table["power"].to_numpy() == pytest.approx(table["power_formula"], abs=0.13)
    assert table["power"].is_monotonic_increasing
    assert table["power"].iloc[-1] == 1.0


def test_planted_gain_has_the_planted_size(make_sound):
    """T's error here is ± 4.86 years after shrinking, its MAE √(2/π) of that."""
    table = power(make_sound(n=2000, patients=0), **MAIN, shares=(0.1, 0.3), draws=20)
    mae = np.sqrt(2 / np.pi) * (1 / 25 + 12 / 72**2) ** -0.5
    assert table["gain"].to_numpy() == pytest.approx(np.array([0.1, 0.3]) * mae, rel=0.06)


def test_noise_is_found_no_more_often_than_the_level_allows(make_sound):
    table = power(make_sound(n=150, patients=0), **MAIN, shares=(0.0,), draws=400)
    # 2.5 % of 400 is 10; more than 20 have a probability below 0.2 %.
    assert table["power"].item() <= 20 / 400
    assert table["power_low"].item() <= table["power"].item() <= table["power_high"].item()


def test_formula_agrees_with_drawn_errors():
    """Errors of the stack and of T as the best linear stack makes them, one gain of 5 %."""
    rng = np.random.default_rng([1])
    left, n = 0.95, 400
    stacked = left * rng.normal(size=(3000, n))
    # T's error is the stack's plus an uncorrelated part.
    alone = stacked + np.sqrt(1 - left**2) * rng.normal(size=(3000, n))
    gain = np.abs(alone) - np.abs(stacked)
    found = gain.mean(axis=1) > 1.959964 * gain.std(axis=1, ddof=1) / np.sqrt(n)
    assert formula_power(0.05, n) == pytest.approx(found.mean(), abs=0.03)


@pytest.mark.parametrize("share", [0.01, 0.034, 0.2])
def test_scans_needed_reach_the_power_and_one_less_does_not(share):
    n = scans_needed(share)
    assert formula_power(share, n) >= 0.8
    assert formula_power(share, n - 1) < 0.8


def test_detectable_gain_is_read_between_two_planted_ones():
    curve = pd.DataFrame(
        {"over": "T", "share": [0.01, 0.02, 0.04], "gain": [0.1, 0.2, 0.4],
         "power": [0.2, 0.7, 0.9]}
    )  # fmt: skip
    assert detectable_gain(curve) == pytest.approx(0.3)
    assert np.isnan(detectable_gain(curve, wanted=0.95))
    assert np.isnan(detectable_gain(curve, over="T + T′"))
    assert detectable_gain(curve, wanted=0.1) == pytest.approx(0.1)


def test_detectable_gain_is_said_with_its_scans():
    curve = pd.DataFrame(
        {"over": "T", "share": [0.01, 0.04], "gain": [0.2, 0.4], "power": [0.7, 0.9],
         "n_scans": 1200}
    )  # fmt: skip
    assert detectable_sentence(curve) == (
        "With these 1,200 scans a gain of 0.30 years over T is found in 80 % of trials"
    )
    assert detectable_sentence(curve.assign(power=0.5)) == (
        "With these 1,200 scans not even a gain of 0.40 years over T is found in 80 % of trials"
    )


def test_a_gain_over_a_second_look_is_harder_to_find(make_sound):
    """T + planted and T + T′ share less than T + planted and T."""
    predictions = make_sound(n=500, patients=0)
    second = predictions[predictions["net"] == "A"].assign(net="T", seed=1)
    table = power(pd.concat([predictions, second]), **MAIN, shares=(0.0, 0.04), draws=100)
    assert table["over"].tolist() == ["T", "T", "T + T′"]
    by = table.set_index(["over", "share"])["power"]
    assert by["T + T′", 0.04] < by["T", 0.04] - 0.1


def test_paper_mode_resamples_its_test_people(make_paper):
    table = power(make_paper(n=600), "paper", "paper", shares=(0.3,), draws=20)
    assert table["n_scans"].item() == 60


def test_repeated_scans_are_clustered(make_sound):
    """Three copies of each scan are no new information on T."""
    predictions = make_sound(n=100, repeats=3, folds=2, patients=0)
    table = power(predictions, **MAIN, shares=(0.05,), draws=20)
    assert table["n_scans"].item() == 300
    assert table["n_participants"].item() == 100


def test_a_second_simulation_is_equal(make_sound):
    predictions = make_sound(n=80, patients=0)
    first, second = (power(predictions, **MAIN, draws=20, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_too_few_people_are_refused(make_sound):
    predictions = make_sound(n=18, folds=2, patients=0)
    with pytest.raises(BadInput, match="18 tested people: power needs at least 20"):
        power(predictions, **MAIN)
    predictions = make_sound(n=60, folds=2, patients=0)
    with pytest.raises(BadInput, match="two folds"):
        power(predictions[predictions["fold"] == 0], **MAIN)
