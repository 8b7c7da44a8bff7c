"""What would be fetched: every file with its address, size, checksum, and what is there."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from brainage_lib.data.fetch.transfer import FetchFailed, Host
from brainage_lib.data.studies.specification import Listing, Study, load_study
from brainage_lib.errors import WrongUsage

HOST_LIST = "the host's own list"


class Item(NamedTuple):
    """One file of a study.

    Attributes
    ----------
    url : str
    path : str
        Below the study's folder, with ``/``.
    size : int or None
        Bytes, None if the host does not say.
    checksum : str or None
        ``md5:…`` or ``sha256:…``; None if nobody has published one.
    seen : str
        Where the checksum is from.
    unpack : str or None
        Folder below the study's into which it is unpacked.
    """

    url: str
    path: str
    size: int | None
    checksum: str | None
    seen: str
    unpack: str | None


class Plan(NamedTuple):
    """What a study's download is made of.

    Attributes
    ----------
    study : Study
    into : Path
    items : list of Item
        All files.
    missing : list of Item
        Those that are not there yet.
    """

    study: Study
    into: Path
    items: list[Item]
    missing: list[Item]

    @property
    def bytes_missing(self) -> int:
        """Bytes to be fetched, as far as the host says; without what partial files hold."""
        return sum(item.size or 0 for item in self.missing)


def plan_fetch(study: str, into: Path, host: Host) -> Plan:
    """Ask the host what there is, and look what is there already.

    Raises
    ------
    WrongUsage
        The study is not openly downloadable, or nobody could verify from where.
    FetchFailed
        The host does not answer as expected.
    """
    known = load_study(study)
    if known.fetch is None:
        raise WrongUsage(
            f"{known.project} cannot be fetched: {known.open_access}; {known.access.strip()} "
            "See the book's page The 13 studies"
        )
    if not known.fetch.files and not known.fetch.listings:
        raise WrongUsage(f"{known.project} cannot be fetched: {known.fetch.unavailable.strip()}")
    items = []
    for file in known.fetch.files:
        path = unquote(PurePosixPath(urlsplit(file.url).path).name)
        size = None
        if not is_there(into, path, file.unpack):
            size = host.size(file.url)
        items.append(Item(file.url, path, size, file.checksum, file.seen, file.unpack))
    for listing in known.fetch.listings:
        items += _listed(listing, host)
    missing = [item for item in items if not is_there(into, item.path, item.unpack)]
    return Plan(known, into, items, missing)


def is_there(into: Path, path: str, unpack: str | None) -> bool:
    """Whether a file, or what was unpacked from it, is in the folder."""
    return (into / path).is_file() or (unpack is not None and (into / unpack).is_dir())


def _listed(listing: Listing, host: Host) -> Iterator[Item]:
    """Files of a bucket, page by page (ListObjectsV2)."""
    keep = re.compile(listing.keep)
    token = None
    while True:
        query = {"list-type": "2", "prefix": listing.prefix}
        if token:
            query["continuation-token"] = token
        try:
            page = ElementTree.fromstring(host.text(listing.bucket, query))
        except ElementTree.ParseError as error:
            raise FetchFailed(f"{listing.bucket}: its list of files is no XML: {error}") from None
        for entry in page.iterfind("{*}Contents"):
            key = entry.findtext("{*}Key", "")
            if not key.startswith(listing.prefix) or not keep.search(key):
                continue
            path = inside(key.removeprefix(listing.prefix), listing.bucket)
            mark = entry.findtext("{*}ETag", "").strip('"')
            # The mark of a file that was sent in one piece is its MD5.
            checksum = f"md5:{mark}" if re.fullmatch(r"[0-9a-f]{32}", mark) else None
            url = f"{listing.bucket}/{quote(key)}"
            size = int(entry.findtext("{*}Size", "0"))
            whole = (PurePosixPath(listing.into) / path).as_posix()
            yield Item(url, whole, size, checksum, HOST_LIST if checksum else "", None)
        token = page.findtext("{*}NextContinuationToken")
        if not token:
            return


def inside(name: str, where: str) -> str:
    """Return a relative path that stays in its folder.

    Raises
    ------
    FetchFailed
        The name would lead out of it.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise FetchFailed(f"{where}: the name {name!r} leads out of the folder; nothing is fetched")
    return path.as_posix()
