"""Each of the 13 readers on a small made-up table with the real columns and oddities."""

from __future__ import annotations

import pandas as pd
import pytest

from brainage_lib.errors import BadInput, WrongUsage

ADNIMERGE = """
RID,PTID,VISCODE,SITE,COLPROT,EXAMDATE,DX_bl,EXAMDATE_bl,AGE,PTGENDER,DX
7,011_S_0007,bl,11,ADNI1,2006-03-01,CN,2006-03-01,70.0,Male,CN
7,011_S_0007,m12,11,ADNI1,2007-03-05,CN,2006-03-01,70.0,Male,MCI
8,022_S_0008,bl,22,ADNI1,2006-05-02,AD,2006-05-02,81.3,Female,Dementia
9,022_S_0009,bl,22,ADNI1,2006-05-02,CN,2006-05-02,-4,Female,CN
10,022_S_0010,bl,22,ADNI1,2006-05-02,CN,2006-05-02,66.0,Female,
"""


def reasons(result, scan=""):
    """Reasons of what was left out, of one scan or image if it is named."""
    return {entry.reason for entry in result.left_out if scan in f"{entry.scan} {entry.file}"}


def adni(folder, *extra):
    folder.table("ADNIMERGE_13Apr2026.csv", ADNIMERGE)
    folder.images(
        "ADNI/011_S_0007/MPRAGE/2006-03-01_09_10_11.0/I100/a.nii",
        "ADNI/011_S_0007/MPRAGE_Repeat/2006-03-01_09_20_11.0/I101/b.nii",
        "ADNI/011_S_0007/MPRAGE/2007-03-01_09_10_11.0/I200/c.nii",
        "ADNI/022_S_0008/MPRAGE/2006-05-02_10_00_00.0/S9/one.dcm",
        "ADNI/022_S_0008/MPRAGE/2006-05-02_10_00_00.0/S9/two.dcm",
        "ADNI/022_S_0009/MPRAGE/2006-05-02_10_00_00.0/I300/d.nii",
        "ADNI/022_S_0010/MPRAGE/2006-05-02_10_00_00.0/I400/e.nii",
        *extra,
    )


def test_adni_ages_are_at_the_scan_not_at_baseline(folder, build):
    adni(folder)
    rows, _ = build("adni")
    assert list(rows.index) == [
        "ADNI_011_S_0007_20060301",
        "ADNI_011_S_0007_20070301",
        "ADNI_022_S_0008_20060502",
    ]
    assert rows["age"].tolist() == pytest.approx([70.0, 70 + 365 / 365.25, 81.3], abs=1e-3)
    assert rows["diagnosis"].tolist() == ["control", "MCI", "Dementia"]
    assert rows["session"].tolist() == ["bl", "m12", "bl"]
    assert rows["participant_id"].nunique() == 2
    # A DICOM series is its folder.
    assert rows["path"].iloc[2].endswith("/S9")


def test_adni_takes_one_scan_a_day_and_lists_what_is_missing(folder, build):
    adni(folder)
    rows, result = build("adni")
    assert rows.loc["ADNI_011_S_0007_20060301", "x_image"] == "I100"
    assert reasons(result, "I101") == {"another T1w of the day was taken"}
    assert reasons(result, "I300") == {"no age at the scan"}
    (reason,) = reasons(result, "I400")
    assert "no visit with a date and a diagnosis" in reason


def test_adni_prefers_what_its_quality_control_selected(folder, build):
    adni(folder)
    folder.table(
        "MAYOADIRL_MRI_IMAGEQC_12_08_15.csv",
        """
        RID,loni_image,series_selected
        7,I100,0
        7,I101,1
        """,
    )
    rows, _ = build("adni")
    assert rows.loc["ADNI_011_S_0007_20060301", "x_image"] == "I101"


