"""The simulated cohort: the committed manifest, the studies' shapes, and that age can be learnt."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from brainage_lib.errors import WrongUsage
from brainage_lib.imaging import grid, judge, measure_quality, normalise, template
from brainage_lib.run import QualitySettings
from brainage_lib.simulate import open_scan, parse, simulate_cohort, training_people
from brainage_lib.simulate.uri import FAULTS
from brainage_lib.tables import PROJECTS, read_manifest


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort()


def test_committed_manifest_is_this_cohort(root, cohort):
    committed = read_manifest(root / "data_manifest.csv")
    pd.testing.assert_frame_equal(committed, cohort[0].reset_index(drop=True))


def test_numbers_of_scans_and_participants(cohort):
    manifest, truth = cohort
    assert len(manifest) == 360 + len(FAULTS)
    assert manifest.participant_id.nunique() == 300 + len(FAULTS)
    assert manifest.scan_id.is_unique
    assert truth.scan_id.tolist() == manifest.scan_id.tolist()
    assert tuple(sorted(manifest.project.unique())) == tuple(sorted(PROJECTS))


def test_bad_scans_come_last_and_change_no_other(cohort):
    without, _ = simulate_cohort(faults=False)
    pd.testing.assert_frame_equal(cohort[0].iloc[:360], without)
    bad = cohort[0].iloc[360:]
    assert [parse(path).fault for path in bad.path] == list(FAULTS)
    assert not set(bad.participant_id) & set(without.participant_id)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_verdict_finds_every_planted_fault_and_spares_the_same_scan_without(cohort, fault):
    manifest = cohort[0]
    path = manifest.path[manifest.path.str.endswith(f"fault={fault}")].item()
    verdicts = []
    for uri in (path, path.removesuffix(f"&fault={fault}")):
        scan = open_scan(uri, grid(4))
        volume = np.where(scan.mask, scan.t1w, 0)
        verdicts.append(judge(measure_quality(volume, grid(4)), QualitySettings())[0])
    assert verdicts == ["drop", "keep"]


def test_uris_say_what_the_rows_say(cohort):
    for row in cohort[0].itertuples():
        spec = parse(row.path)
        assert (spec.age, spec.sex, spec.project, spec.diagnosis) == (
            row.age, row.sex, row.project, row.diagnosis,
        )  # fmt: skip
        assert row.session == f"ses-{spec.session}"


def test_a_participant_is_one_person(cohort):
    manifest = cohort[0].assign(seed=[parse(p).seed for p in cohort[0].path])
    by_person = manifest.groupby("participant_id")
    assert (by_person.seed.nunique() == 1).all()
    assert (by_person.sex.nunique() == 1).all()
    assert (by_person.diagnosis.nunique() == 1).all()
    assert manifest.groupby("seed").participant_id.nunique().max() == 1
    again = manifest[manifest.duplicated("participant_id", keep=False)]
    for _, visits in again.groupby("participant_id"):
        assert visits.sort_values("session").age.is_monotonic_increasing


def test_ages_fill_the_lifespan(cohort):
    ages = cohort[0].age
    assert ages.std() == pytest.approx(21.3, abs=1.5)
    assert ages.between(15, 96).all()
    assert np.histogram(ages, np.arange(15, 96, 10))[0].min() >= 10


def test_patients_are_some_of_the_patient_studies(cohort):
    manifest = cohort[0]
    ill = manifest.diagnosis != "control"
    assert 0.1 <= ill.mean() <= 0.16
    assert set(manifest[ill].project) <= {
        "ADNI", "AIBL", "NIFD", "OAS1", "OAS2", "PPMI", "SchizConnect",
    }  # fmt: skip


def test_studies_have_their_shapes(shared):
    shapes = pd.read_csv(shared / "reference" / "study_age_shapes.csv").set_index("project")
    manifest, _ = simulate_cohort(seed=1, n_scans=3000, n_participants=2500)
    for project, found in manifest.groupby("project"):
        row = shapes.loc[project]
        assert len(found) / 3000 == pytest.approx(row.n_fraction, abs=0.01)
        assert found.age.mean() == pytest.approx(row.age_mean, abs=2.5)
        assert found.age.std() == pytest.approx(row.age_sd, rel=0.2)
        assert found.age.between(row.age_min, row.age_max).all()
        people = found.drop_duplicates("participant_id")
        assert (people.sex == "F").mean() == pytest.approx(row.female_fraction, abs=0.02)
        repeated = found.participant_id.duplicated().any()
        assert repeated == bool(row.longitudinal)
        assert (found.diagnosis != "control").any() == bool(row.patients)


def test_other_seed_other_people(cohort):
    other, _ = simulate_cohort(seed=7)
    assert not set(other.path) & set(cohort[0].path)


def test_training_people_are_in_no_cohort(cohort):
    uris = training_people(200, seed=1)
    seeds = {parse(u).seed for u in uris}
    assert len(seeds) == 200
    assert not seeds & {parse(p).seed for p in cohort[0].path}
    assert min(seeds) > 10**9 * 10_000
    assert training_people(200, seed=1) == uris
    assert not seeds & {parse(u).seed for u in training_people(200, seed=2)}
    ages = [parse(u).age for u in uris]
    assert np.ptp(ages) > 75


@pytest.mark.parametrize("numbers", [(300, 360), (900, 300), (100, 0)])
def test_impossible_numbers_are_refused(numbers):
    with pytest.raises(WrongUsage):
        simulate_cohort(1, *numbers)


@pytest.mark.slow
def test_age_can_be_learnt_but_not_read_off(cohort):
    """A linear model on coarse voxels stands between perfect and guessing."""
    manifest = cohort[0][cohort[0].diagnosis == "control"]
    mask = template(grid(4)).mask
    voxels = np.stack([
        ndimage.gaussian_filter(normalise(open_scan(p, grid(4)).t1w), 1.0)[mask]
        for p in manifest.path
    ])  # fmt: skip
    voxels -= voxels.mean(0)
    ages = manifest.age.to_numpy()
    found = np.empty(len(ages))
    for train, test in GroupKFold(5).split(voxels, ages, manifest.participant_id):
        model = Ridge(alpha=0.3 * (voxels[train] ** 2).sum() / len(train))
        found[test] = model.fit(voxels[train], ages[train]).predict(voxels[test])
    assert 4.5 < np.abs(found - ages).mean() < 8
