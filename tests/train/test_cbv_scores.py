"""Scores of blood volume maps: closed forms, and a ceiling that does not peep."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from brainage_lib.train.cbv_scores import (
    above_ceiling,
    fit_baselines,
    measure,
    regions,
    score_scan,
    similarity,
)  # fmt: skip
from brainage_lib.train.people import Truth

SHAPE = (14, 14, 14)


def person(seed, own=0.0, vessels=True):
    """Grey matter 5, white matter 2 ml/100 ml; vessels of 40 that the T1w does not show."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(SHAPE, bool)
    mask[2:-2, 2:-2, 2:-2] = True
    grey = rng.random(SHAPE)
    vessel = 0.4 * (rng.random(SHAPE) < 0.05) * vessels
    tissue = np.stack([grey, 1 - grey, np.zeros(SHAPE)]) * (1 - vessel) * mask
    cbv = (5 * tissue[0] + 2 * tissue[1] + 100 * vessel) * mask
    cbv += own * rng.normal(size=SHAPE) * mask
    t1w = (0.5 * grey + 0.9 * (1 - grey)) * mask
    return Truth(t1w.astype(np.float16), cbv.astype(np.float32), tissue.astype(np.float32), mask)


@pytest.fixture(scope="module")
def baselines():
    return fit_baselines([person(seed, vessels=False) for seed in range(3)], seed=0)


def test_tissue_means_are_those_that_the_people_were_made_with(baselines):
    assert baselines.tissue_means[:2] == pytest.approx([5, 2], abs=0.01)


def test_where_tissue_is_all_every_predictor_is_right(baselines):
    truth = person(9, vessels=False)
    scores = score_scan(truth, truth.cbv, baselines)
    wide = scores.pivot_table(index="predictor", columns=["region", "measure"], values="value")
    assert (wide["brain"]["pearson"] > 0.99).all()
    assert wide.loc["network", ("brain", "r2")] == 1
    assert wide.loc["tissue means", ("brain", "r2")] == pytest.approx(1, abs=1e-3)


def test_the_ceiling_cannot_read_vessels_from_what_the_tissue_leaves():
    people = [person(seed) for seed in range(6)]
    scores = score_scan(person(20), person(20).cbv, fit_baselines(people, seed=0))
    r2 = scores[(scores["measure"] == "r2") & (scores["region"] == "brain")]
    r2 = r2.set_index("predictor")["value"]
    # Vessels are most of the variance here and in no signal; one minus the sum of the
    # tissues would give all of it away.
    assert r2["ceiling"] < 0.3


def test_the_place_mean_leaves_a_person_out_of_their_own_features():
    # CBV is noise here: nothing can be learned, unless a voxel's own value is in its features.
    people = [person(seed, own=3.0, vessels=False) for seed in range(4)]
    found = fit_baselines(people, seed=0)
    truth = person(30, own=3.0, vessels=False)
    scores = score_scan(truth, truth.cbv, found)
    left = scores[(scores["measure"] == "residual_r2") & (scores["region"] == "brain")]
    assert left.set_index("predictor")["value"]["ceiling"] < 0.05


def test_measures_agree_with_their_definitions():
    rng = np.random.default_rng(0)
    true, found = rng.random((2, 200))
    shares = rng.dirichlet([1, 1, 1], 200)
    scores = measure(found, true, shares)
    mse = np.mean((found - true) ** 2)
    assert scores["pearson"] == pytest.approx(np.corrcoef(found, true)[0, 1])
    assert scores["spearman"] == pytest.approx(spearmanr(found, true).statistic)
    assert scores["r2"] == pytest.approx(1 - mse / np.var(true))
    assert scores["psnr"] == pytest.approx(10 * np.log10(np.ptp(true) ** 2 / mse))
    mean, spread = true.mean() - found.mean(), true.var() + found.var()
    lin = 2 * np.cov(true, found, bias=True)[0, 1] / (spread + mean**2)
    assert scores["concordance"] == pytest.approx(lin)
    assert scores["mae"] == pytest.approx(np.abs(found - true).mean())


