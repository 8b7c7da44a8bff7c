"""Brains to turn in the page: what is laid out, and what a reader can do with it."""

from __future__ import annotations

import base64
import gzip
import json
import shutil

import nibabel as nib
import numpy as np
import pytest
from bs4 import BeautifulSoup

from brainage_lib import show

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
WORDS = {"t1w": "mean T1w", "cbv": "mean AICBV", "T": "network T"}


def make(volume, folder, small=True):
    brain, affine = volume
    grounds = {"t1w": {"20–30": brain, "30–40": brain / 2}, "cbv": {"20–30": brain, "30–40": brain}}
    maps = {"T": {"20–30": brain**2, "30–40": np.flip(brain, 0)}}
    return show.brain_viewer(
        grounds, maps, {"20–30": 34, "30–40": 9}, affine, folder=folder, words=WORDS,
        source="simulated scans", small_groups=small, resolutions=["cells of 64 mm"],
    )  # fmt: skip


def opened(path):
    code = path.read_text(encoding="ascii").split(']="')[1].split('"')[0]
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(code)))


def test_volumes_are_written_as_they_are_in_their_own_space(volume, tmp_path):
    brain, affine = volume
    make(volume, tmp_path)
    img = opened(tmp_path / "viewer-t1w-20-30.js")
    np.testing.assert_allclose(img.get_fdata(), brain, atol=brain.max() / 250)
    np.testing.assert_array_equal(img.affine, affine)
    over = opened(tmp_path / "viewer-T-20-30.js").get_fdata()
    assert over.max() == pytest.approx(1, abs=0.01)
    assert len(list(tmp_path.glob("*.js"))) == 6


def test_no_mean_of_fewer_than_ten_real_scans_is_laid_out(volume, tmp_path):
    viewer = make(volume, tmp_path, small=False)
    assert [group["label"] for group in viewer.groups] == ["20–30"]
    assert not list(tmp_path.glob("*30-40*"))
    assert "fewer than ten scans are left out" in viewer.caption


def test_without_a_group_it_says_so(volume, tmp_path):
    viewer = show.brain_viewer(
        {"t1w": {}}, {}, {}, volume[1], folder=tmp_path, words=WORDS, source="s", small_groups=True
    )
    assert "No group is large enough" in viewer.html()


def test_a_single_scan_needs_no_slider(volume, tmp_path):
    viewer = show.brain_viewer(
        {"t1w": {"this scan": volume[0]}}, {}, {"this scan": 1}, volume[1], folder=tmp_path,
        words=WORDS, source="s", small_groups=True,
    )  # fmt: skip
    page = BeautifulSoup(viewer.html(), "html.parser")
    shown = [tag.text.split()[0] for tag in page.find_all("label") if not tag.has_attr("hidden")]
    assert shown == ["Ground", "View"]


def test_a_viewer_without_a_folder_holds_its_volumes_and_niivue(volume, root):
    brain, affine = volume
    viewer = show.brain_viewer(
        {"t1w": {"this scan": brain}}, {}, {"this scan": 1}, affine, folder=None, words=WORDS,
        source="s", small_groups=True, name="scan",
    )  # fmt: skip
    page = BeautifulSoup(viewer.html(), "html.parser")
    volumes = json.loads(page.find("script", {"data-part": "volumes"}).string)
    img = nib.Nifti1Image.from_bytes(
        gzip.decompress(base64.b64decode(volumes["scan-t1w-this-scan"]))
    )
    np.testing.assert_allclose(img.get_fdata(), brain, atol=brain.max() / 250)
    held = base64.b64decode(page.find("script", {"data-part": "niivue"}).string)
    own, niivue = viewer.scripts
    assert gzip.decompress(held).decode() == niivue
    assert page.find_all("script")[-1].string == own
    npm = root / "book/node_modules/@niivue/niivue/dist/niivue.umd.js"
    if npm.is_file():
        assert npm.read_text(encoding="utf-8") == niivue


