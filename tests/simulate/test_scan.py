"""A simulated scan is what its URI and its truth say."""

from __future__ import annotations

import numpy as np
import pytest

from brainage_lib.imaging import grid, measure_quality, normalise, template
from brainage_lib.simulate import ScanSpec, age_effect, age_voxels, open_scan, parse
from brainage_lib.simulate import anatomy as anatomy_module
from brainage_lib.simulate.anatomy import STRIPPED_SHARE, make_tissue
from brainage_lib.simulate.person import person_of
from brainage_lib.simulate.sources import STRUCTURES


def _uri(seed=1, session=1, age=50.0, sex="F", project="ADNI", diagnosis="control"):
    return ScanSpec(seed, session, age, sex, project, diagnosis).uri


@pytest.fixture(scope="module")
def scan():
    return open_scan(_uri(), grid(4))


def test_same_uri_gives_the_same_bits(scan):
    again = open_scan(_uri(), grid(4))
    for name in ("t1w", "cbv", "tissue", "mask"):
        np.testing.assert_array_equal(getattr(scan, name), getattr(again, name))
    assert scan.truth == again.truth


def test_shapes_types_and_an_empty_outside(scan):
    shape = grid(4).shape
    assert scan.t1w.shape == scan.cbv.shape == scan.mask.shape == shape
    assert scan.tissue.shape == (3, *shape)
    assert scan.t1w.dtype == scan.cbv.dtype == scan.tissue.dtype == np.float32
    outside = ~scan.mask
    assert not scan.t1w[outside].any()
    assert not scan.cbv[outside].any()
    assert not scan.tissue[:, outside].any()
    assert np.isfinite(scan.t1w).all()
    assert (scan.t1w[scan.mask] > 0).all()


def test_tissue_shares_fill_what_vessels_leave(scan):
    total = scan.tissue.sum(0)[scan.mask]
    assert total.max() < 1 + 1e-5
    assert np.median(total) > 0.95
    assert scan.tissue.min() >= 0


@pytest.mark.parametrize("mm", [4, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("age", [18, 45, 70, 92])
def test_structures_have_the_volumes_of_the_truth(age, mm):
    for seed in (11, 12, 13):
        spec = parse(_uri(seed=seed, age=age, sex="M"))
        person = person_of(spec)
        tissue = make_tissue(spec, person, grid(mm))
        for name in STRUCTURES:
            share = tissue.parts[name].mean() * STRIPPED_SHARE
            assert share == pytest.approx(person.shares[name], rel=0.02), name
        whole = tissue.cortex + tissue.deep + tissue.white + tissue.lesion + tissue.csf
        np.testing.assert_allclose(whole, 1, atol=0.02)


def test_repeats_show_the_same_person(scan):
    repeat = open_scan(_uri(session=2, age=50.5), grid(4))
    other = open_scan(_uri(seed=2), grid(4))
    assert repeat.truth["tiv_ml"] == scan.truth["tiv_ml"]
    both = scan.mask & repeat.mask & other.mask

    def alike(a, b):
        return np.corrcoef(a.tissue[0][both], b.tissue[0][both])[0, 1]

    assert alike(scan, repeat) > alike(scan, other) + 0.05
    assert (scan.t1w != repeat.t1w)[both].mean() > 0.99


def test_same_person_on_a_finer_grid(scan):
    fine = open_scan(_uri(), grid(2))
    assert fine.truth == scan.truth
    assert fine.mask.sum() * 8 == pytest.approx(scan.mask.sum() * 64, rel=0.02)
    for i in range(3):
        assert fine.tissue[i].sum() * 8 == pytest.approx(scan.tissue[i].sum() * 64, rel=0.05)


def test_project_changes_the_image_not_the_person():
    one, two = (open_scan(_uri(project=p), grid(4)) for p in ("ADNI", "SchizConnect"))
    np.testing.assert_array_equal(one.tissue, two.tissue)
    measures = [measure_quality(s.t1w, grid(4)) for s in (one, two)]
    assert measures[1]["contrast"] > measures[0]["contrast"] + 0.03


def test_looks_like_a_brain_to_the_quality_measures():
    for age, project in ((20, "SLIM"), (55, "IXI"), (88, "OAS2")):
        found = measure_quality(open_scan(_uri(age=age, project=project), grid(4)).t1w, grid(4))
        assert found["template_correlation"] > 0.8
        assert 1700 < found["brain_ml"] < 2200
        assert 0.5 < found["contrast"] < 0.8
        assert 25 < found["snr"] < 130


def test_blood_volume_is_of_its_tissue(scan):
    grey, white, csf = (scan.tissue[i] > 0.9 for i in range(3))
    for where, name in ((grey, "cbv_grey"), (white, "cbv_white")):
        values = scan.cbv[where]
        assert np.median(values) == pytest.approx(scan.truth[name], rel=0.15)
        spread = np.std(np.log(values))
        assert 0.2 < spread < 0.45
    assert scan.cbv[csf].mean() < 1.5
    assert 60 < scan.cbv.max() <= 95.01


def test_large_vessels_are_a_few_percent_of_voxels(scan):
    bright = (scan.cbv > 10)[scan.mask].mean()
    assert 0.02 < bright < 0.15


def test_pose_moves_the_scan_by_less_than_a_voxel():
    assert anatomy_module.POSE_MM < 1
    reference = template(grid(4)).mask
    for session in (1, 2, 3):
        mask = open_scan(_uri(session=session), grid(4)).mask
        dice = 2 * (mask & reference).sum() / (mask.sum() + reference.sum())
        assert dice > 0.95


def test_age_voxels_are_where_age_shows():
    effect, carries = age_effect(grid(4)), age_voxels(grid(4))
    brain = template(grid(4)).mask
    share = carries.sum() / brain.sum()
    assert 0.05 < share < 0.5
    # Other people than those of the truth: within the voxels the change is far larger.
    young, old = (
        np.mean(
            [normalise(open_scan(_uri(seed=s, age=a), grid(4)).t1w) for s in range(50, 58)], axis=0
        )
        for a in (25, 80)
    )
    change = np.abs(old - young)
    assert change[carries].mean() > 3 * change[brain & ~carries].mean()
    assert np.corrcoef((old - young)[brain], effect[brain])[0, 1] > 0.8
