"""The benchmarks' logic, on shapes so small that their figures say nothing."""

from __future__ import annotations

import importlib.util
import re
import sys

import numpy as np
import pandas as pd
import pytest
import torch


def load(root, name):
    spec = importlib.util.spec_from_file_location(
        f"bench_{name}", root / "benchmarks" / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def gpu(root):
    return load(root, "gpu")


CPU = torch.device("cpu")


def test_variants_learn_the_same_but_for_rounding(gpu):
    exact = gpu.train(gpu.VARIANTS[0], (32, 32, 32), 2, 3, CPU)
    for variant in gpu.VARIANTS:
        if variant.compiled:
            continue
        found = gpu.train(variant, (32, 32, 32), 2, 3, CPU)
        assert found.loss == pytest.approx(exact.loss, rel=0.02), variant
        assert found.seconds > 0


def test_operations_are_those_of_the_convolutions_and_layers(gpu):
    """Forward 2·n·in·out·27 a convolution, 2·in·out a layer; backward twice that but the first."""
    channels = (1, 16, 32, 64, 128, 256)
    sides = (32, 16, 8, 4, 2)
    parts = [
        2 * side**3 * before * after * 27
        for side, before, after in zip(sides, channels[:-1], channels[1:], strict=True)
    ]
    dense = [2 * before * after for before, after in ((256, 512), (512, 128), (128, 1))]
    # The volumes themselves need no gradient.
    whole = 3 * (sum(parts) + sum(dense)) - parts[0]
    assert gpu.step_flops(gpu.VGG8((32, 32, 32)), torch.empty(1, 1, 32, 32, 32)) == whole


def test_the_whole_table_is_printed_and_extrapolated(gpu, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "SHAPES", {4: (32, 32, 32)})
    monkeypatch.setattr(gpu, "compare_scans", lambda device: ["not measured"])
    gpu.main(
        ["--device", "cpu", "--grid-mm", "4", "--batch", "2", "--steps", "1", "--variants", "3",
         "--sizes", "demo", "--patch", "16"]
    )  # fmt: skip
    said = capsys.readouterr().out
    assert re.search(r"float32, as the paper +\d.*1\.00x", said)
    assert "AICBV of one scan, demo size" in said
    assert re.search(r"two networks, at most 100 epochs: \d", said)


def test_hours_of_the_paper_are_steps_times_seconds(gpu):
    hours = gpu.paper_hours(step=0.3, scan=6.0, scans=3000)
    steps = 2 * 100 * (2400 / 3 + 300 / 3 / 3)
    assert hours["two networks, at most 100 epochs"] == pytest.approx(steps * 0.3 / 3600)
    assert hours["AICBV of all scans"] == pytest.approx(5.0)


def test_our_scan_is_measured_where_the_other_is_missing(gpu):
    assert gpu.compare_scans(CPU, length=8, channels=4)[0].startswith("brainage_lib")


def test_without_a_card_nothing_is_timed(gpu, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main([])
    assert capsys.readouterr().out.startswith("Nothing was timed: device 'cuda' is not there")


def test_all_ways_of_reading_give_the_same_volumes(root, tmp_path):
    loader = load(root, "loader")
    paths, place = loader.write(tmp_path, 4, 4)
    store = loader.VolumeStore(place)
    stored, _ = loader.Scans(store.rows(store.scan_ids), np.zeros(4), "all").__getitems__([2, 0])
    images, _ = loader.Images(paths).__getitems__([2, 0])
    assert stored.shape == images.shape
    assert torch.allclose(stored * 1000, images, atol=1.01)


def test_growth_in_proportion_has_the_exponent_one(root):
    scaling = load(root, "scaling")
    rows = [("05", n, 0.2 * n, 400.0) for n in (100, 300, 1000)]
    table = pd.DataFrame(rows, columns=["chapter", "n_scans", "seconds", "peak_memory_mb"])
    found = scaling.exponents(table).iloc[0]
    assert found["time_exponent"] == pytest.approx(1)
    assert found["memory_exponent"] == pytest.approx(0, abs=1e-9)