def test_aibl_states_how_far_its_ages_may_be_off(folder, build):
    folder.table("aibl_ptdemog_01-Jun-2018.csv", """
        RID,SITEID,VISCODE,PTGENDER,PTDOB
        2,1,bl,1,/1931
        3,1,bl,2,/1940
    """)  # fmt: skip
    folder.table("aibl_pdxconv_01-Jun-2018.csv", """
        RID,SITEID,VISCODE,DXCURREN
        2,1,bl,1
        2,1,m18,2
        3,1,bl,3
    """)  # fmt: skip
    folder.table("aibl_mri3meta_01-Jun-2018.csv", """
        RID,SITEID,VISCODE,EXAMDATE
        2,1,bl,11/10/2006
        2,1,m18,-4
        3,1,bl,01/02/2007
    """)  # fmt: skip
    folder.table("aibl_mmse_01-Jun-2018.csv", """
        RID,SITEID,VISCODE,EXAMDATE,MMSCORE
        2,1,m18,05/11/2008,29
    """)  # fmt: skip
    folder.images(
        "AIBL/2/MPRAGE_ADNI/2006-11-10_13_00_00.0/I1/a.nii",
        "AIBL/2/MPRAGE_ADNI/2008-05-20_13_00_00.0/I2/b.nii",
        "AIBL/3/MPRAGE_ADNI/2007-01-02_13_00_00.0/I3/c.nii",
    )
    rows, _ = build("aibl")
    assert rows["participant_id"].tolist() == ["AIBL_2", "AIBL_2", "AIBL_3"]
    # The date of m18 stands in another table of the visit.
    assert rows["session"].tolist() == ["bl", "m18", "bl"]
    assert rows["diagnosis"].tolist() == ["control", "MCI", "AD"]
    assert rows["sex"].tolist() == ["M", "M", "F"]
    true_bounds = [(2006 - 1931 - 1, 2006 - 1931 + 1), (76, 78), (66, 68)]
    for age, (low, high) in zip(rows["age"], true_bounds, strict=True):
        assert low < age < high
    assert rows["x_age_error"].tolist() == ["0.5"] * 3


def test_bgsp_retests_are_the_same_people(folder, build):
    folder.table("GSP_list_140630.csv", """
        Subject_ID,Sex,Age_Bin
        Sub0001_Ses1,F,21
        Sub0002_Ses1,M,19
    """)  # fmt: skip
    folder.table("GSP_retest_140630.csv", """
        Subject_ID,Sex,Age_Bin,Delay
        Sub0002_Ses2,M,19,40
    """)  # fmt: skip
    folder.images(
        "Sub0001_Ses1/anat/NIfTI/Sub0001_Ses1_mprage.nii.gz",
        "Sub0002_Ses1/anat/NIfTI/Sub0002_Ses1_mprage.nii.gz",
        "Sub0002_Ses2/anat/NIfTI/Sub0002_Ses2_mprage.nii.gz",
        "Sub0002_Ses2/func/NIfTI/Sub0002_Ses2_bold.nii.gz",
    )
    rows, result = build("bgsp")
    assert rows["participant_id"].tolist() == ["BGSP_Sub0001", "BGSP_Sub0002", "BGSP_Sub0002"]
    assert rows["session"].tolist() == ["1", "1", "2"]
    assert rows["x_age_error"].unique().tolist() == ["1"]
    assert reasons(result, "bold") == {"not where a T1w of the study lies"}


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


def test_corr_carries_the_age_on_and_drops_copied_images(folder, build):
    corr(folder)
    rows, result = build("corr", sex_coding="1=F,2=M")
    assert list(rows.index) == ["CoRR_0025001_1", "CoRR_0025001_2", "CoRR_0025002_1"]
    assert rows["age"].tolist() == pytest.approx([30.5, 32.5, 20.0])
    assert any("byte by byte" in reason for reason in reasons(result, "0025002/session_2"))
    assert reasons(result, "0025427") == {"no age at the scan"}


def test_dlbs_makes_a_table_of_sessions_from_three_columns(folder, build):
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


def test_ixi_keeps_the_fuller_row_and_leaves_out_conflicts(folder, build):
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


NIFD = """
Image Data ID,Subject,Group,Sex,Age,Visit,Modality,Description,Type,Acq Date,Format,Downloaded
I11,1_S_0001,Patient,M,61,1,MRI,t1_mprage_S3,Original,3/15/2010,DCM,
I12,1_S_0001,Patient,M,61,1,MRI,t2_flair,Original,3/15/2010,DCM,
I13,1_S_0001,Patient,M,62,2,MRI,t1_mprage_S3,Original,9/16/2010,DCM,
I21,1_S_0002,Control,F,70,1,MRI,MT1; GradWarp,Processed,5/05/2011,NiFTI,
I31,1_S_0003,Patient,F,55,1,MRI,t1_mprage,Original,5/05/2011,NiFTI,
"""


