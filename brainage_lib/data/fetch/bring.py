"""Fetching a study: plan, transfer, checksum, unpack, and the record of what came."""

from __future__ import annotations

import datetime
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pandas as pd

from brainage_lib.data.fetch.archives import unpack
from brainage_lib.data.fetch.plan import Item, Plan
from brainage_lib.data.fetch.transfer import FetchFailed, Host, free_bytes
from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.files import digest_file, replacing

RECORD = "checksums.csv"
PARTS = ".fetch"
"""Folder for what is not whole yet; it goes when everything is."""

COLUMNS = ("file", "url", "bytes", "sha256", "checked", "fetched")
NOT_VERIFIED = "not verified: recorded at the first download"


class Fetched(NamedTuple):
    """What a call brought.

    Attributes
    ----------
    files : int
        Files that came now.
    unverified : list of str
        Files of the record whose checksum nobody had published.
    """

    files: int
    unverified: list[str]


def fetch(plan: Plan, host: Host, progress: bool = True) -> Fetched:
    """Bring what is missing of a study.

    Parameters
    ----------
    plan : Plan
        See `plan_fetch`; show its size before.
    host : Host
        One connection, with a pause between files.
    progress : bool
        Whether a bar is shown (only on a terminal).

    Returns
    -------
    Fetched

    Raises
    ------
    WrongUsage
        The disk has no room.
    BadInput
        A file's checksum is another than the published one, or than at its first download;
        an archive would write outside its folder.
    FetchFailed
        Some files did not come; all others did. A second call goes on.
    """
    from tqdm import tqdm

    # Archives lie beside what is unpacked from them.
    needed = plan.bytes_missing + sum(item.size or 0 for item in plan.missing if item.unpack)
    if needed > free_bytes(plan.into):
        raise WrongUsage(
            f"{plan.into}: {needed / 1e9:.1f} GB are needed, {free_bytes(plan.into) / 1e9:.1f} GB "
            "are free; choose another folder"
        )
    record = _read_record(plan.into)
    _check_those_there(plan, record)
    failed: list[str] = []
    wrong: list[str] = []
    came = 0
    missing = set(plan.missing)
    with tqdm(
        total=plan.bytes_missing, unit="B", unit_scale=True, desc=plan.study.project,
        disable=None if progress else True,
    ) as bar:  # fmt: skip
        for item in plan.items:
            try:
                if item in missing:
                    _bring(item, plan.into, host, bar.update)
                    came += 1
                if item.path not in record and (plan.into / item.path).is_file():
                    record[item.path] = _entry(item, plan.into / item.path)
                    _write_record(plan.into, record)
                if item.unpack and not (plan.into / item.unpack).is_dir():
                    unpack(plan.into / item.path, plan.into / item.unpack)
            except FetchFailed as error:
                failed.append(str(error))
            except BadInput as error:
                wrong += [f"{item.path}: {finding}" for finding in error.findings]
    if wrong:
        raise BadInput(str(plan.into), [*wrong, *failed])
    if failed:
        raise FetchFailed(
            "\n".join(
                [f"{plan.into}: {len(failed)} of {len(plan.missing)} files did not come; run the "
                 "same command again", *(f"  {line}" for line in failed)]
            )
        )  # fmt: skip
    shutil.rmtree(plan.into / PARTS, ignore_errors=True)
    unverified = [name for name, row in record.items() if row["checked"] == NOT_VERIFIED]
    return Fetched(came, unverified)


