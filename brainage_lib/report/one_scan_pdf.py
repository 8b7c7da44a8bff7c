"""The report of one scan on one page of PDF, which needs no browser."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable

from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.image import imread

from brainage_lib.predict import Prediction
from brainage_lib.predict.prediction import NOT_CLINICAL
from brainage_lib.report.one_scan import Planes, methods

A4 = (8.27, 11.69)
LEFT, WIDTH = 0.08, 0.84


def scan_pdf(
    found: Prediction, planes: Planes | None = None, draw_ages: Callable | None = None
) -> bytes:
    """Draw the report of one scan.

    Parameters
    ----------
    found : Prediction
    planes : Picture, optional
        Of `show.scan_planes`.
    draw_ages : callable, optional
        Draws the predicted age among others into axes (`show.draw_age_among`).

    Returns
    -------
    bytes
        One page, A4.
    """
    page = Figure(figsize=A4)
    FigureCanvasPdf(page)
    y = _write(page, 0.955, f"Brain age of {found.scan_id}", size=15, bold=True)
    for label, text in found.lines():
        y = _write(page, y - 0.002, f"{label}: {text}", size=9, bold=label == "Result"
                   or label == "Predicted age")  # fmt: skip
    y = _write(page, y - 0.006, NOT_CLINICAL, size=8)
    if draw_ages is not None:
        height = 0.13
        draw_ages(page.add_axes((LEFT + 0.05, y - height - 0.01, 0.6, height)))
        y -= height + 0.06
    foot = _height(methods(found), 7) + 0.06
    if planes is not None:
        picture = imread(io.BytesIO(planes.png))
        axes = page.add_axes((LEFT, foot, WIDTH, max(y - foot - 0.01, 0.05)))
        axes.imshow(picture)
        axes.set_axis_off()
    told = f"Versions: {', '.join(f'{k} {v}' for k, v in found.versions.items())}. Image SHA-256 "
    told += f"{found.image.get('sha256', '–')}."
    y = _write(page, foot - 0.005, methods(found), size=7)
    _write(page, y - 0.002, told, size=6)
    buffer = io.BytesIO()
    facts = {"CreationDate": None, "Creator": None, "Title": f"Brain age of {found.scan_id}"}
    page.savefig(buffer, format="pdf", metadata=facts)
    return buffer.getvalue()


def _write(page: Figure, y: float, text: str, *, size: float, bold: bool = False) -> float:
    """Write lines from ``y`` down (share of the page) and return where they end."""
    page.text(LEFT, y, "\n".join(_lines(text, size)), fontsize=size, va="top", linespacing=1.25,
              weight="bold" if bold else "normal", parse_math=False)  # fmt: skip
    return y - _height(text, size)


def _lines(text: str, size: float) -> list[str]:
    # A letter of the font is 0.6 of its size wide, in the mean; bold ones a little more.
    letters = WIDTH * A4[0] * 72 / (0.6 * size)
    return textwrap.wrap(text, int(letters)) or [""]


def _height(text: str, size: float) -> float:
    # Points of a page of 11.69 inches.
    return len(_lines(text, size)) * size * 1.3 / 72 / A4[1]
