"""Fetching from a server on this machine: whole, resumed, checked, and polite."""

from __future__ import annotations

import hashlib
import io
import os
import re

import pandas as pd
import pytest

from brainage_lib.data.fetch import FetchFailed, Host, describe, fetch, plan_fetch, verify
from brainage_lib.data.fetch.transfer import CHUNK
from brainage_lib.data.studies import build_manifest
from brainage_lib.data.studies import specification as specifications
from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.tables import read_manifest

IXI = "/brain-development/downloads/IXI"


def polite(server):
    return Host(server.address, pause=0.0, patience=0.01)


def bring(server, study, into):
    host = polite(server)
    return fetch(plan_fetch(study, into, host), host, progress=False)


@pytest.fixture
def ixi(server, make_tar, monkeypatch):
    """IXI's two files, with checksums to match; returns a function that changes the latter."""
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "Table"
    book.active.append(["IXI_ID", "SEX_ID (1=m, 2=f)", "AGE"])
    book.active.append([2, 2, 35.8])
    stream = io.BytesIO()
    book.save(stream)
    server.files[f"{IXI}/IXI.xls"] = stream.getvalue()
    scans = {f"IXI{n:03}-Guys-0828-T1.nii.gz": os.urandom(300_000) for n in (2, 12)}
    server.files[f"{IXI}/IXI-T1.tar"] = make_tar(scans)

    def known(**checksums):
        study = specifications.load_study("ixi")
        files = [
            file.model_copy(
                update={
                    "checksum": checksums.get(
                        name,
                        "md5:"
                        + hashlib.md5(server.files[f"{IXI}/{file.url.split('/')[-1]}"]).hexdigest(),
                    )
                }
            )
            for name, file in zip(("table", "images"), study.fetch.files, strict=True)
        ]
        changed = study.model_copy(
            update={"fetch": study.fetch.model_copy(update={"files": files})}
        )
        monkeypatch.setattr("brainage_lib.data.fetch.plan.load_study", lambda name: changed)

    known()
    return known


def test_the_size_is_known_before_anything_is_fetched(server, ixi, tmp_path):
    plan = plan_fetch("ixi", tmp_path / "ixi", polite(server))
    sizes = sum(len(content) for content in server.files.values())
    assert plan.bytes_missing == sizes
    assert {method for method, _, _ in server.asked} == {"HEAD"}
    told = describe(plan)
    assert "terms: CC BY-SA 3.0" in told
    assert "to fetch: 2 files, 0.00 GB" in told
    assert "checksums of 2 files are known" in told
    ixi(table=None)
    told = describe(plan_fetch("ixi", tmp_path / "ixi", polite(server)))
    assert "checksums of 1 files will be recorded at this first download" in told
    assert not (tmp_path / "ixi").exists()


def test_what_was_fetched_becomes_a_manifest(server, ixi, tmp_path):
    assert bring(server, "ixi", tmp_path / "ixi").files == 2
    # The workbook's name says .xls, as the host's does; this one is newer inside.
    os.rename(tmp_path / "ixi/IXI.xls", tmp_path / "ixi/IXI.xlsx")
    build_manifest("ixi", [tmp_path / "ixi/IXI.xlsx"], tmp_path / "ixi/T1", tmp_path / "m.csv")
    rows = read_manifest(tmp_path / "m.csv")
    assert rows["path"].tolist() == ["ixi/T1/IXI002-Guys-0828-T1.nii.gz"]


def test_a_second_call_fetches_nothing(server, ixi, tmp_path):
    bring(server, "ixi", tmp_path)
    server.asked.clear()
    assert bring(server, "ixi", tmp_path).files == 0
    assert server.asked == []
    (tmp_path / "IXI-T1.tar").unlink()
    assert bring(server, "ixi", tmp_path).files == 0, "what was unpacked is enough"


def test_a_broken_connection_is_resumed_where_it_broke(server, ixi, tmp_path):
    path = f"{IXI}/IXI-T1.tar"
    server.cut[path] = [3 * CHUNK + 10, CHUNK + 10]
    bring(server, "ixi", tmp_path)
    assert (tmp_path / "IXI-T1.tar").read_bytes() == server.files[path]
    assert [headers.get("Range") for headers in server.got(path)] == [
        None,
        f"bytes={3 * CHUNK}-",
        f"bytes={4 * CHUNK}-",
    ]
    assert not (tmp_path / ".fetch").exists()


def test_a_call_that_gave_up_is_continued_by_the_next(server, ixi, tmp_path):
    path = f"{IXI}/IXI-T1.tar"
    server.cut[path] = [2 * CHUNK + 10] + [0] * 10
    with pytest.raises(FetchFailed, match=r"1 of 2 files did not come; run the same") as caught:
        bring(server, "ixi", tmp_path)
    assert caught.value.exit_code == 5
    assert (tmp_path / ".fetch" / "IXI-T1.tar.part").stat().st_size == 2 * CHUNK
    assert not (tmp_path / "IXI-T1.tar").exists()
    assert (tmp_path / "IXI.xls").is_file()
    server.cut.clear()
    server.asked.clear()
    assert bring(server, "ixi", tmp_path).files == 1
    assert server.got(path)[0]["Range"] == f"bytes={2 * CHUNK}-"


