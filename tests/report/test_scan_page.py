"""The page of a scan: everything in one file, nothing from outside, text stays text."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from brainage_lib import show
from brainage_lib.cli.results import _viewer
from brainage_lib.imaging import grid
from brainage_lib.predict import Model, attribution, look_at_scan
from brainage_lib.report import group_page, scan_page, scan_pdf

EVIL = '<script>alert("x")</script><img src=http://evil.example/a.png>'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def made(tiny_run):
    model = Model(tiny_run, "cpu")
    scan = pd.read_csv(tiny_run.path("manifest.csv"), dtype={"session": str}).iloc[1]
    found = look_at_scan(model, scan)
    planes = show.scan_planes(found.t1w, grid(4).affine, found.aicbv, attribution(model, found))
    interval = (found.interval_low, found.interval_high)
    where = (model.reference["ages"], found.predicted_age, interval, found.age)
    return found, planes, where


@pytest.fixture(scope="module")
def viewer(made, tiny_run):
    return _viewer(Model(tiny_run, "cpu"), made[0], {"T": made[0].t1w})


@pytest.fixture(scope="module")
def spoilt(made):
    """Everything that comes from outside holds markup."""
    found = made[0]
    return replace(
        found, scan_id=EVIL, reasons=(EVIL,), warnings=(EVIL,), assumed=EVIL, t1w_state=EVIL,
        image={"sha256": EVIL, "voxel_mm": [EVIL], "shape": [EVIL]},
        steps=({"name": EVIL, "tool": EVIL, "version": EVIL, "settings": {EVIL: EVIL}},),
    )  # fmt: skip


def test_the_page_says_what_must_be_said(made):
    found, planes, where = made
    page = scan_page(found, planes, show.age_among(*where))
    for text in (
        f"{found.predicted_age:.1f} years", "Not for clinical use", found.asked["sha256"],
        "split conformal", found.versions["torch"], "simulated scans",
        "Correlation with the template",
    ):  # fmt: skip
        assert text in page
    assert page.count('src="data:image/') == 2


def test_text_from_outside_stays_text(spoilt, made):
    page = BeautifulSoup(scan_page(spoilt, made[1], show.age_among(*made[2])), "html.parser")
    group = group_page([spoilt.json() | {"key": None}], {EVIL: 'a&b"c.html'})
    group = BeautifulSoup(group, "html.parser")
    for parsed in (page, group):
        assert EVIL in parsed.text
        assert not parsed.find_all(["script", "iframe", "object", "link"])
        assert all(image["src"].startswith("data:") for image in parsed.find_all("img"))
    assert not page.find_all("a")
    assert [link["href"] for link in group.find_all("a")] == ["a%26b%22c.html"]


def test_a_policy_forbids_every_request(made):
    page = scan_page(*made[:2])
    assert "default-src 'none'" in page
    assert "script-src" not in page


def test_a_page_with_a_viewer_runs_no_code_but_the_viewers(spoilt, made, viewer):
    page = BeautifulSoup(scan_page(spoilt, made[1], None, viewer), "html.parser")
    policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    (named,) = [rule.split()[1:] for rule in policy.split("; ") if rule.startswith("script-src")]
    digests = [hashlib.sha256(code.encode()).digest() for code in viewer.scripts]
    assert named == [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert "default-src 'none'" in policy
    assert EVIL in page.text
    code = [tag for tag in page.find_all("script") if not tag.has_attr("type")]
    assert [tag.string for tag in code] == [viewer.scripts[0]]
    assert not any(name.startswith("on") for tag in page.find_all(True) for name in tag.attrs)
    assert not page.find_all(["iframe", "object", "link"])
    assert len(scan_page(made[0], made[1], None, viewer).encode()) < 3_000_000


def test_the_pdf_is_one_page(made):
    from functools import partial

    found, planes, where = made
    ages, predicted, interval, age = where
    draw = partial(show.draw_age_among, ages=ages, predicted=predicted, interval=interval, age=age)
    content = scan_pdf(found, planes, draw)
    assert content.startswith(b"%PDF")
    assert re.findall(rb"/Count (\d+)", content) == [b"1"]


def test_names_and_dates_of_a_header_are_not_copied(brains, tiny_run, tmp_path):
    import nibabel as nib

    img = nib.load(brains / "whole.nii.gz")
    img.header["descrip"] = b"DOE^JANE 1961-04-05"
    img.header["db_name"] = b"DOE^JANE"
    nib.save(img, tmp_path / "scan.nii.gz")
    scan = {"scan_id": "s", "path": "scan.nii.gz", "t1w_state": "mni152-brain"}
    found = look_at_scan(Model(tiny_run, "cpu"), scan, tmp_path, cache=tmp_path)
    assert found.status == "done"
    for text in (scan_page(found), str(found.json())):
        assert "JANE" not in text
        assert "1961" not in text


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_viewer_in_the_page_opens_under_its_policy_and_asks_no_one(spoilt, viewer, tmp_path):
    from playwright.sync_api import sync_playwright

    (tmp_path / "a.html").write_text(scan_page(spoilt, None, None, viewer), encoding="utf-8")
    asked, said = [], []
    with sync_playwright() as player:
        browser = player.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"],
        )
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((tmp_path / "a.html").as_uri())
        page.click("[data-part=start]")
        page.wait_for_function(
            "() => { const box = document.querySelector('.brain-viewer');"
            " return box.dataset.failed || box.dataset.ready }",
            polling=200, timeout=300_000,
        )  # fmt: skip
        ready = page.evaluate("document.querySelector('.brain-viewer').dataset.ready")
        before = page.inner_text("[data-part=says]")
        page.focus("canvas")
        page.keyboard.press("ArrowLeft")
        after = page.inner_text("[data-part=says]")
        browser.close()
    assert ready == "scan-t1w-this-scan scan-T-this-scan"
    assert "mm; T1w" in after != before
    assert said == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_asks_no_one_and_finds_nothing_wrong(made, spoilt, tmp_path):
    from playwright.sync_api import sync_playwright

    svg = show.age_among(*made[2])
    (tmp_path / "a.html").write_text(scan_page(made[0], made[1], svg), encoding="utf-8")
    (tmp_path / "b.html").write_text(scan_page(spoilt, made[1], svg), encoding="utf-8")
    asked, said = [], []
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        for name in ("a", "b"):
            page.goto((tmp_path / f"{name}.html").as_uri())
        sizes = page.evaluate("[...document.images].map(image => image.naturalWidth)")
        browser.close()
    assert said == []
    assert all(url.startswith(("file:", "data:")) for url in asked)
    assert len(sizes) == 2
    assert min(sizes) > 100
