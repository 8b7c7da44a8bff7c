"""A server on this machine with the layout of the studies' hosts, and ways to misbehave."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest


class Server:
    """Files by path; faults by path; what was asked.

    Attributes
    ----------
    files : dict of path to bytes
    listed : dict of bucket path to list of keys
        Answered two at a time, as S3 does with a thousand.
    cut : dict of path to list of int
        Bytes after which the next answers break off.
    busy : dict of path to int
        How often 503 is answered before the file is given.
    asked : list of (method, path, headers)
    """

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.listed: dict[str, list[str]] = {}
        self.cut: dict[str, list[int]] = {}
        self.busy: dict[str, int] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.ranges = True
        self.active = self.most_active = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.answer(body=False)

            def do_GET(self):
                self.answer(body=True)

            def log_message(self, *arguments):
                pass

            def answer(self, body):
                address = urlsplit(self.path)
                path = unquote(address.path)
                server.asked.append((self.command, path, dict(self.headers)))
                if path in server.listed:
                    return self.send(server.page(path, parse_qs(address.query)), body)
                if server.busy.get(path, 0):
                    server.busy[path] -= 1
                    self.send_response(503)
                    self.send_header("Retry-After", "0")
                    self.end_headers()
                    return None
                if path not in server.files:
                    return self.send_error(404)
                return self.send(server.files[path], body, path)

            def send(self, content, body, path=""):
                start = 0
                tag = f'"{hashlib.md5(content).hexdigest()}"'
                asked = self.headers.get("Range", "")
                same = self.headers.get("If-Range", tag) == tag
                if server.ranges and asked.startswith("bytes=") and same:
                    start = int(asked[6:].rstrip("-"))
                    if start >= len(content):
                        self.send_response(416)
                        self.send_header("Content-Range", f"bytes */{len(content)}")
                        self.end_headers()
                        return
                    self.send_response(206)
                    self.send_header(
                        "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                    )
                else:
                    self.send_response(200)
                self.send_header("ETag", tag)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                if not body:
                    return
                piece = content[start:]
                cuts = server.cut.get(path)
                if cuts:
                    piece = piece[: cuts.pop(0)]
                    self.close_connection = True
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(piece)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def page(self, bucket, query):
        """A page of S3's list of objects."""
        prefix = query["prefix"][0]
        first = int(query.get("continuation-token", ["0"])[0])
        keys = [key for key in self.listed[bucket] if key.startswith(prefix)]
        entries = []
        for key in keys[first : first + 2]:
            content = self.files[f"{bucket}/{key}"]
            entries.append(
                f"<Contents><Key>{key}</Key><Size>{len(content)}</Size>"
                f"<ETag>&quot;{hashlib.md5(content).hexdigest()}&quot;</ETag></Contents>"
            )
        more = first + 2 < len(keys)
        token = f"<NextContinuationToken>{first + 2}</NextContinuationToken>" if more else ""
        return (
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"{''.join(entries)}{token}</ListBucketResult>"
        ).encode()

    def got(self, path):
        """Headers of each GET of a file."""
        return [headers for method, name, headers in self.asked if (method, name) == ("GET", path)]


@pytest.fixture
def server():
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def tar(members: dict[str, bytes], links: dict[str, str] | None = None, mode: str = "w") -> bytes:
    """Bytes of a tar archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as packed:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            packed.addfile(info)
    return stream.getvalue()


@pytest.fixture
def make_tar():
    return tar
