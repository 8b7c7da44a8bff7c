"""The same scan, disturbed: with planted networks, whose answers are known beforehand."""

from __future__ import annotations

import os

import nibabel as nib
import numpy as np
import pytest

from brainage_lib.errors import BadImage, WrongUsage
from brainage_lib.files import read_json, write_json
from brainage_lib.imaging import brain_mask, grid, normalise
from brainage_lib.predict import Model, stability
from brainage_lib.predict import scan as one_scan
from brainage_lib.simulate import open_scan
from brainage_lib.tables import STABILITY

BRAIN = {"scan_id": "whole", "path": "whole.nii.gz", "t1w_state": "mni152-brain"}


@pytest.fixture(scope="module")
def model(tiny_run):
    return Model(tiny_run, "cpu")


def years_per_unit(model):
    """What the stacking makes of one more year of T."""
    models = read_json(model.run.path("stacking", "model.json"))["models"]
    return models["paper"]["sound"]["out-of-fold"]["all"]["TA"]["terms"]["T"]


def plant(monkeypatch, reads):
    """Let T be what is read off the normalised T1w, and A a constant."""

    def answer(model, net, volume, fold):
        return reads(np.asarray(volume, np.float64)) if net == "T" else 50.0

    monkeypatch.setattr(one_scan, "_ask", answer)
    monkeypatch.setattr(one_scan.aicbv, "cbv_map", lambda run, generator, t1w: t1w)


def changes(table):
    rows = table.set_index(["disturbance", "strength"])
    return rows["change"].to_dict()


def brain_ml(volume):
    return np.count_nonzero(volume) * 0.064


def brightness(volume):
    return 100 * volume[volume > 0].mean()


def mean_brightness(data):
    return brightness(normalise(np.where(brain_mask(data), data, 0)))


def test_a_network_that_weighs_the_brain_hardly_sees_intensities(model, brains, monkeypatch):
    plant(monkeypatch, brain_ml)
    table = stability(model, BRAIN, brains)
    STABILITY.validate(table)
    found = changes(table)
    assert next(iter(found)) == ("none", 0.0)
    # At 4 mm a scan cannot be made coarser by 2 or 3.
    assert {name for name, _ in found} == {
        "none", "tilt", "axes", "slices", "noise", "bias", "scale", "offset", "gamma",
    }  # fmt: skip
    assert [found[key] for key in (("axes", 1.0), ("scale", 0.5), ("scale", 2.0))] == [0, 0, 0]
    # 1 ml is a "year". Only the rim of the brain, nearly as dark as nothing, comes and goes.
    whole = brain_ml(nib.load(brains / "whole.nii.gz").get_fdata()) * abs(years_per_unit(model))
    assert all(abs(change) < 0.03 * whole for change in found.values())
    assert found["tilt", 15.0] != 0


def test_a_network_that_reads_brightness_moves_by_what_the_power_does(model, brains, monkeypatch):
    plant(monkeypatch, brightness)
    found = changes(stability(model, BRAIN, brains, only=["gamma", "scale", "axes"]))
    data = nib.load(brains / "whole.nii.gz").get_fdata()
    for exponent in (0.8, 1.25):
        before, after = (mean_brightness(data**power) for power in (1.0, exponent))
        expected = years_per_unit(model) * (after - before)
        assert found["gamma", exponent] == pytest.approx(expected, rel=0.02)
        assert abs(expected) > 1
    assert found["scale", 0.5] == pytest.approx(0, abs=0.01)
    assert found["axes", 1.0] == 0


def test_a_network_that_reads_places_sees_a_tilt(model, brains, monkeypatch):
    """Where the bright lies on z, in mm: turned by 15° the brain tips forwards."""
    height = np.arange(grid(4).shape[2]) * 4.0
    plant(monkeypatch, lambda volume: (volume * height).sum() / volume.sum())
    found = changes(stability(model, BRAIN, brains, only=["tilt", "noise"]))
    sizes = [abs(found["tilt", angle]) for angle in (5.0, 10.0, 15.0)]
    assert sizes == sorted(sizes)
    assert sizes[2] > abs(found["noise", 3.0])


