"""A bad manifest: every bad row at once, with line, column and remedy."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage_lib.errors import BadInput
from brainage_lib.tables import read_manifest
from brainage_lib.tables.manifest import COLUMNS, examine_manifest

GOOD = {
    "scan_id": "s1",
    "participant_id": "p1",
    "project": "IXI",
    "session": "1",
    "age": "34.5",
    "sex": "F",
    "diagnosis": "control",
    "path": "sim:v1?seed=1",
    "t1w_state": "simulated",
}

DEFECTS = {
    "missing file": ("path", "nowhere.nii.gz", "does not exist", "correct the path"),
    "file outside": ("path", "../outside.nii.gz", "leaves the manifest's folder", "move the scan"),
    "duplicate": ("scan_id", "s0", "stands already on line 2", "its own scan_id"),
    "scan_id with a folder": ("scan_id", "../s7", "'../s7' cannot name a file", "use letters"),
    "scan_id with a blank": ("scan_id", "s 7", "'s 7' cannot name a file", "use letters"),
    "age zero": ("age", "0", "'0' is outside 5–110", "give the age"),
    "age 130": ("age", "130", "'130' is outside 5–110", "give the age"),
    "age as text": ("age", "forty", "'forty' is not a number", "give the age"),
    "age infinite": ("age", "inf", "is outside 5–110", "give the age"),
    "no age": ("age", "", "is not a number", "give the age"),
    "sex X": ("sex", "X", "'X' is not allowed", "use one of F, M"),
    "sex in small letters": ("sex", "f", "'f' is not allowed", "use one of F, M"),
    "no participant": ("participant_id", "", "is empty", "fill it in"),
    "participant n/a": ("participant_id", "n/a", "is empty", "fill it in"),
    "unknown state": ("t1w_state", "raw", "'raw' is not allowed", "mni152-brain"),
}


def write(path, rows, columns=None):
    pd.DataFrame(rows, columns=columns or list(GOOD)).to_csv(path, index=False)
    return path


@pytest.fixture
def manifest(tmp_path):
    folder = tmp_path / "cohort"
    folder.mkdir()
    (tmp_path / "outside.nii.gz").write_bytes(b"x")
    return folder / "manifest.csv"


@pytest.mark.parametrize("name", DEFECTS)
def test_a_bad_cell_is_named_with_line_column_and_remedy(manifest, name):
    column, value, what, remedy = DEFECTS[name]
    rows = [{**GOOD, "scan_id": "s0"}, {**GOOD, "scan_id": "s1", column: value}]
    with pytest.raises(BadInput) as raised:
        read_manifest(write(manifest, rows))
    (finding,) = raised.value.findings
    assert finding.startswith(f"line 3, {column}: ")
    assert what in finding
    assert remedy in finding
    assert raised.value.exit_code == 3


def test_every_bad_row_is_found_at_once_and_in_order(manifest):
    rows = [{**GOOD, "scan_id": "s0"}]
    for number, (column, value, _, _) in enumerate(DEFECTS.values()):
        rows.append({**GOOD, "scan_id": f"t{number}", column: value})
    with pytest.raises(BadInput) as raised:
        read_manifest(write(manifest, rows))
    expected = [f"line {3 + n}, {d[0]}: " for n, d in enumerate(DEFECTS.values())]
    assert [f[: len(e)] for f, e in zip(raised.value.findings, expected, strict=True)] == expected
    assert str(manifest) in str(raised.value)


def test_two_bad_cells_of_one_row_are_two_findings(manifest):
    _, findings = examine_manifest(write(manifest, [{**GOOD, "age": "-1", "sex": ""}]))
    assert [line for line, _ in findings] == [2, 2]
    assert {text.split(":")[0] for _, text in findings} == {"line 2, age", "line 2, sex"}


def test_an_unknown_and_a_missing_column_are_named(manifest):
    columns = [*(name for name in GOOD if name != "sex"), "gender"]
    with pytest.raises(BadInput) as raised:
        read_manifest(write(manifest, [GOOD], columns))
    assert raised.value.findings == [
        "line 1, gender: unknown column; rename it to x_gender to keep it, or remove it",
        "line 1, sex: column is missing; add it",
    ]


def test_a_manifest_without_rows_or_file_is_refused(manifest):
    with pytest.raises(BadInput, match="no rows: the table needs at least one scan"):
        read_manifest(write(manifest, []))
    with pytest.raises(BadInput, match="the file does not exist"):
        read_manifest(manifest.parent / "other.csv")
    manifest.write_bytes(b"")
    with pytest.raises(BadInput, match="not a CSV table"):
        read_manifest(manifest)
    manifest.write_bytes(b"\xff\xfe\x00binary\x00")
    with pytest.raises(BadInput):
        read_manifest(manifest)


def test_a_blank_line_does_not_shift_the_line_numbers(manifest):
    write(manifest, [GOOD, {**GOOD, "scan_id": "s2", "sex": "X"}])
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([lines[0], lines[1], "", lines[2]]) + "\n")
    _, findings = examine_manifest(manifest)
    assert (4, "line 4, sex: 'X' is not allowed; use one of F, M") in findings


def test_free_columns_and_identifiers_stay_text(manifest):
    rows = [{**GOOD, "scan_id": "0012", "participant_id": "007", "x_site": "02"}]
    table = read_manifest(write(manifest, rows, [*GOOD, "x_site"]))
    assert table.loc[0, ["scan_id", "participant_id", "x_site"]].tolist() == ["0012", "007", "02"]
    assert table["age"].dtype == float


def test_a_file_below_the_manifest_is_found(manifest):
    (manifest.parent / "scans").mkdir()
    (manifest.parent / "scans" / "a.nii.gz").write_bytes(b"x")
    rows = [{**GOOD, "path": "scans/a.nii.gz", "t1w_state": "mni152-brain"}]
    assert read_manifest(write(manifest, rows))["path"].tolist() == ["scans/a.nii.gz"]


@settings(deadline=None, max_examples=50)
@given(
    # A bad scan_id that stands twice is a duplicate, too.
    st.lists(
        st.sampled_from([None, *(d for d in DEFECTS.values() if "cannot name a file" not in d[2])]),
        min_size=1,
        max_size=8,
    )
)
def test_any_mixture_of_defects_gives_one_finding_each(tmp_path_factory, plan):
    folder = tmp_path_factory.mktemp("mixture") / "cohort"
    folder.mkdir()
    (folder.parent / "outside.nii.gz").write_bytes(b"x")
    rows = [{**GOOD, "scan_id": "s0"}]
    expected = []
    for number, defect in enumerate(plan):
        row = {**GOOD, "scan_id": f"t{number}"}
        if defect is not None:
            row[defect[0]] = defect[1]
            expected.append((number + 3, defect[0]))
        rows.append(row)
    table, findings = examine_manifest(write(folder / "manifest.csv", rows))
    places = [(line, text.split(", ")[1].split(":")[0]) for line, text in findings]
    assert sorted(places) == sorted(expected)
    assert len(table) == len(rows)


def test_the_schema_and_the_checks_speak_of_the_same_columns():
    assert list(GOOD) == COLUMNS