def test_nifd_goes_by_image_number_and_takes_the_diagnosis_from_the_clinical_table(folder, build):
    folder.table("NIFD_collection_3_2026.csv", NIFD)
    folder.workbook(
        "NIFD_Clinical_Data_2017_final_updated.xlsx", "Data",
        ["LONI_ID", "SITE", "VISIT_NUMBER", "DX"],
        [["1_S_0001", "UCSF", 1, "BV"], ["1_S_0001", "UCSF", 2, "BV"],
         ["1_S_0002", "UCSF", 1, "CON"],
         ["1_S_0003", "MGH", 1, "SV"], ["1_S_0003", "MGH", 2, "PNFA"]],
    )  # fmt: skip
    folder.images(
        "NIFD/1_S_0001/t1_mprage_S3/2010-03-15_10_00_00.0/I11/a.nii",
        "NIFD/1_S_0001/t2_flair/2010-03-15_10_00_00.0/I12/b.nii",
        "NIFD/1_S_0001/t1_mprage_S3/2010-09-16_10_00_00.0/I13/c.nii",
        "NIFD/1_S_0002/MT1__GradWarp/2011-05-05_10_00_00.0/I21/d.nii",
        "NIFD/1_S_0003/t1_mprage/2011-05-05_10_00_00.0/I31/e.nii",
    )
    rows, result = build("nifd")
    assert rows["age"].tolist() == [61.0, 62.0, 70.0]
    assert rows["diagnosis"].tolist() == ["BV", "BV", "control"]
    assert rows["session"].tolist() == ["1", "2", "1"]
    assert reasons(result, "1_S_0003") >= {"rows of the same scan differ in DX"}
    assert "no row in the study's tables" in reasons(result, "I12")


OAS1 = """
ID,M/F,Hand,Age,Educ,SES,MMSE,CDR,eTIV,nWBV,ASF,Delay
OAS1_0001_MR1,F,R,74,2,3,29,0,1344,0.743,1.306,N/A
OAS1_0003_MR1,F,R,73,4,3,27,0.5,1454,0.708,1.207,N/A
OAS1_0061_MR1,F,R,20,,,,,1360,0.849,1.290,N/A
OAS1_0061_MR2,F,R,20,,,,,1357,0.849,1.293,25
"""


def test_oas1_retests_share_the_person_and_empty_cdr_is_no_dementia(folder, build):
    folder.table("oasis_cross-sectional-5708aa0a98d82080.csv", OAS1)
    folder.images(*(
        f"prepared/OAS1_{name}.nii.gz" for name in ("0001_MR1", "0003_MR1", "0061_MR1", "0061_MR2")
    ))  # fmt: skip
    rows, result = build(
        "oas1", layout=r"(?P<id>OAS1_\d{4})_(?P<session>MR\d)\.nii\.gz$", t1w_state="mni152-brain"
    )
    assert list(rows.index) == [
        "OAS1_0001_MR1", "OAS1_0003_MR1", "OAS1_0061_MR1", "OAS1_0061_MR2",
    ]  # fmt: skip
    assert rows["participant_id"].tolist()[2:] == ["OAS1_0061"] * 2
    assert rows["diagnosis"].tolist() == ["control", "CDR 0.5", "control", "control"]
    assert set(rows["t1w_state"]) == {"mni152-brain"}
    assert any("436" in note for note in result.notes)


def test_oas1_analyze_images_are_named_as_such(folder, build):
    folder.table("oasis_cross-sectional.csv", OAS1)
    place = "disc1/OAS1_0001_MR1/PROCESSED/MPRAGE/SUBJ_111/OAS1_0001_MR1_mpr_n4_anon_sbj_111"
    folder.images(f"{place}.img", f"{place}.hdr")
    with pytest.raises(BadInput, match="an Analyze image, whose header has no usable orientation"):
        build("oas1")


