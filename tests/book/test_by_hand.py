"""Each chapter also runs by hand, with the parameters that it declares, on a finished run."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from brainage_lib.files import digest_file
from brainage_lib.run.execute import execute

pytestmark = [pytest.mark.book, pytest.mark.timeout(900)]

NOTEBOOKS = sorted(
    path.stem for path in (Path(__file__).parents[2] / "notebooks").glob("[0-9]*.ipynb")
)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_chapter_runs_by_hand_and_finds_what_it_found(name, copy, book_run, root, monkeypatch):
    monkeypatch.setenv("BRAINAGE_RUNS", str(copy.parent))
    out = copy / "by-hand.ipynb"
    execute(root / "notebooks" / f"{name}.ipynb", out, {})
    tags = [cell.metadata.get("tags", []) for cell in nbformat.read(out, 4).cells]
    assert not any("injected-parameters" in found for found in tags)
    tables = [
        path.relative_to(copy)
        for path in copy.rglob("*.csv")
        if path.relative_to(copy).parts[0] not in ("networks", "volumes")
    ]
    assert tables
    changed = [
        str(path)
        for path in tables
        if digest_file(copy / path) != digest_file(book_run.path(str(path)))
    ]
    assert changed == []
