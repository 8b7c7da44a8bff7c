"""Unpacking an archive: nothing outside the folder, no links, all of it or nothing."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from brainage_lib.errors import BadInput


class _Member(NamedTuple):
    name: str
    size: int
    kind: str
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a tar (packed or not) or zip archive into a new folder.

    Parameters
    ----------
    archive : Path
    folder : Path
        It must not be there; it appears only when everything is in it.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    BadInput
        A member would lie outside the folder, is a link or a device, or the archive is
        damaged; then nothing is written. Every such member is named.
    """
    try:
        findings = [f for member in _members(archive) if (f := _problem(member)) is not None]
        if findings:
            raise BadInput(str(archive), findings)
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder.parent))
        try:
            count = 0
            for member in _members(archive):
                target = place.joinpath(*PurePosixPath(member.name).parts)
                if member.kind == "folder":
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                # Written by hand: owners, modes and times of the archive are not taken over.
                with member.open() as source, open(target, "xb") as stream:
                    shutil.copyfileobj(source, stream, 1 << 20)
                count += 1
            mask = os.umask(0)
            os.umask(mask)
            place.chmod(0o777 & ~mask)
            os.rename(place, folder)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BadInput(str(archive), [f"damaged: {error}; remove it and fetch it again"]) from None
    except FileExistsError as error:
        raise BadInput(
            str(archive), [f"{error.filename}: stands twice in the archive; unpack it by hand"]
        ) from None
    return count


def _problem(member: _Member) -> str | None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or ":" in member.name:
        return f"{member.name!r} would lie outside the folder; do not trust this archive"
    if member.kind not in ("file", "folder"):
        return f"{member.name!r} is a link or a device; do not trust this archive"
    return None


def _members(archive: Path) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                # The upper half of the attributes is the Unix mode; a link has type 0o12.
                link = info.external_attr >> 28 == 0o12
                kind = "link" if link else "folder" if info.is_dir() else "file"
                yield _Member(info.filename, info.file_size, kind, lambda i=info: packed.open(i))
        return
    with tarfile.open(archive) as packed:
        for info in packed:
            kind = "file" if info.isreg() else "folder" if info.isdir() else "link"
            yield _Member(info.name, info.size, kind, lambda i=info: packed.extractfile(i))
