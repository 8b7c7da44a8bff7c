"""The built book of a run, served to a headless Chromium."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from brainage_lib.report.pdf import FLAGS, find_chromium
from brainage_lib.run import Run, locate

LOOK = (Path(__file__).parent / "look.js").read_text(encoding="utf-8")
AXE = Path(__file__).resolve().parents[2] / "book" / "node_modules" / "axe-core" / "axe.min.js"
AUDIT = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
  (found) => `${found.id}: ${found.nodes.map((node) => node.target.join(" ")).join(", ")}`)"""

DRAWN = """() => [...document.querySelectorAll('.plotly-graph-div')]
  .every(place => place.querySelector('.main-svg'))
  && document.querySelectorAll('.math').length
  <= document.querySelectorAll('mjx-container').length"""


def unavailable(reason: str) -> NoReturn:
    """Skip, or fail where the book and the browser must be there."""
    if os.environ.get("BRAINAGE_REQUIRE_BOOK") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def book_run(root) -> Run:
    """The run whose book is looked at: ``$BRAINAGE_BOOK``, ``demo`` unless set."""
    folder = locate(os.environ.get("BRAINAGE_BOOK", "demo"))
    if not (folder / "book" / "html" / "index.html").is_file():
        unavailable(f"no built book in {folder}; `make book` makes it")
    return Run(folder)


LARGE = 1_000_000


def _link_what_is_large(source: str, target: str) -> None:
    """Volumes and weights are replaced whole, if at all; a link to them is as good as a copy."""
    if os.path.getsize(source) > LARGE:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


@pytest.fixture(scope="session")
def copy(book_run):
    """A copy of the finished run, under the same name."""
    if book_run.folder.name != "demo":
        pytest.skip("the notebooks' own parameters name the run demo")
    # One each for tests that run at once.
    folder = book_run.folder.parent / f".by-hand-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(
        book_run.folder,
        folder / "demo",
        ignore=shutil.ignore_patterns("book", ".snakemake"),
        copy_function=_link_what_is_large,
    )
    yield folder / "demo"
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def html(book_run) -> Path:
    """Folder of the built pages."""
    return book_run.path("book", "html")


@pytest.fixture(scope="session")
def pages(root) -> list[str]:
    """Every page of the contents, without suffix."""
    contents = yaml.safe_load((root / "book" / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [entry["file"] for part in contents["parts"] for entry in part["chapters"]]
    return [contents["root"], *chapters]


class Handler(SimpleHTTPRequestHandler):
    """Serve without a line a request."""

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture(scope="session")
def site(html):
    """Address of the pages on this machine, with a slash at the end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(html)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="session")
def browser(html):
    """A headless Chromium."""
    chromium = find_chromium()
    if chromium is None:
        unavailable("no Chromium that playwright could drive; Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


@dataclass
class Visit:
    """What one look at one page found."""

    seen: dict[str, Any]
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def visit(browser, site, pages):
    """Look at every page once in a mode: ``visit("light", 1280)`` is a dict of page to Visit."""
    known: dict[tuple[str, int], dict[str, Visit]] = {}

    def look(scheme: str, width: int) -> dict[str, Visit]:
        if (scheme, width) not in known:
            known[scheme, width] = {
                page: _look(browser, site, page, scheme, width) for page in pages
            }
        return known[scheme, width]

    return look


@pytest.fixture(scope="session")
def audit(browser, site, pages):
    """What axe-core finds on every page: ``audit("dark", 1280)``, a dict of page to findings."""
    if not AXE.is_file():
        unavailable("axe-core is not there; `npm ci --prefix book` fetches it")

    def look(scheme: str, width: int) -> dict[str, list[str]]:
        found = {page: _audit(browser, site, page, scheme, width) for page in pages}
        return {page: findings for page, findings in found.items() if findings}

    return look


def _audit(browser, site: str, page: str, scheme: str, width: int) -> list[str]:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, is_mobile=width < 600,
        # Colours are looked at when they have settled.
        reduced_motion="reduce",
    )  # fmt: skip
    try:
        tab = context.new_page()
        tab.goto(f"{site}{page}.html", wait_until="load", timeout=60_000)
        tab.wait_for_function(DRAWN, polling=100, timeout=60_000)
        tab.evaluate(AXE.read_text(encoding="utf-8"))
        return tab.evaluate(AUDIT)
    finally:
        context.close()


def _look(browser, site: str, page: str, scheme: str, width: int) -> Visit:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, is_mobile=width < 600
    )
    try:
        tab = context.new_page()
        found = Visit({})
        tab.on("request", lambda request: found.requests.append(request.url))
        tab.on("requestfailed", lambda request: found.complaints.append(f"failed {request.url}"))
        tab.on("pageerror", lambda error: found.complaints.append(str(error)))
        tab.on(
            "console",
            lambda message: (
                found.complaints.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        )
        answer = tab.goto(f"{site}{page}.html", wait_until="load", timeout=60_000)
        found.seen = {"status": answer.status}
        if answer.ok:
            tab.wait_for_function(DRAWN, polling=100, timeout=60_000)
            found.seen |= tab.evaluate(LOOK)
        return found
    finally:
        context.close()
