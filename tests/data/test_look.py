"""Scans to look at."""

from __future__ import annotations

import pandas as pd

from brainage_lib.data import across_ages


def test_scans_of_all_ages_are_chosen_the_youngest_first():
    manifest = pd.DataFrame(
        {"scan_id": [f"s{n}" for n in range(101)], "age": [110.0 - n for n in range(101)]}
    )
    assert across_ages(manifest, 5)["age"].tolist() == [10.0, 35.0, 60.0, 85.0, 110.0]
    assert across_ages(manifest, 1)["age"].tolist() == [10.0]
    few = manifest.iloc[:3]
    assert across_ages(few, 12)["scan_id"].tolist() == ["s2", "s1", "s0"]
