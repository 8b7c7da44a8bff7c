"""Scans to look at."""

from __future__ import annotations

import pandas as pd

from brainage_lib.data import across_ages, least_like_the_template
from brainage_lib.run import Run
from brainage_lib.tables import QUALITY, write_table


def test_scans_of_all_ages_are_chosen_the_youngest_first():
    manifest = pd.DataFrame(
        {"scan_id": [f"s{n}" for n in range(101)], "age": [110.0 - n for n in range(101)]}
    )
    assert across_ages(manifest, 5)["age"].tolist() == [10.0, 35.0, 60.0, 85.0, 110.0]
    assert across_ages(manifest, 1)["age"].tolist() == [10.0]
    few = manifest.iloc[:3]
    assert across_ages(few, 12)["scan_id"].tolist() == ["s2", "s1", "s0"]


def test_the_least_alike_are_chosen_whatever_their_verdict(tmp_path):
    (tmp_path / "profile.yml").write_text("")
    quality = pd.DataFrame(
        {
            "scan_id": list("abcd"), "project": "IXI", "reasons": "",
            "verdict": ["keep", "drop", "look", "drop"], "brain_ml": 1.0, "contrast": 1.0,
            "snr": 1.0, "template_correlation": [0.9, 0.2, 0.65, None], "edge_fraction": 0.0,
            "turn_degrees": 0.0,
        }
    )  # fmt: skip
    write_table(quality, tmp_path / "quality.csv", QUALITY)
    run = Run(tmp_path)
    assert least_like_the_template(run, 2)["scan_id"].tolist() == ["b", "c"]
    assert least_like_the_template(run, 9)["scan_id"].tolist() == ["b", "c", "a"]
