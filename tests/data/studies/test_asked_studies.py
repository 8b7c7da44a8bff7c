"""Studies that must be asked for, on small made-up tables with their columns and oddities."""

from __future__ import annotations

import pytest

from brainage_lib.errors import BadInput

ADNIMERGE = """
RID,PTID,VISCODE,SITE,COLPROT,EXAMDATE,DX_bl,EXAMDATE_bl,AGE,PTGENDER,DX
7,011_S_0007,bl,11,ADNI1,2006-03-01,CN,2006-03-01,70.0,Male,CN
7,011_S_0007,m12,11,ADNI1,2007-03-05,CN,2006-03-01,70.0,Male,MCI
8,022_S_0008,bl,22,ADNI1,2006-05-02,AD,2006-05-02,81.3,Female,Dementia
9,022_S_0009,bl,22,ADNI1,2006-05-02,CN,2006-05-02,-4,Female,CN
10,022_S_0010,bl,22,ADNI1,2006-05-02,CN,2006-05-02,66.0,Female,
"""


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


def test_adni_takes_one_scan_a_day_and_lists_what_is_missing(folder, build, reasons):
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


def test_bgsp_retests_are_the_same_people(folder, build, reasons):
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


NIFD = """
Image Data ID,Subject,Group,Sex,Age,Visit,Modality,Description,Type,Acq Date,Format,Downloaded
I11,1_S_0001,Patient,M,61,1,MRI,t1_mprage_S3,Original,3/15/2010,DCM,
I12,1_S_0001,Patient,M,61,1,MRI,t2_flair,Original,3/15/2010,DCM,
I13,1_S_0001,Patient,M,62,2,MRI,t1_mprage_S3,Original,9/16/2010,DCM,
I21,1_S_0002,Control,F,70,1,MRI,MT1; GradWarp,Processed,5/05/2011,NiFTI,
I31,1_S_0003,Patient,F,55,1,MRI,t1_mprage,Original,5/05/2011,NiFTI,
"""


def test_nifd_goes_by_image_number_and_takes_the_diagnosis_from_the_clinical_table(
    folder, build, reasons
):
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


def test_oas1_analyze_images_are_converted_with_the_known_orientation(folder, build, reasons):
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


def test_oas2_has_the_age_and_the_diagnosis_of_each_visit(folder, build, reasons):
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


def test_ppmi_takes_the_middle_of_the_month_of_birth(folder, build, reasons):
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


SCHIZCONNECT = """
study,subjectid,age,sex,dx,field_strength,img_date,datauri,maker,model,szc_protocol_hier,notes
COBRE,A00000300,40,male,No_Known_Disorder,3.0,2011-01-01,x,SIEMENS,TrioTim,T1,
COBRE,A00000300,40,male,No_Known_Disorder,3.0,2011-01-01,y,SIEMENS,TrioTim,T1,
COBRE,A00000456,30,female,Schizophrenia_Strict,3.0,2010-01-01,x,SIEMENS,TrioTim,T1,
NUSDAST,CC0007,25,male,Schizophrenia_Broad,1.5,2005-02-03,x,SIEMENS,VISION,T1,
NUSDAST,CC0007,27,male,Schizophrenia_Broad,1.5,2007-02-03,x,SIEMENS,VISION,T1,
NUSDAST,CC0009,27,female,No_Known_Disorder,1.5,2007-02-03,x,SIEMENS,VISION,T1,
"""


def test_schizconnect_rows_are_images_and_people_may_have_several_visits(folder, build, reasons):
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
