"""One file from a host: slowly enough, in pieces if the connection breaks, never half.

The only module of the project that opens a connection.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from brainage_lib import __version__
from brainage_lib.errors import UserError
from brainage_lib.files import read_json, write_json

AGENT = f"brainage/{__version__} (research; one connection, pauses between files)"
TIMEOUT = (20, 120)
"""Seconds until connected, and between two pieces."""

CHUNK = 1 << 16
"""Bytes a piece; of a broken connection the last, unfinished piece is lost."""

TRIES = 6
"""Attempts that bring nothing new before a file is given up."""

BUSY = (429, 500, 502, 503, 504)
LONGEST_WAIT = 120.0


class FetchFailed(UserError):
    """A file that the host did not give; what was fetched stays, a second try goes on."""

    exit_code = 5


class Host:
    """A polite visitor of the hosts of the studies.

    Parameters
    ----------
    mirror : str or None
        Address of another server with the same paths, in place of each file's own host.
    pause : float
        Seconds between two requests.
    patience : float
        Seconds before the second attempt; doubled with each.
    """

    def __init__(self, mirror: str | None = None, pause: float = 0.5, patience: float = 2.0):
        self.mirror = mirror.rstrip("/") if mirror else None
        self.pause = pause
        self.patience = patience
        self._last = 0.0
        self._session = requests.Session()
        # Sizes and checksums are those of the file itself, not of a packed transfer.
        self._session.headers.update({"User-Agent": AGENT, "Accept-Encoding": "identity"})

    def size(self, url: str) -> int | None:
        """Size of a file in bytes; None if the host does not say.

        Raises
        ------
        FetchFailed
            There is no such file, or no host: then waiting would not help.
        """
        try:
            with self._ask("HEAD", url, allow_redirects=True) as answer:
                if answer.status_code in (404, 410):
                    raise FetchFailed(f"{url}: the host has no such file (any more)")
                length = answer.headers.get("Content-Length", "")
        except requests.exceptions.SSLError:
            # Its other files may come from elsewhere; the transfer will say what is wrong.
            return None
        except requests.RequestException as error:
            raise FetchFailed(f"{url}: {_reason(error)}") from None
        return int(length) if length.isdigit() and answer.ok else None

    def text(self, url: str, query: Mapping[str, str]) -> bytes:
        """Content of a short answer; tried again while the host is busy."""
        for attempt in range(TRIES):
            try:
                with self._ask("GET", url, params=query) as answer:
                    if answer.ok:
                        return answer.content
                    problem, wait = _refusal(answer), _wait_asked(answer)
                    if answer.status_code not in BUSY:
                        break
            except requests.RequestException as error:
                problem, wait = _reason(error), None
            self._wait(attempt, wait)
        raise FetchFailed(f"{url}: {problem}")

    def download(
        self,
        url: str,
        part: Path,
        target: Path,
        trusted: bool,
        advance: Callable[[int], Any] = lambda n: None,
    ) -> None:
        """Bring a file; go on with what an earlier attempt left.

        Parameters
        ----------
        url : str
        part : Path
            The growing file; it stays if the transfer fails. ``<part>.json`` beside it says
            which state of the host's file it is a part of.
        target : Path
            Replaced when the file is whole.
        trusted : bool
            Whether a checksum will be compared: then a part may be continued even if the
            host does not say that the file is still the same.
        advance : callable
            Told the bytes that were written (negative if a part was thrown away).

        Raises
        ------
        FetchFailed
            The host refuses, or the connection broke too often without anything new.
        """
        mark = part.with_name(f"{part.name}.json")
        part.parent.mkdir(parents=True, exist_ok=True)
        advance(part.stat().st_size if part.exists() else 0)
        fruitless = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            problem, wait = self._piece(url, part, mark, trusted, advance)
            if problem is None:
                os.replace(part, target)
                mark.unlink(missing_ok=True)
                return
            gained = part.exists() and part.stat().st_size > before
            fruitless = 0 if gained else fruitless + 1
            if fruitless >= TRIES:
                raise FetchFailed(f"{url}: {problem}; what came so far is kept, run again later")
            self._wait(fruitless, wait)

    def _piece(
        self, url: str, part: Path, mark: Path, trusted: bool, advance: Callable[[int], Any]
    ) -> tuple[str | None, float | None]:
        """Ask for the rest of a file. Returns what went wrong (None: whole) and a wait asked."""
        offset = part.stat().st_size if part.exists() else 0
        state = read_json(mark).get("state", "") if mark.exists() else ""
        headers = {}
        if offset and (state or trusted):
            headers["Range"] = f"bytes={offset}-"
            if state:
                headers["If-Range"] = state
        try:
            with self._ask("GET", url, headers=headers, stream=True) as answer:
                if answer.status_code == 416:
                    # Nothing is left, or the file became shorter: only the size can tell.
                    total = re.search(r"\*/(\d+)", answer.headers.get("Content-Range", ""))
                    if total and int(total[1]) == offset:
                        return None, None
                    _start_anew(part, mark, advance)
                    return "the host's file has become shorter", None
                if not answer.ok:
                    if answer.status_code not in BUSY:
                        raise FetchFailed(f"{url}: {_refusal(answer)}")
                    return _refusal(answer), _wait_asked(answer)
                start, total = _extent(answer)
                if start != offset:
                    _start_anew(part, mark, advance)
                    if start:
                        return "the host sent another piece than asked for", None
                write_json(mark, {"state": _state(answer)})
                with open(part, "ab") as stream:
                    for chunk in answer.iter_content(CHUNK):
                        stream.write(chunk)
                        advance(len(chunk))
        except requests.RequestException as error:
            if isinstance(error, requests.exceptions.SSLError):
                raise FetchFailed(
                    f"{url}: the host is not who it says it is ({_reason(error)}); download the "
                    "file by hand into the folder, its checksum is compared then"
                ) from None
            return _reason(error), None
        finally:
            self._last = time.monotonic()
        size = part.stat().st_size if part.exists() else 0
        if total is not None and size != total:
            if size > total:
                _start_anew(part, mark, advance)
            return f"the connection ended after {size:,} of {total:,} bytes", None
        return None, None

    def _ask(self, method: str, url: str, **options: Any) -> requests.Response:
        """One request, not sooner than the pause allows."""
        time.sleep(max(0.0, self._last + self.pause - time.monotonic()))
        if self.mirror is not None:
            url = self.mirror + urlsplit(url).path
        try:
            return self._session.request(method, url, timeout=TIMEOUT, **options)
        finally:
            self._last = time.monotonic()

    def _wait(self, attempt: int, asked: float | None) -> None:
        time.sleep(min(LONGEST_WAIT, max(asked or 0.0, self.patience * 2.0**attempt)))


def _start_anew(part: Path, mark: Path, advance: Callable[[int], Any]) -> None:
    if part.exists():
        advance(-part.stat().st_size)
    part.unlink(missing_ok=True)
    mark.unlink(missing_ok=True)


def _extent(answer: requests.Response) -> tuple[int, int | None]:
    """Where an answer's bytes begin in the file, and the size of the whole file."""
    if answer.status_code == 206:
        found = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "").strip()
        )
        if found:
            return int(found[1]), None if found[2] == "*" else int(found[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _state(answer: requests.Response) -> str:
    """Return what tells whether a file is still the same: a strong ETag, or its date."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _refusal(answer: requests.Response) -> str:
    return f"the host answers {answer.status_code} {answer.reason}"


def _wait_asked(answer: requests.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None


def _reason(error: requests.RequestException) -> str:
    """Say in a few words what went wrong; the libraries' own words fill a screen."""
    if isinstance(error, requests.exceptions.SSLError):
        found = re.search(r"certificate verify failed: ([^(]+)", str(error))
        return found[1].strip() if found else "no secure connection"
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer within {TIMEOUT[1]} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no connection to the host"
    return type(error).__name__


def free_bytes(folder: Path) -> int:
    """Bytes that are free where a folder is or will be."""
    place = folder.resolve()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
