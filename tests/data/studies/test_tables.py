"""Bad tables, questions that must be answered, and what real scans with a table give."""

from __future__ import annotations

import pandas as pd
import pytest

from brainage_lib.data.studies import build_manifest, describe_left_out, load_study
from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.tables import PROJECTS, read_manifest

TABLE = """
Sub_ID,Sex,Age,T1Img
031274,F,22,1
031275,M,sixty,1
031276,X,61,1
,M,40,1
31a,M,61,1
"""


def test_every_project_of_the_paper_has_a_specification_whose_patterns_hold():
    import re

    for project in PROJECTS:
        study = load_study(project)
        assert study.project == project
        assert "id" in re.compile(study.id_pattern).groupindex
        for layout in study.images.layouts:
            assert {"id", "image"} & set(re.compile(layout.pattern).groupindex)
        known = {c for table in study.tables.values() for c in (*table.columns, *table.optional)}
        assert set(study.extra.values()) <= known
        assert study.sex.column in known
        assert set(study.age.columns.values()) <= known


def test_a_bad_table_is_one_error_with_every_finding(folder, build):
    folder.table("sub_information.csv", TABLE)
    with pytest.raises(BadInput) as caught:
        build("sald")
    assert [finding.split("; ")[0] for finding in caught.value.findings] == [
        "sub_information.csv, line 6, Sub_ID: '31a' is no id of SALD (expected ^0*(?P<id>\\d+)$)",
        "sub_information.csv, line 4, Sex: 'X' is not one of f, m",
        "sub_information.csv, line 3, Age: 'sixty' is not a number",
    ]
    assert caught.value.exit_code == 3
    assert not (folder.root / "manifest.csv").exists()


def test_missing_columns_of_all_tables_are_named_at_once(folder, build):
    folder.table("Participant_Status_1.csv", "PATNO,COHORT\n3001,1")
    folder.table("Demographics_1.csv", "PATNO,SEX\n3001,1")
    with pytest.raises(BadInput) as caught:
        build("ppmi")
    said = str(caught.value)
    assert "Participant_Status_1.csv, line 1, COHORT_DEFINITION: column is missing" in said
    assert "Demographics_1.csv, line 1, BIRTHDT: column is missing" in said


def test_missing_and_ambiguous_tables_are_named(folder, build):
    folder.table("Demographics_1.csv", "PATNO,SEX,BIRTHDT\n3001,1,01/1950")
    folder.table("Demographics_2.csv", "PATNO,SEX,BIRTHDT\n3001,1,01/1950")
    with pytest.raises(WrongUsage) as caught:
        build("ppmi")
    assert "status: give --table with a file named like Participant_Status*.csv" in str(
        caught.value
    )
    assert "demographics: 2 files fit (Demographics_1.csv, Demographics_2.csv)" in str(caught.value)


def test_a_file_is_the_table_whose_pattern_says_most(folder):
    from brainage_lib.data.studies.opening import find_tables

    folder.table("nifd_clinical_data_2017.csv", "LONI_ID,DX")
    folder.table("NIFD_8_01_2026.csv", "Subject")
    found = find_tables(load_study("nifd"), [str(folder.root / "tables")])
    assert {name: files[0].name for name, files in found.items()} == {
        "collection": "NIFD_8_01_2026.csv",
        "clinical": "nifd_clinical_data_2017.csv",
    }


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"PK\x03\x04 not a workbook"])
@pytest.mark.parametrize("suffix", ["csv", "xlsx", "xls"])
def test_a_broken_file_is_a_finding_and_no_crash(folder, build, content, suffix):
    path = folder.root / f"broken.{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=rf"broken\.{suffix}"):
        build("sald", tables=[path])


def test_unknown_studies_and_folders_are_named(tmp_path):
    with pytest.raises(WrongUsage, match=r"did you mean oas1\?"):
        build_manifest("oass1", [], tmp_path, tmp_path / "m.csv")
    with pytest.raises(WrongUsage, match="the image folder does not exist"):
        build_manifest("ixi", [], tmp_path / "none", tmp_path / "m.csv")
    (tmp_path / "a").mkdir()
    with pytest.raises(WrongUsage, match="must lie below the manifest's folder; write it to"):
        build_manifest("ixi", [], tmp_path, tmp_path / "a" / "m.csv")