def _bring(item: Item, into: Path, host: Host, advance: Callable[[int], Any]) -> None:
    """Let pooch fetch one file and compare its checksum, then put it in place."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    name = item.path.replace("/", "__")

    def transfer(url: str, output: str, _pooch: Any) -> None:
        # pooch's own temporary file is new each time; the part that grows keeps its name.
        part = into / PARTS / f"{name}.part"
        host.download(url, part, Path(output), item.checksum is not None, advance)

    try:
        whole = pooch.retrieve(
            item.url, item.checksum, fname=name, path=into / PARTS, downloader=transfer
        )
    except ValueError as error:
        if "hash" not in str(error):
            raise
        raise BadInput(
            item.path,
            [f"its checksum is not {item.checksum} (seen: {item.seen}); the file was not kept: "
             "fetch it again, and if it stays so the host's file has changed"],
        ) from None  # fmt: skip
    target = into / item.path
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(whole, target)


def _entry(item: Item, path: Path) -> dict[str, str]:
    """Line of the record for a file that has just come, or was put there by hand."""
    if item.checksum is not None:
        import pooch

        kind, _, expected = item.checksum.partition(":")
        if pooch.file_hash(str(path), alg=kind) != expected:
            raise BadInput(
                item.path,
                [f"its checksum is not {item.checksum} (seen: {item.seen}); remove it and fetch "
                 "it again"],
            )  # fmt: skip
    return {
        "file": item.path,
        "url": item.url,
        "bytes": str(path.stat().st_size),
        "sha256": digest_file(path),
        "checked": f"{item.checksum} ({item.seen})" if item.checksum else NOT_VERIFIED,
        "fetched": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
    }


def _check_those_there(plan: Plan, record: dict[str, dict[str, str]]) -> None:
    """Files that are there must be as long as when they came."""
    findings = []
    for item in plan.items:
        path, row = plan.into / item.path, record.get(item.path)
        if row is not None and path.is_file() and path.stat().st_size != int(row["bytes"]):
            findings.append(
                f"{item.path}: {path.stat().st_size:,} bytes, but {int(row['bytes']):,} when it "
                f"came; remove it, and its line in {RECORD}, to fetch it again"
            )
    if findings:
        raise BadInput(str(plan.into), findings)


def verify(into: Path) -> list[str]:
    """Compare every recorded file with its SHA-256; returns those that differ."""
    return [
        name
        for name, row in _read_record(into).items()
        if (into / name).is_file() and digest_file(into / name) != row["sha256"]
    ]


def _read_record(into: Path) -> dict[str, dict[str, str]]:
    path = into / RECORD
    if not path.is_file():
        return {}
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if tuple(table.columns) != COLUMNS:
        raise BadInput(str(path), [f"the columns must be {', '.join(COLUMNS)}; remove the file"])
    return {row["file"]: row for row in table.to_dict("records")}


def _write_record(into: Path, record: dict[str, dict[str, str]]) -> None:
    with replacing(into / RECORD) as temporary:
        pd.DataFrame(list(record.values()), columns=COLUMNS).to_csv(temporary, index=False)


def describe(plan: Plan) -> str:
    """Say what a fetch would bring, from where, and under which terms."""
    unknown = sum(item.size is None for item in plan.missing)
    published = sum(item.checksum is not None for item in plan.items)
    sources = "; ".join(sorted({item.seen for item in plan.items if item.seen}))
    hosts = sorted({urlsplit(item.url).netloc for item in plan.items})
    size = f"{plan.bytes_missing / 1e9:.2f} GB"
    if unknown:
        size += f" and {unknown} files of unknown size"
    lines = [
        f"{plan.study.project}, {plan.study.name}; terms: {plan.study.terms}",
        f"{len(plan.items)} files from {', '.join(hosts)} into {plan.into}; "
        f"{len(plan.items) - len(plan.missing)} are there",
        f"to fetch: {len(plan.missing)} files, {size}; free: {free_bytes(plan.into) / 1e9:.1f} GB",
    ]
    if published:
        lines.append(f"checksums of {published} files are known ({sources}) and will be compared")
    if published < len(plan.items):
        lines.append(
            f"checksums of {len(plan.items) - published} files will be recorded at this first "
            "download; they are not verified"
        )
    if plan.study.fetch is not None and plan.study.fetch.unavailable:
        lines.append(f"note: {plan.study.fetch.unavailable.strip()}")
    return "\n".join(lines)
