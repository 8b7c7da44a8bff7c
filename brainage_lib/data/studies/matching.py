"""Which row of a study's tables an image belongs to, and the manifest row that they make."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from brainage_lib.data.studies import cells
from brainage_lib.data.studies.ages import NO_DATE, age_at_scan
from brainage_lib.data.studies.images import Image
from brainage_lib.data.studies.left_out import LeftOut
from brainage_lib.data.studies.opening import FILE, LINE
from brainage_lib.data.studies.specification import Study
from brainage_lib.data.studies.visits import ID, IMAGE, SESSION, Visits
from brainage_lib.tables.manifest import AGE_RANGE

NO_ROW = ("no row in the study's tables", "look whether the tables are complete")
NO_IMAGE = ("no image below the image folder", "nothing, if it was not downloaded")
NO_SEX = ("no sex", "ask the study for it")
NO_DIAGNOSIS = ("no diagnosis", "ask the study for it")
WHICH = (
    "several visits, and the path does not say which",
    "give --layout with a group (?P<session>…)",
)


def match(
    study: Study, visits: Visits, images: Sequence[Image], left_out: list[LeftOut]
) -> list[tuple[Image, dict[str, Any]]]:
    """Find the visit of each image; make its manifest row, or say why not.

    Parameters
    ----------
    study : Study
    visits : Visits
    images : sequence of Image
    left_out : list of LeftOut
        Images without a row, and rows without an image, are added.

    Returns
    -------
    list of (Image, dict)
        Manifest rows, ``path`` below the image folder; ``_preferred`` beside the columns.
    """
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
    age, problem = age_at_scan(study, image, visit, mine)
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
