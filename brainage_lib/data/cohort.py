"""The cohort of a run: its checked manifest, and opening any of its scans."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from brainage_lib.data.native import native_brain
from brainage_lib.errors import BadImage, BadInput
from brainage_lib.files import digest_file, read_json, replacing, write_json
from brainage_lib.imaging import Grid, brain_mask, open_image, resample, to_grid
from brainage_lib.run import Run
from brainage_lib.tables import MANIFEST, read_manifest, read_table, write_table

if TYPE_CHECKING:
    from brainage_lib.simulate import SimulatedScan

SIMULATED = "sim:"
ALIASES = "aliases.csv"


def write_manifest(run: Run) -> pd.DataFrame:
    """Check the profile's manifest and copy it into the run.

    Writes ``manifest.csv`` (paths unchanged) and ``cohort.json``: ``simulated``, the
    number of ``scans``, the ``sha256`` of the file that was read and, for real scans, the
    ``folder`` to which their paths are relative. If ``aliases.csv`` (participant_id,
    same_as) lies beside the manifest, it is checked and copied too: it says which
    participants of different studies are one person.

    Returns
    -------
    DataFrame
        The manifest.

    Raises
    ------
    BadInput
        With every bad row at once: line, column, what is wrong, what to do.
    """
    source = Path(run.profile.cohort)
    manifest = read_manifest(source)
    findings = _contradictions(manifest)
    if findings:
        raise BadInput(str(source), findings)
    simulated = bool(manifest["path"].str.startswith(SIMULATED).all())
    facts: dict[str, Any] = {
        "simulated": simulated,
        "scans": len(manifest),
        "sha256": digest_file(source),
        "folder": None if simulated else str(source.resolve().parent),
    }
    aliases = source.parent / ALIASES
    if aliases.is_file():
        table = read_alias_file(aliases)
        with replacing(run.path(ALIASES)) as temporary:
            table.to_csv(temporary, index=False)
        facts["aliases_sha256"] = digest_file(aliases)
    else:
        run.path(ALIASES).unlink(missing_ok=True)
    write_table(manifest, run.path("manifest.csv"), MANIFEST)
    write_json(run.path("cohort.json"), facts)
    return read_cohort(run)


def read_cohort(run: Run) -> pd.DataFrame:
    """Return the run's manifest, as `write_manifest` wrote it."""
    return read_table(run.path("manifest.csv"), MANIFEST)


def read_aliases(run: Run) -> pd.DataFrame | None:
    """Return the run's table of participants who are one person, or None."""
    path = run.path(ALIASES)
    return read_alias_file(path) if path.is_file() else None


def cohort_folder(run: Run) -> Path | None:
    """Folder to which the manifest's paths are relative; None for a simulated cohort."""
    folder = read_json(run.path("cohort.json"))["folder"]
    return Path(folder) if folder else None


def _contradictions(manifest: pd.DataFrame) -> list[str]:
    """Rows whose cells are possible one by one, but not together."""
    findings = []
    simulated = manifest["path"].str.startswith(SIMULATED)
    stated = manifest["t1w_state"].eq("simulated")
    for row in np.flatnonzero(simulated != stated):
        findings.append(
            f"line {row + 2}, t1w_state: {manifest['t1w_state'][row]!r} does not fit the path; "
            "'simulated' goes with a path that begins with sim: and with no other"
        )
    if simulated.any() and not simulated.all():
        row = int(np.flatnonzero(simulated != simulated[0])[0])
        findings.append(
            f"line {row + 2}, path: simulated and real scans in one manifest; "
            "make a manifest of each, so that every page can say which it shows"
        )
    if simulated.any():
        findings += _simulated_contradictions(manifest[simulated])
    return findings


def _simulated_contradictions(manifest: pd.DataFrame) -> list[str]:
    """List the simulated rows that say something else than their paths."""
    from brainage_lib.simulate.uri import parse  # only where there are simulated scans

    findings = []
    first_of: dict[int, tuple[str, int]] = {}
    for row, scan in manifest.iterrows():
        line = int(row) + 2
        try:
            spec = parse(scan["path"])
        except BadInput as error:
            findings += [f"line {line}, path: {finding}" for finding in error.findings]
            continue
        for name in ("age", "sex", "project", "diagnosis"):
            stated, made = scan[name], getattr(spec, name)
            # URIs hold ages with two decimals.
            same = abs(stated - made) < 0.01 if name == "age" else stated == made
            if not same:
                findings.append(
                    f"line {line}, {name}: {stated!r} differs from {made!r} in the path; "
                    "change both, or neither"
                )
        person, first = first_of.setdefault(spec.seed, (scan["participant_id"], line))
        if person != scan["participant_id"]:
            findings.append(
                f"line {line}, participant_id: {scan['participant_id']!r} has the seed of "
                f"{person!r} on line {first}, so both are one person; give them one participant_id"
            )
    return findings


