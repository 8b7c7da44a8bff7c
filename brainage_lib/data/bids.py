"""Any BIDS dataset to a manifest: participants.tsv, sessions.tsv, runs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brainage_lib.data.studies import cells
from brainage_lib.data.studies.ages import NO_AGE
from brainage_lib.data.studies.build import Built, finish
from brainage_lib.data.studies.images import natural, unusable
from brainage_lib.data.studies.left_out import LeftOut
from brainage_lib.data.studies.matching import NO_DIAGNOSIS, NO_SEX
from brainage_lib.data.studies.opening import MISSING
from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.tables.manifest import AGE_RANGE

SEX_COLUMNS = ("sex", "gender")
DIAGNOSIS_COLUMNS = ("diagnosis", "dx", "group")
SEX_WORDS = {"f": "F", "female": "F", "m": "M", "male": "M"}
CONTROLS = (
    "control", "controls", "hc", "healthy", "healthy control", "healthy controls",
    "healthy_control", "healthycontrol",
)  # fmt: skip
"""Words that mean `control` in any dataset; others must be named."""

OTHER_SESSION = (
    "age of one session only, and the participant has several",
    "add sub-<label>_sessions.tsv with a column age, or say --one-age if all are of one time",
)
NO_PERSON = ("not in participants.tsv", "add the participant's row")


def build_bids(
    dataset: str | os.PathLike,
    out: str | os.PathLike,
    project: str | None = None,
    diagnosis: str | None = None,
    controls: Sequence[str] = (),
    one_age: bool = False,
    t1w_state: str = "native-head",
) -> Built:
    """Write the manifest of a BIDS dataset: one T1w a session, the first run.

    Parameters
    ----------
    dataset : path
        Folder with ``participants.tsv``; it must lie in or below the manifest's folder.
    out : path
        The manifest (CSV).
    project : str or None
        Name of the study; None takes ``Name`` of ``dataset_description.json``.
    diagnosis : str or None
        Everyone's, if the dataset has no column for it.
    controls : sequence of str
        Further words of the dataset that mean `control`.
    one_age : bool
        Whether the age in ``participants.tsv`` holds for all sessions of a person.
    t1w_state : str
        What the images are.

    Returns
    -------
    Built
        Ages are in years: of ``sessions.tsv`` where they stand there, otherwise of
        ``participants.tsv``, if the participant has one session.

    Raises
    ------
    WrongUsage
        No such folder, or the diagnosis must be said.
    BadInput
        A table that cannot be read or lacks a column, or no scan is left.
    """
    dataset, out = Path(dataset), Path(out)
    if not (dataset / "participants.tsv").is_file():
        raise WrongUsage(f"{dataset}: no BIDS dataset: it has no participants.tsv")
    if not dataset.resolve().is_relative_to(out.resolve().parent):
        raise WrongUsage(
            f"{out}: the images must lie below the manifest's folder; write it to "
            f"{dataset.parent / out.name}"
        )
    people = _read(dataset / "participants.tsv", "participant_id")
    if "age" not in people and not list(dataset.glob("sub-*/*_sessions.tsv")):
        raise BadInput("participants.tsv", ["line 1, age: column is missing; add it"])
    known = [name for name in DIAGNOSIS_COLUMNS if name in people]
    if not known and diagnosis is None:
        raise WrongUsage(
            f"participants.tsv has no column {', '.join(DIAGNOSIS_COLUMNS)}: say whom the dataset "
            "holds with --diagnosis control, or add the column"
        )
    rules = {word: "control" for word in (*CONTROLS, *(word.lower() for word in controls))}
    name = project or _name(dataset)
    left_out: list[LeftOut] = []
    rows = []
    images = _scans(dataset)
    for person, scans in images.items():
        sessions = _sessions(dataset, person)
        cell = people.loc[person].to_dict() if person in people.index else None
        for session, files in scans.items():
            files.sort(key=natural)
            for other in files[1:]:
                left_out.append(
                    LeftOut(other, None, f"{person} {session}".strip(),
                            "another T1w of the session was taken",
                            "nothing; put its path into the manifest to take this one")
                )  # fmt: skip
            problem = NO_PERSON if cell is None else unusable(dataset / files[0], out.parent)
            if problem is None:
                visit = {**cell, **_filled(sessions, session)}
                alone = len(scans) == 1 or one_age or bool(_filled(sessions, session).get("age"))
                row, problem = _row(visit, alone, rules, diagnosis)
            if problem is not None:
                left_out.append(LeftOut(files[0], None, f"{person} {session}".strip(), *problem))
                continue
            label = person.removeprefix("sub-")
            participant = f"{name}_{label}"
            rows.append(
                {
                    "scan_id": f"{participant}_{session}" if session else participant,
                    "participant_id": participant,
                    "project": name,
                    "session": session or "1",
                    **row,
                    "path": files[0],
                    "t1w_state": t1w_state,
                }
            )
    for number, person in enumerate(people.index):
        if person not in images:
            left_out.append(
                LeftOut("participants.tsv", number + 2, person, "no T1w in the dataset",
                        "nothing, if it was not downloaded")
            )  # fmt: skip
    return finish(rows, left_out, [], dataset, out)


def find_t1w(dataset: str | os.PathLike) -> list[dict[str, Any]]:
    """List every raw T1w image of a dataset, with age and sex as far as they are told.

    Parameters
    ----------
    dataset : path
        It may lack ``participants.tsv``.

    Returns
    -------
    list of dict
        ``participant`` and ``session`` (labels; "" where there are no sessions), ``path``
        (relative to the dataset), ``age`` (years, within the manifest's range) and ``sex`` (F, M)
        or None. An age of ``participants.tsv`` counts for participants with one session.
    """
    dataset = Path(dataset)
    table = dataset / "participants.tsv"
    people = _read(table, "participant_id") if table.is_file() else pd.DataFrame()
    found = []
    for person, scans in _scans(dataset).items():
        cell = people.loc[person].to_dict() if person in people.index else {}
        sessions = _sessions(dataset, person)
        for session, files in scans.items():
            own = _filled(sessions, session)
            age = cells.number(own.get("age") or (cell.get("age", "") if len(scans) == 1 else ""))
            if age is not None and not AGE_RANGE[0] <= age <= AGE_RANGE[1]:
                age = None
            visit = {**cell, **own}
            word = next((visit[name] for name in SEX_COLUMNS if visit.get(name)), "")
            known = {"age": age, "sex": SEX_WORDS.get(word.lower())}
            label = {"participant": person.removeprefix("sub-"), "session": session}
            found += [{**label, "path": file, **known} for file in sorted(files, key=natural)]
    return found


def _read(path: Path, key: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise BadInput(path.name, [f"not a table with tabs: {error}"]) from None
    table.columns = [str(column).strip() for column in table.columns]
    if key not in table:
        raise BadInput(path.name, [f"line 1, {key}: column is missing; add it"])
    table = table.apply(lambda column: column.str.strip())
    table = table.where(~table.apply(lambda column: column.str.lower().isin(MISSING)), "")
    twice = table[table[key].duplicated(keep=False) & (table[key] != "")]
    if len(twice):
        raise BadInput(
            path.name,
            [f"line {line + 2}, {key}: {text!r} stands on several lines; keep one"
             for line, text in twice[key].items()],
        )  # fmt: skip
    # Columns are lower-case in BIDS, but not everywhere.
    return table.set_index(key).rename(columns=str.lower)


def _name(dataset: Path) -> str:
    path = dataset / "dataset_description.json"
    if path.is_file():
        try:
            facts = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, UnicodeDecodeError) as error:
            raise BadInput(path.name, [f"not JSON: {error}; give --project"]) from None
        name = re.sub(r"[^\w.-]+", "-", str(facts.get("Name", ""))).strip("-")
        if name:
            return name
    return dataset.resolve().name


def _scans(dataset: Path) -> dict[str, dict[str, list[str]]]:
    """Paths of raw T1w images by participant and session ("" where there are none)."""
    from ancpbids import BIDSLayout

    found: dict[str, dict[str, list[str]]] = {}
    layout = BIDSLayout(os.fspath(dataset))
    files = layout.get(return_type="files", suffix="T1w", extension=[".nii", ".nii.gz"])
    for file in sorted(files, key=natural):
        path = Path(file).relative_to(dataset).as_posix()
        # Entities go by the file's name; derivatives and source data are other images.
        entities = dict(re.findall(r"(?:^|_)([a-z]+)-([A-Za-z0-9+]+)", path.rpartition("/")[2]))
        if not path.startswith("sub-") or "sub" not in entities:
            continue
        person, session = f"sub-{entities['sub']}", entities.get("ses", "")
        found.setdefault(person, {}).setdefault(session, []).append(path)
    return found


def _sessions(dataset: Path, person: str) -> pd.DataFrame | None:
    path = dataset / person / f"{person}_sessions.tsv"
    return _read(path, "session_id") if path.is_file() else None


def _filled(sessions: pd.DataFrame | None, session: str) -> dict[str, str]:
    """Cells of a session that say something."""
    key = f"ses-{session}"
    if sessions is None or key not in sessions.index:
        return {}
    return {name: text for name, text in sessions.loc[key].items() if text}


def _row(
    visit: Mapping[str, str], alone: bool, rules: Mapping[str, str], diagnosis: str | None
) -> tuple[dict[str, Any], tuple[str, str] | None]:
    """Age, sex and diagnosis of a session, or what is missing."""
    text = visit.get("age", "")
    age = cells.number(text)
    if not text:
        return {}, NO_AGE
    if age is None:
        return {}, (f"age {text!r} is not a number", "give the age at the scan in years")
    low, high = AGE_RANGE
    if not low <= age <= high:
        return {}, (f"age {age:g} is outside {low:g}–{high:g}", "look whether it is in years")
    if not alone:
        return {}, OTHER_SESSION
    word = next((visit[name] for name in SEX_COLUMNS if visit.get(name)), "")
    sex = SEX_WORDS.get(word.lower())
    if sex is None:
        return {}, ((f"sex {word!r} is none of F, M", NO_SEX[1]) if word else NO_SEX)
    own = next((visit[name] for name in DIAGNOSIS_COLUMNS if visit.get(name)), diagnosis)
    if own is None:
        return {}, NO_DIAGNOSIS
    return {"age": round(age, 4), "sex": sex, "diagnosis": rules.get(own.lower(), own)}, None
