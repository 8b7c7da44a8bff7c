"""What is told of the training scans: enough for warnings, nothing of one person."""

from __future__ import annotations

import pandas as pd
import pytest

from brainage_lib.data import read_reference, reference, write_reference
from brainage_lib.errors import BadInput
from brainage_lib.files import read_json, write_json


@pytest.fixture
def restored(tiny_run):
    """The tiny run, whose files are put back after the test."""
    names = ("cohort.json", "stacking/reference.json")
    before = {name: tiny_run.path(name).read_bytes() for name in names}
    yield tiny_run
    for name, content in before.items():
        tiny_run.path(name).write_bytes(content)


def test_ages_are_counted_in_steps_of_five_years(tiny_run):
    found = read_reference(tiny_run)
    manifest = pd.read_csv(tiny_run.path("manifest.csv"))
    assert sum(count for _, _, count in found["ages"]) == len(manifest) == found["n_scans"]
    for low, high, count in found["ages"]:
        assert high - low == 5
        assert ((manifest["age"] >= low) & (manifest["age"] < high)).sum() == count
    assert found["age_range"] == [found["ages"][0][0], found["ages"][-1][1]]
    assert found["states"] == ["simulated"]
    low, high = found["usual"]["contrast"]
    assert 0.4 < low < high < 1


def test_real_people_of_whom_there_are_few_are_not_told_of(restored, monkeypatch, tmp_path):
    facts = read_json(restored.path("cohort.json"))
    write_json(restored.path("cohort.json"), facts | {"simulated": False, "folder": str(tmp_path)})
    hidden = write_reference(restored)
    assert hidden["ages"] == []
    assert hidden["age_range"] is None
    assert hidden["n_scans"] == 0
    assert hidden["sex"] == {"F": 0, "M": 0}
    monkeypatch.setattr(reference, "FEW", 1)
    assert write_reference(restored)["n_scans"] == 4


def test_a_run_from_before_there_was_a_reference_says_what_to_do(restored):
    restored.path("stacking", "reference.json").unlink()
    with pytest.raises(BadInput, match=r"reference\.json is missing; run chapter 06 again"):
        read_reference(restored)
    write_json(restored.path("stacking", "reference.json"), {"version": 0})
    with pytest.raises(BadInput, match="not a reference of this version"):
        read_reference(restored)