def read_alias_file(path: Path) -> pd.DataFrame:
    """Read a table of participants who are one person: participant_id, same_as.

    Raises
    ------
    BadInput
        It is no CSV, has other columns, or an empty cell.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise BadInput(str(path), [f"not a CSV table: {error}"]) from None
    if list(table.columns) != ["participant_id", "same_as"]:
        raise BadInput(str(path), ["line 1: the columns must be participant_id, same_as"])
    findings = [
        f"line {row + 2}, {name}: is empty; give a participant_id, or remove the line"
        for name in table.columns
        for row in np.flatnonzero(table[name].str.strip() == "")
    ]
    if findings:
        raise BadInput(str(path), findings)
    return table


def place_scan(
    scan: Mapping[str, Any] | pd.Series,
    folder: str | os.PathLike | None,
    target: Grid,
    cache: str | os.PathLike | None = None,
    register_again: bool = False,
) -> np.ndarray:
    """Put the image of a manifest row on a grid, preprocessed as its state asks for.

    Parameters
    ----------
    scan : mapping
        A manifest row; ``path`` and ``t1w_state`` are used.
    folder : path or None
        Folder of the manifest; a path that leaves it is refused. Not needed for ``sim:``.
    target : Grid
    cache : path, optional
        Where preprocessed scans are kept (`native_brain`); not at all unless given.
    register_again : bool
        Treat a brain that is said to be in MNI152 as one that is not.

    Returns
    -------
    (x, y, z) array of float32
        T1w in the scan's own units, zero outside its box. What was in native space, or is
        registered again, is the brain without its bias field.

    Raises
    ------
    BadImage
        The scan cannot be used; the reason is meant for the quality table.
    BadInput
        A ``sim:`` URI that is not one.
    """
    path = str(scan["path"])
    if path.startswith(SIMULATED):
        return _simulate(path, target).t1w
    if folder is None:
        raise ValueError("a real scan needs the folder of its manifest")
    root = Path(folder).resolve()
    # Unlike Path.resolve, it does not fail at links that lead in a circle.
    image = Path(os.path.realpath(root / path))
    if not image.is_relative_to(root):
        raise BadImage("path leaves the manifest's folder", "move the scan below it")
    state = str(scan["t1w_state"])
    if state == "mni152-brain" and not register_again:
        return to_grid(open_image(image), target)
    brain = native_brain(image, state, None if cache is None else Path(cache))
    data = np.asarray(brain.img.dataobj)
    return resample(data, brain.to_mni @ brain.img.affine, target)


def open_scan(
    scan: Mapping[str, Any] | pd.Series,
    folder: str | os.PathLike | None,
    target: Grid,
    cache: str | os.PathLike | None = None,
    register_again: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Open one row of a manifest on a grid, without what is not brain.

    Parameters
    ----------
    scan, folder, target, cache, register_again
        As for `place_scan`.

    Returns
    -------
    volume : (x, y, z) array of float32
        T1w in the scan's own units, zero outside the brain.
    mask : (x, y, z) array of bool
        The brain.

    Raises
    ------
    BadImage, BadInput
        As `place_scan`, and if no brain is found.
    """
    if str(scan["path"]).startswith(SIMULATED):
        simulated = _simulate(scan["path"], target)
        return simulated.t1w, simulated.mask
    volume = place_scan(scan, folder, target, cache, register_again)
    mask = brain_mask(volume)
    if not mask.any():
        raise BadImage("no brain found on the grid", "look whether the scan is in MNI152 space")
    return np.where(mask, volume, np.float32(0)), mask


def _simulate(uri: str, target: Grid) -> SimulatedScan:
    # The atlases that it needs are opened only where there are simulated scans.
    from brainage_lib import simulate

    return simulate.open_scan(uri, target)
