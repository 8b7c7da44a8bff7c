"""The whole book as one PDF, printed by Chromium."""

from __future__ import annotations

import html
import importlib.util
import os
import shutil
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FLAGS = (
    "--headless",
    # Chromium's own sandbox does not start as root, which is who runs in containers.
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Headless, with WebGL in software, and silent on the network."""

MARGIN = "font: 8px sans-serif; width: 100%; text-align: center"


def find_chromium() -> str | None:
    """Path of a Chromium that can be driven here, or None if it or playwright is missing."""
    if importlib.util.find_spec("playwright") is None:
        return None
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def print_pdf(page: Path, out: Path, chromium: str, banner: str) -> None:
    """Print an HTML file on A4, with outline and tags, once its formulas and charts are drawn.

    Parameters
    ----------
    page : Path
        The whole book as one HTML file.
    out : Path
        The PDF.
    chromium : str
        The browser's path.
    banner : str
        A line at the top of every sheet.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        try:
            # Charts take the width that paper has, not that of a screen.
            sheet = browser.new_page(viewport={"width": 794, "height": 1123}, color_scheme="light")
            sheet.goto(page.resolve().as_uri(), wait_until="load", timeout=120_000)
            sheet.wait_for_function(
                """() => document.querySelectorAll('.math').length
                <= document.querySelectorAll('mjx-container').length
                && [...document.querySelectorAll('.plotly-graph-div')].every(
                    place => place.querySelector('svg'))""",
                polling=200,
                timeout=300_000,
            )
            sheet.pdf(
                path=os.fspath(out),
                format="A4",
                print_background=True,
                outline=True,
                tagged=True,
                margin={"top": "18mm", "bottom": "18mm", "left": "15mm", "right": "15mm"},
                display_header_footer=True,
                # The sheet's own style does not reach its margins.
                header_template=f'<div style="{MARGIN}">{html.escape(banner)}</div>',
                footer_template=f'<div style="{MARGIN}"><span class="pageNumber"></span></div>',
            )
        finally:
            browser.close()
