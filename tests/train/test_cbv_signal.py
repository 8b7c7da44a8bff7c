"""What moves a T1w voxel: against published figures, and against drawn voxels."""

from __future__ import annotations

import numpy as np
import pytest

from brainage_lib.simulate.person import person_of
from brainage_lib.simulate.scanner import class_signals
from brainage_lib.simulate.signal import mprage
from brainage_lib.simulate.sources import table
from brainage_lib.simulate.uri import ScanSpec
from brainage_lib.train import cbv_signal

# Computed independently of the simulator, without T2* and with other readouts: per +1 ml/100 ml
# of blood in grey and white matter, per +1 % of T1 in both, %.
KNOWN = {
    "MPRAGE 3 T": (-0.10, -0.49, -1.27, -1.01),
    "MPRAGE 1.5 T": (-0.17, -0.47, -1.08, -0.92),
    "SPGR 3 T": (-0.10, -0.38, -0.88, -0.80),
    "SPGR 1.5 T": (-0.07, -0.16, -0.54, -0.39),
}


@pytest.mark.parametrize("sequence", KNOWN)
def test_sensitivities_are_those_of_another_computation(sequence):
    found = cbv_signal.sensitivities().set_index(["sequence", "tissue"]).loc[sequence]
    assert list(found.index) == ["grey matter", "white matter"]
    assert found["per_ml_percent"].tolist() == pytest.approx(KNOWN[sequence][:2], abs=0.04)
    assert found["per_t1_percent"].tolist() == pytest.approx(KNOWN[sequence][2:], rel=0.1)


@pytest.mark.parametrize(("tissue", "name"), [("grey matter", "grey"), ("white matter", "white")])
def test_spreads_are_those_of_drawn_voxels(tissue, name):
    rng, n = np.random.default_rng(7), 20_000
    sequence, mean = cbv_signal.SEQUENCES["MPRAGE 3 T"], cbv_signal.TISSUES[tissue][1]
    row, blood, white = (table("physics").loc[kind] for kind in (name, "blood", "white"))

    def voxels(cbv=mean, t1=1.0, flip=1.0):
        there = sequence._replace(flip_deg=sequence.flip_deg * flip)
        own = mprage(row.t1_30_ms * np.asarray(t1), row.pd, row.t2s_30_ms, there)
        other = mprage(blood.t1_30_ms, blood.pd, blood.t2s_30_ms, there)
        return (1 - cbv / 100) * own + cbv / 100 * other

    usual = voxels()
    noise = mprage(white.t1_30_ms, white.pd, white.t2s_30_ms, sequence) / cbv_signal.SNR
    settings = np.array([voxels(flip=flip) for flip in 1 + 0.03 * rng.standard_normal(2_000)])
    drawn = {
        "blood volume": voxels(cbv=mean * (1 + cbv_signal.CBV_CV * rng.standard_normal(n))),
        "T1": voxels(t1=1 + 0.05 * rng.standard_normal(n)),
        "noise": usual + noise * rng.standard_normal(n),
        "scanner": settings * (1 + 0.03 * rng.standard_normal(2_000)),
    }
    found = cbv_signal.signal_spreads().set_index(["tissue", "cause"]).loc[tissue]
    for cause, values in drawn.items():
        expected = 100 * values.std() / usual
        assert found.loc[cause, "change_percent"] == pytest.approx(expected, rel=0.06), cause
    times = found["change_percent"] / found.loc["blood volume", "change_percent"]
    assert found["times_blood"].tolist() == pytest.approx(times.tolist())


def test_contrast_agent_makes_blood_visible():
    curves = cbv_signal.blood_curves().set_index(["tissue", "contrast"])
    rise = {key: np.ptp(rows["change_percent"]) for key, rows in curves.groupby(level=[0, 1])}
    assert rise["grey matter", True] > 20 * rise["grey matter", False]
    # Four standard deviations of blood volume are far less than one of noise.
    noise = cbv_signal.signal_spreads().set_index(["tissue", "cause"])["change_percent"]
    assert rise["grey matter", False] < noise["grey matter", "noise"] / 5
    at_mean = cbv_signal.blood_curves().groupby(["tissue", "contrast"]).nth(4)
    assert at_mean["change_percent"].abs().max() < 1e-12


def test_fast_exchange_of_water_shows_hardly_more_of_it():
    sequence = cbv_signal.SEQUENCES["MPRAGE 3 T"]
    levels = class_signals(sequence, person_of(ScanSpec(1, 1, 50, "F", "ADNI", "control")))
    level, _, mixed = levels["grey"]
    slow = levels["blood"][0] - level
    assert cbv_signal.fast_exchange_times() == pytest.approx(mixed / slow, rel=0.15)
    noise = cbv_signal.signal_spreads().set_index(["tissue", "cause"])["times_blood"]
    assert noise["grey matter", "noise"] > 10 * cbv_signal.fast_exchange_times()


def test_the_caption_has_the_sizes_of_the_causes():
    assert "T1 5 %" in cbv_signal.CAUSES
    assert "SNR of 40" in cbv_signal.CAUSES
    assert "blood volume 30 %" in cbv_signal.CAUSES
