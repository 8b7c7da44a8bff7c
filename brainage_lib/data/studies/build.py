"""A study's tables and images to a manifest."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from brainage_lib.data.studies import cells
from brainage_lib.data.studies.images import Image, find_images, natural, own_layout
from brainage_lib.data.studies.left_out import LeftOut, write_left_out
from brainage_lib.data.studies.opening import FILE, LINE
from brainage_lib.data.studies.specification import Study, load_study
from brainage_lib.data.studies.visits import ID, IMAGE, SESSION, Visits, read_visits
from brainage_lib.errors import BadImage, BadInput, WrongUsage
from brainage_lib.files import digest_file
from brainage_lib.tables import MANIFEST, write_table
from brainage_lib.tables.manifest import AGE_RANGE

NO_ROW = ("no row in the study's tables", "look whether the tables are complete")
NO_IMAGE = ("no image below the image folder", "nothing, if it was not downloaded")
NO_AGE = ("no age at the scan", "ask the study for it")
NO_SEX = ("no sex", "ask the study for it")
NO_DIAGNOSIS = ("no diagnosis", "ask the study for it")
NO_DATE = ("no date in the image's path", "keep the archive's folders, or give --layout")
WHICH = (
    "several visits, and the path does not say which",
    "give --layout with a group (?P<session>…)",
)
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
    candidates = _match(known, visits, found, left_out)
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


def _match(
    study: Study, visits: Visits, images: Sequence[Image], left_out: list[LeftOut]
) -> list[tuple[Image, dict[str, Any]]]:
    """Find the visit of each image; make its manifest row, or say why not."""
    of_person: dict[str, list[dict[str, Any]]] = defaultdict(list)
    of_image: dict[str, dict[str, Any]] = {}
    for visit in visits.rows.to_dict("records"):
        of_person[study.participant.format(id=visit[ID])].append(visit)
        if study.images.match == "image":
            of_image[visit[IMAGE]] = visit
    matched, used = [], set()
    for image in images:
        if study.images.match == "image":
            visit = of_image.get(image.number)
            mine = [visit] if visit else []
        else:
            mine = of_person.get(study.participant.format(id=_id(study, image)), [])
        visit, problem = _visit(study, image, mine)
        if visit is not None:
            used.add(_place(study, visit))
            row, problem = _row(study, visits, image, visit, mine)
        if problem is not None:
            left_out.append(LeftOut(image.path, None, _id(study, image), *problem))
        else:
            matched.append((image, row))
    seen = set()
    for visit in visits.rows.to_dict("records"):
        place = _place(study, visit)
        if place not in used and place not in seen and visit.get("_age", "there"):
            left_out.append(LeftOut(visit[FILE], visit[LINE], " ".join(place).strip(), *NO_IMAGE))
        seen.add(place)
    return matched


def _id(study: Study, image: Image) -> str:
    """Return the participant in an image's path, written as in the tables."""
    text = image.groups.get("id", "")
    found = re.fullmatch(study.id_pattern, text)
    return found["id"] if found else text


def _place(study: Study, visit: dict[str, Any]) -> tuple[str, ...]:
    """Where a visit's image would be looked for: a person only, if matched by date."""
    if study.images.match == "image":
        return (visit[ID], visit[IMAGE])
    return (visit[ID],) if study.images.match == "date" else (visit[ID], visit[SESSION])


def _visit(
    study: Study, image: Image, mine: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any] | None, tuple[str, str] | None]:
    """Choose the visit that an image belongs to."""
    if not mine:
        return None, NO_ROW
    if study.images.match == "date":
        return _nearest(study, image, mine)
    named = image.groups.get("session", "")
    if named and study.images.match == "session":
        same = [visit for visit in mine if _session(study, visit) == named]
        if not same:
            return None, ("no row for this session in the study's tables", NO_ROW[1])
        return same[0], None
    if len(mine) > 1:
        return None, WHICH
    return mine[0], None


def _session(study: Study, visit: dict[str, Any]) -> str:
    """Write a visit's session as it stands in paths: a date as YYYYMMDD."""
    if study.session is not None and study.session == study.date:
        day = cells.date(visit[study.session], study.dates)
        return visit[SESSION] if day is None else f"{day:%Y%m%d}"
    return visit[SESSION]


