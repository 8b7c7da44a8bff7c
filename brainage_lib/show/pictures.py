"""Brain pictures of the chapters: contact sheet, steps, blood volume maps."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from brainage_lib.show.brain import (
    CUTS,
    LETTER,
    VIEWS,
    Sheet,
    cut,
    frame,
    grey_window,
    oriented,
)
from brainage_lib.show.page import Picture, captioned
from brainage_lib.show.words import count, listed, number

CBV_COLOURS = "viridis"
"""Grows steadily in lightness, so that it can be read without colour."""


def contact_sheet(
    volumes: Sequence[np.ndarray],
    affine: np.ndarray,
    labels: Sequence[str],
    *,
    source: str,
    finding: str = "",
    name: str = "contact-sheet",
) -> Picture:
    """Show three slices of each of some scans, two scans a row.

    Parameters
    ----------
    volumes : sequence of (x, y, z) array
        On one grid.
    affine : (4, 4) array
        Of that grid.
    labels : sequence of str
        One a scan: study, age, sex, verdict; one short line.
    source : str
        Where the scans come from, for the caption.
    finding : str
        Title; how many scans are shown unless given.
    name : str
        Of the picture's files.
    """
    n = len(labels)
    sheet = Sheet(max(-(-n // 2), 1), 6, cell=(1.45, 1.6), left=0.05, top=0.0, head=0.22)
    turned_all = [oriented(volume, affine) for volume in volumes]
    shown = frame((volume for volume, _ in turned_all), turned_all[0][1]) if n else None
    rows = []
    for place, ((turned, grid), label) in enumerate(zip(turned_all, labels, strict=True)):
        sheet.label_head(place // 2, place % 2 * 3, label)
        for column, view in enumerate(VIEWS):
            piece = cut(turned, grid, view, CUTS[view])
            cell = (place // 2, place % 2 * 3 + column)
            sheet.draw(*cell, view, piece, window=grey_window(turned), shown=shown)
            rows.append({"label": label, "view": view, "at_mm": piece.at})
    return Picture(
        finding or f"{count(n, 'scan')} after preparation",
        captioned(
            f"Three slices of each scan ({places()} mm), left of the head on the left; n = "
            f"{count(n, 'scan')}",
            source,
        ),
        f"Contact sheet of {count(n, 'T1-weighted scan')}: " + "; ".join(labels),
        pd.DataFrame(rows, columns=["label", "view", "at_mm"]),
        name,
        sheet.png(),
    )


def scan_steps(
    steps: Mapping[str, np.ndarray], affine: np.ndarray, *, source: str, scan: str = "one scan"
) -> Picture:
    """Show what each step of the preparation makes of one scan.

    Parameters
    ----------
    steps : mapping of name to (x, y, z) array
        In order and on one grid, as `brainage_lib.data.scan_steps` gives them.
    affine : (4, 4) array
        Of that grid.
    source : str
        Where the scan comes from.
    scan : str
        What the scan is called in the title.
    """
    sheet = Sheet(max(len(steps), 1), 3, left=1.75)
    rows = []
    for column, view in enumerate(VIEWS):
        sheet.label_columns(column, column, view)
    for row, (name, volume) in enumerate(steps.items()):
        turned, grid = oriented(volume, affine)
        sheet.label_row(row, textwrap.fill(name, 22))
        shown, window = frame([turned], grid), grey_window(turned)
        for column, view in enumerate(VIEWS):
            piece = cut(turned, grid, view, CUTS[view])
            sheet.draw(row, column, view, piece, window=window, shown=shown)
        inside = turned > 0
        rows.append(
            {
                "step": name,
                "voxels_above_zero": int(inside.sum()),
                "mean_above_zero": turned[inside].mean() if inside.any() else np.nan,
                "largest": turned.max(),
            }
        )
    names = "; ".join(steps)
    return Picture(
        f"{count(len(steps), 'step')} of {scan}: {names}",
        captioned(
            f"Slices after each step ({places()} mm), each with its own grey values, from zero to "
            "the 99.5th percentile; left of the head on the left; n = 1 scan",
            source,
        ),
        f"Slices of one scan in three views after each step: {names}",
        pd.DataFrame(rows),
        "scan-steps",
        sheet.png(),
    )


def cbv_maps(
    t1w: np.ndarray,
    aicbv: np.ndarray | Mapping[str, np.ndarray],
    affine: np.ndarray,
    *,
    source: str,
    true_cbv: np.ndarray | None = None,
    unit: str = "ml/100 ml",
) -> Picture:
    """T1w, true blood volume where it is known, and AICBV of one scan, slice by slice.

    Parameters
    ----------
    t1w : (x, y, z) array
        The scan; zero outside the brain.
    aicbv : (x, y, z) array, or mapping of str to such
        The generator's map in ``unit``, or the maps of several generators by what they are
        called; zero outside the brain.
    affine : (4, 4) array
    source : str
        Where the scan comes from.
    true_cbv : (x, y, z) array, optional
        What simulated scans know.
    unit : str
        Of blood volume.
    """
    # Stores hold half precision, in which a sum over a brain overflows.
    t1w = np.asarray(t1w, np.float32)
    named = aicbv if isinstance(aicbv, Mapping) else {"": aicbv}
    made = {name: np.asarray(volume, np.float32) for name, volume in named.items()}
    maps = {} if true_cbv is None else {"true CBV": true_cbv}
    maps |= {f"AICBV, {name}" if name else "AICBV": volume for name, volume in made.items()}
    values = np.concatenate([volume[volume > 0] for volume in maps.values()])
    window = (0.0, float(np.percentile(values, 95)) if values.size else 1.0)
    sheet = Sheet(1 + len(maps), 3, bars=0.8)
    for column, view in enumerate(VIEWS):
        sheet.label_columns(column, column, view)
    sheet.label_row(0, "T1w")
    turned, grid = oriented(t1w, affine)
    shown = frame([turned], grid)
    for column, view in enumerate(VIEWS):
        piece = cut(turned, grid, view, CUTS[view])
        sheet.draw(0, column, view, piece, window=grey_window(turned), shown=shown)
    rows = [_described("T1w", t1w, t1w > 0, "scan's own")]
    for row, (name, volume) in enumerate(maps.items(), start=1):
        turned, grid = oriented(volume, affine)
        sheet.label_row(row, textwrap.fill(name, 12))
        for column, view in enumerate(VIEWS):
            piece = cut(turned, grid, view, CUTS[view])
            sheet.draw(row, column, view, piece, window=window, shown=shown, cmap=CBV_COLOURS)
        rows.append(_described(name, volume, t1w > 0, unit))
    sheet.bar(1, len(maps), CBV_COLOURS, window, f"blood volume ({unit})")
    return Picture(
        _likeness(t1w > 0, made, true_cbv, unit),
        captioned(
            "AICBV is a simulation-trained prior, not a measurement. Slices of one scan "
            f"({places()} mm), left of the head on the left; n = 1 scan",
            source,
        ),
        f"Slices of {listed(['T1w', *maps])} of one scan in three views",
        pd.DataFrame(rows),
        "cbv-maps" if "" in made else "cbv-maps-by-generator",
        sheet.png(),
    )


def places() -> str:
    """Say where slices are cut; each is at the voxel nearest to that."""
    return "nearest to " + ", ".join(f"{LETTER[view]} = {number(CUTS[view], 0)}" for view in VIEWS)


def _described(name: str, volume: np.ndarray, mask: np.ndarray, unit: str) -> dict:
    inside = volume[mask] if mask.any() else np.array([np.nan])
    return {
        "map": name,
        "unit": unit,
        "voxels": int(mask.sum()),
        "mean": float(inside.mean()),
        "sd": float(inside.std()),
        "median": float(np.median(inside)),
    }


def _likeness(
    mask: np.ndarray, maps: Mapping[str, np.ndarray], true_cbv: np.ndarray | None, unit: str
) -> str:
    if not mask.any():
        return "The scan is empty"
    whose = {name: f" ({name})" if name else "" for name in maps}
    means = listed([f"{number(float(maps[n][mask].mean()))} {unit}{whose[n]}" for n in maps])
    if true_cbv is None:
        return f"AICBV of one scan: {means} on average; its true blood volume is not shown"
    if any(volume[mask].std() == 0 for volume in (*maps.values(), true_cbv)):
        return f"AICBV of one scan: {means} on average"
    true = true_cbv[mask]
    says = [f"{number(float(np.corrcoef(maps[n][mask], true)[0, 1]))}{whose[n]}" for n in maps]
    return f"AICBV and true CBV of one scan correlate {listed(says)} over the brain's voxels"
