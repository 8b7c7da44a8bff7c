"""Pictures of one scan for its report: three planes, and where its age lies among others."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from brainage_lib.show.brain import CUTS, VIEWS, Sheet, cut, frame, grey_window, oriented
from brainage_lib.show.colours import MODEL_COLOURS, NEUTRAL
from brainage_lib.show.maps import MAP_COLOURS
from brainage_lib.show.page import Picture
from brainage_lib.show.pictures import CBV_COLOURS

OUTLINE = "#ffd700"


def scan_planes(
    t1w: np.ndarray,
    affine: np.ndarray,
    aicbv: np.ndarray | None = None,
    maps: Mapping[str, np.ndarray] | None = None,
) -> Picture:
    """Show three planes of one scan: T1w with the brain's outline, AICBV, where networks looked.

    Parameters
    ----------
    t1w : (x, y, z) array
        Normalised, 0 outside the brain.
    affine : (4, 4) array
        Of its grid.
    aicbv : (x, y, z) array, optional
        ml/100 ml; left away for a scan that was refused.
    maps : mapping of {"T", "A"} to (x, y, z) array, optional
        Thresholded Grad-CAM (`predict.attribution`).
    """
    turned, grid = oriented(t1w, affine)
    window, shown = grey_window(turned), frame([turned], grid)
    layers = [("T1w, outline\nof the brain", turned, "gray", window, None)]
    if aicbv is not None:
        volume, _ = oriented(aicbv, affine)
        layers.append(("AICBV,\nml/100 ml", volume, CBV_COLOURS, grey_window(volume), None))
    for net, values in (maps or {}).items():
        over, _ = oriented(values, affine)
        words = {"T": "T1w network\nlooked here", "A": "AICBV network\nlooked here"}[net]
        layers.append((words, turned, "gray", window, over / max(float(over.max()), 1e-12)))
    sheet = Sheet(len(layers), 3, left=1.15, top=0.3, bars=0.75)
    for column, view in enumerate(VIEWS):
        sheet.label_columns(column, column, view)
    rows = []
    for row, (words, volume, colours, limits, over) in enumerate(layers):
        sheet.label_row(row, words)
        for column, view in enumerate(VIEWS):
            piece = cut(volume, grid, view, CUTS[view])
            above = None if over is None else cut(over, grid, view, CUTS[view])
            sheet.draw(row, column, view, piece, window=limits, shown=shown, over=above,
                       cmap=colours, over_cmap=MAP_COLOURS)  # fmt: skip
            if row == 0:
                _outline(sheet, piece)
            rows.append({"row": words.replace("\n", " "), "view": view, "at_mm": piece.at})
        if colours == CBV_COLOURS:
            sheet.bar(row, 1, colours, limits, "ml/100 ml")
        if over is not None:
            sheet.bar(row, 1, MAP_COLOURS, (0, 1), "Grad-CAM / largest")
    told = ", ".join(layer[0].replace("\n", " ") for layer in layers)
    return Picture(
        "The scan as the networks read it",
        "Sagittal, coronal and axial slice, left of the head on the left. "
        + ("AICBV is computed from the T1w and is no measurement. " if aicbv is not None else "")
        + "Where networks looked: the top fifth of the brain in Grad-CAM, in cells of some "
        "centimetres",
        f"Three planes of one brain: {told}.",
        pd.DataFrame(rows),
        "scan-planes",
        sheet.png(),
    )


def _outline(sheet: Sheet, piece) -> None:
    left, right, low, high = piece.extent
    inside = (piece.image > 0).astype(float)
    steps = (right - left) / inside.shape[1], (high - low) / inside.shape[0]
    x = left + (np.arange(inside.shape[1]) + 0.5) * steps[0]
    y = low + (np.arange(inside.shape[0]) + 0.5) * steps[1]
    if inside.any() and not inside.all():
        sheet.canvas.axes[-1].contour(x, y, inside, levels=[0.5], colors=OUTLINE, linewidths=0.8)


def age_among(
    ages: Sequence[Sequence[float]],
    predicted: float,
    interval: Sequence[float] | None,
    age: float | None = None,
) -> bytes:
    """Draw a predicted age over the ages from which the networks learned.

    Parameters
    ----------
    ages : sequence of [from, to, scans]
        As in `data.read_reference`.
    predicted : float
        Years.
    interval : (low, high), optional
        Years.
    age : float, optional
        The true one.

    Returns
    -------
    bytes
        An SVG without any reference to elsewhere.
    """
    canvas = Canvas(figsize=(6.4, 2.3), layout="constrained")
    FigureCanvasAgg(canvas)
    draw_age_among(canvas.add_subplot(), ages, predicted, interval, age)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def draw_age_among(axes, ages, predicted, interval, age) -> None:
    """Draw what `age_among` shows into axes of matplotlib."""
    for low, high, count in ages:
        axes.bar(low, count, high - low, align="edge", color="#d0d0d0", edgecolor="white")
    if interval is not None:
        axes.axvspan(*interval, color=MODEL_COLOURS["TAS"], alpha=0.2, label="interval")
    axes.axvline(predicted, color=MODEL_COLOURS["TAS"], lw=2, label="predicted age")
    if age is not None:
        axes.axvline(age, color=NEUTRAL, lw=2, ls="--", label="true age")
    axes.set_xlabel("age (years)")
    axes.set_ylabel("training scans")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