def test_a_file_that_changed_meanwhile_is_begun_anew(server, ixi, tmp_path, make_tar):
    path = f"{IXI}/IXI-T1.tar"
    server.cut[path] = [2 * CHUNK + 10] + [0] * 10
    with pytest.raises(FetchFailed):
        bring(server, "ixi", tmp_path)
    server.cut.clear()
    server.files[path] = make_tar({"IXI500-HH-1-T1.nii.gz": os.urandom(400_000)})
    ixi()
    bring(server, "ixi", tmp_path)
    assert (tmp_path / "IXI-T1.tar").read_bytes() == server.files[path]


def test_a_host_that_cannot_continue_sends_all_again(server, ixi, tmp_path):
    server.ranges = False
    path = f"{IXI}/IXI-T1.tar"
    server.cut[path] = [2 * CHUNK + 10]
    bring(server, "ixi", tmp_path)
    assert (tmp_path / "IXI-T1.tar").read_bytes() == server.files[path]


def test_a_wrong_checksum_leaves_nothing_behind(server, ixi, tmp_path):
    ixi(images="md5:" + "0" * 32)
    with pytest.raises(BadInput, match="its checksum is not md5:0000"):
        bring(server, "ixi", tmp_path)
    kept = sorted(path.name for path in tmp_path.rglob("*"))
    assert kept == [".fetch", "IXI.xls", "checksums.csv"]


def test_a_file_put_there_by_hand_is_compared(server, ixi, tmp_path):
    (tmp_path / "IXI.xls").write_bytes(b"something else")
    with pytest.raises(BadInput, match=r"IXI\.xls: .*its checksum is not"):
        bring(server, "ixi", tmp_path)


def test_unknown_checksums_are_recorded_and_marked(server, ixi, tmp_path):
    ixi(table=None)
    fetched = bring(server, "ixi", tmp_path)
    assert fetched.unverified == ["IXI.xls"]
    record = pd.read_csv(tmp_path / "checksums.csv").set_index("file")
    assert record.loc["IXI.xls", "checked"] == "not verified: recorded at the first download"
    assert "TorchIO" in record.loc["IXI-T1.tar", "checked"]
    content = server.files[f"{IXI}/IXI.xls"]
    assert record.loc["IXI.xls", "sha256"] == hashlib.sha256(content).hexdigest()


def test_later_changes_of_files_are_found(server, ixi, tmp_path):
    bring(server, "ixi", tmp_path)
    assert verify(tmp_path) == []
    table = tmp_path / "IXI.xls"
    table.write_bytes(b"x" * table.stat().st_size)
    assert verify(tmp_path) == ["IXI.xls"]
    table.write_bytes(b"shorter")
    with pytest.raises(BadInput, match="7 bytes, but"):
        bring(server, "ixi", tmp_path)


def test_a_busy_host_is_asked_again(server, ixi, tmp_path):
    server.busy[f"{IXI}/IXI.xls"] = 3
    assert bring(server, "ixi", tmp_path).files == 2


def test_a_file_that_is_gone_is_said_and_the_rest_comes(server, ixi, tmp_path):
    host = polite(server)
    plan = plan_fetch("ixi", tmp_path, host)
    del server.files[f"{IXI}/IXI.xls"]
    with pytest.raises(FetchFailed, match=r"IXI\.xls: the host answers 404"):
        fetch(plan, host, progress=False)
    assert (tmp_path / "T1").is_dir()
    with pytest.raises(FetchFailed, match="no such file"):
        plan_fetch("ixi", tmp_path / "other", host)


def test_a_malicious_archive_writes_nothing(server, ixi, tmp_path, make_tar):
    server.files[f"{IXI}/IXI-T1.tar"] = make_tar({"../outside.nii.gz": b"x", "a.nii.gz": b"y"})
    ixi()
    into = tmp_path / "deep" / "ixi"
    with pytest.raises(BadInput, match=r"'\.\./outside\.nii\.gz' would lie outside the folder"):
        bring(server, "ixi", into)
    assert not (into / "T1").exists()
    assert not list(tmp_path.rglob("outside*"))


def test_no_room_on_the_disk_is_said_before(server, ixi, tmp_path, monkeypatch):
    monkeypatch.setattr("brainage_lib.data.fetch.bring.free_bytes", lambda folder: 1000)
    with pytest.raises(WrongUsage, match="are free; choose another folder"):
        bring(server, "ixi", tmp_path)
    assert not server.got(f"{IXI}/IXI.xls")


