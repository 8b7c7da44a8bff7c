"""What is written into the book from a run: banner, status, citation."""

from __future__ import annotations

import pytest
import yaml
from pybtex.database import parse_string

from brainage_lib.report import announcement, citation, recorded_status, status


def card(**facts):
    return {
        "started": "2026-01-31T09:05:59+00:00", "seconds": 61.4, "peak_memory_mb": 1234,
        "device": "CPU", "commit": "abc1234", "machine": "Linux x86_64, 2 cores",
        "profile": "demo", "seed": 2026, "python": "3.11.7", "versions": {"torch": "2.13.0"},
    } | facts  # fmt: skip


def test_the_banner_of_a_simulated_cohort_says_simulated_and_that_of_a_real_one_names_it():
    assert announcement(True, ["IXI"]).startswith("Simulated scans:")
    assert announcement(False, ["OAS1", "OAS1"]).startswith("Real scans of OAS1.")
    assert "OAS1, IXI and SALD" in announcement(False, ["OAS1", "IXI", "OAS1", "SALD"])
    assert "13 studies" in announcement(False, [f"study {number}" for number in range(13)])


def test_the_status_page_has_a_row_a_chapter_and_their_sum():
    text = status(
        {"02_b": card(seconds=3599.6), "01_a": card()}, {"paper/sound/T-s0/1": [40, 35.2]}
    )
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert "[01_a](../notebooks/01_a.ipynb) | 2026-01-31 09:05 | 1 min 01 s | 1,234 MB" in rows[2]
    assert "| 1 h 00 min |" in rows[3]
    assert "| 1 h 01 min |" in rows[4]


def test_the_status_page_shows_every_version_when_chapters_saw_different_ones():
    text = status(
        {"01_a": card(), "02_b": card(versions={"torch": "2.13.1"}, commit="def5678")}, {}
    )
    assert "| torch | 2.13.0, 2.13.1 |" in text
    assert (
        "| Code (commit; several where chapters ran at several times) | abc1234; def5678 |" in text
    )


def test_what_ran_for_the_recorded_run_is_told_by_recipe():
    assert recorded_status(None) == "No run on real scans is recorded yet.\n"
    piece = {"commit": "abc", "device": "CPU", "seconds": 61.4,
             "chapters": {"01_a": card(), "02_b": card(versions={})}}  # fmt: skip
    cohort = {"projects": ["IXI", "OAS1"], "grid_mm": 4, "folds": 5, "seed": 1,
              "controls": {"n_scans": 1267, "n_participants": 249}}  # fmt: skip
    text = recorded_status({"name": "oas1", "cohort": cohort, "pieces": {"paper": piece}})
    assert "**oas1**: 1,267 scans of 249 controls of IXI, OAS1, 4 mm, 5 folds, seed 1." in text
    assert "| paper | abc | CPU | 1 min 01 s | 2.13.0 | 3.11.7 |" in text


def test_the_citation_is_bibtex_of_the_software_and_of_the_paper(root):
    text = citation(yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8")))
    entries = parse_string(text.replace("```bibtex", "").replace("```", ""), "bibtex").entries
    kinds = {entry.type: entry for entry in entries.values()}
    assert set(kinds) == {"software", "article"}
    people = [str(person) for person in kinds["article"].persons["author"]]
    assert people[0] == "Jomsky, Jordan"
    assert len(people) == 5
    # A group is one name, not a person called "maintainers".
    assert len(kinds["software"].persons["author"]) == 1
    assert kinds["software"].fields["version"] == "0.1.0"


def test_the_version_is_the_same_wherever_it_stands(root):
    import brainage_lib

    facts = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert facts["version"] == brainage_lib.__version__
    assert f'\nversion = "{facts["version"]}"\n' in (root / "pyproject.toml").read_text()
    assert f"## {facts['version']}\n" in (root / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (7322, "2 h 02")]
)
def test_durations_read_as_a_person_would_write_them(seconds, text):
    assert f"| {text}" in status({"01_a": card(seconds=seconds)}, {})
