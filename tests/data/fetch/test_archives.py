"""Unpacking: what is inside comes out whole; what leads out does not come at all."""

from __future__ import annotations

import io
import zipfile

import pytest

from brainage_lib.data.fetch.archives import unpack
from brainage_lib.errors import BadInput


def zipped(members, link=None):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = 0o120777 << 16
            packed.writestr(info, "/etc/passwd")
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_all_members_come_out(tmp_path, make_tar, kind):
    members = {"a/b.nii.gz": b"one", "c d.txt": b"two"}
    content = (
        zipped(members)
        if kind == "zip"
        else make_tar(members, mode="w:gz" if "gz" in kind else "w")
    )
    (tmp_path / f"x.{kind}").write_bytes(content)
    assert unpack(tmp_path / f"x.{kind}", tmp_path / "out") == 2
    found = {p.relative_to(tmp_path / "out").as_posix(): p.read_bytes()
             for p in (tmp_path / "out").rglob("*") if p.is_file()}  # fmt: skip
    assert found == members


BAD_NAMES = ["../x", "/etc/x", "a/../../x", "a\\..\\x", "C:/x"]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_members_outside_the_folder_stop_everything(tmp_path, make_tar, kind, name):
    members = {"good.nii": b"x", name: b"y"}
    path = tmp_path / "deep" / f"x.{kind}"
    path.parent.mkdir()
    path.write_bytes(zipped(members) if kind == "zip" else make_tar(members))
    with pytest.raises(BadInput, match="would lie outside the folder"):
        unpack(path, tmp_path / "deep" / "out")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["deep", f"x.{kind}"]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_links_stop_everything(tmp_path, make_tar, kind):
    content = (
        zipped({"a": b"x"}, link="l") if kind == "zip" else make_tar({"a": b"x"}, {"l": "/etc"})
    )
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(BadInput, match="'l' is a link or a device"):
        unpack(tmp_path / "x", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_cut_archive_leaves_nothing(tmp_path, make_tar):
    content = make_tar({"a": b"x" * 100_000, "b": b"y" * 100_000}, mode="w:gz")
    (tmp_path / "x.tar.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInput, match="damaged"):
        unpack(tmp_path / "x.tar.gz", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["x.tar.gz"]


def test_a_text_file_is_no_archive(tmp_path):
    (tmp_path / "x.tar").write_text("not found")
    with pytest.raises(BadInput, match="damaged"):
        unpack(tmp_path / "x.tar", tmp_path / "out")
