"""The profiles of the paper's own scale do what the paper prints, and nothing for speed."""

from __future__ import annotations

import pytest

from brainage_lib.run import load_profile, plan_networks


@pytest.fixture(scope="module")
def profiles(root):
    folder = root / "workflow" / "profiles"
    return {name: load_profile(folder / f"{name}.yml") for name in ("paper", "paper-sound")}


def test_paper_is_as_printed(profiles):
    paper = profiles["paper"]
    assert (paper.grid_mm, paper.batch, paper.epochs, paper.patience) == (1, 3, 100, 10)
    assert (paper.learning_rate, paper.precision, paper.compile) == (1e-4, "float32", False)
    assert (paper.modes, paper.recipes, paper.nets) == (["paper"], ["paper"], ["T", "A"])
    assert (paper.patients, paper.generator.size) == ("as-they-come", "paper")
    assert [key.place for key in plan_networks(paper)] == [
        "paper/paper/T-s0/0",
        "paper/paper/A-s0/0",
    ]


def test_sound_differs_in_what_makes_it_sound_alone(profiles):
    paper, sound = (profiles[name].model_dump() for name in ("paper", "paper-sound"))
    differ = {name for name in paper if paper[name] != sound[name]}
    assert differ == {"name", "modes", "recipes", "patients"}
    assert (sound["modes"], sound["folds"], sound["recipes"]) == (["sound"], 5, ["sound"])


def test_what_is_on_for_speed_is_named(profiles):
    paper = profiles["paper"]
    assert paper.for_speed == ()
    fast = paper.model_copy(update={"precision": "bf16", "compile": True})
    assert fast.for_speed == ("precision bf16", "compiled networks")
    assert paper.model_copy(update={"devices": 3}).for_speed == ("3 devices a training",)
