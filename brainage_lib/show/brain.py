"""Slices of volumes as pictures on a ground of their own, marked left and right, in millimetres."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import nibabel as nib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as Canvas

VIEWS = ("sagittal", "coronal", "axial")
LETTER = {"sagittal": "x", "coronal": "y", "axial": "z"}
SIDES = {"sagittal": ("P", "A"), "coronal": ("L", "R"), "axial": ("L", "R")}
"""What lies at the left and the right edge of each view; the left of the head is on the left."""

CUTS = {"sagittal": -4.0, "coronal": -18.0, "axial": 8.0}
"""Slices that are shown unless others are asked for, in MNI152 millimetres: beside the midline,
through thalamus and hippocampus, and through the basal ganglia with the ventricles."""

GROUND, INK = "#000000", "#ffffff"
DPI = 110


class Slice(NamedTuple):
    """One slice, ready to be drawn.

    Attributes
    ----------
    image : (vertical, horizontal) array
    extent : (left, right, bottom, top) in millimetres
    at : float
        Where it was cut, in millimetres along the axis that it lacks; centre of the voxels.
    """

    image: np.ndarray
    extent: tuple[float, float, float, float]
    at: float


def oriented(volume: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn a volume so that its axes go right, anterior and superior, without resampling.

    Parameters
    ----------
    volume : (x, y, z) array
    affine : (4, 4) array

    Returns
    -------
    volume, affine
    """
    if volume.ndim != 3:
        raise ValueError(f"a picture needs a volume of three axes, not of shape {volume.shape}")
    image = nib.as_closest_canonical(nib.Nifti1Image(np.asarray(volume, np.float32), affine))
    return np.asanyarray(image.dataobj), image.affine


def cut(volume: np.ndarray, affine: np.ndarray, view: str, at: float | None = None) -> Slice:
    """Cut one slice; ``at`` is rounded to the nearest voxel inside the volume.

    Parameters
    ----------
    volume, affine
        As `oriented` returns them.
    view : {"sagittal", "coronal", "axial"}
    at : float, optional
        In millimetres; the middle of the volume unless given.
    """
    axis = VIEWS.index(view)
    size, origin = np.diag(affine)[:3], affine[:3, 3]
    last = volume.shape[axis] - 1
    index = last // 2 if at is None else round((at - origin[axis]) / size[axis])
    index = int(np.clip(index, 0, last))
    across, up = [other for other in range(3) if other != axis]
    low = origin - size / 2
    high = low + size * np.array(volume.shape)
    return Slice(
        np.take(volume, index, axis=axis).T,
        (low[across], high[across], low[up], high[up]),
        float(origin[axis] + index * size[axis]),
    )


class Frame(NamedTuple):
    """What part of space is drawn: from ``low`` to ``high`` along x, y and z, in millimetres."""

    low: np.ndarray
    high: np.ndarray


def frame(volumes: Iterable[np.ndarray], affine: np.ndarray, margin: float = 6.0) -> Frame | None:
    """Find the smallest box around all brains, with a margin in millimetres.

    What is below a fiftieth of a volume's largest value counts as outside, so that traces of
    resampling do not widen the box. None if nothing is above zero: then everything is drawn.
    """
    size, origin = np.diag(affine)[:3], affine[:3, 3]
    lows, highs = [], []
    for volume in volumes:
        inside = volume > max(volume.max() / 50, 0)
        if not inside.any():
            continue
        spans = [
            np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
            for axis in range(3)
        ]
        lows.append([span[0] for span in spans])
        highs.append([span[-1] for span in spans])
    if not lows:
        return None
    low = origin + (np.min(lows, axis=0) - 0.5) * size - margin
    return Frame(low, origin + (np.max(highs, axis=0) + 0.5) * size + margin)


