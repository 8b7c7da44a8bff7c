"""The graph of chapters: what Snakemake is told."""

from __future__ import annotations

import importlib.util
import sys

import pytest


@pytest.fixture(scope="module")
def chapters(root):
    """The module beside the Snakefile."""
    spec = importlib.util.spec_from_file_location("chapters", root / "workflow" / "chapters.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["chapters"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["chapters"]


def test_every_notebook_is_a_chapter_and_every_chapter_is_in_the_contents(root, chapters):
    names = {path.stem for path in (root / "notebooks").glob("[0-9]*.py")}
    assert names <= set(chapters.CHAPTERS)
    contents = (root / "book" / "_toc.yml").read_text(encoding="utf-8")
    for name in chapters.CHAPTERS:
        assert f"file: notebooks/{name}\n" in contents


def test_the_graph_has_no_circle_and_no_table_has_two_authors(chapters):
    done: set[str] = set()
    while len(done) < len(chapters.CHAPTERS):
        ready = {
            name for name, chapter in chapters.CHAPTERS.items() if set(chapter.after) <= done
        } - done
        assert ready, "a circle"
        done |= ready
    tables = [table for chapter in chapters.CHAPTERS.values() for table in chapter.tables]
    assert len(tables) == len(set(tables))


def test_chapters_follow_others_directly_or_through_others(chapters):
    after = {name for name in chapters.CHAPTERS if chapters.follows(name, "05_vgg8_training")}
    assert after == {name for name in chapters.CHAPTERS if name[:2] > "05" or name[:2] == "00"}
    assert not any(chapters.follows(name, name) for name in chapters.CHAPTERS)


def test_the_graph_has_the_notebooks_that_exist_and_no_others(chapters, tmp_path):
    for name in ("04_split", "06_stacking_and_anova", "07_by_age_and_study"):
        (tmp_path / f"{name}.ipynb").write_text("{}")
    found = chapters.existing(tmp_path)
    assert {name: chapter.after for name, chapter in found.items()} == {
        "04_split": (),
        "06_stacking_and_anova": (),
        "07_by_age_and_study": ("06_stacking_and_anova",),
    }


@pytest.mark.parametrize(
    "line",
    [
        "from brainage_lib import stats",
        "from brainage_lib import (\n    stats,\n    errors,\n)",
        "import brainage_lib.stats as stats",
        "from brainage_lib.stats import mae",
    ],
)
def test_the_rooms_that_a_notebook_imports_are_inputs_and_others_are_not(chapters, tmp_path, line):
    (tmp_path / "a.py").write_text(line)
    rooms = {path.split("brainage_lib/")[1].split("/")[0] for path in _library(chapters, tmp_path)}
    assert {"stats", "__init__.py"} <= rooms
    assert not {"models", "train", "show", "imaging"} & rooms


def test_rooms_that_are_imported_by_rooms_are_inputs_too(chapters, tmp_path):
    (tmp_path / "a.py").write_text("from brainage_lib.data import prepare_volumes")
    files = _library(chapters, tmp_path)
    rooms = {path.split("brainage_lib/")[1].split("/")[0] for path in files}
    assert {"data", "imaging", "tables", "run", "errors.py", "files.py"} <= rooms
    assert not any("__pycache__" in path for path in files)


def _library(chapters, folder):
    return [path.replace("\\", "/") for path in chapters.library(folder / "a.py")]
