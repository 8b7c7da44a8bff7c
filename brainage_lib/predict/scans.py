"""The scans of a manifest or a BIDS dataset as jobs of a batch."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brainage_lib.data.bids import find_t1w
from brainage_lib.errors import WrongUsage
from brainage_lib.predict.batch import Job, put_aside
from brainage_lib.tables.manifest import manifest_faults

OPTIONAL = ("participant_id", "project", "session", "age", "sex", "diagnosis", "t1w_state")


def manifest_jobs(manifest: str | os.PathLike) -> tuple[list[Job], dict[str, dict[str, Any]]]:
    """Read a manifest for prediction: only ``scan_id`` and ``path`` must be filled.

    Returns
    -------
    jobs : list of Job
    aside : dict of scan_id to dict
        Results of bad rows, with their findings as reasons. A row without a name of its own is
        called after its line.

    Raises
    ------
    BadInput
        The table cannot be read, or has no such columns.
    """
    table, faults = manifest_faults(manifest, OPTIONAL)
    folder = str(Path(manifest).resolve().parent)
    jobs, aside = [], {}
    for row, scan in enumerate(table.to_dict("records")):
        if row not in faults:
            jobs.append(Job(_known(scan), folder, scan["scan_id"]))
            continue
        name = scan["scan_id"] or f"line {row + 2}"
        taken = name in aside or name in set(table["scan_id"][:row])
        name = f"{name} (line {row + 2})" if taken else name
        aside[name] = put_aside(name, faults[row])
    return jobs, aside


def _known(scan: dict[str, Any]) -> dict[str, Any]:
    """Take what prediction asks of a row; what is not filled is None."""
    return {
        "scan_id": scan["scan_id"],
        "path": scan["path"],
        "age": None if pd.isna(scan["age"]) else float(scan["age"]),
        "sex": scan["sex"] if scan["sex"] in ("F", "M") else None,
        "t1w_state": scan["t1w_state"] if "-" in scan["t1w_state"] else None,
    }


def bids_jobs(
    dataset: str | os.PathLike,
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    state: str | None = None,
) -> list[Job]:
    """List the T1w scans of a BIDS dataset, every run of every session.

    Parameters
    ----------
    dataset : path
    participants, sessions : sequence of str
        Labels, with or without ``sub-`` and ``ses-``; all unless given. Ages and sexes come from
        ``sessions.tsv`` and ``participants.tsv`` where they stand there.
    state : str, optional
        What the images are; guessed unless given.

    Raises
    ------
    WrongUsage
        No such folder, or no scan is left.
    """
    dataset = Path(dataset)
    if not dataset.is_dir():
        raise WrongUsage(f"{dataset}: no such folder")
    wanted = {label.removeprefix("sub-") for label in participants}
    visits = {label.removeprefix("ses-") for label in sessions}
    jobs = []
    for scan in find_t1w(dataset):
        if wanted and scan["participant"] not in wanted:
            continue
        if visits and scan["session"] not in visits:
            continue
        path = Path(scan["path"])
        stem = re.sub(r"_T1w\.nii(\.gz)?$", "", path.name)
        known = {name: scan[name] for name in ("age", "sex")}
        row = {"scan_id": stem, "path": scan["path"], "t1w_state": state, **known}
        jobs.append(Job(row, str(dataset.resolve()), str(path.parent / stem)))
    if not jobs:
        left = " with these labels" if wanted or visits else ""
        raise WrongUsage(f"{dataset}: no T1w scan{left} (sub-*/[ses-*/]anat/*_T1w.nii.gz)")
    return jobs
