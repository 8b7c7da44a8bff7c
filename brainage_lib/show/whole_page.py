"""One HTML file with everything in it: opened from a disk, mailed, archived; it asks no host."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from brainage_lib.show.figure import Figure
from brainage_lib.show.page import STYLE, Shown

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)
_STYLE = """<style>
:root{color-scheme:light dark}
body{font:16px/1.55 system-ui,sans-serif;max-width:64rem;margin:0 auto;padding:1rem;
background:#fff;color:#1a1a1a}
@media(prefers-color-scheme:dark){body{background:#14181e;color:#ced6dd}a{color:#8ab4f8}}
h1{line-height:1.2}h2{margin-top:2.2em;border-top:1px solid rgba(128,128,128,.35);padding-top:.8em}
nav ul{columns:18rem;padding-left:1.2em}
.warned{border-left:5px solid #B37400;padding:.2em 0 .2em 1em}
</style>"""


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes
    ----------
    heading : str
    text : tuple of str
        Paragraphs of plain text.
    shown : tuple of Shown
    """

    heading: str
    text: tuple[str, ...] = ()
    shown: tuple[Shown, ...] = ()


def whole_page(
    title: str,
    introduction: Sequence[str],
    sections: Sequence[Section],
    warnings: Sequence[str] = (),
) -> str:
    """Return a page as one HTML text, with plotly.js inside if there is a chart.

    Parameters
    ----------
    title : str
    introduction : sequence of str
        Paragraphs of plain text.
    sections : sequence of Section
    warnings : sequence of str
        What a reader must know first.
    """
    charts = any(isinstance(shown, Figure) for part in sections for shown in part.shown)
    script = ""
    if charts:
        from plotly.offline import get_plotlyjs

        script = f"<script>{get_plotlyjs()}</script>"
    links = "".join(
        f'<li><a href="#s{number}">{html.escape(part.heading)}</a></li>'
        for number, part in enumerate(sections)
    )
    warned = "".join(f"<li>{html.escape(line)}</li>" for line in warnings)
    body = "".join(_section(number, part) for number, part in enumerate(sections))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title>{_STYLE}{STYLE}{script}</head><body>"
        f"<h1>{html.escape(title)}</h1>{_paragraphs(introduction)}"
        + (f'<section class="warned" aria-label="Warnings"><ul>{warned}</ul></section>'
           if warned else "")
        + f'<nav aria-label="Contents"><ul>{links}</ul></nav><main>{body}</main></body></html>\n'
    )  # fmt: skip


def _section(number: int, part: Section) -> str:
    shown = "".join(each.html() for each in part.shown)
    return (
        f'<section id="s{number}"><h2>{html.escape(part.heading)}</h2>'
        f"{_paragraphs(part.text)}{shown}</section>"
    )


def _paragraphs(texts: Sequence[str]) -> str:
    return "".join(f"<p>{html.escape(text)}</p>" for text in texts)