def test_a_second_start_asks_nothing_and_leaves_no_copy(model, brains, monkeypatch, tmp_path):
    asked = []
    plant(monkeypatch, lambda volume: asked.append(1) or 60.0)
    how = {"only": ["scale", "axes"], "out": tmp_path / "kept"}
    first = stability(model, BRAIN, brains, **how)
    assert len(asked) == 4
    assert stability(model, BRAIN, brains, **how).equals(first)
    assert len(asked) == 4
    assert sorted(os.listdir(tmp_path / "kept")) == [
        f"whole_{name}_prediction.json" for name in ("axes-1", "none", "scale-0.5", "scale-2")
    ]


def test_the_stated_change_of_the_networks_stands_beside(model, brains, monkeypatch):
    plant(monkeypatch, lambda volume: 60.0)
    path = model.run.path("stacking", "calibration.json")
    before = read_json(path)
    changed = read_json(path)
    changed["calibration"]["paper"]["TA"]["repeated"] = {
        "smallest_change": 3.5, "n_participants": 20,
    }  # fmt: skip
    write_json(path, changed)
    try:
        table = stability(Model(model.run, "cpu"), BRAIN, brains, only=["scale"])
    finally:
        write_json(path, before)
    assert table["smallest_change"].tolist() == [3.5] * 3
    assert stability(model, BRAIN, brains, only=["axes"])["smallest_change"].isna().all()


def test_a_scan_that_is_refused_as_it_came_is_not_disturbed(model, brains):
    (row,) = stability(model, BRAIN | {"path": "half.nii.gz"}, brains).to_dict("records")
    assert (row["disturbance"], row["verdict"]) == ("none", "drop")
    assert "of the inner brain is empty" in row["reasons"]


def test_a_disturbance_that_the_quality_finds_is_a_refusal_not_a_number(model, brains, monkeypatch):
    plant(monkeypatch, lambda volume: 60.0)
    judge = one_scan.judge

    def strict(measures, limits):
        if measures["turn_degrees"] > 5:
            return "drop", ["badly registered"]
        return judge(measures, limits)

    monkeypatch.setattr(one_scan, "judge", strict)
    rows = stability(model, BRAIN, brains, only=["tilt"]).set_index("strength")
    assert rows.loc[15.0, ["verdict", "reasons"]].tolist() == ["drop", "badly registered"]
    assert np.isnan(rows.loc[15.0, "change"])
    assert rows.loc[0.0, "change"] == 0


def test_what_cannot_be_done_is_said(model, brains, tmp_path):
    with pytest.raises(WrongUsage, match="'tilts'; use tilt, axes"):
        stability(model, BRAIN, brains, only=["tilts"])
    (tmp_path / "text.nii.gz").write_text("no image")
    with pytest.raises(BadImage):
        stability(model, BRAIN | {"path": "text.nii.gz"}, tmp_path)


def test_a_simulated_scan_is_disturbed_where_it_lies(model, monkeypatch):
    plant(monkeypatch, brain_ml)
    scan = {
        "scan_id": "s", "sex": "F",
        "path": "sim:v1?seed=3&session=1&age=40.00&sex=F&project=IXI&diagnosis=control",
    }  # fmt: skip
    found = changes(stability(model, scan, only=["axes", "scale"]))
    assert list(found.values()) == [0, 0, 0, 0]
    age = stability(model, scan, only=["axes"])["predicted_age"].iloc[0]
    ml = brain_ml(open_scan(scan["path"], grid(4)).mask)
    plant(monkeypatch, lambda volume: ml)
    known = one_scan.predict_scan(model, scan).predicted_age
    # The darkest of the rim is no brain any more once the scan is a file.
    assert age == pytest.approx(known, abs=0.02 * ml * abs(years_per_unit(model)))
