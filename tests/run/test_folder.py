from __future__ import annotations

import json

import pytest

from brainage_lib.errors import WrongUsage
from brainage_lib.files import replacing, write_json
from brainage_lib.run import NetworkKey, code_digest, locate, open_chapter, start_run
from brainage_lib.run import chapter as chapter_module


@pytest.fixture
def run(tmp_path, root):
    run = start_run(tmp_path / "run", root / "workflow/profiles/demo.yml")
    write_json(run.path("cohort.json"), {"simulated": True})
    return run


def test_step_is_up_to_date_until_key_or_output_changes(run):
    run.path("a.csv").write_text("1")
    assert not run.up_to_date("a", {"seed": 1}, ["a.csv"])
    run.finish("a", {"seed": 1}, ["a.csv"])
    assert run.up_to_date("a", {"seed": 1}, ["a.csv"])
    assert not run.up_to_date("a", {"seed": 2}, ["a.csv"])
    run.path("a.csv").write_text("2")
    assert not run.up_to_date("a", {"seed": 1}, ["a.csv"])
    run.path("a.csv").unlink()
    assert not run.up_to_date("a", {"seed": 1}, ["a.csv"])


def test_code_digest_differs_between_rooms_and_refuses_unknown_ones():
    assert code_digest("tables") != code_digest("run")
    with pytest.raises(ValueError, match="no such room"):
        code_digest("attic")


def test_a_name_is_a_run_of_the_runs_folder_and_a_path_is_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINAGE_RUNS", str(tmp_path))
    assert locate("demo") == tmp_path / "demo"
    assert str(locate("elsewhere/demo")) == "elsewhere/demo"
    monkeypatch.delenv("BRAINAGE_RUNS")
    (tmp_path / "_config.yml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert locate("demo") == tmp_path / "runs" / "demo"


def test_interrupted_write_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(target) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_chapter_refuses_another_profile(run):
    with pytest.raises(WrongUsage, match="made with the profile demo, not real"):
        open_chapter("05_vgg8_training", run.folder, "real")


def test_chapter_refuses_a_parameter_that_it_does_not_declare(run, monkeypatch):
    monkeypatch.setattr(chapter_module, "_injected", lambda: {"run", "foldz"})
    with pytest.raises(WrongUsage, match="unknown parameter foldz; allowed: run, profile"):
        open_chapter("05_vgg8_training", run.folder, "demo")


def test_cards_of_chapters_are_merged(run):
    for name in ("01_data_curation", "04_split"):
        card = open_chapter(name, run.folder, "demo").card()
        assert "simulated scans" in card._repr_html_()
    merged = json.loads(run.path("card.json").read_text())
    assert set(merged["chapters"]) == {"01_data_curation", "04_split"}
    assert merged["chapters"]["04_split"]["versions"]["numpy"]


def test_card_names_no_folder_of_this_machine(run, tmp_path):
    open_chapter("01_data_curation", run.folder, "demo").card()
    assert str(tmp_path) not in run.path("card.json").read_text()


def test_trainings_do_not_share_a_folder(run):
    key = NetworkKey("paper", "sound", "T", 1, 0)
    assert run.network_folder(*key) == run.path("networks/paper/sound/T-s1/0")
    others = [key._replace(recipe="sound"), key._replace(mode="paper"), key._replace(net="A"),
              key._replace(seed=0), key._replace(fold=1)]  # fmt: skip
    assert len({run.network_folder(*each) for each in (key, *others)}) == 6