def test_every_control_has_a_name_and_nothing_is_loaded_by_itself(volume, tmp_path):
    page = BeautifulSoup(make(volume, tmp_path).html(), "html.parser")
    assert not page.find_all(["img", "iframe", "link"])
    assert all(script.get("src") is None for script in page.find_all("script"))
    for control in page.find_all(["input", "select"]):
        assert control.find_parent("label").text.strip()
    canvas = page.find("canvas")
    assert canvas["tabindex"] == "0"
    assert "Arrow keys" in canvas["aria-label"]
    assert "cells of 64 mm" in page.figcaption.text


@pytest.fixture(scope="module")
def player():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(player, volume, root, tmp_path_factory):
    """The viewer on a phone in the dark, opened from a folder and started by keyboard."""
    niivue = root / "book/node_modules/@niivue/niivue/dist/niivue.umd.js"
    if not niivue.is_file():
        pytest.skip("niivue is not there; `npm ci --prefix book` fetches it")
    folder = tmp_path_factory.mktemp("book")
    (folder / "_static" / "viewer").mkdir(parents=True)
    shutil.copy(niivue, folder / "_static")
    body = make(volume, folder / "_static" / "viewer")._repr_mimebundle_()["text/html"]
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "page.html").write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>P</title><main>{body}</main>',
        encoding="utf-8",
    )
    context = player.new_context(
        viewport={"width": 390, "height": 800}, has_touch=True, color_scheme="dark"
    )
    tab = context.new_page()
    tab.asked, tab.failed = [], []
    tab.on("request", lambda request: tab.asked.append(request.url.rsplit("/", 1)[1]))
    tab.on("pageerror", lambda error: tab.failed.append(str(error)))
    tab.goto((folder / "notebooks" / "page.html").as_uri())
    tab.before = list(tab.asked)
    tab.focus("[data-part=start]")
    tab.keyboard.press("Enter")
    ready(tab, "viewer-t1w-20-30 viewer-T-20-30")
    yield tab
    context.close()


def ready(tab, wanted):
    tab.wait_for_function(
        "wanted => document.querySelector('.brain-viewer').dataset.ready === wanted",
        arg=wanted, polling=200, timeout=200_000,
    )  # fmt: skip


def says(tab):
    return tab.inner_text("[data-part=says]")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_loaded_before_it_is_looked_at_and_then_what_is_shown(page):
    assert page.before == ["page.html"]
    assert page.asked[1:4] == ["niivue.umd.js", "viewer-t1w-20-30.js", "viewer-T-20-30.js"]
    assert page.failed == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_cross_moves_by_keyboard_and_by_touch(page):
    page.focus("canvas")
    seen = [says(page)]
    for key in ("ArrowLeft", "ArrowUp", "PageDown"):
        page.keyboard.press(key)
        seen.append(says(page))
    assert len(set(seen)) == 4
    assert all("mm; mean T1w" in text and "map" in text for text in seen)
    page.locator("canvas").scroll_into_view_if_needed()
    box = page.locator("canvas").bounding_box()
    page.touchscreen.tap(box["x"] + 0.15 * box["width"], box["y"] + 0.2 * box["height"])
    page.wait_for_function("text => document.querySelector('[data-part=says]').innerText !== text",
                           arg=seen[-1], polling=100)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_decade_and_threshold_are_sliders_that_a_key_moves(page):
    page.focus("[data-part=group]")
    page.keyboard.press("ArrowRight")
    ready(page, "viewer-t1w-30-40 viewer-T-30-40")
    assert page.inner_text("[data-part=group-out]") == "30–40, n = 9 (few)"
    page.focus("[data-part=threshold]")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("[data-part=threshold-out]") == "55 %"
    page.select_option("[data-part=under]", "cbv")
    ready(page, "viewer-cbv-30-40 viewer-T-30-40")
    page.select_option("[data-part=over]", "none")
    ready(page, "viewer-cbv-30-40 undefined")
    assert page.failed == []
