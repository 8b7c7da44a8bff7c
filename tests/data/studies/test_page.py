"""The page of the studies says what the reader does."""

from __future__ import annotations

from brainage_lib.data.studies import load_study
from brainage_lib.data.studies.page import studies_page
from brainage_lib.tables import PROJECTS


def test_the_committed_page_is_the_one_that_the_specifications_give(root):
    written = (root / "book" / "studies.md").read_text(encoding="utf-8")
    assert written == studies_page(), "run: python -m brainage_lib.data.studies > book/studies.md"


def test_every_study_has_its_access_terms_columns_and_doubts_on_the_page(root):
    text = (root / "book" / "studies.md").read_text(encoding="utf-8")
    for project in PROJECTS:
        study = load_study(project)
        section = text.split(f"({project.lower()})=\n", 1)[1].split("\n## ", 1)[0]
        assert study.access.strip() in section
        for table in study.tables.values():
            for column in (*table.columns, *table.optional):
                assert f"`{column}`" in section
        for doubt in study.doubts:
            assert doubt in section
        assert f"| {study.open_access} | {study.terms} |" in text
