"""Open studies and CoRR, on small made-up tables with their columns and oddities."""

from __future__ import annotations

import pandas as pd
import pytest

from brainage_lib.errors import WrongUsage

CORR = """
SITE,SUBID,SESSION,AGE_AT_SCAN_1,SEX,HANDEDNESS,RETEST_DURATION
NYU_1,25001,Baseline,30.5,1,R,#
NYU_1,25001,Retest_1,#,1,R,730.5
NYU_1,25002,Baseline,20,2,#,#
NYU_1,25002,Retest_1,20,2,#,365.25
NYU_1,25003,Retest_1,#,2,#,#
HNU_1,25427,Baseline,#,2,#,#
"""


def corr(folder):
    folder.table("CoRR_AggregatedPhenotypicData.csv", CORR)
    folder.images(
        "NYU_1/0025001/session_1/anat_1/anat.nii.gz",
        "NYU_1/0025001/session_2/anat_1/anat.nii.gz",
        "NYU_1/0025002/session_1/anat_1/anat.nii.gz",
        "HNU_1/0025427/session_1/anat_1/anat.nii.gz",
    )
    # The second session's image is the first one's.
    same = folder.root / "images/NYU_1/0025002"
    (same / "session_2/anat_1").mkdir(parents=True)
    (same / "session_2/anat_1/anat.nii.gz").write_bytes(
        (same / "session_1/anat_1/anat.nii.gz").read_bytes()
    )


def test_corr_refuses_to_guess_the_coding_of_sex(folder, build):
    corr(folder)
    with pytest.raises(WrongUsage, match=r"code books disagree.*--sex-coding 1=F,2=M or"):
        build("corr")
    first, _ = build("corr", sex_coding="1=F,2=M")
    second, _ = build("corr", sex_coding="1=M,2=F")
    assert first["sex"].tolist() == ["F", "F", "M"]
    assert second["sex"].tolist() == ["M", "M", "F"]
    with pytest.raises(WrongUsage, match="CODE=F,CODE=M"):
        build("corr", sex_coding="1=F")


def test_corr_carries_the_age_on_and_drops_copied_images(folder, build, reasons):
    corr(folder)
    rows, result = build("corr", sex_coding="1=F,2=M")
    assert list(rows.index) == ["CoRR_0025001_1", "CoRR_0025001_2", "CoRR_0025002_1"]
    assert rows["age"].tolist() == pytest.approx([30.5, 32.5, 20.0])
    assert any("byte by byte" in reason for reason in reasons(result, "0025002/session_2"))
    assert reasons(result, "0025427") == {"no age at the scan"}


def test_dlbs_makes_a_table_of_sessions_from_three_columns(folder, build, reasons):
    folder.table("participants.tsv", """
        participant_id\tAgeCog_W1\tAgeMRI_W1\tAgeMRI_W2\tAgeMRI_W3\tSex
        sub-1001\t40\t41\t45\tn/a\tm
        sub-1002\t70\tn/a\t74\tn/a\tf
    """)  # fmt: skip
    folder.images(
        "sub-1001/ses-wave1/anat/sub-1001_ses-wave1_acq-MPRAGE_run-1_T1w.nii.gz",
        "sub-1001/ses-wave1/anat/sub-1001_ses-wave1_acq-MPRAGE_run-2_T1w.nii.gz",
        "sub-1001/ses-wave2/anat/sub-1001_ses-wave2_acq-MPRAGE_run-1_T1w.nii.gz",
        "sub-1002/ses-wave1/anat/sub-1002_ses-wave1_acq-MPRAGE_run-1_T1w.nii.gz",
        "derivatives/x/sub-1002_ses-wave2_desc-preproc_T1w.nii.gz",
    )
    rows, result = build("dlbs")
    assert rows["age"].to_dict() == {"DLBS_1001_wave1": 41.0, "DLBS_1001_wave2": 45.0}
    assert rows["path"].str.contains("run-1").all()
    assert reasons(result, "run-2") == {"another T1w of the session was taken"}
    assert reasons(result, "sub-1002_ses-wave1") == {"no age at the scan"}
    assert any("participants.tsv has 2 rows, the published table 464" in n for n in result.notes)


IXI_COLUMNS = ["IXI_ID", "SEX_ID (1=m, 2=f)", "HEIGHT", "DOB", "STUDY_DATE", "AGE"]


def ixi(folder):
    folder.workbook("IXI.xls.xlsx", "Table", IXI_COLUMNS, [
        [2, 2, 164, "1970-02-22", "2005-11-18", 35.80013689],
        [12, 1, 175, "1966-08-20", "2005-06-01", 38.78165640],
        [16, 1, 0, "1950-01-01", None, None],
        [13, 0, 0, None, None, 0],
        [13, 1, 182, "1958-09-15", "2005-06-01", 46.71047228],
        [219, 1, 0, "1950-01-01", "2006-01-01", 56.0],
        [219, 1, 0, "1960-01-01", "2006-01-01", 46.0],
        [328, 1, 0, "1950-01-01", "2006-01-01", 56.0],
        [328, 2, 0, "1960-01-01", "2006-01-01", 46.0],
        [600, 2, 164, "1970-02-22", "2005-11-18", 35.8],
    ])  # fmt: skip
    folder.images(
        "IXI002-Guys-0828-T1.nii.gz",
        "IXI012-HH-1211-T1.nii.gz",
        "IXI013-HH-1212-T1.nii.gz",
        "IXI016-Guys-0697-T1.nii.gz",
        "IXI219-Guys-0894-T1.nii.gz",
        "IXI328-Guys-0890-T1.nii.gz",
        "IXI500-IOP-1017-T1.nii.gz",
        "IXI002-Guys-0828-T2.nii.gz",
    )


