"""The quality verdict sees broken scans and leaves whole ones alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from brainage_lib.imaging import grid, judge, measure_quality, open_image, template, to_grid
from brainage_lib.tables import QUALITY

LIMITS = SimpleNamespace(
    brain_ml=(700.0, 2500.0),
    template_correlation=0.6,
    template_correlation_look=0.7,
    edge_fraction=0.08,
)


@pytest.fixture(scope="module")
def brain() -> np.ndarray:
    reference = template(grid(4))
    return np.where(reference.mask, reference.t1w, 0)


def _verdict(volume):
    return judge(measure_quality(volume, grid(4)), LIMITS)


def test_measures_are_the_columns_of_the_quality_table(brain):
    expected = [n for n in QUALITY.columns if n not in ("scan_id", "project", "verdict", "reasons")]
    assert list(measure_quality(brain, grid(4))) == expected


def test_whole_brain_is_kept(brain):
    assert _verdict(brain) == ("keep", [])
    assert _verdict(brain * 900) == ("keep", [])


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda v: ndimage.rotate(v, 35, (1, 2), reshape=False, order=1), "registered"),
        (lambda v: np.flip(v, 2), "registered"),
        (lambda v: np.roll(v, 8, 1), "registered"),
        (lambda v: np.where(np.arange(48) < 20, 0, v), "cut off"),
        (lambda v: np.where(v > 0, 0, 0), "missing"),
        (lambda v: np.ones_like(v) + v, "not skull-stripped"),
    ],
    ids=["tilted", "upside down", "moved", "cut off", "empty", "whole head"],
)
def test_broken_scan_is_dropped_with_its_reason(brain, damage, word):
    verdict, reasons = _verdict(damage(brain).astype(np.float32))
    assert verdict == "drop"
    assert word in " ".join(reasons)


def test_between_the_limits_someone_looks(brain):
    measures = measure_quality(brain, grid(4)) | {"template_correlation": 0.65}
    verdict, reasons = judge(measures, LIMITS)
    assert verdict == "look"
    assert "0.65" in reasons[0]


def test_unknown_measures_are_not_kept(brain):
    measures = measure_quality(brain, grid(4)) | {"template_correlation": float("nan")}
    assert judge(measures, LIMITS)[0] == "drop"


@pytest.mark.parametrize("snr", [10, 40])
def test_noise_is_measured(snr):
    reference = template(grid(4))
    flat = np.where(reference.mask, 100.0, 0.0)
    noise = np.random.default_rng([6]).normal(0, 100 / snr, flat.shape)
    measured = measure_quality(np.where(reference.mask, flat + noise, 0), grid(4))["snr"]
    assert measured == pytest.approx(snr, rel=0.15)


def _verdicts(folder, step):
    return [
        _verdict(to_grid(open_image(path), grid(4)))[0]
        for path in sorted(folder.glob("*.nii.gz"))[::step]
    ]


def test_most_real_scans_are_kept(shared):
    verdicts = _verdicts(shared / "realdata" / "OAS1", 7)
    assert np.mean([verdict == "keep" for verdict in verdicts]) > 0.9


@pytest.mark.slow
def test_few_real_scans_are_dropped(shared):
    """Five of the 314 are tilted, cut off, far off or with their skull, as the eye sees them."""
    verdicts = _verdicts(shared / "realdata" / "OAS1", 1)
    assert 4 <= verdicts.count("drop") <= 7
