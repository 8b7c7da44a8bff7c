"""A table of scans without a run: their quality, and preprocessed copies of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from brainage_lib.data.cohort import SIMULATED
from brainage_lib.data.native import steps_of
from brainage_lib.data.volumes import MEASURES, SEPARATOR, Prepared, prepare_scan
from brainage_lib.files import replacing, write_json
from brainage_lib.imaging import grid, judge
from brainage_lib.run import QualitySettings, progress, scatter
from brainage_lib.tables import MANIFEST, QUALITY, manifest_faults, write_table


def check_scans(
    manifest: str | os.PathLike,
    mm: int,
    cache: Path,
    workers: int,
    register_again: bool = False,
    into: Path | None = None,
) -> pd.DataFrame:
    """Preprocess, measure and judge every scan of a manifest; nothing stops at a bad one.

    Parameters
    ----------
    manifest : path
        A bad row is put aside with its findings, unlike in a run, which would stop.
    mm : {1, 2, 3, 4}
        Grid on which scans are measured.
    cache : path
        Where preprocessed scans are kept (`native_brain`); a killed call goes on from there.
    workers : int
        Processes.
    register_again : bool
        As for `place_scan`.
    into : path, optional
        Receives of every scan that is not dropped ``<scan_id>_T1w.nii.gz``, normalised and on
        the grid, and ``<scan_id>_T1w.json`` with the steps; and ``manifest.csv`` of them.

    Returns
    -------
    DataFrame
        Schema ``QUALITY``, a row a manifest row that has a scan_id of its own.

    Raises
    ------
    BadInput
        The manifest cannot be read as a table with its columns.
    """
    table, faults = manifest_faults(manifest)
    folder = str(Path(manifest).resolve().parent)
    good = [row for row in range(len(table)) if row not in faults]
    asked = [(dict(table.iloc[row]), folder, mm, str(cache), register_again) for row in good]
    results: Iterator[Prepared] = iter(
        progress(scatter(prepare_scan, asked, workers), "Scans", len(asked))
    )
    rows, written = [], []
    for row, scan in enumerate(table.to_dict("records")):
        found = Prepared(scan["scan_id"], None, {}, SEPARATOR.join(faults.get(row, [])))
        if row not in faults:
            found = next(results)
        verdict, reasons = "drop", [found.reason]
        if not found.reason:
            verdict, reasons = judge(found.measures, QualitySettings())
        if into is not None and verdict != "drop":
            _write_scan(scan, found, Path(folder), mm, cache, register_again, into)
            written.append(scan | {"path": f"{scan['scan_id']}_T1w.nii.gz",
                                   "t1w_state": "mni152-brain"})  # fmt: skip
        rows.append(
            {
                "scan_id": scan["scan_id"] or f"line {row + 2}",
                "project": scan["project"] or "unknown",
                "verdict": verdict,
                "reasons": SEPARATOR.join(reasons),
                **{name: found.measures.get(name, np.nan) for name in MEASURES},
            }
        )
    if into is not None and written:
        write_table(pd.DataFrame(written), into / "manifest.csv", MANIFEST)
    return _named_once(pd.DataFrame(rows, columns=list(QUALITY.columns)))


def _named_once(quality: pd.DataFrame) -> pd.DataFrame:
    """Add the line to a scan_id that stands twice in the manifest."""
    again = quality["scan_id"].duplicated()
    lines = (quality.index + 2).astype(str)
    quality.loc[again, "scan_id"] += " (line " + lines[again] + ")"
    return quality


def _write_scan(
    scan: dict, found: Prepared, folder: Path, mm: int, cache: Path, again: bool, into: Path
) -> None:
    target = grid(mm)
    img = nib.Nifti1Image(np.asarray(found.volume, np.float32), target.affine)
    img.header.set_xyzt_units("mm")
    img.set_sform(target.affine, code="mni")
    img.set_qform(target.affine, code="mni")
    with replacing(into / f"{scan['scan_id']}_T1w.nii.gz") as temporary:
        nib.save(img, temporary)
    steps = []
    if not str(scan["path"]).startswith(SIMULATED):
        steps = steps_of(scan, folder, cache, again)
    write_json(
        into / f"{scan['scan_id']}_T1w.json",
        {
            "scan_id": scan["scan_id"],
            "grid_mm": mm,
            "space": "MNI152",
            "steps": [
                *steps,
                {"name": f"resampled to the grid of {mm} mm", "settings": {"spline": "linear"}},
                {"name": "divided by the mean of the top 1 % of values above zero"},
            ],
        },
    )
