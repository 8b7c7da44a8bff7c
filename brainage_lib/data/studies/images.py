"""Finding a study's T1w images in a folder, and what their paths say."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from brainage_lib.data.studies.cells import date
from brainage_lib.data.studies.left_out import LeftOut
from brainage_lib.data.studies.specification import Layout
from brainage_lib.data.studies.visits import image_number
from brainage_lib.errors import WrongUsage

SUFFIXES = (".nii", ".nii.gz", ".img")
DICOM = (".dcm", ".ima")
SKIPPED = ("derivatives", "code")
"""Folders of BIDS datasets that hold no raw scan."""

ELSEWHERE = (
    "not where a T1w of the study lies",
    "nothing, if it is no T1w; otherwise say where they lie with --layout",
)
NO_LINK = ("a link that leads nowhere", "get the file's content (for DataLad: datalad get)")
OUTSIDE = ("a link out of the manifest's folder", "copy the image below it, or move the manifest")
ANALYZE = (
    "an Analyze image, whose header has no usable orientation",
    "oas1: give --convert FOLDER for NIfTI copies; else convert it as the study says",
)


class Image(NamedTuple):
    """An image and what its path says.

    Attributes
    ----------
    path : str
        Below the image folder, with ``/``; a folder for a DICOM series.
    rank : int
        Number of the layout that it fits, 0 is preferred.
    t1w_state : str
    groups : dict of str to str
        Groups of the layout's pattern that are filled.
    analyze : bool
        Whether it must be converted, because its header has no orientation.
    """

    path: str
    rank: int
    t1w_state: str
    groups: dict[str, str]
    analyze: bool = False

    @property
    def date(self) -> pd.Timestamp | None:
        """Date in the path, or None."""
        return date(self.groups.get("date", ""), ["%Y-%m-%d", "%Y%m%d"])

    @property
    def number(self) -> str:
        """Image number in the path, or ""."""
        return image_number(self.groups.get("image", ""))


def find_images(
    folder: Path, layouts: Sequence[Layout], inside: Path, convert: bool = False
) -> tuple[list[Image], list[LeftOut]]:
    """Find the T1w images below a folder.

    Parameters
    ----------
    folder : Path
    layouts : sequence of Layout
        In order of preference; an image belongs to the first whose pattern it fits.
    inside : Path
        Folder that no image may leave by a link.
    convert : bool
        Whether Analyze images are found, too, because they will be converted.

    Returns
    -------
    images : list of Image
        In the order of their paths.
    left_out : list of LeftOut
        Image files that fit no layout or cannot be used.
    """
    patterns = [re.compile(layout.pattern) for layout in layouts]
    images: list[Image] = []
    left_out: list[LeftOut] = []
    for name in _units(folder):
        found = next(
            ((rank, match) for rank, p in enumerate(patterns) if (match := p.search(name))), None
        )
        problem = ELSEWHERE if found is None else unusable(folder / name, inside)
        analyze = problem == ANALYZE and convert
        if problem is not None and not analyze:
            left_out.append(LeftOut(name, None, "", *problem))
            continue
        rank, match = found
        groups = {key: value for key, value in match.groupdict().items() if value}
        images.append(Image(name, rank, layouts[rank].t1w_state, groups, analyze))
    return images, left_out


def own_layout(pattern: str, t1w_state: str) -> Layout:
    """Check a pattern that the user gave in place of the study's layouts.

    Raises
    ------
    WrongUsage
        It is no regular expression, or has neither group ``id`` nor ``image``.
    """
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise WrongUsage(f"--layout {pattern}: not a regular expression: {error}") from None
    if not {"id", "image"} & set(groups):
        raise WrongUsage(
            f"--layout {pattern}: needs a group (?P<id>…) that finds the participant, and "
            "(?P<session>…) where there are several sessions"
        )
    return Layout(pattern=pattern, t1w_state=t1w_state)


def _units(folder: Path) -> list[str]:
    """Image files, and folders with a DICOM series, below a folder."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(n for n in folders if n not in SKIPPED and not n.startswith("."))
        below = Path(place).relative_to(folder)
        if any(name.lower().endswith(DICOM) for name in files):
            found.append(below.as_posix())
        found += [
            (below / name).as_posix()
            for name in sorted(files)
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found, key=natural)


def natural(path: str) -> list:
    """Sort key that has run-2 before run-10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path)]


def unusable(path: Path, inside: Path) -> tuple[str, str] | None:
    """Return reason and remedy if an image's file cannot stand in a manifest, else None.

    Parameters
    ----------
    path : Path
        The image.
    inside : Path
        The manifest's folder, which a link may not leave.
    """
    if not path.exists():
        return NO_LINK
    if not path.resolve().is_relative_to(inside.resolve()):
        return OUTSIDE
    if path.suffix == ".img" and not _is_nifti_pair(path.with_suffix(".hdr")):
        return ANALYZE
    return None


def _is_nifti_pair(header: Path) -> bool:
    if not header.is_file():
        return False
    with open(header, "rb") as stream:
        return stream.read(348)[344:347] == b"ni1"