def test_ixi_keeps_the_fuller_row_and_leaves_out_conflicts(folder, build, reasons):
    ixi(folder)
    rows, result = build("ixi", tables=[f"people={folder.root}/tables/IXI.xls.xlsx"])
    assert rows["age"].round(2).to_dict() == {"IXI002": 35.80, "IXI012": 38.78, "IXI013": 46.71}
    assert rows["sex"].tolist() == ["F", "M", "M"]
    assert rows["x_site"].tolist() == ["Guys", "HH", "HH"]
    lines = {entry.line: entry.reason for entry in result.left_out if "differ" in entry.reason}
    assert lines == {
        7: "rows of the same scan differ in AGE",
        8: "rows of the same scan differ in AGE",
        9: "rows of the same scan differ in SEX_ID (1=m, 2=f), AGE",
        10: "rows of the same scan differ in SEX_ID (1=m, 2=f), AGE",
    }
    assert reasons(result, "IXI016") == {"no age at the scan"}
    assert reasons(result, "IXI500") == {"no row in the study's tables"}
    assert reasons(result, "T2") == {"not where a T1w of the study lies"}
    assert reasons(result, "600") == {"no image below the image folder"}
    table = pd.read_csv(result.left_out_path)
    assert len(table) == len(result.left_out)
    assert table["remedy"].notna().all()


def test_sald_pads_ids_reads_the_first_sex_and_skips_rows_without_t1(folder, build, reasons):
    folder.workbook(
        "sub_information.xlsx", "basic",
        ["Sub_ID", "Sex", "Age", "Sex", "Edinburgh Handedness Inventory (EHI)", "FunImg", "T1Img"],
        [[31274, "F", 22, 2, 1, 1, 1], [31275, "M ", 60, 1, None, 1, 1],
         [31276, "M", 61, 1, None, 1, 0]],
    )  # fmt: skip
    folder.images(*(
        f"sub-0{number}/anat/sub-0{number}_T1w.nii.gz" for number in (31274, 31275, 31276)
    ))  # fmt: skip
    rows, result = build("sald")
    assert rows["sex"].to_dict() == {"SALD_031274": "F", "SALD_031275": "M"}
    assert "the study's table says that this is not a T1w to be read" in reasons(result, "31276")


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_changes_nothing(folder, build, seed):
    import random

    ixi(folder)
    table = pd.read_excel(folder.root / "tables/IXI.xls.xlsx", dtype=str, keep_default_na=False)
    rows = table.to_numpy().tolist()
    first, _ = build("ixi", tables=[f"people={folder.root}/tables/IXI.xls.xlsx"])
    random.Random(seed).shuffle(rows)
    folder.workbook("IXI.xls.xlsx", "Table", IXI_COLUMNS, rows)
    again, _ = build("ixi", tables=[f"people={folder.root}/tables/IXI.xls.xlsx"])
    pd.testing.assert_frame_equal(first, again)


def test_slim_later_ages_are_baseline_plus_time(folder, build, reasons):
    folder.table("swu_slim_phenodata_time1.tsv", """
        Match_ID\tSession\tage_at_Scan1\tSex\tScan_Time\tfunc\tDTI
        25629\t1\t20\tmale\xa1\xa1\t'03-Mar-2012'\t1\t1
        25630\t1\t19\tfemale\t'03-Mar-2012'\t1\tn/a
        25631\t1\tn/a\tfemale\t'03-Mar-2012'\t1\tn/a
    """, encoding="latin-1")  # fmt: skip
    folder.table("swu_slim_phenodata_time2.tsv", """
        Match_ID\tSession\tSex\tScan_Time
        25629\t2\tmale\xa1\xa1\t'03-Mar-2014'
        25630\t2\tfemale\tn/a
    """, encoding="latin-1")  # fmt: skip
    folder.images(
        *(f"sub-{person}/ses-{session}/anat/sub-{person}_ses-{session}_T1w.nii.gz"
          for person, session in [(25629, 1), (25629, 2), (25630, 2), (25631, 1)])
    )  # fmt: skip
    rows, result = build("slim")
    assert rows["age"].tolist() == pytest.approx([20.0, 22.0], abs=0.01)
    assert rows["sex"].tolist() == ["M", "M"]
    assert reasons(result, "sub-25630_ses-2") == {
        "age at the first session only, and no interval since"
    }
    assert reasons(result, "sub-25631") == {"no age at the scan"}
