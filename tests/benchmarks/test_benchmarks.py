"""The benchmarks' logic, on shapes so small that their figures say nothing."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from brainage_lib.report.gpu_tables import gpu_page


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


def test_the_whole_table_is_printed_written_and_told_on_the_page(
    gpu, monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr(gpu, "SHAPES", {4: (32, 32, 32)})
    gpu.main(
        ["--device", "cpu", "--grid-mm", "4", "--batch", "2", "--steps", "1", "--variants", "3",
         "--sizes", "demo", "--patch", "16", "--lengths", "8", "--channels", "4",
         "--peak-tflops", "2", "4", "8", "--out", str(tmp_path)]
    )  # fmt: skip
    said = capsys.readouterr().out
    steps = pd.read_csv(tmp_path / "steps.csv")
    assert list(steps["variant"]) == ["float32, as the paper", "TF32", "bf16"]
    assert steps["of_peak"].to_numpy() == pytest.approx(
        steps["tflops"].to_numpy() / [2, 4, 8], rel=0.01
    )
    assert steps["times"].to_numpy() == pytest.approx((steps["ms"][0] / steps["ms"]), rel=0.01)
    hours = pd.read_csv(tmp_path / "hours.csv").set_index("what")["hours"]
    assert hours["two networks, at most 100 epochs"] > 0
    page = gpu_page(tmp_path)
    for words in ("float32, as the paper", "AICBV of one scan: ", "loop in PyTorch", "100 epochs"):
        assert words in page
        assert words.strip(": ") in said
    assert "nan" not in page


def test_a_page_without_figures_says_so(tmp_path):
    assert gpu_page(tmp_path) == "*Not recorded yet.*\n"


def test_hours_of_the_paper_are_steps_times_seconds(gpu):
    hours = gpu.paper_hours(step=0.3, scan=6.0, scans=3000)
    steps = 2 * 100 * (2400 / 3 + 300 / 3 / 3)
    assert hours["two networks, at most 100 epochs"] == pytest.approx(steps * 0.3 / 3600)
    assert hours["AICBV of all scans"] == pytest.approx(5.0)


def test_our_scan_is_measured_beside_the_plain_loop(gpu):
    rows = {row["name"]: row for row in gpu.compare_scans(CPU, 1, 4, 8)}
    assert {"brainage_lib", "loop in PyTorch"} <= set(rows)
    for row in rows.values():
        assert 0 < row["off_output"] < 1e-5
        assert 0 < row["off_gradients"] < 1e-5
    assert rows["brainage_lib"]["times_ours"] == 1


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


@pytest.fixture(scope="module")
def accuracy(root):
    return load(root, "accuracy")


@pytest.fixture
def planted():
    """Sixty people of two projects, five folds, and values that tell the age but for noise."""
    rng = np.random.default_rng(4)
    age = np.linspace(20, 80, 60)
    scans = pd.DataFrame(
        {
            "scan_id": [f"s{i}" for i in range(60)], "participant_id": [f"p{i}" for i in range(60)],
            "project": np.where(np.arange(60) % 3 == 0, "IXI", "OAS1"), "age": age,
            "fold": rng.permutation(60) % 5,
        }
    )  # fmt: skip
    values = (age[:, None] - 50) / 30 * rng.normal(size=40) + 0.2 * rng.normal(size=(60, 40))
    return scans, values - values.mean(axis=0)


@pytest.mark.parametrize("learner", ["ridge", "Gaussian process"])
def test_accuracy_bench_predicts_out_of_fold_what_values_tell(accuracy, planted, learner):
    scans, values = planted
    found = accuracy.out_of_fold(accuracy.kernels(values)[learner], scans)
    assert np.abs(found - scans["age"]).mean() < 4
    # Ages of the tested have no part in it.
    other = scans.assign(age=scans["age"].where(scans["fold"] != 0, 99.0))
    again = accuracy.out_of_fold(accuracy.kernels(values)[learner], other)
    tested = scans["fold"] == 0
    np.testing.assert_allclose(again[tested], found[tested])
    assert not np.allclose(again[~tested], found[~tested])


def test_accuracy_bench_says_what_choosing_is_worth(accuracy, planted):
    scans, _ = planted
    rng = np.random.default_rng(0)
    # None is better than the others: what seems so is luck, and is lost elsewhere.
    luck = pd.DataFrame({f"r{i}": scans["age"] + rng.normal(0, 5, 60) for i in range(8)})
    (row,) = accuracy.choosing(scans, luck).to_dict("records")
    assert row["optimism"] > 0.2
    luck["better"] = scans["age"] + 0.5
    (row,) = accuracy.choosing(scans, luck).to_dict("records")
    assert (row["best"], row["optimism"], row["folds_that_choose_it"]) == ("better", 0, 5)


def test_accuracy_bench_hides_small_groups_and_carries_the_curve_on(accuracy, planted):
    scans, _values = planted
    row = accuracy.describe(scans, scans["age"].to_numpy() + 3)
    assert row["mae"] == pytest.approx(3)
    assert row["bias_slope"] == pytest.approx(0, abs=1e-9)
    assert {"mae_IXI", "mae_OAS1"} <= set(row)
    few = scans.assign(project=np.where(np.arange(60) < 5, "few", "many"))
    assert "mae_few" not in accuracy.describe(few, scans["age"].to_numpy())
    decades = accuracy.by_decade(scans.assign(age=scans["age"].clip(upper=69)),
                                 pd.DataFrame({"r": scans["age"]}))  # fmt: skip
    assert (decades["n_scans"] >= accuracy.FEWEST).all()
    assert len(decades) > 2
    # Twenty-one, and six: the small decade would follow from the total, so another goes with it.
    ages = np.r_[np.full(21, 25.0), np.full(33, 45.0), np.full(6, 65.0)]
    told = accuracy.by_decade(scans.assign(age=ages), pd.DataFrame({"r": ages}))
    assert set(told["decade"]) == {"40–50"}


def test_accuracy_bench_mends_a_constant_gap_of_a_new_study_by_few_scans(accuracy, planted):
    scans, values = planted
    many = pd.concat([scans] * 3, ignore_index=True)
    many["participant_id"] = [f"p{i}" for i in range(len(many))]
    rng = np.random.default_rng(1)
    values = np.tile(values, (3, 1)) + 0.1 * rng.normal(size=(180, 40))
    # One study's values are those of people twelve years older.
    step = (values[170] - values[130]) / (many["age"][170] - many["age"][130])
    values[many["project"] == "IXI"] += 12 * step
    kernels = accuracy.kernels(values)["ridge"]
    age, people = many["age"].to_numpy(), many["participant_id"].to_numpy()

    def ridge(project, train, test):
        assert set(many["project"].iloc[test]) == {project}
        return accuracy.fit_predict(kernels, age, people, train, test)

    found = accuracy.other_study({"ridge": ridge}, many, 0).set_index("tested").loc["IXI"]
    assert found["mean_gap"] > 6
    assert found["mae_after_10"] < found["mae"] / 2


def test_accuracy_bench_trains_a_network_for_a_study_on_the_others_alone(
    accuracy, planted, monkeypatch
):
    scans, _ = planted
    asked = {}

    def fit(run, key, sets, settings, label):
        asked.update(sets, key=key)

    monkeypatch.setattr(accuracy, "fit_key", fit)
    monkeypatch.setattr(accuracy, "load_network", lambda run, key: key)
    monkeypatch.setattr(accuracy, "network_inputs", lambda run, net, ids, reads: ids)
    monkeypatch.setattr(accuracy, "predict_network", lambda model, ids, batch: np.full(len(ids), 4))
    monkeypatch.setattr(accuracy, "train_settings", lambda profile, recipe: None)
    inside = (scans["project"] == "IXI").to_numpy()
    test, train = np.flatnonzero(inside), np.flatnonzero(~inside)
    run = SimpleNamespace(profile=SimpleNamespace(seeds=[0]))
    assert len(accuracy.network_apart(run, "tissue", scans, "IXI", train, test)) == len(test)
    assert asked["key"].place == "tissue/without-IXI/T-s0/0"
    learned = pd.concat([asked["train"], asked["validation"]])
    assert sorted(learned["scan_id"]) == sorted(scans["scan_id"][~inside])
    assert not set(asked["train"]["fold"]) & set(asked["validation"]["fold"])
