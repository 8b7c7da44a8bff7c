"""Any BIDS dataset: ages of the session, words for sex and diagnosis, runs, what is missing."""

from __future__ import annotations

import json

import pytest

from brainage_lib.data.bids import build_bids
from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.tables import read_manifest

PEOPLE = """participant_id	age	sex	group
sub-01	20	M	HC
sub-02	30.5	female	patient
sub-03	n/a	F	HC
sub-04	89+	F	HC
sub-05	40	other	HC
sub-06	41	F	HC
sub-07	42	F	n/a
sub-08	43	F	HC
"""


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "ds"
    folder.mkdir()
    text = json.dumps({"Name": "My study, 2", "BIDSVersion": "1.8.0"})
    (folder / "dataset_description.json").write_text(text)
    (folder / "participants.tsv").write_text(PEOPLE)
    for person in ("01", "02", "03", "04", "05", "07", "09"):
        scan(folder, f"sub-{person}/anat/sub-{person}_T1w.nii.gz")
    return folder


def scan(folder, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def build(dataset, **options):
    out = dataset.parent / "manifest.csv"
    built = build_bids(dataset, out, **options)
    reasons = {entry.file.split("/")[-1].split("_")[0]: entry.reason for entry in built.left_out}
    return read_manifest(out).set_index("scan_id"), reasons, built


def test_rows_are_those_of_participants_tsv(dataset):
    rows, reasons, _ = build(dataset)
    assert list(rows.index) == ["My-study-2_01", "My-study-2_02"]
    assert rows["age"].tolist() == [20.0, 30.5]
    assert rows["sex"].tolist() == ["M", "F"]
    assert rows["diagnosis"].tolist() == ["control", "patient"]
    assert rows["path"].tolist()[0] == "ds/sub-01/anat/sub-01_T1w.nii.gz"
    assert reasons == {
        "sub-03": "no age at the scan",
        "sub-04": "age '89+' is not a number",
        "sub-05": "sex 'other' is none of F, M",
        "sub-07": "no diagnosis",
        "sub-09": "not in participants.tsv",
        "participants.tsv": "no T1w in the dataset",
    }


def test_the_age_of_a_session_stands_in_its_table(dataset):
    for session, run in (("a", 1), ("a", 2), ("a", 10), ("b", 1)):
        scan(dataset, f"sub-06/ses-{session}/anat/sub-06_ses-{session}_run-{run}_T1w.nii.gz")
    scan(dataset, "derivatives/x/sub-08/anat/sub-08_desc-preproc_T1w.nii.gz")
    (dataset / "sub-06/sub-06_sessions.tsv").write_text(
        "session_id\tage\nses-a\t41.2\nses-b\t44.9\n"
    )
    rows, _, built = build(dataset)
    assert rows.loc[["My-study-2_06_a", "My-study-2_06_b"], "age"].tolist() == [41.2, 44.9]
    assert rows.loc["My-study-2_06_a", "path"].endswith("run-1_T1w.nii.gz")
    others = [e.file for e in built.left_out if e.reason.startswith("another T1w")]
    assert [name[-17:-11] for name in others] == ["_run-2", "run-10"]
    assert not any("sub-08" in path for path in rows["path"])


def test_an_age_is_not_carried_over_to_other_sessions(dataset):
    for session in ("a", "b"):
        scan(dataset, f"sub-06/ses-{session}/anat/sub-06_ses-{session}_T1w.nii.gz")
    rows, reasons, _ = build(dataset)
    assert reasons["sub-06"] == "age of one session only, and the participant has several"
    rows, reasons, _ = build(dataset, one_age=True)
    assert rows.loc["My-study-2_06_b", "age"] == 41
    assert "sub-06" not in reasons


def test_without_a_column_the_diagnosis_must_be_said(dataset):
    text = PEOPLE.replace("\tgroup", "\tother")
    (dataset / "participants.tsv").write_text(text)
    with pytest.raises(WrongUsage, match="--diagnosis control"):
        build(dataset)
    rows, _, _ = build(dataset, diagnosis="control", project="MINE")
    assert set(rows["diagnosis"]) == {"control"}
    assert set(rows["project"]) == {"MINE"}


def test_words_of_the_dataset_for_control_can_be_named(dataset):
    rows, _, _ = build(dataset, controls=["Patient"])
    assert rows["diagnosis"].tolist() == ["control", "control"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\tage\nsub-01\t3\n", "participant_id: column is missing"),
        ("participant_id\tsex\tgroup\nsub-01\tF\tHC\n", "age: column is missing"),
        ("participant_id\tage\tgroup\nsub-01\t3\tHC\nsub-01\t4\tHC\n", "stands on several lines"),
        ("", "not a table with tabs"),
    ],
)
def test_a_bad_table_is_refused(dataset, text, message):
    (dataset / "participants.tsv").write_text(text)
    with pytest.raises(BadInput, match=message):
        build(dataset)


def test_a_folder_without_participants_is_no_dataset(tmp_path):
    with pytest.raises(WrongUsage, match=r"no participants\.tsv"):
        build_bids(tmp_path, tmp_path / "m.csv")
