"""What everything shown on a page has in common: title, caption, description, numbers, style."""

from __future__ import annotations

import base64
import html
import os
from dataclasses import dataclass

import pandas as pd

from brainage_lib.files import write_text
from brainage_lib.show.words import count

STYLE = """<style>
.shown,.bd-content figure.shown{margin:1.2em 0;padding:0;max-width:100%}
.shown-title{font-weight:600;margin:0 0 .4em;text-align:left}
.shown figcaption,.shown-note{font:inherit;font-size:.875em;line-height:1.45;text-align:left;
margin:.4em 0 0;color:inherit}
.shown-chart{width:100%}
.shown-chart .main-svg text:not(.hoverlayer *){fill:currentColor!important}
.bd-content div.cell_output .text_html:has(.shown){background:none!important;
color:inherit!important;padding:0!important}
.shown img,.bd-content div.cell_output .shown img{display:block;max-width:100%;height:auto;
margin:0;padding:0!important;background:#000!important}
.shown-drawing svg{display:block;max-width:100%;height:auto;margin:auto}
.shown-scroll{overflow-x:auto;container-type:inline-size;
--page:var(--pst-color-background,Canvas);background:
linear-gradient(to right,var(--page) 40%,transparent) left/3em 100% no-repeat local,
linear-gradient(to left,var(--page) 40%,transparent) right/3em 100% no-repeat local,
linear-gradient(to right,rgba(128,128,128,.45),transparent) left/1em 100% no-repeat scroll,
linear-gradient(to left,rgba(128,128,128,.45),transparent) right/1em 100% no-repeat scroll}
.shown table{border-collapse:collapse;font-size:.875em;font-variant-numeric:tabular-nums;
line-height:1.4;margin:0;width:auto;display:table;color:inherit}
.shown caption{caption-side:top;padding:0 0 .4em;color:inherit;text-align:left}
.shown caption span{position:sticky;left:0;display:inline-block;max-width:min(100%,100cqi)}
.shown th,.shown td{padding:.25em .6em;border:0;
border-bottom:1px solid rgba(128,128,128,.35);text-align:right;vertical-align:top;
background:none;color:inherit;white-space:nowrap}
.shown th{font-weight:600}
.shown tbody th,.shown .words{text-align:left;white-space:normal}
.shown td.words{min-width:7em}
.shown td.long{min-width:12em}
.shown-scroll tbody th[scope=row]{position:sticky;left:0;z-index:1;background:var(--page)}
.shown th[scope=colgroup]{text-align:center;border-left:1px solid rgba(128,128,128,.35)}
.shown th[scope=rowgroup][colspan]{padding-top:1em}
.shown thead th{white-space:normal;vertical-align:bottom}
.shown small{display:block;font-size:.86em}
.shown-save{font:inherit;color:inherit;background:none;border:0;padding:.2em .4em;
text-decoration:underline;cursor:pointer}
@media print{.shown{break-inside:avoid}.shown-save{display:none}
.shown-scroll{overflow:visible;background:none}.shown table{font-size:.72em}
.shown th,.shown td{white-space:normal;padding:.2em .35em}.shown td.words{min-width:0}}
</style>"""
"""Style of all that is shown. It travels with each figure, so that a figure is whole wherever its
HTML is put. The text of charts takes the page's own colour, and the white box that the theme puts
behind outputs on dark pages is taken away. A table that goes on beyond its box has a shadow on that
side: the page's colour, which moves with the table, uncovers it."""


