"""Who is in the data."""

from __future__ import annotations

import pandas as pd

from brainage_lib.data.summary import (
    count_diagnoses,
    count_people,
    describe_projects,
    list_repeats,
)
from brainage_lib.tables import DECADES

ROWS = [
    ("s1", "p1", "OAS1", 29.9, "F", "control"),
    ("s2", "p1", "OAS1", 30.1, "F", "control"),
    ("s3", "p2", "OAS1", 33.0, "M", "AD"),
    ("s4", "p3", "IXI", 33.0, "M", "control"),
    ("s5", "p3", "IXI", 36.0, "M", "MCI"),
    ("s6", "p3", "IXI", 37.0, "M", "AD"),
    ("s7", "p4", "IXI", 5.0, "F", "control"),
]
MANIFEST = pd.DataFrame(
    ROWS, columns=["scan_id", "participant_id", "project", "age", "sex", "diagnosis"]
)


def test_counts_add_up_and_empty_groups_are_shown():
    counts = count_people(MANIFEST)
    assert len(counts) == len(DECADES) * 2 * 2
    assert counts["n_scans"].sum() == len(MANIFEST)
    cell = counts.set_index(["decade", "project", "sex"])
    assert cell.loc[("20–30", "OAS1", "F"), "n_scans"] == 1
    assert cell.loc[("30–40", "IXI", "M")].tolist() == [3, 1]
    assert cell.loc[("outside", "IXI", "F")].tolist() == [1, 1]
    assert cell.loc[("80–90", "OAS1", "M")].tolist() == [0, 0]


def test_projects_are_described_and_the_last_row_is_the_whole():
    table = describe_projects(MANIFEST).set_index("project")
    assert table.index.tolist() == ["IXI", "OAS1", "all"]
    whole = table.loc["all"]
    assert whole[["n_scans", "n_participants", "n_repeated"]].tolist() == [7, 4, 2]
    assert whole[["n_patients", "n_patient_scans"]].tolist() == [2, 3]
    assert table.loc["OAS1", "female"] == 0.5
    assert (whole["age_min"], whole["age_max"]) == (5.0, 37.0)


def test_repeats_and_diagnoses_are_listed():
    repeats = list_repeats(MANIFEST).set_index(["project", "scans"])
    assert repeats.loc[("IXI", 3), "n_participants"] == 1
    assert repeats.loc[("IXI", 3), "years_max"] == 4.0
    assert len(repeats) == 2
    assert list_repeats(MANIFEST.drop_duplicates("participant_id")).empty
    diagnoses = count_diagnoses(MANIFEST).set_index(["project", "diagnosis"])
    assert diagnoses.loc[("IXI", "control")].tolist() == [2, 2]
    assert diagnoses["n_scans"].sum() == 7
