"""What is known of a study, as data: its tables, codings, ages, folders, terms and doubts.

Each of the 13 studies is a YAML file in ``specifications/``; `load_study` reads it into
`Study`. One reader (`build_manifest`) is driven by them, and so is the book's page
*The 13 studies*, so page and code cannot drift apart.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from brainage_lib.errors import WrongUsage
from brainage_lib.tables import PROJECTS

FOLDER = Path(__file__).parent / "specifications"


class _Fact(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Table(_Fact):
    """One of a study's tables.

    Attributes
    ----------
    files : list of str
        Glob patterns of its file name, any case; dates in names are matched by ``*``.
    columns, optional : list of str
        Columns that must be there; columns that are read where they are.
    id : str
        Column of the participant.
    join : {None, "participant", "visit", "image"}
        None for the table whose rows are the visits. Others add columns to them, or only
        fill empty cells where the column is there already.
    session : str or None
        Column of the visit, for ``join: visit``.
    image : str or None
        Column of the image number, for tables with a row an image.
    sheet : str or None
        Sheet of a workbook; the first one if None.
    encoding : str
        Of a text file.
    strip : str
        Characters that are cut from both ends of each cell, beside white space and quotes.
    missing : list of str
        Words that mean "not known", beside the usual ones.
    keep : dict of column to list of str
        Only rows with one of these values (a regular expression each) are scans to be read.
    many : bool
        Whether several files of this kind are read one after the other.
    required : bool
    rows : int or None
        Number of rows of the published table; another number is told.
    """

    files: Annotated[list[str], Field(min_length=1)]
    columns: list[str]
    optional: list[str] = []
    id: str
    join: Literal["participant", "visit", "image"] | None = None
    session: str | None = None
    image: str | None = None
    sheet: str | None = None
    encoding: str = "utf-8-sig"
    strip: str = ""
    missing: list[str] = []
    keep: dict[str, list[str]] = {}
    many: bool = False
    required: bool = True
    rows: int | None = None


class Age(_Fact):
    """How the age at the scan comes about.

    Attributes
    ----------
    how : str
        ``column``: it stands in the row. ``wide``: in one column a session.
        ``baseline``: at a first date, to which the time until the scan is added.
        ``birth``: date of the scan less date of birth. ``first-session``: at the first
        session, to which the interval is added.
    column : str
        Column of the age, or of the birth.
    columns : dict of session to column
        For ``wide``.
    since : str or None
        Column with the date of the baseline.
    interval_days, date : str or None
        For ``first-session``: column with days since then, or with the date of the session.
    resolution : {None, "year", "month"}
        Of a birth that is not a full date; its middle is taken.
    error_years : float or None
        Largest error by design, written to ``x_age_error``.
    """

    how: Literal["column", "wide", "baseline", "birth", "first-session"]
    column: str = ""
    columns: dict[str, str] = {}
    since: str | None = None
    interval_days: str | None = None
    date: str | None = None
    resolution: Literal["year", "month"] | None = None
    error_years: float | None = None


class Sex(_Fact):
    """Coding of sex; without ``values`` the user must say which one holds.

    Attributes
    ----------
    column : str
    values : dict of str to {"F", "M"}
    choices : list of str
        Codings that are in use, as the user would give them.
    """

    column: str
    values: dict[str, Literal["F", "M"]] = {}
    choices: list[str] = []


class Diagnosis(_Fact):
    """One column that speaks of the diagnosis; the first that is not ``control`` counts.

    Attributes
    ----------
    column : str
    values : dict of str to str
        The study's words or codes, in any case, and what they become.
    other : {"keep", "refuse"}
        Whether another value is kept as the study's own word, or is an error.
    empty : str or None
        What an empty cell means; None leaves the row out.
    """

    column: str
    values: dict[str, str] = {}
    other: Literal["keep", "refuse"] = "keep"
    empty: str | None = None


class Layout(_Fact):
    """One place where a study's images lie.

    Attributes
    ----------
    pattern : str
        Regular expression that is searched in the path below the image folder (with ``/``).
        Its groups: ``id`` (needed unless ``image`` is there), ``session``, ``date``
        (YYYY-MM-DD or YYYYMMDD), ``image``, and any that ``Images.extra`` names.
    t1w_state : str
    """

    pattern: str
    t1w_state: Literal["native-head", "native-brain", "mni152-brain"] = "native-head"


class Images(_Fact):
    """How an image finds its row.

    Attributes
    ----------
    match : {"participant", "session", "date", "image"}
        By the person alone; by person and session; by person and the nearest visit;
        by image number.
    layouts : list of Layout
        In order of preference.
    within_days : int or None
        For ``date``: how far the visit may be.
    one_per : {"session", "day"}
        Of several images the first is taken: preferred by quality control, then by the order
        of layouts, then by name.
    extra : dict of str to str
        Free columns from groups of the pattern.
    orientation : str or None
        Of the study's Analyze images, whose headers have none: a letter an axis, as ``ASL``.
    compare : bool
        Whether images of one person are compared byte by byte, because the study has the
        same image under several sessions.
    """

    match: Literal["participant", "session", "date", "image"]
    layouts: Annotated[list[Layout], Field(min_length=1)]
    within_days: int | None = None
    one_per: Literal["session", "day"] = "session"
    extra: dict[str, str] = {}
    orientation: str | None = None
    compare: bool = False


class Download(_Fact):
    """One file that can be fetched.

    Attributes
    ----------
    url : str
    checksum : str or None
        ``md5:…`` or ``sha256:…``.
    seen : str
        Where the checksum is from; nothing here was downloaded by this project's makers.
    unpack : str or None
        Folder into which an archive is unpacked.
    """

    url: str
    checksum: str | None = None
    seen: str = ""
    unpack: str | None = None


class Listing(_Fact):
    """Files of a public bucket that speaks S3's list protocol.

    Attributes
    ----------
    bucket : str
        Address of the bucket.
    prefix : str
        Cut from the keys.
    keep : str
        Regular expression of the keys that are wanted.
    into : str
        Folder below the study's.
    """

    bucket: str
    prefix: str
    keep: str
    into: str = "."


class Fetch(_Fact):
    """What ``brainage fetch`` brings.

    Attributes
    ----------
    files, listings : list
    unavailable : str
        Why nothing, or not all, can be fetched, and what to do instead.
    next : str
        Options of ``brainage manifest build`` for the folder, with ``{into}``.
    """

    files: list[Download] = []
    listings: list[Listing] = []
    unavailable: str = ""
    next: str = ""


class Study(_Fact):
    """Everything known of a study.

    Attributes
    ----------
    project : str
        As in the manifest and in the paper's Table 3.
    name : str
        In full.
    cite : str or None
        Key of the bibliography.
    open_access, terms : str
        The two cells of the table of access.
    access : str
        Where and how it is asked for (Markdown).
    facts : list of str
        What a reader of its tables must know (Markdown), marked by how it is known.
    columns : dict
        The cells of the book's table of columns: who, age, sex, diagnosis, visit.
    doubts : list of str
        Facts on which the reader rests and that were not verified.
    participant : str
        Format of ``participant_id`` with ``{id}``.
    id_pattern : str
        Regular expression of the id column; groups ``id`` and, if it is there, ``session``.
    session : str or None
        Column of the session; None where the id has it or there is one.
    sessions : dict
        The study's words for sessions and what they become; others stay.
    date : str or None
        Column of the visit's date.
    dates : list of str
        Formats of its dates.
    tables : dict of name to Table
    age, sex, diagnosis, images, fetch
        See there.
    extra : dict of str to str
        Free columns (``x_…``) and the columns they are from.
    """

    project: str
    name: str
    cite: str | None = None
    open_access: str
    terms: str
    access: str
    facts: list[str]
    columns: dict[Literal["who", "age", "sex", "diagnosis", "visit"], str]
    doubts: list[str] = []
    participant: str
    id_pattern: str
    session: str | None = None
    sessions: dict[str, str] = {}
    date: str | None = None
    dates: list[str] = ["%Y-%m-%d"]
    tables: dict[str, Table]
    age: Age
    sex: Sex
    diagnosis: list[Diagnosis] | Literal["control"]
    images: Images
    extra: dict[str, str] = {}
    fetch: Fetch | None = None

    @property
    def main(self) -> str:
        """Name of the table whose rows are the visits."""
        return next(name for name, table in self.tables.items() if table.join is None)


@cache
def load_study(name: str) -> Study:
    """Return the specification of one of the 13 studies.

    Parameters
    ----------
    name : str
        In any case: ``ixi``, ``OAS1``.

    Raises
    ------
    WrongUsage
        There is no such study.

    Examples
    --------
    >>> load_study("ixi").terms
    'CC BY-SA 3.0 [c]'
    """
    known = {project.lower(): project for project in PROJECTS}
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), [*known, "bids"], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise WrongUsage(f"no study {name!r}{hint} (there are: {', '.join([*known, 'bids'])})")
    text = (FOLDER / f"{name.lower()}.yml").read_text(encoding="utf-8")
    return Study.model_validate(yaml.safe_load(text))