@dataclass
class Sheet:
    """A black sheet of rows and columns of slices.

    Parameters
    ----------
    rows, columns : int
    cell : (float, float)
        Width and height of a cell in inches, with the place of the slice below it.
    left : float
        Room for the labels of rows, in inches.
    top : float
        Room for the labels of columns, in inches.
    head : float
        Room above each row, in inches.
    bars : float
        Room on the right for colour bars, in inches.
    """

    rows: int
    columns: int
    cell: tuple[float, float] = (1.6, 1.75)
    left: float = 1.0
    top: float = 0.3
    head: float = 0.0
    bars: float = 0.0

    def __post_init__(self):
        width = self.left + self.columns * self.cell[0] + self.bars
        height = self.top + self.rows * (self.cell[1] + self.head)
        self.canvas = Canvas(figsize=(width, height), dpi=DPI, facecolor=GROUND)
        FigureCanvasAgg(self.canvas)
        self.size = np.array([width, height])

    def draw(
        self,
        row: int,
        column: int,
        view: str,
        under: Slice | None,
        *,
        window: tuple[float, float],
        shown: Frame | None = None,
        over: Slice | None = None,
        cmap: str = "gray",
        over_cmap: str = "inferno",
    ) -> None:
        """Draw a slice with its sides and place, and another one over it where that is above 0."""
        x, y = self._corner(row, column)
        width, height = self.cell
        foot = 0.2
        axes = self.canvas.add_axes(
            self._box(x + 0.03, y + foot, width - 0.06, height - foot - 0.03)
        )
        axes.set_axis_off()
        if under is None:
            self.write(x + width / 2, y + height / 2, "no scans", size=9)
            return
        for piece, colours, low, high, alpha in (
            (under, cmap, *window, 1.0),
            (over, over_cmap, 0.0, 1.0, 0.8),
        ):
            if piece is not None:
                axes.imshow(
                    np.ma.masked_less_equal(piece.image, 0),
                    extent=piece.extent,
                    cmap=colours,
                    vmin=low,
                    vmax=high,
                    alpha=alpha,
                    origin="lower",
                    interpolation="nearest",
                )
        if shown is not None:
            across, up = [axis for axis in range(3) if axis != VIEWS.index(view)]
            axes.set_xlim(shown.low[across], shown.high[across])
            axes.set_ylim(shown.low[up], shown.high[up])
        for side, where, align in zip(SIDES[view], (0.01, 0.99), ("left", "right"), strict=True):
            axes.text(where, 0.99, side, transform=axes.transAxes, color=INK, fontsize=8,
                      ha=align, va="top")  # fmt: skip
        place = f"{LETTER[view]} = {under.at:.0f} mm".replace("-", "−")
        self.write(x + width / 2, y + foot / 2, place)

    def write(
        self, x: float, y: float, text: str, *, size: float = 8, align: str = "center"
    ) -> None:
        """Write white text at a place of the sheet, in inches from its lower left corner."""
        self.canvas.text(x / self.size[0], y / self.size[1], text, color=INK, fontsize=size,
                         ha=align, va="center")  # fmt: skip

    def label_head(self, row: int, column: int, text: str) -> None:
        """Write in the room above a cell."""
        x, y = self._corner(row, column)
        self.write(x + 0.05, y + self.cell[1] + self.head / 2, text, align="left")

    def label_row(self, row: int, text: str) -> None:
        """Write what a row shows on its left."""
        y = self._corner(row, 0)[1] + self.cell[1] / 2
        self.write(0.06, y, text, size=9, align="left")

    def label_columns(self, first: int, last: int, text: str) -> None:
        """Write what some columns show above them."""
        x = self.left + (first + last + 1) / 2 * self.cell[0]
        self.write(x, self.size[1] - 0.5 * self.top, text, size=10)

    def bar(self, row: int, rows: int, cmap: str, window: tuple[float, float], label: str) -> None:
        """Add a colour bar beside some rows, with its unit."""
        height = min(rows * self.cell[1], 2.4) * 0.8
        ends = self._corner(row, 0)[1] + self.cell[1], self._corner(row + rows - 1, 0)[1]
        middle = sum(ends) / 2
        x = self.size[0] - self.bars + 0.1
        place = self.canvas.add_axes(self._box(x, middle - height / 2, 0.14, height))
        bar = self.canvas.colorbar(ScalarMappable(Normalize(*window), cmap), cax=place)
        bar.set_label(label, color=INK, fontsize=8)
        bar.ax.tick_params(colors=INK, labelsize=8)
        bar.outline.set_edgecolor(INK)

    def png(self) -> bytes:
        """Return the sheet as PNG; the same sheet gives the same bytes."""
        buffer = io.BytesIO()
        self.canvas.savefig(buffer, format="png", facecolor=GROUND, metadata={"Software": None})
        return buffer.getvalue()

    def _corner(self, row: int, column: int) -> tuple[float, float]:
        """Lower left corner of a cell, in inches."""
        y = self.size[1] - self.top - (row + 1) * (self.cell[1] + self.head)
        return self.left + column * self.cell[0], y

    def _box(self, x: float, y: float, width: float, height: float) -> tuple[float, ...]:
        return (x / self.size[0], y / self.size[1], width / self.size[0], height / self.size[1])


def grey_window(volume: np.ndarray) -> tuple[float, float]:
    """Window of grey values: from zero to the 99.5th percentile of what is above zero."""
    inside = volume[volume > 0]
    return 0.0, float(np.percentile(inside, 99.5)) if inside.size else 1.0
