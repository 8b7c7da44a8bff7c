"""What a reader's browser makes of it: light, dark, phone."""

from __future__ import annotations

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NAMES = ["counts_by_decade", "model_scatter", "mae_by_study", "table1", "table3", "cbv_maps",
         "ledger_table", "pipeline"]  # fmt: skip

# What the theme does to outputs of cells on dark pages (pydata-sphinx-theme 0.17).
THEME = """
html[data-theme=dark] body{background:#14181e;color:#ced6dd}
html[data-theme=dark] .bd-content div.cell_output .text_html:not(:has(table.dataframe)){
background-color:#ced6dd;color:#222832;padding:.5rem}
"""


@pytest.fixture(scope="module")
def page(everything, tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright
    from plotly.offline import get_plotlyjs

    folder = tmp_path_factory.mktemp("page")
    (folder / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    body = "".join(
        '<div class="cell_output"><div class="output text_html">'
        f"{everything[name]._repr_mimebundle_()['text/html']}</div></div>"
        for name in NAMES
    )
    (folder / "page.html").write_text(
        '<!doctype html><html lang="en" data-theme="dark"><head><meta charset="utf-8">'
        f'<title>Page</title><script src="plotly.min.js"></script><style>{THEME}</style></head>'
        f'<body class="bd-content">{body}</body></html>',
        encoding="utf-8",
    )
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 390, "height": 800})
        opened.asked, opened.said = [], []
        opened.on("request", lambda request: opened.asked.append(request.url))
        opened.on("console", lambda message: opened.said.append(message.text))
        opened.on("pageerror", lambda error: opened.said.append(str(error)))
        opened.goto((folder / "page.html").as_uri())
        opened.wait_for_function(
            "document.querySelectorAll('.main-svg').length >= 3 * 3", polling=100
        )
        yield opened
        browser.close()


@pytest.mark.slow
def test_nothing_is_asked_of_another_host_and_nothing_fails(page):
    assert all(url.startswith(("file:", "data:")) for url in page.asked)
    assert page.said == []


@pytest.mark.slow
def test_page_is_no_wider_than_a_phone(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_chart_text_has_the_colour_of_the_dark_page(page):
    fills = page.evaluate(
        "[...document.querySelectorAll('.main-svg text')].map(t => getComputedStyle(t).fill)"
    )
    assert len(fills) > 20
    assert set(fills) == {"rgb(206, 214, 221)"}


@pytest.mark.slow
def test_theme_puts_no_white_box_behind_outputs(page):
    grounds = page.evaluate(
        "[...document.querySelectorAll('.text_html')].map(t => getComputedStyle(t).backgroundColor)"
    )
    assert set(grounds) == {"rgba(0, 0, 0, 0)"}


@pytest.mark.slow
def test_ledger_can_be_filtered(page):
    shown = "[...document.querySelectorAll('tr[data-verdict]')].filter(r => !r.hidden).length"
    assert page.evaluate(shown) == 2
    page.click("button[data-verdict=holds]")
    assert page.evaluate(shown) == 1
    page.fill("input[type=search]", "nowhere")
    assert page.evaluate(shown) == 0
    assert page.inner_text("[role=status]") == "0 of 2 claims shown"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SVG", "PNG"])
def test_a_chart_and_a_picture_can_be_saved(page, kind, tmp_path):
    begins = {"SVG": b"<svg", "PNG": b"\x89PNG"}[kind]
    other = {"SVG": "figure:has(.shown-drawing) button", "PNG": "figure:has(img) button"}[kind]
    for button in (f"figure:has(.plotly-graph-div) button:text-is('{kind}')", other):
        with page.expect_download() as download:
            page.locator(button).first.click()
        saved = tmp_path / download.value.suggested_filename
        download.value.save_as(saved)
        assert saved.suffix == f".{kind.lower()}"
        assert saved.read_bytes().startswith(begins)