DLBS = {
    "ds004856/participants.tsv": b"participant_id\tAgeMRI_W1\tAgeMRI_W2\tAgeMRI_W3\tSex\n"
    b"sub-1001\t41\tn/a\tn/a\tm\n",
    "ds004856/sub-1001/ses-wave1/anat/sub-1001_ses-wave1_acq-MPRAGE_run-1_T1w.nii.gz": b"one",
    "ds004856/sub-1001/ses-wave1/anat/sub-1001_ses-wave1_acq-MPRAGE_run-2_T1w.nii.gz": b"two",
    "ds004856/sub-1001/ses-wave1/func/sub-1001_ses-wave1_bold.nii.gz": b"bold",
    "ds004856/derivatives/x/sub-1001_run-1_T1w.nii.gz": b"derived",
}


def bucket(server, name, files):
    server.listed[name] = list(files)
    for key, content in files.items():
        server.files[f"{name}/{key}"] = content


def test_a_bucket_is_listed_page_by_page_and_only_t1w_are_taken(server, tmp_path):
    bucket(server, "/openneuro.org", DLBS)
    fetched = bring(server, "dlbs", tmp_path / "dlbs")
    assert fetched.files == 2
    # The host's list has MD5 sums, so everything was compared.
    assert fetched.unverified == []
    build_manifest(
        "dlbs", [tmp_path / "dlbs/participants.tsv"], tmp_path / "dlbs", tmp_path / "m.csv"
    )
    assert read_manifest(tmp_path / "m.csv")["age"].tolist() == [41.0]


@pytest.mark.parametrize("key", ["ds004856/../../x/participants.tsv", "ds004856//participants.tsv"])
def test_a_list_with_names_that_lead_out_is_refused(server, tmp_path, key, monkeypatch):
    bucket(server, "/openneuro.org", {key: b"x"})
    study = specifications.load_study("dlbs")
    listing = study.fetch.listings[0].model_copy(update={"keep": "participants"})
    changed = study.model_copy(
        update={"fetch": study.fetch.model_copy(update={"listings": [listing]})}
    )
    monkeypatch.setattr("brainage_lib.data.fetch.plan.load_study", lambda name: changed)
    with pytest.raises(FetchFailed, match="leads out of the folder"):
        plan_fetch("dlbs", tmp_path, polite(server))


def test_an_answer_that_is_no_list_is_said(server, tmp_path):
    server.files["/openneuro.org"] = b"<html>maintenance"
    with pytest.raises(FetchFailed, match="its list of files is no XML"):
        plan_fetch("dlbs", tmp_path, polite(server))


def test_requests_name_the_program_and_keep_the_pause(server, ixi, tmp_path, monkeypatch):
    now, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("brainage_lib.data.fetch.transfer.time.sleep", sleep)
    monkeypatch.setattr("brainage_lib.data.fetch.transfer.time.monotonic", lambda: now[0])
    host = Host(server.address, pause=7.0)
    now[0] = 100.0
    fetch(plan_fetch("ixi", tmp_path, host), host, progress=False)
    assert [round(seconds) for seconds in slept] == [0, 7, 7, 7]
    agents = {headers["User-Agent"] for _, _, headers in server.asked}
    assert len(agents) == 1
    assert agents.pop().startswith("brainage/")


def test_a_host_without_a_certificate_that_holds_is_refused(tmp_path, server, ixi):
    host = Host(server.address.replace("http:", "https:"), pause=0.0)
    plan = plan_fetch("ixi", tmp_path, host)
    assert [item.size for item in plan.missing] == [None, None]
    with pytest.raises(FetchFailed, match="download the file by hand into the folder"):
        fetch(plan, host, progress=False)


def test_a_host_that_is_not_there_is_said_at_once(tmp_path, server):
    # A port that was free a moment ago.
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(FetchFailed, match=r"IXI\.xls: no connection to the host$"):
        plan_fetch("ixi", tmp_path, Host(server.address, pause=0.0))


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ("adni", "ADNI cannot be fetched: no, application"),
        ("slim", "SLIM cannot be fetched: The names of SLIM's archives"),
    ],
)
def test_what_cannot_be_fetched_is_said_with_the_way_to_it(tmp_path, study, message):
    with pytest.raises(WrongUsage, match=message):
        plan_fetch(study, tmp_path, Host())


def test_no_other_module_opens_a_connection(root):
    opener = re.compile(r"^\s*(?:import|from) (?:requests|urllib\.request|http\.client|socket|"
                        r"aiohttp|httpx|pooch|ftplib|fsspec)\b", re.M)  # fmt: skip
    found = {
        path.relative_to(root / "brainage_lib").as_posix()
        for path in (root / "brainage_lib").rglob("*.py")
        if opener.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"data/fetch/transfer.py", "data/fetch/bring.py"}
