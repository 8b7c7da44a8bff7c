"""A scan to show: one that no network of the run has been trained on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from brainage_lib.data import read_cohort
from brainage_lib.data.cohort import cohort_folder
from brainage_lib.errors import BadInput
from brainage_lib.run import Run
from brainage_lib.tables import SPLITS, choose, read_table


class Example(NamedTuple):
    """A scan for `predict_scan`, with what it takes.

    Attributes
    ----------
    scan : Series
        A manifest row.
    folder : path or None
        To which its path is relative.
    fold : int or None
        The fold whose networks have not seen it; None if none has.
    latent_age : float or None
        How old the brain was made to look (years); known of simulated people only.
    """

    scan: pd.Series
    folder: Path | None
    fold: int | None
    latent_age: float | None


def choose_example(run: Run) -> Example:
    """Choose a control near the median age of those whom the run tested.

    Of a simulated cohort the same 13 studies scan somebody else; of a real one a tested scan is
    taken, which is to be predicted by the networks of its own fold.

    Parameters
    ----------
    run : Run
        With manifest and splits.

    Returns
    -------
    Example
    """
    main = run.profile.headline
    splits = read_table(run.path("splits.csv"), SPLITS)
    tested = choose(splits, mode=main["mode"], role="test")[["scan_id", "fold"]]
    manifest = read_cohort(run)
    known = manifest.merge(tested, on="scan_id")
    known = known[known["diagnosis"] == "control"]
    if known.empty:
        raise BadInput(str(run.path("splits.csv")), ["no control was tested; look at the split"])
    median = known["age"].median()
    if not run.simulated:
        scan = _nearest(known, median)
        return Example(scan, cohort_folder(run), int(scan["fold"]), None)
    # Simulations are opened only where there are simulated scans.
    from brainage_lib.simulate import parse, simulate_cohort

    others, truth = simulate_cohort(seed=run.profile.seed + 1)
    people = {parse(path).seed for path in manifest["path"]}
    strange = others["path"].map(lambda path: parse(path).seed not in people)
    strangers = others[strange & (others["diagnosis"] == "control")]
    scan = _nearest(strangers, median)
    latent = truth.set_index("scan_id").loc[scan["scan_id"], "latent_age"]
    return Example(scan, None, None, float(latent))


def _nearest(scans: pd.DataFrame, age: float) -> pd.Series:
    return scans.loc[(scans["age"] - age).abs().idxmin()]
