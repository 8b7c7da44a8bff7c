"""Volumes of the simulated people follow the published lifespan."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.simulate import ScanSpec, parse, simulate_cohort
from brainage_lib.simulate.person import person_of
from brainage_lib.simulate.sources import STRUCTURES, log_change, table

AGES = np.array([20, 30, 40, 50, 60, 70, 80, 90])

# Relative change with age may differ by this much (the reference itself is cross-sectional).
TOLERANCE = {"gm_total": 0.04, "cortical_gm": 0.04, "subcortical_gm": 0.03, "cerebellum_gm": 0.03,
             "hippocampus": 0.05, "wm_total": 0.04, "lateral_ventricles": 0.15}  # fmt: skip

SPREAD = {"tiv": 0.09, "gm_total": 0.08, "hippocampus": 0.10, "lateral_ventricles": 0.46}


@pytest.fixture(scope="module")
def reference(shared) -> pd.DataFrame:
    """Medians over TIV, mean of both sexes, by age."""
    frame = pd.read_csv(shared / "reference" / "volume_by_age.csv")
    frame = frame[frame.centile == 50]
    wide = frame.pivot_table(index=["sex", "age"], columns="structure", values="volume_ml")
    return wide.div(wide.tiv, axis=0).groupby("age").mean()


def _volumes(ages, seeds) -> pd.DataFrame:
    rows = []
    for age in ages:
        for seed in seeds:
            spec = ScanSpec(seed, 1, float(age), "FM"[seed % 2], "IXI", "control")
            person = person_of(spec)
            rows.append({"age": age, "sex": spec.sex, "tiv": person.tiv_ml, **person.volumes_ml()})
    found = pd.DataFrame(rows).rename(
        columns={"cortex": "cortical_gm", "cerebellum_grey": "cerebellum_gm", "white": "wm_total",
                 "ventricles": "lateral_ventricles"}
    )  # fmt: skip
    found["subcortical_gm"] = found.subcortical + found.hippocampus
    found["gm_total"] = found.cortical_gm + found.cerebellum_gm + found.subcortical_gm
    return found


@pytest.fixture(scope="module")
def simulated() -> pd.DataFrame:
    found = _volumes(AGES, range(400))
    names = list(TOLERANCE)
    return found[names].div(found.tiv, axis=0).groupby(found.age).median()


@pytest.mark.parametrize("name", TOLERANCE)
def test_change_with_age_follows_the_reference(name, simulated, reference):
    ours = simulated[name] / simulated[name].loc[20]
    theirs = reference[name].loc[AGES] / reference[name].loc[20]
    assert (ours / theirs - 1).abs().max() < TOLERANCE[name]


@pytest.mark.parametrize("name", TOLERANCE)
def test_share_of_the_head_follows_the_reference(name, simulated, reference):
    assert simulated[name].loc[20] == pytest.approx(reference[name].loc[20], rel=0.1)


@pytest.mark.parametrize("name", SPREAD)
def test_spread_between_people_follows_the_reference(name):
    found = _volumes([60], range(0, 4000, 2))  # one sex
    logs = np.log(found[name])
    assert logs.std() == pytest.approx(SPREAD[name], rel=0.15)


def test_ventricles_are_skewed_to_the_right():
    found = _volumes([60], range(0, 2000, 2)).lateral_ventricles
    assert found.skew() > 0.8
    assert found.mean() > 1.05 * found.median()


def test_same_person_ages_but_keeps_their_head():
    young, old = (
        person_of(ScanSpec(5, s, a, "M", "DLBS", "control")) for s, a in ((1, 40), (2, 80))
    )
    assert young.tiv_ml == old.tiv_ml
    assert young.deviation == old.deviation
    assert old.latent_age - young.latent_age == pytest.approx(40)
    for name in STRUCTURES:
        change = log_change(name, old.latent_age) - log_change(name, young.latent_age)
        assert np.log(old.shares[name] / young.shares[name]) == pytest.approx(change)


def test_rates_of_the_table_are_the_slopes_of_the_curve():
    for name in STRUCTURES:
        row = table("ageing").loc[name]
        for at, rate in ((35, row.rate_20_50), (60, row.rate_50_70), (80, row.rate_70_90)):
            slope = (log_change(name, at + 0.01) - log_change(name, at - 0.01)) / 0.02
            assert 100 * slope == pytest.approx(rate, abs=0.01)


def test_every_number_has_a_source():
    for name in ("ageing", "diagnoses", "physics", "projects", "regions", "vessels"):
        assert (table(name).source.str.len() > 5).all()


def test_patients_look_older():
    def mean(diagnosis):
        specs = [ScanSpec(i, 1, 75, "F", "ADNI", diagnosis) for i in range(400)]
        return np.mean([person_of(s).deviation for s in specs])

    assert mean("control") == pytest.approx(0, abs=0.4)
    assert mean("MCI") == pytest.approx(4, abs=0.7)
    assert mean("AD") == pytest.approx(8, abs=0.7)


def test_blood_tells_nothing_of_anatomy_beyond_age():
    manifest, truth = simulate_cohort(seed=3, n_scans=1500, n_participants=1500)
    ages = manifest.age.to_numpy()
    blood = np.log(truth.cbv_grey) - np.polyval(np.polyfit(ages, np.log(truth.cbv_grey), 1), ages)
    assert abs(np.corrcoef(blood, truth.deviation)[0, 1]) < 0.08
    assert abs(np.corrcoef(blood, np.log(truth.tiv_ml))[0, 1]) < 0.08
    assert parse(manifest.path[0]).seed < parse(manifest.path[1]).seed