def test_links_out_and_links_to_nowhere_are_left_out(folder, build, tmp_path):
    folder.table("sub_information.csv", "Sub_ID,Sex,Age,T1Img\n1,F,22,1\n2,F,23,1\n3,M,24,1\n")
    folder.images("sub-000001/anat/sub-000001_T1w.nii.gz")
    secret = tmp_path.parent / f"{tmp_path.name}-secret.nii.gz"
    secret.write_bytes(b"x")
    for person, target in (("000002", secret), ("000003", tmp_path / "annexed")):
        place = folder.root / f"images/sub-{person}/anat"
        place.mkdir(parents=True)
        (place / f"sub-{person}_T1w.nii.gz").symlink_to(target)
    rows, result = build("sald")
    assert list(rows.index) == ["SALD_000001"]
    reasons = {
        entry.file.split("/")[0]: entry.reason for entry in result.left_out if not entry.line
    }
    assert reasons == {
        "sub-000002": "a link out of the manifest's folder",
        "sub-000003": "a link that leads nowhere",
    }


def test_what_was_left_out_is_told_by_reason_with_examples(folder, build):
    lines = [f"{number},F,,1" for number in range(2, 20)]
    folder.table("sub_information.csv", "\n".join(["Sub_ID,Sex,Age,T1Img", "1,F,22,1", *lines]))
    folder.images(*(f"sub-0000{n:02}/anat/sub-0000{n:02}_T1w.nii.gz" for n in range(1, 20)))
    _, result = build("sald")
    told = describe_left_out(result.left_out).splitlines()
    assert told[0] == "18 left out: no age at the scan; ask the study for it"
    assert told[-1] == "  and 13 more"
    assert len(pd.read_csv(result.left_out_path)) == 18


def test_an_impossible_age_is_left_out(folder, build):
    folder.table("sub_information.csv", "Sub_ID,Sex,Age,T1Img\n1,F,22,1\n2,F,222,1\n")
    folder.images(*(f"sub-00000{n}_T1w.nii.gz" for n in (1, 2)))
    rows, result = build("sald")
    assert len(rows) == 1
    assert result.left_out[0].reason == "age 222.00 is outside 5–110"


def test_a_layout_of_ones_own_needs_a_group(folder, build):
    folder.table("sub_information.csv", "Sub_ID,Sex,Age,T1Img\n1,F,22,1\n")
    for layout in (r"\d+", "(?P<id>"):
        with pytest.raises(WrongUsage, match="--layout"):
            build("sald", layout=layout)


def test_real_scans_get_the_rows_that_their_manifest_has(shared, tmp_path):
    """The manifest of the real OAS1 scans, rebuilt from a table in the study's own columns."""
    known = read_manifest(shared / "realdata" / "manifest.csv")
    known = known[known["project"] == "OAS1"].set_index("scan_id")
    table = pd.DataFrame(
        {
            "ID": known.index,
            "M/F": known["sex"].to_numpy(),
            "Age": known["age"].astype(int).to_numpy(),
            "CDR": known["x_cdr"].fillna("").to_numpy(),
            "MMSE": known["x_mmse"].fillna("").to_numpy(),
        }
    )
    table.to_csv(tmp_path / "oasis_cross-sectional.csv", index=False)
    (tmp_path / "scans").mkdir()
    for scan in known.index:
        (tmp_path / "scans" / f"{scan}.nii.gz").touch()
    built = build_manifest(
        "oas1",
        [tmp_path / "oasis_cross-sectional.csv"],
        tmp_path / "scans",
        tmp_path / "manifest.csv",
        layout=r"(?P<id>OAS1_\d{4})_(?P<session>MR\d)\.nii\.gz$",
        t1w_state="mni152-brain",
    )
    rows = read_manifest(tmp_path / "manifest.csv").set_index("scan_id")
    columns = ["participant_id", "project", "session", "age", "sex", "diagnosis", "t1w_state"]
    pd.testing.assert_frame_equal(rows[columns], known.loc[rows.index, columns])
    assert len(rows) == len(known)
    assert not built.left_out