@dataclass(frozen=True)
class Shown:
    """Something for a page, with the words and the numbers that belong to it.

    Attributes
    ----------
    title : str
        The finding, as a sentence with its number.
    caption : str
        How to read it: axes, n, and where the scans come from.
    alt : str
        What it shows, for those who do not see it.
    data : DataFrame
        The numbers that are drawn or printed, one row each.
    name : str
        File name of the numbers, without suffix.
    """

    title: str
    caption: str
    alt: str
    data: pd.DataFrame
    name: str

    def __post_init__(self):
        for word in ("title", "caption", "alt", "name"):
            if not getattr(self, word).strip():
                raise ValueError(f"{type(self).__name__} needs a {word}: it is empty")

    def csv(self) -> str:
        """Return the numbers as CSV, floats with six significant digits."""
        return self.data.to_csv(index=False, float_format="%.6g", lineterminator="\n")

    def save_csv(self, path: str | os.PathLike) -> None:
        """Write the numbers to a file, replacing it whole."""
        write_text(path, self.csv())

    def csv_link(self) -> str:
        """Return a link that carries the numbers themselves, so that it works without a server."""
        rows = count(len(self.data), "row")
        code = base64.b64encode(self.csv().encode()).decode()
        return (
            f'<a download="{html.escape(self.name)}.csv" href="data:text/csv;charset=utf-8;'
            f'base64,{code}">Numbers as CSV ({rows})</a>'
        )

    def save_buttons(self) -> str:
        """Return buttons that save what is drawn; none unless there is a picture."""
        return ""

    def _save_button(self, kind: str, action: str) -> str:
        """Return a button; ``action`` is a script in which ``figure`` is what it stands in."""
        name = html.escape(f"Save {self.name} as {kind}")
        script = html.escape(f"const figure=this.closest('figure');{action}")
        return (
            f' <button type="button" class="shown-save" aria-label="{kind}: {name}" '
            f'onclick="{script}">{kind}</button>'
        )

    def html(self) -> str:
        """Return what goes into a page, without the style."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/html": STYLE + self.html(), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"{self.title}\n{self.caption}"

    def _figure(self, body: str) -> str:
        return (
            f'<figure class="shown"><p class="shown-title">{html.escape(self.title)}</p>{body}'
            f"<figcaption>{html.escape(self.caption)} {self.csv_link()}{self.save_buttons()}"
            "</figcaption></figure>"
        )


@dataclass(frozen=True, repr=False)
class Picture(Shown):
    """A picture made of pixels: brain slices.

    Attributes
    ----------
    png : bytes
        The encoded picture, on a black ground of its own.
    """

    png: bytes

    def save_buttons(self) -> str:
        """Return a button that saves the pixels that are shown."""
        return self._save_button(
            "PNG",
            "const link=document.createElement('a');"
            f"link.href=figure.querySelector('img').src;link.download='{self.name}.png';"
            "link.click()",
        )

    def html(self) -> str:
        """Return the picture with its words; the class keeps the theme from filtering it."""
        code = base64.b64encode(self.png).decode()
        return self._figure(
            f'<img class="dark-light" alt="{html.escape(self.alt)}" '
            f'src="data:image/png;base64,{code}">'
        )


@dataclass(frozen=True, repr=False)
class Drawing(Shown):
    """A drawing in SVG that takes the colours of the page.

    Attributes
    ----------
    svg : str
        One ``<svg>`` element that carries its own description.
    """

    svg: str

    def save_buttons(self) -> str:
        """Return a button that saves the drawing."""
        return self._save_button(
            "SVG",
            "const drawing=figure.querySelector('.shown-drawing svg').cloneNode(true);"
            "drawing.setAttribute('xmlns','http://www.w3.org/2000/svg');"
            # In a handler URL alone is the document's.
            "drawing.style.color='#222';drawing.style.background='#fff';"
            "const link=document.createElement('a');link.href=window.URL.createObjectURL("
            "new Blob([drawing.outerHTML],{type:'image/svg+xml'}));"
            f"link.download='{self.name}.svg';link.click()",
        )

    def html(self) -> str:
        """Return the drawing with its words."""
        return self._figure(f'<div class="shown-drawing">{self.svg}</div>')

    def standalone(self) -> str:
        """Return the drawing as a file of its own: black on white wherever it is shown."""
        return self.svg.replace(
            "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" style="background:#fff" ', 1
        )


def captioned(text: str, source: str) -> str:
    """End a caption with where the scans come from.

    Examples
    --------
    >>> captioned("Bars are counts", "simulated scans")
    'Bars are counts. Data: simulated scans.'
    """
    if not source.strip():
        raise ValueError("a caption must say where its scans come from, e.g. 'simulated scans'")
    return f"{text.rstrip('. ')}. Data: {source}."
