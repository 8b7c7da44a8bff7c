from __future__ import annotations

import pytest
import yaml

from brainage_lib.errors import WrongUsage
from brainage_lib.run import Run, load_profile, start_run


@pytest.fixture
def settings(root):
    return yaml.safe_load((root / "workflow/profiles/demo.yml").read_text())


def write(tmp_path, settings):
    path = tmp_path / "mine.yml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_every_committed_profile_is_valid(root):
    found = sorted((root / "workflow/profiles").glob("*.yml"))
    assert found
    for path in found:
        assert load_profile(path).name == path.stem


def test_misspelt_setting_is_named_with_the_allowed_ones(tmp_path, settings):
    settings["foldz"] = settings.pop("folds")
    with pytest.raises(WrongUsage, match=r"foldz: unknown setting; did you mean folds\?"):
        load_profile(write(tmp_path, settings))


def test_misspelt_setting_of_a_group_is_named(tmp_path, settings):
    settings["generator"]["step"] = 3
    with pytest.raises(WrongUsage, match=r"generator\.step: unknown .* mean steps\?"):
        load_profile(write(tmp_path, settings))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modes": ["sond"]}, "modes: 'sond' is not possible; it should be 'paper' or 'sound'"),
        ({"grid_mm": 5}, "grid_mm: 5 is not possible; it should be 1, 2, 3 or 4"),
        ({"folds": 1}, "folds: 1 is not possible; it should be greater than or equal to 2"),
        ({"recipes": ["papper"]}, "recipes: there is no recipe 'papper'; there are: paper, sound"),
        ({"recipes": ["sound"]}, "the paper mode is trained with the recipe paper"),
        ({"devices": 0}, "devices: 0 is not possible; it should be greater than 0"),
        ({"devices": 5}, "5 devices cannot share the 3 scans of a step of the recipe paper evenly"),
        ({"devices": 3, "device": "cuda:1"}, "device cuda:1 is one GPU; with devices 3, cuda"),
        ({"epochs": "many"}, "epochs: 'many' is not possible"),
    ],
)
def test_impossible_setting_is_named_with_what_is_allowed(tmp_path, settings, change, message):
    with pytest.raises(WrongUsage, match=message):
        load_profile(write(tmp_path, settings | change))


def test_all_faults_are_listed_at_once(tmp_path, settings):
    with pytest.raises(WrongUsage) as caught:
        load_profile(write(tmp_path, settings | {"folds": 0, "sed": 3, "batch": 1}))
    assert {line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]} == {
        "folds",
        "sed",
        "batch",
    }


def test_missing_profile_lists_those_that_exist(root):
    with pytest.raises(WrongUsage, match=r"there are: .*demo"):
        load_profile(root / "workflow/profiles/dmo.yml")


def test_a_started_run_keeps_the_time_of_an_unchanged_profile(tmp_path, root):
    profile = root / "workflow/profiles/demo.yml"
    run = start_run(tmp_path / "run", profile, cohort="mine.csv")
    before = run.path("profile.yml").stat().st_mtime_ns
    again = start_run(tmp_path / "run", profile, cohort="mine.csv")
    assert again.path("profile.yml").stat().st_mtime_ns == before
    assert again.profile.cohort.endswith("mine.csv")


def test_a_folder_without_profile_is_not_a_run(tmp_path):
    with pytest.raises(WrongUsage, match="not a run folder"):
        Run(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"people": None}, "needs people or pairs"),
        ({"pairs": "pairs.csv"}, "needs people or pairs"),
        ({"steps": None, "batch": None}, "needs steps, batch"),
        ({"weights": "shipped"}, "people, steps, batch, learning_rate: nothing is trained"),
    ],
)
def test_a_generator_is_either_trained_or_there(tmp_path, settings, changes, said):
    generator = settings["generator"] | changes
    settings["generator"] = {k: v for k, v in generator.items() if v is not None}
    with pytest.raises(WrongUsage, match=said):
        load_profile(write(tmp_path, settings))


@pytest.mark.parametrize("named", ["w.safetensors", "shipped"])
def test_weights_of_a_generator_are_found_from_any_folder(tmp_path, settings, monkeypatch, named):
    settings["generator"] = {"size": "lite", "patch": 48, "overlap": 0.3, "weights": named}
    monkeypatch.chdir(tmp_path)
    run = start_run(tmp_path / "run", write(tmp_path, settings))
    wanted = named if named == "shipped" else str(tmp_path / named)
    assert run.profile.generator.weights == wanted
