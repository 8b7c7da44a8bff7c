"""From manifest rows to normalised volumes on the run's grid, and which of them go on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from brainage_lib.data.cohort import SIMULATED, cohort_folder, open_scan, read_cohort
from brainage_lib.data.parts import (
    finish_part,
    forget_parts,
    is_finished,
    part_folder,
    part_of,
)
from brainage_lib.data.store import VolumeStore, VolumeWriter
from brainage_lib.data.tissue import prepare_tissue
from brainage_lib.errors import BadImage, BadInput
from brainage_lib.files import replacing
from brainage_lib.imaging import grid, judge, measure_quality, normalise
from brainage_lib.run import Run, code_digest, progress, scatter
from brainage_lib.tables import QUALITY, read_table, write_table

MEASURES = [
    name for name in QUALITY.columns if name not in ("scan_id", "project", "verdict", "reasons")
]
STORE = ("volumes", "t1w")
OUTPUTS = ["volumes/t1w/index.csv", "volumes/t1w/measures.csv"]
CODE = ("imaging", "data/cohort.py", "data/native.py", "data/store.py", "data/volumes.py")
SEPARATOR = "; "
"""Between the reasons of one scan in the quality table."""


class Prepared(NamedTuple):
    """One scan after `prepare_scan`; ``reason`` is empty unless it cannot be used."""

    scan_id: str
    volume: np.ndarray | None
    measures: dict[str, float]
    reason: str


def prepare_scan(
    scan: dict, folder: str | None, mm: int, cache: str | None, register_again: bool
) -> Prepared:
    """Open a manifest row, put it on the grid, normalise and measure it.

    Parameters
    ----------
    scan : dict
        A manifest row.
    folder : str or None
        Folder of the manifest.
    mm : {1, 2, 3, 4}
        Voxel of the grid.
    cache, register_again
        As for `place_scan`.

    Returns
    -------
    Prepared
        The volume is (x, y, z) float16, 0 outside the brain, and 1 is the mean of the
        scan's top 1 % of values; None, with the reason, for a scan that cannot be used.
    """
    target = grid(mm)
    # One thread: sums in another order would differ in their last bits.
    with threadpool_limits(1):
        try:
            volume, mask = open_scan(scan, folder, target, cache, register_again)
            if not (volume[mask] > 0).any():
                raise BadImage("no value above zero within the brain", "export the scan again")
            scaled = normalise(np.where(mask, volume, np.float32(0)))
            with np.errstate(over="ignore"):
                stored = scaled.astype(np.float16)
            if not np.isfinite(stored).all():
                raise BadImage(
                    "intensities too extreme to be normalised", "look for spikes in the scan"
                )
            measures = measure_quality(volume, target)
        except BadImage as error:
            return Prepared(scan["scan_id"], None, {}, error.reason)
        except BadInput as error:
            return Prepared(scan["scan_id"], None, {}, SEPARATOR.join(error.findings))
    return Prepared(scan["scan_id"], stored, {name: measures[name] for name in MEASURES}, "")


def prepare_volumes(run: Run) -> pd.DataFrame:
    """Open, check, normalise and store every scan of the run; judge its quality.

    Writes ``volumes/t1w`` (every scan that could be put on the grid, in the manifest's
    order, whatever its verdict), ``volumes/t1w/measures.csv``, ``quality.csv``, and, where a
    recipe of the profile reads them, ``volumes/tissue``. Scans
    are spread over the profile's workers; the files do not depend on how many there are.
    A killed run goes on after its last full shard, a finished one is not done again.

    Parameters
    ----------
    run : Run
        With the manifest that `write_manifest` wrote.

    Returns
    -------
    DataFrame
        Schema ``QUALITY``, one row a manifest row. A scan that could not be used has the
        verdict "drop" and its reason.

    Raises
    ------
    BadInput
        No scan at all goes on; the quality table says why.
    UserError
        A worker process died; what was finished is kept.
    """
    manifest, folder = read_cohort(run), cohort_folder(run)
    scans = _scans(manifest)
    key = _key(run, scans, folder)
    if not _is_done(run, key):
        _prepare_all(run, scans, folder, _digest(key), run.path(*STORE), _part_results(run, scans))
        run.finish("volumes", key, OUTPUTS)
        forget_parts(run, ["t1w"])
    failed: dict[str, str] = {}
    if run.profile.reads_tissue:
        stored = set(VolumeStore(run.path(*STORE)).scan_ids)
        failed = prepare_tissue(run, [scan for scan in scans if scan["scan_id"] in stored])
    quality = _judge_all(run, manifest, failed)
    write_table(quality, run.path("quality.csv"), QUALITY)
    if kept(run).empty:
        counts = put_aside(run)
        raise BadInput(
            "manifest",
            [f"no scan goes on: {row.reason} ({row.n_scans} scans)" for row in counts.itertuples()],
        )
    return read_table(run.path("quality.csv"), QUALITY)


def prepare_part(run: Run, part: int) -> None:
    """Prepare the scans of one part of the cohort, for `prepare_volumes` to put together.

    A killed part goes on; one that is whole, or whose volumes are in the store, is left alone.

    Parameters
    ----------
    run : Run
        With the manifest that `write_manifest` wrote.
    part : int
        From 0; each has the profile's ``scans_a_job`` rows.

    Raises
    ------
    WrongUsage
        There is no such part.
    UserError
        A worker process died; what was finished is kept.
    """
    folder = cohort_folder(run)
    scans = _scans(read_cohort(run))
    mine = part_of(scans, run, part)
    where, key = part_folder(run, "t1w", part), _digest(_key(run, mine, folder))
    if is_finished(where, key) or _is_done(run, _key(run, scans, folder)):
        return
    _prepare_all(run, mine, folder, key, where, {})
    finish_part(where, key)


def _part_results(run: Run, scans: list[dict]) -> dict[str, Path]:
    """Which part has a scan, for those parts that are whole and of these very inputs."""
    found: dict[str, Path] = {}
    if not run.profile.scans_a_job:
        return found
    folder = cohort_folder(run)
    for part in range(-(-len(scans) // run.profile.scans_a_job)):
        mine, where = part_of(scans, run, part), part_folder(run, "t1w", part)
        if is_finished(where, _digest(_key(run, mine, folder))):
            found |= {scan["scan_id"]: where for scan in mine}
    return found


def _scans(manifest: pd.DataFrame) -> list[dict]:
    return manifest[["scan_id", "path", "t1w_state"]].to_dict("records")


def _key(run: Run, scans: list[dict], folder: Path | None) -> dict:
    return {
        "scans": [[*scan.values(), _stamp(scan["path"], folder)] for scan in scans],
        "grid_mm": run.profile.grid_mm,
        "preprocessing": run.profile.preprocessing.model_dump(),
        "code": code_digest(*CODE, *(["simulate"] if folder is None else [])),
    }


def _digest(key: dict) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _is_done(run: Run, key: dict) -> bool:
    return run.up_to_date("volumes", key, OUTPUTS) and _is_whole(run)


def _stamp(path: str, folder: Path | None) -> list[int] | None:
    """Size and time of change of an image, by which a new version of it is noticed."""
    if path.startswith(SIMULATED) or folder is None:
        return None
    try:
        facts = (folder / path).stat()
    except OSError:
        return None
    return [facts.st_size, facts.st_mtime_ns]


def _is_whole(run: Run) -> bool:
    try:
        VolumeStore(run.path(*STORE))
    except BadInput:
        return False
    return True


def _prepare_all(
    run: Run,
    scans: list[dict],
    folder: Path | None,
    key: str,
    where: Path,
    made: dict[str, Path],
) -> None:
    """Write the store of some scans; those in ``made`` come from the store that it names."""
    path = where / "measures.csv"
    measured: dict[str, dict] = {}
    mm = run.profile.grid_mm

    def write_measures() -> None:
        rows = [measured[scan["scan_id"]] for scan in scans if scan["scan_id"] in measured]
        with replacing(path) as temporary:
            pd.DataFrame(rows, columns=["scan_id", "reason", *MEASURES]).to_csv(
                temporary, index=False
            )

    with VolumeWriter(where, grid(mm).shape, key=key, before_index=write_measures) as writer:
        stored = set(writer.done)
        reached = max(
            (place + 1 for place, scan in enumerate(scans) if scan["scan_id"] in stored),
            default=0,
        )
        known = _read_measures(path) if reached else {}
        measured |= {
            scan["scan_id"]: known[scan["scan_id"]]
            for scan in scans[:reached]
            if scan["scan_id"] in known
        }
        left = [scan for scan in scans if scan["scan_id"] not in measured]
        place = None if folder is None else str(folder)
        again = run.profile.preprocessing.register_again
        asked = [
            (scan, place, mm, str(run.preprocessed), again)
            for scan in left
            if scan["scan_id"] not in made
        ]
        fresh = scatter(prepare_scan, asked, run.profile.workers)
        results = _in_order(left, made, fresh)
        for result in progress(results, "Scans", len(left)):
            measured[result.scan_id] = {
                "scan_id": result.scan_id,
                "reason": result.reason,
                **result.measures,
            }
            if result.volume is not None and result.scan_id not in stored:
                writer.add(result.scan_id, result.volume)
    write_measures()


def _in_order(
    scans: list[dict], made: dict[str, Path], fresh: Iterator[Prepared]
) -> Iterator[Prepared]:
    """Results of scans from their parts, or else the next that is computed."""
    opened: tuple[Path | None, VolumeStore | None, dict] = (None, None, {})
    for scan in scans:
        part = made.get(scan["scan_id"])
        if part is None:
            yield next(fresh)
            continue
        if opened[0] != part:
            opened = (part, VolumeStore(part), _read_measures(part / "measures.csv"))
        _, store, measures = opened
        row = measures[scan["scan_id"]]
        if row["reason"]:
            yield Prepared(scan["scan_id"], None, {}, row["reason"])
        else:
            values = {name: row[name] for name in MEASURES}
            yield Prepared(scan["scan_id"], store[scan["scan_id"]], values, "")


def _read_measures(path: str | os.PathLike) -> dict[str, dict]:
    if not Path(path).is_file():
        return {}
    table = pd.read_csv(
        path, dtype={"scan_id": str, "reason": str}, na_values={name: [""] for name in MEASURES},
        keep_default_na=False, float_precision="round_trip",
    )  # fmt: skip
    return {row["scan_id"]: row for row in table.to_dict("records")}


def _judge_all(run: Run, manifest: pd.DataFrame, failed: dict[str, str]) -> pd.DataFrame:
    """Verdicts from the stored measures: new limits need no new look at the images."""
    measured = _read_measures(run.path(*STORE, "measures.csv"))
    rows = []
    for scan_id, project in zip(manifest["scan_id"], manifest["project"], strict=True):
        row = measured[scan_id]
        measures = {name: row[name] for name in MEASURES}
        if row["reason"]:
            verdict, reasons = "drop", [row["reason"]]
        else:
            verdict, reasons = judge(measures, run.profile.quality)
        if scan_id in failed:
            verdict, reasons = "drop", [*reasons, failed[scan_id]]
        rows.append(
            {
                "scan_id": scan_id,
                "project": project,
                "verdict": verdict,
                "reasons": SEPARATOR.join(reasons),
                **measures,
            }
        )
    return pd.DataFrame(rows)


def kept(run: Run) -> pd.DataFrame:
    """Manifest rows that go on: verdict "keep", and "look" if the profile keeps those."""
    manifest = read_cohort(run)
    quality = read_table(run.path("quality.csv"), QUALITY)
    going = quality.loc[_goes_on(quality, run), "scan_id"]
    return manifest[manifest["scan_id"].isin(going)].reset_index(drop=True)


def put_aside(run: Run) -> pd.DataFrame:
    """Count the scans that do not go on, by reason.

    Returns
    -------
    DataFrame
        Columns reason (without the scan's own numbers) and n_scans, most frequent first.
        A scan with two reasons counts in both.
    """
    quality = read_table(run.path("quality.csv"), QUALITY)
    aside = quality[~_goes_on(quality, run)]
    reasons = aside["reasons"].str.split(SEPARATOR, regex=False).explode()
    # "brain of 512 ml, under 700: part of it is missing" counts as the part after the colon.
    plain = reasons.str.replace(r" \([^()]*\)$", "", regex=True).str.split(": ").str[-1]
    counts = plain.value_counts().rename_axis("reason").reset_index(name="n_scans")
    return counts.sort_values(["n_scans", "reason"], ascending=[False, True], ignore_index=True)


def _goes_on(quality: pd.DataFrame, run: Run) -> pd.Series:
    wanted = {"keep", "look"} if run.profile.quality.look == "keep" else {"keep"}
    return quality["verdict"].isin(wanted)
