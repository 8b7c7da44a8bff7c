"""What the scans were like from which a run's networks learned, without any one of them.

A new scan is compared with them, so that whoever asks is told where the networks know nothing.
It is all that prediction needs to know of the people: no row of them is in it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from brainage_lib.data.cohort import cohort_folder
from brainage_lib.data.volumes import kept
from brainage_lib.errors import BadInput
from brainage_lib.files import read_json, write_json
from brainage_lib.run import Run
from brainage_lib.tables import QUALITY, SPLITS, choose, read_table

VERSION = 1
PLACE = ("stacking", "reference.json")
YEARS = 5
FEW = 5
"""Real people of whom there are fewer in five years of age are not told of, nor counted."""

ENOUGH = 10
"""Real scans from which on networks are said to know a state in which scans come."""

OUTER = (1.0, 99.0)
"""Percentiles between which a measure is called usual."""


def write_reference(run: Run) -> dict[str, Any]:
    """Describe the scans on which the headline's networks were trained.

    Writes ``stacking/reference.json``.

    Parameters
    ----------
    run : Run
        With splits and quality.

    Returns
    -------
    dict
        ``ages``: list of [from, to, scans], groups of five years that at least `FEW` people
        are in (one, of simulated people); ``age_range``: [youngest group's lower edge, oldest
        group's upper edge] or None; ``n_scans``: in those groups; ``sex``: scans of F and M in
        them; ``states``: in which at least `ENOUGH` came; ``usual``: by measure [low, high], the
        1st and 99th percentile, rounded: ``contrast``, ``snr`` (see `measure_quality`), and
        ``voxel_mm``, the longest side of the voxels as the scans came (None of simulated scans).
    """
    main = run.profile.headline
    splits = choose(read_table(run.path("splits.csv"), SPLITS), mode=main["mode"])
    learned = splits.loc[splits["role"].isin(["train", "validation"]), "scan_id"]
    scans = kept(run)
    scans = scans[scans["scan_id"].isin(learned)]
    group = (scans["age"] // YEARS * YEARS).astype(int)
    people = scans.groupby(group)["participant_id"].nunique()
    told = people[people >= (1 if run.simulated else FEW)].index
    within = scans[group.isin(told)]
    counts = group[group.isin(told)].value_counts().sort_index()
    ages = [[int(low), int(low) + YEARS, int(count)] for low, count in counts.items()]
    states = within["t1w_state"].value_counts()
    quality = read_table(run.path("quality.csv"), QUALITY)
    measured = quality[quality["scan_id"].isin(within["scan_id"])]
    found = {
        "version": VERSION,
        **{name: main[name] for name in ("recipe", "mode")},
        "ages": ages,
        "age_range": [ages[0][0], ages[-1][1]] if ages else None,
        "n_scans": len(within),
        "sex": {name: int((within["sex"] == name).sum()) for name in ("F", "M")},
        "states": sorted(states[states >= (1 if run.simulated else ENOUGH)].index),
        "usual": {
            "contrast": _usual(measured["contrast"], 2),
            "snr": _usual(measured["snr"], 0),
            "voxel_mm": _usual(_longest_sides(within, cohort_folder(run)), 1),
        },
    }
    write_json(run.path(*PLACE), found)
    return found


def read_reference(run: Run) -> dict[str, Any]:
    """Read what `write_reference` wrote.

    Raises
    ------
    BadInput
        It is missing, or of another kind or version: the run was made before there was one.
    """
    path = run.path(*PLACE)
    remedy = "run chapter 06 again, which makes it (`make book` with the run's profile)"
    if not path.is_file():
        raise BadInput(str(run.folder), [f"{'/'.join(PLACE)} is missing; {remedy}"])
    try:
        found = read_json(path)
        if found["version"] != VERSION or not isinstance(found["usual"], dict):
            raise ValueError("another version")
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            str(path), [f"not a reference of this version ({error}); {remedy}"]
        ) from None
    return found


def _usual(values: pd.Series, digits: int) -> list[float] | None:
    """Bounds between which nearly all lie, rounded outwards, so that none is a person's own."""
    values = values.dropna()
    if values.empty:
        return None
    low, high = np.percentile(values, OUTER)
    step = 10.0**digits
    return [math.floor(low * step) / step, math.ceil(high * step) / step]


def _longest_sides(scans: pd.DataFrame, folder: Path | None) -> pd.Series:
    """Longest side of each scan's voxels in mm, from the headers of the files."""
    sides = {}
    for scan in scans.itertuples() if folder else ():
        path = folder / scan.path
        if path.is_file():
            header = nib.load(path).header
            sides[scan.scan_id] = float(max(header.get_zooms()[:3]))
    return pd.Series(sides, dtype=float)
