"""Brain pictures of the chapters: contact sheet, steps, blood volume maps, Grad-CAM (Fig. 4)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from brainage_lib.show.brain import (
    CUTS,
    LETTER,
    VIEWS,
    Sheet,
    Slice,
    cut,
    frame,
    grey_window,
    oriented,
)
from brainage_lib.show.colours import net_name
from brainage_lib.show.page import Picture, captioned
from brainage_lib.show.words import count, listed, number
from brainage_lib.tables.schemas import DECADES

CBV_COLOURS = "viridis"
MAP_COLOURS = "inferno"
"""Both grow steadily in lightness, so that they can be read without colour."""


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
            f"Three slices of each scan ({_places()} mm), left of the head on the left; n = "
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
            f"Slices after each step ({_places()} mm), each with its own grey values, from zero to "
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
            f"({_places()} mm), left of the head on the left; n = 1 scan",
            source,
        ),
        f"Slices of {listed(['T1w', *maps])} of one scan in three views",
        pd.DataFrame(rows),
        "cbv-maps" if "" in made else "cbv-maps-by-generator",
        sheet.png(),
    )


class Group(Protocol):
    """Where a network looked in one group: `brainage_lib.explain.GroupMap`, or alike.

    Attributes
    ----------
    n_scans : int
    top : (x, y, z) array
        Mean map, zero where it is not among the highest fifth.
    slices : (int, int, int)
        Which sagittal, coronal and axial slice to show.
    """

    n_scans: int
    top: np.ndarray
    slices: tuple[int, int, int]


def gradcam_by_decade(
    means: Mapping[str, np.ndarray],
    maps: Mapping[str, Mapping[str, Group]],
    affine: np.ndarray,
    *,
    source: str,
    resolution: str = "",
    name: str = "figure4",
) -> Picture:
    """Fig. 4: where the networks look, by ten-year group, over the group's mean T1w.

    Parameters
    ----------
    means : mapping of decade to (x, y, z) array
        Mean T1w of each group that is to be shown.
    maps : mapping of net to mapping of decade to Group
        Of each network what `brainage_lib.explain.group_maps` returns. A group that a
        network lacks is drawn as such.
    affine : (4, 4) array
        Of the grid; its axes go right, anterior and superior, as those of every run.
    source : str
    resolution : str
        How finely the maps can see, for the caption: `brainage_lib.explain.resolution`.
    name : str
        File name of the numbers.
    """
    nets, decades = list(maps), [name for name in DECADES if name in means]
    sheet = Sheet(max(len(decades), 1), 3 * len(nets), cell=(1.3, 1.45), bars=0.8, top=0.5)
    shown = frame(means.values(), affine)
    rows = []
    # On the picture itself, so that it is there wherever the picture goes.
    stamp = f"\n{resolution}" if resolution else ""
    for block, net in enumerate(nets):
        sheet.label_columns(3 * block, 3 * block + 2, net_name(net) + stamp)
        for row, decade in enumerate(decades):
            group = maps[net].get(decade)
            for axis, view in enumerate(VIEWS):
                cell = (row, 3 * block + axis)
                if group is None:
                    sheet.draw(*cell, view, None, window=(0, 1))
                    continue
                at = affine[axis, 3] + group.slices[axis] * affine[axis, axis]
                under = cut(means[decade], affine, view, at)
                over = cut(group.top / max(group.top.max(), 1e-12), affine, view, at)
                window = grey_window(means[decade])
                sheet.draw(*cell, view, under, window=window, shown=shown, over=over)
                rows.append(_covered(net, decade, group.n_scans, view, over))
    counts = {decade: _size(maps, decade) for decade in decades}
    for row, (decade, n) in enumerate(counts.items()):
        sheet.label_row(row, f"{decade} years\nn = {n}")
    sheet.bar(0, max(len(decades), 1), MAP_COLOURS, (0, 1), "Grad-CAM / largest of the group")
    total = count(sum(counts.values()), "scan")
    names = listed([net_name(net) for net in nets])
    return Picture(
        f"Where {names} look, in {count(len(decades), 'group')} of ten years (n = {total})",
        captioned(
            "Highest 20 % of Grad-CAM within the brain, averaged over the group, over the group's "
            "mean T1w; in each view the slice in which the map covers the largest area; left of "
            f"the head on the left; n = {total}"
            + (f". The networks look in {resolution}" if resolution else ""),
            source,
        ),
        f"Slices in three views by decade for {names}. "
        + "; ".join(f"{decade} years: n = {n}" for decade, n in counts.items()),
        pd.DataFrame(rows, columns=["net", "decade", "n_scans", "view", "at_mm", "covered_mm2"]),
        name,
        sheet.png(),
    )


def maps_by_method(
    under: np.ndarray,
    maps: Mapping[str, np.ndarray],
    resolutions: Mapping[str, str],
    affine: np.ndarray,
    *,
    net: str,
    n: Mapping[str, int],
    source: str,
    name: str = "methods",
) -> Picture:
    """Show mean maps of several methods over one mean scan, each with how finely it can see.

    Parameters
    ----------
    under : (x, y, z) array
        Mean T1w.
    maps : mapping of method to (x, y, z) array, >= 0
        Mean absolute maps; the highest fifth within the brain is drawn.
    resolutions : mapping of method to str
        Stamped on the picture.
    affine : (4, 4) array
    net : str
        Of the network that is asked.
    n : mapping of method to int
        Scans of each.
    source, name : str
    """
    sheet = Sheet(max(len(maps), 1), 3, bars=0.8, left=1.6, top=0.4)
    for column, view in enumerate(VIEWS):
        sheet.label_columns(column, column, view)
    shown = frame([under], affine)
    rows = []
    for row, (method, found) in enumerate(maps.items()):
        inside = found[under > 0]
        edge = np.percentile(inside, 80) if inside.size else 0
        top = np.where((found >= edge) & (under > 0), found, 0)
        # A few voxels far above all others would leave the rest in the dark.
        scale = max(float(np.percentile(inside, 99)) if inside.size else 0, 1e-12)
        words = [*textwrap.wrap(method, 20), *textwrap.wrap(resolutions[method], 24)]
        sheet.label_row(row, "\n".join([*words, f"n = {n[method]}"]))
        for column, view in enumerate(VIEWS):
            piece = cut(under, affine, view, CUTS[view])
            over = cut(np.minimum(top / scale, 1), affine, view, CUTS[view])
            sheet.draw(row, column, view, piece, window=grey_window(under), shown=shown, over=over)
            rows.append({"method": method, **_covered(net, "all ages", n[method], view, over)})
    sheet.bar(0, max(len(maps), 1), MAP_COLOURS, (0, 1), "map / its 99th percentile")
    most = max(n.values(), default=0)
    return Picture(
        f"{net_name(net)}: {count(len(maps), 'method')}, one network, other places",
        captioned(
            "Highest fifth of each method's mean absolute map within the brain, over the mean T1w "
            f"of the same kind of scans ({_places()} mm); left of the head on the left; n = "
            f"{count(most, 'scan')} at most, the slower methods fewer (beside each)",
            source,
        ),
        f"Slices in three views for {listed(list(maps))}",
        pd.DataFrame(rows, columns=["method", "net", "decade", "n_scans", "view", "at_mm",
                                    "covered_mm2"]),
        name,
        sheet.png(),
    )  # fmt: skip


def _size(maps: Mapping[str, Mapping[str, Group]], decade: str) -> int:
    """Count the scans of a group, by whichever network has it."""
    return max((groups[decade].n_scans for groups in maps.values() if decade in groups), default=0)


def _covered(net: str, decade: str, n: int, view: str, over: Slice) -> dict:
    left, right, bottom, top = over.extent
    pixel = (right - left) * (top - bottom) / over.image.size
    return {
        "net": net,
        "decade": decade,
        "n_scans": n,
        "view": view,
        "at_mm": over.at,
        "covered_mm2": float((over.image > 0).sum() * pixel),
    }


def _places() -> str:
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
