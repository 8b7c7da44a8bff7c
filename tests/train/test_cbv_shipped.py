"""A run's generator beside the shipped one: what a page can say and show of both."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from brainage_lib import simulate
from brainage_lib.models import AICBVGenerator, save_weights, shipped
from brainage_lib.run import start_run
from brainage_lib.train import cbv_shipped
from brainage_lib.train.aicbv import WEIGHTS

TRAINED = {"people": 3, "steps": 4, "batch": 1, "learning_rate": 0.001}
FACTS = {"network": "AICBVGenerator", "size": "demo", "grid_mm": "4", "patch": "48",
         "source": "simulated scans", "people": "48", "steps": "1400", "seed": "2026"}  # fmt: skip
CARD = {"scores": {"brain": {"spearman": {"network": 0.61}, "pearson": {"network": 0.5},
                             "ssim": {"network": 0.4}, "mae": {"network": 2.5}},
                   "grey matter": {"residual_r2": {"network": 0.01}}}}  # fmt: skip


@pytest.fixture
def make_run(tmp_path):
    """Make a run with an untrained generator, whose weights say what is asked."""

    def make(generator=TRAINED, facts=FACTS):
        asked = tmp_path / "asked.yml"
        settings = {"size": "demo", "patch": 48, "overlap": 0.25} | generator
        profile = {"cohort": "none.csv", "grid_mm": 4, "modes": ["paper"], "folds": 2,
                   "epochs": 1, "patience": 1, "batch": 3, "learning_rate": 0.0001,
                   "generator": settings}  # fmt: skip
        asked.write_text(yaml.safe_dump(profile))
        run = start_run(tmp_path / "run", asked)
        torch.manual_seed(0)
        save_weights(AICBVGenerator("demo").start_at(4), run.path(WEIGHTS), facts)
        return run

    return make


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of shipped weights."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(shipped, "FOLDER", folder)
    return folder


@pytest.fixture
def weights(folder):
    """Shipped weights for 4 mm, with a card."""
    torch.manual_seed(1)
    facts = FACTS | {"people": "400", "steps": "4000", "seed": "1"}
    path = folder / "aicbv-4mm.safetensors"
    save_weights(AICBVGenerator("demo").start_at(5), path, facts, half=True)
    path.with_suffix(".json").write_text(json.dumps(CARD))
    return path


@pytest.fixture
def scores():
    return pd.DataFrame(
        [
            {"scan_id": f"s{i}", "predictor": predictor, "region": region, "measure": measure,
             "value": value + i}
            for i in (0, 1)
            for predictor, value in (("network", 0.2), ("tissue means", 0.3), ("ceiling", 0.4))
            for region, measure in (("brain", "spearman"), ("brain", "pearson"), ("brain", "ssim"),
                                    ("brain", "mae"), ("grey matter", "residual_r2"))
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("generator", "facts", "said"),
    [
        (TRAINED, {}, "trained its generator (size demo) on 48 simulated scans in 1,400 steps."),
        ({"weights": "shipped"}, {}, "trained no generator. It uses shipped weights (size demo)"),
        ({"weights": "mine.safetensors"}, {}, "It uses weights of the profile (size demo)"),
        (TRAINED, {"source": "scans before and after contrast", "people": "9"},
         "on 9 scans before and after contrast"),
    ],
)  # fmt: skip
def test_the_page_can_say_where_the_generator_comes_from(make_run, generator, facts, said):
    found = cbv_shipped.origin(make_run(generator, FACTS | facts))
    assert said in found.sentence
    assert found.source == (FACTS | facts)["source"]


def test_one_scan_is_mapped_by_both_and_scores_stand_beside(make_run, weights, scores):
    beside = cbv_shipped.put_beside(make_run(), scores)
    assert list(beside.maps) == ["trained in this run", "shipped weights"]
    own, other = beside.maps.values()
    assert own.shape == other.shape == beside.true_cbv.shape
    assert np.abs(own - other)[beside.t1w > 0].mean() > 0.1
    assert not own[beside.t1w == 0].any()
    table = beside.scores.set_index("predictor")
    assert list(table.index) == [*beside.maps, "tissue means", "ceiling"]
    assert table["spearman"].tolist() == pytest.approx([0.7, 0.61, 0.8, 0.9])
    assert table["grey_residual_r2"].tolist() == pytest.approx([0.7, 0.01, 0.8, 0.9])
    assert table.loc["shipped weights", "learned"] == "from 400 simulated scans in 4,000 steps"
    assert "weights that are shipped for 4 mm" in beside.sentence


def test_where_none_are_shipped_the_page_says_so(make_run, folder, scores):
    beside = cbv_shipped.put_beside(make_run(), scores)
    assert list(beside.maps) == ["trained in this run"]
    assert "No weights are shipped for 4 mm" in beside.sentence
    assert "shipped weights" not in set(beside.scores["predictor"])


def test_a_run_with_the_shipped_weights_shows_them_once(make_run, weights, scores):
    beside = cbv_shipped.put_beside(make_run({"weights": "shipped"}), scores)
    assert list(beside.maps) == ["shipped weights"]
    assert "uses the weights shipped for 4 mm" in beside.sentence


def test_the_shown_person_is_of_nobodys_training(make_run, weights, scores, monkeypatch):
    asked = []
    original = cbv_shipped.open_truth
    monkeypatch.setattr(
        cbv_shipped, "open_truth", lambda *item: asked.append(item[0]) or original(*item)
    )
    torch.manual_seed(1)
    # The seed that would come next is the one of the shipped weights.
    save_weights(AICBVGenerator("demo"), weights, FACTS | {"seed": "2027"}, half=True)
    cbv_shipped.put_beside(make_run(), scores)
    own, other = (
        {simulate.parse(uri).seed for uri in simulate.training_people(400, seed)}
        for seed in (2026, 2027)
    )
    assert simulate.parse(asked[0]).seed not in own | other