def test_oas1_analyze_images_are_converted_with_the_known_orientation(folder, build):
    import nibabel as nib
    import numpy as np

    folder.table("oasis_cross-sectional.csv", OAS1)
    # A volume with a mark in front, above and on the left of the centre.
    volume = np.zeros((32, 24, 20, 1), np.dtype(">i2"))
    volume[28, 20, 17] = 100
    for scan in ("OAS1_0001_MR1", "OAS1_0061_MR2"):
        place = folder.root / f"images/disc1/{scan}/PROCESSED/MPRAGE/SUBJ_111"
        place.mkdir(parents=True)
        header = nib.AnalyzeHeader(endianness=">")
        header.set_data_dtype(np.int16)
        image = nib.AnalyzeImage(volume, None, header)
        nib.save(image, place / f"{scan}_mpr_n4_anon_sbj_111.img")
    broken = folder.root / "images/disc1/OAS1_0003_MR1/PROCESSED/MPRAGE/SUBJ_111"
    broken.mkdir(parents=True)
    (broken / "OAS1_0003_MR1_mpr_n4_anon_sbj_111.img").write_bytes(b"x")
    rows, result = build("oas1", convert=folder.root / "nifti")
    assert rows["path"].to_dict() == {
        "OAS1_0001_MR1": "nifti/OAS1_0001_MR1.nii.gz",
        "OAS1_0061_MR2": "nifti/OAS1_0061_MR2.nii.gz",
    }
    made = nib.load(folder.root / rows.loc["OAS1_0061_MR2", "path"])
    assert nib.aff2axcodes(made.affine) == ("A", "S", "L")
    mark = made.affine @ [*np.argwhere(made.get_fdata())[0], 1]
    left, front, up = -mark[0], mark[1], mark[2]
    assert min(left, front, up) > 5
    (reason,) = reasons(result, "OAS1_0003_MR1_mpr")
    assert reason.startswith("an Analyze image that cannot be read")


def test_oas2_has_the_age_and_the_diagnosis_of_each_visit(folder, build):
    folder.workbook(
        "oasis_longitudinal_demographics.xlsx", "Sheet1",
        ["Subject ID", "MRI ID", "Group", "Visit", "MR Delay", "M/F", "Hand", "Age", "EDUC",
         "SES", "MMSE", "CDR", "eTIV", "nWBV", "ASF"],
        [["OAS2_0001", "OAS2_0001_MR1", "Nondemented", 1, 0, "M", "R", 87, 14, 2, 27, 0, 1, 1, 1],
         ["OAS2_0001", "OAS2_0001_MR3", "Nondemented", 3, 900, "M", "R", 89, 14, 2, 30, 0.5,
          1, 1, 1],
         ["OAS2_0018", "OAS2_0018_MR1", "Converted", 1, 0, "F", "R", 87, 14, 1, 30, 0, 1, 1, 1],
         ["OAS2_0002", "OAS2_0002_MR1", "Demented", 1, 0, "M", "R", 75, 12, None, 23, 0.5,
          1, 1, 1]],
    )  # fmt: skip
    for scan in ("0001_MR1", "0001_MR3", "0018_MR1", "0002_MR1"):
        folder.images(f"OAS2_RAW_PART1/OAS2_{scan}/RAW/mpr-1.nifti.img")
        header = folder.root / f"images/OAS2_RAW_PART1/OAS2_{scan}/RAW/mpr-1.nifti.hdr"
        header.write_bytes(bytes(344) + b"ni1\0")
    folder.images("OAS2_RAW_PART1/OAS2_0001_MR1/RAW/mpr-2.nifti.img")
    (folder.root / "images/OAS2_RAW_PART1/OAS2_0001_MR1/RAW/mpr-2.nifti.hdr").write_bytes(
        bytes(344) + b"ni1\0"
    )
    rows, result = build("oas2")
    assert rows["diagnosis"].to_dict() == {
        "OAS2_0001_MR1": "control",
        "OAS2_0001_MR3": "CDR 0.5",
        "OAS2_0002_MR1": "Demented",
        "OAS2_0018_MR1": "Converted",
    }
    assert rows.loc["OAS2_0001_MR3", "age"] == 89
    assert reasons(result, "mpr-2") == {"another T1w of the session was taken"}


