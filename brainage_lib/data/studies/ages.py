"""The age at a scan: of its row, since a baseline, since birth, or since the first session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brainage_lib.data.studies import cells
from brainage_lib.data.studies.images import Image, natural
from brainage_lib.data.studies.specification import Study
from brainage_lib.data.studies.visits import SESSION

NO_AGE = ("no age at the scan", "ask the study for it")
NO_DATE = ("no date in the image's path", "keep the archive's folders, or give --layout")


def age_at_scan(
    study: Study, image: Image, visit: dict[str, Any], mine: Sequence[dict[str, Any]]
) -> tuple[float, tuple[str, str] | None]:
    """Return the age in years at the scan, or why it is not known.

    Parameters
    ----------
    study : Study
    image : Image
        Its date is that of the scan.
    visit : dict
        The image's row of the tables.
    mine : sequence of dict
        All rows of the person.

    Returns
    -------
    age : float
        0.0 where there is a problem.
    problem : (str, str) or None
        Reason and remedy.
    """
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
