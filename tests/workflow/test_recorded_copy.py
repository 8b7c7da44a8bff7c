"""A run holds a copy of the recorded run that its pages show."""

from __future__ import annotations

import importlib.util
import sys

import pytest


def module(root, name):
    spec = importlib.util.spec_from_file_location(name, root / "workflow" / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def bring(root):
    yield module(root, "book").bring_recorded
    del sys.modules["book"]


@pytest.fixture
def chapters(root):
    yield module(root, "chapters")
    del sys.modules["chapters"]


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "book" / "recorded" / "oas1"
    folder.mkdir(parents=True)
    for name in ("card.json", "table1.csv", "maps-paper.npz"):
        (folder / name).write_text(name)
    return folder


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_only_what_differs_is_written_and_what_went_is_removed(bring, source, tmp_path):
    target = tmp_path / "run" / "recorded"
    bring(source, target)
    before = times(target)
    assert set(before) == {"card.json", "table1.csv", "maps-paper.npz"}
    bring(source, target)
    assert times(target) == before
    (source / "table1.csv").write_text("other")
    (source / "maps-paper.npz").unlink()
    bring(source, target)
    after = times(target)
    assert set(after) == {"card.json", "table1.csv"}
    assert after["card.json"] == before["card.json"]
    assert (target / "table1.csv").read_text() == "other"


def test_a_recording_that_is_gone_leaves_nothing(bring, source, tmp_path):
    target = tmp_path / "run" / "recorded"
    bring(source, target)
    bring(source.parent / "none", target)
    assert not target.exists()
    bring(source.parent / "none", target)
    assert not target.exists()


def test_a_chapter_depends_on_what_it_shows_of_the_recording_and_on_nothing_else(
    chapters, bring, source, tmp_path
):
    run = tmp_path / "run"
    sixth, eighth, third = (
        next(chapter for name, chapter in chapters.CHAPTERS.items() if name.startswith(number))
        for number in ("06", "08", "03")
    )
    assert sixth.recorded_files(run) == []
    bring(source, run / "recorded")
    assert sixth.recorded_files(run) == ["recorded/table1.csv"]
    assert eighth.recorded_files(run) == ["recorded/maps-paper.npz", "recorded/table1.csv"]
    assert third.recorded_files(run) == []


def test_what_chapters_show_is_what_a_recording_has(chapters):
    from brainage_lib.tables import RECORDED

    shown = {name for chapter in chapters.CHAPTERS.values() for name in chapter.recorded}
    assert shown - {"maps-*.npz"} <= {f"{name}.csv" for name in RECORDED}
