from __future__ import annotations

import pytest

from brainage_lib.errors import WrongUsage
from brainage_lib.train import TrainSettings, load_recipe
from brainage_lib.train.settings import RECIPES


def test_defaults_are_the_papers_numbers():
    settings = TrainSettings()
    assert (settings.epochs, settings.patience, settings.batch) == (100, 10, 3)
    assert (settings.learning_rate, settings.optimiser, settings.loss) == (1e-4, "adam", "l1")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"epochs": 0}, "epochs: 0"),
        ({"devices": 2}, "devices: 2 cannot share a batch of 3 evenly"),
        ({"batch": 1.5}, r"batch: 1\.5"),
        ({"learning_rate": -1e-4}, "learning_rate: -0.0001 is not between 0 and 1"),
        ({"loss": "l2"}, "loss: 'l2' is not possible; allowed: l1"),
        ({"precision": "int8"}, "precision: 'int8' is not possible; allowed: float32, tf32, bf16"),
    ],
)
def test_an_impossible_number_is_named(setting, said):
    with pytest.raises(WrongUsage, match=said):
        TrainSettings(**setting)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yml")), ids=lambda path: path.stem)
def test_every_packaged_recipe_loads(path):
    assert load_recipe(path.stem).name == path.stem


def test_the_papers_recipe_adds_nothing_to_the_paper():
    recipe = load_recipe("paper")
    assert (recipe.network, recipe.optimiser, recipe.loss) == ("vgg8", "adam", "l1")
    assert (recipe.reads, recipe.augmentation, recipe.averaging) == ("t1w", "none", "none")
    assert (recipe.schedule, recipe.epochs, recipe.batch) == ("constant", None, None)


def changed(folder, old, new):
    text = (RECIPES / "paper.yml").read_text()
    assert old in text
    (folder / "mine.yml").write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("optimiser:", "optimizer:", "optimizer: unknown setting; did you mean optimiser"),
        ("optimiser: adam\n", "", "optimiser: is missing"),
        ("network: vgg8", "network: vgg9", "network: 'vgg9' is not possible; allowed: vgg8"),
        ("reads: t1w", "reads: t1w\nbatch: 1", "batch: 1 is not possible; .* 2 or more"),
        ("reads: t1w", "reads: t1w\nlearning_rate: 3", "learning_rate: 3 is not a number"),
        ("reads: t1w", "reads: cbv", "reads: 'cbv' is not possible; allowed: t1w, tissue"),
        ("reads: t1w", "reads: [t1w", "not YAML"),
    ],
)
def test_a_wrong_recipe_is_refused_with_what_is_allowed(tmp_path, old, new, said):
    changed(tmp_path, old, new)
    with pytest.raises(WrongUsage, match=said):
        load_recipe("mine", tmp_path)


def test_all_faults_of_a_recipe_are_named_at_once(tmp_path):
    changed(tmp_path, "network: vgg8\noptimiser: adam", "net: vgg8\noptimiser: sgd")
    with pytest.raises(WrongUsage) as caught:
        load_recipe("mine", tmp_path)
    assert len(str(caught.value).splitlines()) == 4


def test_an_unknown_recipe_is_answered_with_the_known_ones():
    with pytest.raises(WrongUsage, match=r"no recipe 'papper'; there are: .*paper"):
        load_recipe("papper")