def test_ppmi_takes_the_middle_of_the_month_of_birth(folder, build):
    folder.table("Participant_Status_12Jan2026.csv", """
        PATNO,COHORT,COHORT_DEFINITION,ENROLL_DATE,ENROLL_AGE
        3001,2,Healthy Control,02/2011,61.2
        3002,1,Parkinson's Disease,02/2011,65.1
        3003,4,Prodromal,02/2011,65.1
    """)  # fmt: skip
    folder.table("Demographics_12Jan2026.csv", """
        PATNO,EVENT_ID,SEX,HANDED,BIRTHDT
        3001,SC,0,1,02/1950
        3002,SC,1,1,12/1945
        3003,SC,1,1,
    """)  # fmt: skip
    folder.images(
        "PPMI/3001/MPRAGE/2011-02-15_08_00_00.0/I1/a.nii",
        "PPMI/3001/MPRAGE_repeat/2011-02-15_08_30_00.0/I2/b.nii",
        "PPMI/3002/SAG_3D_MPRAGE/2013-12-15_08_00_00.0/S3/c.dcm",
        "PPMI/3003/MPRAGE/2011-02-15_08_00_00.0/I4/d.nii",
    )
    rows, result = build("ppmi")
    assert rows["age"].tolist() == pytest.approx([61.0, 68.0], abs=0.01)
    assert rows["sex"].tolist() == ["F", "M"]
    assert rows["diagnosis"].tolist() == ["control", "Parkinson's Disease"]
    assert (rows["x_age_error"].astype(float) > 0.04).all()
    assert reasons(result, "I2") == {"another T1w of the day was taken"}
    assert reasons(result, "I4") == {"no age at the scan"}


def test_sald_pads_ids_reads_the_first_sex_and_skips_rows_without_t1(folder, build):
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


SCHIZCONNECT = """
study,subjectid,age,sex,dx,field_strength,img_date,datauri,maker,model,szc_protocol_hier,notes
COBRE,A00000300,40,male,No_Known_Disorder,3.0,2011-01-01,x,SIEMENS,TrioTim,T1,
COBRE,A00000300,40,male,No_Known_Disorder,3.0,2011-01-01,y,SIEMENS,TrioTim,T1,
COBRE,A00000456,30,female,Schizophrenia_Strict,3.0,2010-01-01,x,SIEMENS,TrioTim,T1,
NUSDAST,CC0007,25,male,Schizophrenia_Broad,1.5,2005-02-03,x,SIEMENS,VISION,T1,
NUSDAST,CC0007,27,male,Schizophrenia_Broad,1.5,2007-02-03,x,SIEMENS,VISION,T1,
NUSDAST,CC0009,27,female,No_Known_Disorder,1.5,2007-02-03,x,SIEMENS,VISION,T1,
"""


def test_schizconnect_rows_are_images_and_people_may_have_several_visits(folder, build):
    folder.table("schizconnect_metaData_1829.csv", SCHIZCONNECT)
    cobre = "schizconnect_COBRE_images_1829/COBRE"
    folder.images(
        *(f"{cobre}/sub-A00000300/ses-20110101/anat/"
          f"sub-A00000300_ses-20110101_acq-mprage_run-01_echo-0{echo}_T1w.nii.gz"
          for echo in (1, 2)),
        f"{cobre}/sub-A00000456/ses-20110101/anat/sub-A00000456_ses-20110101_T1w.nii.gz",
        "NUSDAST/CC0007/scan_mpr.nii.gz",
        "NUSDAST/CC0009/a_flash.nii.gz",
        "NUSDAST/CC0009/b_MPR.nii.gz",
    )  # fmt: skip
    rows, result = build("schizconnect")
    assert rows["age"].to_dict() == {
        "SchizConnect_A00000300_20110101": 40.0,
        "SchizConnect_CC0009_20070203": 27.0,
    }
    assert rows["path"].iloc[1].endswith("b_MPR.nii.gz")
    assert reasons(result, "CC0007/scan") == {"several visits, and the path does not say which"}
    assert "no row for this session in the study's tables" in reasons(result, "A00000456_ses")


def test_slim_later_ages_are_baseline_plus_time(folder, build):
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