def _nearest(
    study: Study, image: Image, mine: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any] | None, tuple[str, str] | None]:
    if image.date is None:
        return None, NO_DATE
    days = study.images.within_days
    near = []
    for visit in mine:
        day = cells.date(visit[study.date], study.dates)
        if day is not None and cells.diagnosis_of(visit, study.diagnosis) is not None:
            near.append((abs((image.date - day).days), visit[SESSION], visit))
    near.sort(key=lambda entry: entry[:2])
    if not near or near[0][0] > days:
        return None, (f"no visit with a date and a diagnosis within {days} days of the scan",
                      "look whether the tables are complete")  # fmt: skip
    return near[0][2], None


def _row(
    study: Study,
    visits: Visits,
    image: Image,
    visit: dict[str, Any],
    mine: Sequence[dict[str, Any]],
) -> tuple[dict[str, Any], tuple[str, str] | None]:
    """Make the manifest row of an image, or say what is missing."""
    age, problem = _age(study, image, visit, mine)
    if problem is not None:
        return {}, problem
    low, high = AGE_RANGE
    if not low <= age <= high:
        return {}, (f"age {age:.2f} is outside {low:g}–{high:g}", "look at the study's table")
    sex = visits.sex.get(cells.canonical(visit[study.sex.column]))
    if sex is None:
        return {}, NO_SEX
    diagnosis = (
        "control" if study.diagnosis == "control" else cells.diagnosis_of(visit, study.diagnosis)
    )
    if diagnosis is None:
        return {}, NO_DIAGNOSIS
    participant = study.participant.format(id=visit[ID])
    day = f"{image.date:%Y%m%d}" if image.date is not None else ""
    session = _session(study, visit) or day or "1"
    single = study.session is None and "session" not in study.id_pattern and not study.age.columns
    # One a day may be several a visit, so the day is in the name.
    scan = day if study.images.one_per == "day" and day else "" if single else session
    row = {
        "scan_id": f"{participant}_{scan}" if scan else participant,
        "participant_id": participant,
        "project": study.project,
        "session": session,
        "age": round(age, 4),
        "sex": sex,
        "diagnosis": diagnosis,
        "path": image.path,
        "t1w_state": image.t1w_state,
        **{name: image.groups.get(group, "") for name, group in study.images.extra.items()},
        **{name: visit.get(column, "") for name, column in study.extra.items()},
        "_preferred": image.number in visits.preferred,
    }
    if study.age.error_years is not None:
        row["x_age_error"] = f"{study.age.error_years:g}"
    return row, None


def _age(
    study: Study, image: Image, visit: dict[str, Any], mine: Sequence[dict[str, Any]]
) -> tuple[float, tuple[str, str] | None]:
    """Age in years at the scan."""
    age = study.age
    unknown = (0.0, NO_AGE)
    if age.how in ("column", "wide"):
        value = cells.number(visit["_age"] if age.how == "wide" else visit[age.column])
        return unknown if value is None else (value, None)
    if age.how == "first-session":
        return _carried(study, visit, mine)
    if image.date is None:
        return 0.0, NO_DATE
    if age.how == "birth":
        born = cells.birth(visit[age.column], str(age.resolution))
        return unknown if born is None else (cells.years_between(born, image.date), None)
    at_start, since = cells.number(visit[age.column]), cells.date(visit[age.since], study.dates)
    if at_start is None or since is None:
        return unknown
    return at_start + cells.years_between(since, image.date), None


def _carried(
    study: Study, visit: dict[str, Any], mine: Sequence[dict[str, Any]]
) -> tuple[float, tuple[str, str] | None]:
    """Age at a later session: the first one's, and the time since."""
    age = study.age
    first = min(mine, key=lambda other: natural(other[SESSION]))
    at_first, own = cells.number(first[age.column]), cells.number(visit[age.column])
    if visit is first:
        return (0.0, NO_AGE) if at_first is None else (at_first, None)
    if own is not None and own != at_first:
        return own, None
    if at_first is None:
        return 0.0, NO_AGE
    if age.interval_days is not None:
        days = cells.number(visit[age.interval_days])
        years = None if days is None else days / cells.DAYS_PER_YEAR
    else:
        dates = [cells.date(row[age.date], study.dates) for row in (first, visit)]
        years = None if None in dates else cells.years_between(*dates)
    if years is None:
        return 0.0, ("age at the first session only, and no interval since", NO_AGE[1])
    return at_first + years, None


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