def test_the_residual_score_is_the_partial_correlation_given_tissue():
    rng = np.random.default_rng(2)
    shares = rng.dirichlet([1, 1, 1], 500)
    own = rng.normal(size=500)
    tissue = shares @ [5, 2, 4]
    true = tissue + own
    # A map of tissue and noise says nothing beyond tissue, at any scale or offset.
    for found in (tissue, 3 * tissue + 7):
        assert measure(found, true, shares)["residual_r2"] == 0
    assert measure(tissue + rng.normal(size=500), true, shares)["residual_r2"] < 0.02
    assert measure(0.5 * tissue + own, true, shares)["residual_r2"] == pytest.approx(1)
    # By the formula: statsmodels' gain in R² of adding the map to tissue, over what was left.
    import statsmodels.api as sm

    found = tissue + own + rng.normal(size=500)
    smaller = sm.OLS(true, sm.add_constant(shares[:, :2])).fit()
    larger = sm.OLS(true, sm.add_constant(np.column_stack([shares[:, :2], found]))).fit()
    expected = 1 - larger.ssr / smaller.ssr
    assert measure(found, true, shares)["residual_r2"] == pytest.approx(expected)


def test_a_constant_map_has_no_correlation():
    true = np.random.default_rng(1).random(50)
    assert np.isnan(measure(np.ones(50), true, np.ones((50, 3)))["pearson"])


def test_pure_regions_hold_no_vessels():
    truth = person(3)
    found = regions(truth)
    tissue = truth.tissue[:, truth.mask]
    assert found["brain"].all()
    for name, row in (("grey matter", 0), ("white matter", 1)):
        inside = found[name]
        assert 0 < inside.sum() < inside.size
        assert (tissue[row, inside] >= 0.8).all()
        assert (tissue[:, inside].sum(axis=0) > 0.95).all()


def test_similarity_is_its_formula_window_by_window():
    rng = np.random.default_rng(0)
    true, found = rng.random((2, 9, 9, 9))
    mask = np.zeros(true.shape, bool)
    mask[3:6, 3:6, 3:6] = True
    true, found = true * mask, found * mask
    span = np.ptp(true[mask])
    values = []
    for x, y, z in np.argwhere(mask):
        box = tuple(slice(place - 3, place + 4) for place in (x, y, z))
        a, b = true[box].ravel(), found[box].ravel()
        low, high = (0.01 * span) ** 2, (0.03 * span) ** 2
        covariance = np.cov(a, b, bias=True)[0, 1]
        same = (2 * a.mean() * b.mean() + low) / (a.mean() ** 2 + b.mean() ** 2 + low)
        values.append(same * (2 * covariance + high) / (a.var() + b.var() + high))
    assert similarity(found, true, mask) == pytest.approx(np.mean(values), rel=1e-3)
    assert similarity(true, true, mask) == pytest.approx(1, abs=1e-5)


def leaking(truth, share):
    """A map that knows some of the noise of this person's blood, which no T1w shows."""
    rng = np.random.default_rng(5)
    tissue = 5 * truth.tissue[0] + 2 * truth.tissue[1]
    own = truth.cbv - tissue
    return tissue + share * own + (1 - share) * own.std() * rng.standard_normal(own.shape)


def test_a_network_above_the_ceiling_is_found_out():
    people = [person(seed, own=1.0, vessels=False) for seed in range(4)]
    baselines = fit_baselines(people, seed=0)
    truth = person(40, own=1.0, vessels=False)
    for share, found in ((0.0, False), (0.8, True)):
        scores = score_scan(truth, leaking(truth, share), baselines)
        assert bool(above_ceiling(scores)) == found
    means = np.zeros(truth.mask.shape)
    means[truth.mask] = 4.0
    assert above_ceiling(score_scan(truth, means, baselines)) == []
    assert "grey matter: the network explains" in " ".join(
        above_ceiling(score_scan(truth, truth.cbv, baselines))
    )
