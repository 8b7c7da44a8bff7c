"""Where networks look: Grad-CAM by decade (Fig. 4), and one network by several methods."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Protocol

import numpy as np
import pandas as pd

from brainage_lib.show.brain import CUTS, VIEWS, Sheet, Slice, cut, frame, grey_window
from brainage_lib.show.colours import net_name
from brainage_lib.show.page import Picture, captioned
from brainage_lib.show.pictures import places
from brainage_lib.show.words import count, listed, number
from brainage_lib.tables.schemas import DECADES

MAP_COLOURS = "inferno"
"""Grows steadily in lightness, so that it can be read without colour."""


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
        f"{_overlapping(maps, decades, names)}, in {count(len(decades), 'group')} of ten years "
        f"(n = {total})",
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
    rows, tops = [], []
    for row, (method, found) in enumerate(maps.items()):
        inside = found[under > 0]
        edge = np.percentile(inside, 80) if inside.size else 0
        top = np.where((found >= edge) & (under > 0), found, 0)
        # A few voxels far above all others would leave the rest in the dark.
        tops.append(top)
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
        f"{net_name(net)}: the highest fifths of {count(len(maps), 'method')} {_overlap(tops)}",
        captioned(
            "Highest fifth of each method's mean absolute map within the brain, over the mean T1w "
            f"of the same kind of scans ({places()} mm); left of the head on the left; n = "
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


def _overlapping(
    maps: Mapping[str, Mapping[str, Group]], decades: Sequence[str], names: str
) -> str:
    """Say how alike the networks' maps of one group are, of all groups."""
    groups = [
        [found[decade].top for found in maps.values() if decade in found] for decade in decades
    ]
    if len(maps) < 2 or not any(len(tops) > 1 for tops in groups):
        return f"Where {names} look{'s' if len(maps) == 1 else ''}"
    return f"The highest fifths of {names} {_overlap(*groups)}"


def _overlap(*groups: Sequence[np.ndarray]) -> str:
    """Say by how much maps overlap, any two of a group."""
    # Brings torch, which no other picture needs.
    from brainage_lib.explain.sanity import overlap

    dice = [overlap(*pair) for tops in groups for pair in combinations(tops, 2)]
    dice = [value for value in dice if not np.isnan(value)]
    if not dice:
        return "cannot be compared"
    low, high = number(min(dice)), number(max(dice))
    return f"overlap by {low}" + (f" to {high}" if high != low else "")
