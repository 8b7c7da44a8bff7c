"""A few scans to look at: the steps of one, and some of all ages."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brainage_lib.data.cohort import cohort_folder, open_scan, place_scan, read_cohort
from brainage_lib.imaging import grid, normalise
from brainage_lib.run import Run
from brainage_lib.tables import QUALITY, read_table


def scan_steps(run: Run, scan_id: str) -> dict[str, np.ndarray]:
    """Repeat what `prepare_volumes` does to one scan, and keep each step.

    Parameters
    ----------
    run : Run
    scan_id : str
        In the run's manifest.

    Returns
    -------
    dict of str to (x, y, z) array of float32
        What was done, in order, and its result: the scan on the grid in its own units, the
        brain alone, and the brain on the common scale.

    Raises
    ------
    BadImage
        The scan cannot be used.
    KeyError
        No such scan.
    """
    rows = read_cohort(run).set_index("scan_id")
    if scan_id not in rows.index:
        raise KeyError(f"{scan_id} is not in the manifest of this run")
    scan, folder, target = rows.loc[scan_id], cohort_folder(run), grid(run.profile.grid_mm)
    how = (run.preprocessed, run.profile.preprocessing.register_again)
    brain, _ = open_scan(scan, folder, target, *how)
    return {
        "on the grid": place_scan(scan, folder, target, *how),
        "brain alone": brain,
        "divided by the mean of its top 1 %": normalise(brain),
    }


def across_ages(manifest: pd.DataFrame, n: int) -> pd.DataFrame:
    """Choose scans of all ages, the youngest first, in equal steps of rank.

    Parameters
    ----------
    manifest : DataFrame
        Schema ``MANIFEST``.
    n : int
        How many; all if there are fewer.
    """
    ordered = manifest.sort_values(["age", "scan_id"], ignore_index=True)
    places = np.linspace(0, len(ordered) - 1, min(n, len(ordered))).round().astype(int)
    return ordered.iloc[places].reset_index(drop=True)


def least_like_the_template(run: Run, n: int) -> pd.DataFrame:
    """Choose the scans whose brains are least like the template, whatever their verdict.

    Parameters
    ----------
    run : Run
        With volumes and quality.
    n : int
        How many; all that could be put on the grid if there are fewer.

    Returns
    -------
    DataFrame
        Schema ``QUALITY``, the least alike first.
    """
    quality = read_table(run.path("quality.csv"), QUALITY)
    measured = quality[quality["template_correlation"].notna()]
    return measured.sort_values(["template_correlation", "scan_id"], ignore_index=True).head(n)
