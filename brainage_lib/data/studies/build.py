"""A study's tables and images to a manifest."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from brainage_lib.data.studies.images import Image, find_images, natural, own_layout
from brainage_lib.data.studies.left_out import LeftOut, write_left_out
from brainage_lib.data.studies.matching import match
from brainage_lib.data.studies.specification import Study, load_study
from brainage_lib.data.studies.visits import read_visits
from brainage_lib.errors import BadImage, BadInput, WrongUsage
from brainage_lib.files import digest_file
from brainage_lib.tables import MANIFEST, write_table

COPY = "the same image, byte by byte, as"


class Built(NamedTuple):
    """A manifest that was written.

    Attributes
    ----------
    rows : DataFrame
        As in the file.
    left_out : list of LeftOut
        What is not in it.
    notes : list of str
        What the user should know of the tables.
    left_out_path : Path or None
        The list as a CSV beside the manifest; None if nothing was left out.
    """

    rows: pd.DataFrame
    left_out: list[LeftOut]
    notes: list[str]
    left_out_path: Path | None


def build_manifest(
    study: str,
    tables: Sequence[str | os.PathLike],
    images: str | os.PathLike,
    out: str | os.PathLike,
    sex_coding: str | None = None,
    layout: str | None = None,
    t1w_state: str = "native-head",
    convert: str | os.PathLike | None = None,
) -> Built:
    """Write the manifest of one of the 13 studies.

    Parameters
    ----------
    study : str
        ``adni`` … ``slim``, in any case.
    tables : sequence of path
        The study's own tables: files, folders, or ``name=path``.
    images : path
        Folder that holds the images, in the study's own layout.
    out : path
        The manifest (CSV); the images must lie below its folder.
    sex_coding : str or None
        ``1=F,2=M``, where the study's code books disagree.
    layout : str or None
        A regular expression with groups ``id`` and ``session`` for images that lie elsewhere.
    t1w_state : str
        What the images of ``layout`` are.
    convert : path or None
        Folder for NIfTI copies of Analyze images, for the studies whose orientation is known
        (OAS1); below the manifest's. Copies that are there are not made again.

    Returns
    -------
    Built
        Ages are in years at the scan. Whatever was not used is listed with its reason, and
        in ``<out>.left_out.csv``.

    Raises
    ------
    WrongUsage
        A study, table or folder that is not there, or a question that must be answered.
    BadInput
        A table whose cells are not what the study's documents say, with every such cell; or
        no scan is left.
    """
    known = load_study(study)
    images, out = Path(images), Path(out)
    if not images.is_dir():
        raise WrongUsage(f"{images}: the image folder does not exist")
    if not images.resolve().is_relative_to(out.resolve().parent):
        raise WrongUsage(
            f"{out}: the images must lie below the manifest's folder; write it to "
            f"{images.parent / out.name}"
        )
    if convert is not None:
        if known.images.orientation is None:
            raise WrongUsage(f"--convert: {known.project} has no Analyze images to convert")
        if not Path(convert).resolve().is_relative_to(out.resolve().parent):
            raise WrongUsage(f"--convert {convert}: the folder must lie below the manifest's")
    visits = read_visits(known, [os.fspath(table) for table in tables], sex_coding)
    layouts = [own_layout(layout, t1w_state)] if layout else known.images.layouts
    found, elsewhere = find_images(
        images, layouts, out.resolve().parent, convert=convert is not None
    )
    left_out = [*visits.left_out, *elsewhere]
    candidates = match(known, visits, found, left_out)
    chosen = _choose(known, candidates, left_out)
    if known.images.compare:
        chosen = _without_copies(chosen, images, left_out)
    if convert is not None:
        chosen = _converted(known, chosen, images, Path(convert), left_out)
    return finish([row for _, row in chosen], left_out, visits.notes, images, out)


def finish(
    rows: Sequence[dict[str, Any]],
    left_out: list[LeftOut],
    notes: list[str],
    images: Path,
    out: Path,
) -> Built:
    """Write the rows and the list of what was left out, or refuse an empty manifest.

    Parameters
    ----------
    rows : sequence of dict
        Manifest rows whose ``path`` is below ``images``.
    left_out, notes
        See `Built`.
    images, out : Path
    """
    beside = out.with_name(f"{out.stem}.left_out.csv")
    if left_out:
        write_left_out(left_out, beside)
    else:
        beside.unlink(missing_ok=True)
    if not rows:
        reasons = pd.Series([f"{e.reason}; {e.remedy}" for e in left_out], dtype=str)
        counts = [f"{count} × {reason}" for reason, count in reasons.value_counts().items()]
        raise BadInput(str(images), counts or ["no image was found; give the study's folder"])
    base = Path(os.path.relpath(images.resolve(), out.resolve().parent))
    table = pd.DataFrame(rows)
    table["path"] = [Path(os.path.normpath(base / path)).as_posix() for path in table["path"]]
    free = [name for name in table if name.startswith("x_")]
    # A free column that no row fills says nothing.
    table = table.drop(columns=[name for name in free if (table[name] == "").all()])
    table = table.sort_values("scan_id", key=lambda ids: ids.map(natural)).reset_index(drop=True)
    write_table(table, out, MANIFEST)
    return Built(table, left_out, notes, beside if left_out else None)


def _choose(
    study: Study, candidates: Sequence[tuple[Image, dict[str, Any]]], left_out: list[LeftOut]
) -> list[tuple[Image, dict[str, Any]]]:
    """Take one image a session or a day; list the others."""
    groups: dict[str, list[tuple[Image, dict[str, Any]]]] = defaultdict(list)
    for image, row in candidates:
        groups[row["scan_id"]].append((image, row))
    chosen = []
    for scan, members in groups.items():
        members.sort(key=lambda m: (not m[1]["_preferred"], m[0].rank, natural(m[0].path)))
        chosen.append(members[0])
        for image, _ in members[1:]:
            left_out.append(
                LeftOut(image.path, None, scan, f"another T1w of the {study.images.one_per} "
                        "was taken", "nothing; put its path into the manifest to take this one")
            )  # fmt: skip
    return [
        (image, {name: value for name, value in row.items() if name != "_preferred"})
        for image, row in chosen
    ]


def _converted(
    study: Study,
    chosen: Sequence[tuple[Image, dict[str, Any]]],
    images: Path,
    folder: Path,
    left_out: list[LeftOut],
) -> list[tuple[Image, dict[str, Any]]]:
    """Put NIfTI copies in the place of Analyze images."""
    from tqdm import tqdm

    from brainage_lib.data.studies.analyze import analyze_to_nifti

    kept = []
    for image, row in tqdm(chosen, desc="to NIfTI", unit="scan", disable=None):
        if image.analyze:
            copy = folder / f"{row['scan_id']}.nii.gz"
            try:
                analyze_to_nifti(images / image.path, copy, str(study.images.orientation))
            except BadImage as error:
                left_out.append(
                    LeftOut(image.path, None, row["scan_id"], error.reason, error.remedy)
                )
                continue
            row = {**row, "path": os.path.relpath(copy.resolve(), images.resolve())}
        kept.append((image, row))
    return kept


def _without_copies(
    chosen: Sequence[tuple[Image, dict[str, Any]]], folder: Path, left_out: list[LeftOut]
) -> list[tuple[Image, dict[str, Any]]]:
    """Leave out images that are another session's of the same person, byte by byte."""
    of_person: dict[str, list[tuple[Image, dict[str, Any]]]] = defaultdict(list)
    for image, row in chosen:
        of_person[row["participant_id"]].append((image, row))
    kept = []
    for members in of_person.values():
        members.sort(key=lambda member: natural(member[1]["session"]))
        sizes = [(folder / image.path).stat().st_size for image, _ in members]
        seen: dict[str, str] = {}
        for (image, row), size in zip(members, sizes, strict=True):
            # A series is a folder; those who have NIfTI have the copies.
            if sizes.count(size) > 1 and (folder / image.path).is_file():
                digest = digest_file(folder / image.path)
                if digest in seen:
                    left_out.append(
                        LeftOut(image.path, None, row["scan_id"], f"{COPY} another session's",
                                "nothing: it is not a second scan")
                    )  # fmt: skip
                    continue
                seen[digest] = row["scan_id"]
            kept.append((image, row))
    return kept
