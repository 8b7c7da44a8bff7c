"""``sim:`` URIs: one line that holds everything a simulated scan is made from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from brainage_lib.errors import BadInput
from brainage_lib.simulate.sources import table

VERSION = "v1"
RANDOM = "random"
"""A project of this name draws its sequence from the seed."""

FIELDS = ("seed", "session", "age", "sex", "project", "diagnosis")
FAULTS = ("tilted", "misplaced", "enlarged", "cut", "unstripped")
"""What may be wrong with a scan; nothing is, unless the field ``fault`` is there."""


@dataclass(frozen=True)
class ScanSpec:
    """What a simulated scan is made from.

    Attributes
    ----------
    seed : int
        The person; scans with the same seed show the same person.
    session : int
        The visit, from 1.
    age : float
        Years at the scan.
    sex : {"F", "M"}
    project : str
        One of the 13 studies, or ``random``.
    diagnosis : str
        ``control`` or a study's own word (diagnoses.csv).
    fault : str
        One of `FAULTS`, or empty.
    """

    seed: int
    session: int
    age: float
    sex: str
    project: str
    diagnosis: str
    fault: str = ""

    @property
    def uri(self) -> str:
        """The URI of this scan; ages are written with two decimals."""
        values = {name: getattr(self, name) for name in FIELDS} | {"age": f"{self.age:.2f}"}
        if self.fault:
            values["fault"] = self.fault
        return f"sim:{VERSION}?{urlencode(values, quote_via=quote)}"


def parse(uri: str) -> ScanSpec:
    """Read a ``sim:`` URI; nothing unknown is passed over.

    Raises
    ------
    BadInput
        With every finding: unknown version or field, a field that is missing, doubled, or
        has an impossible value.

    Examples
    --------
    >>> parse("sim:v1?seed=7&session=1&age=61.5&sex=F&project=IXI&diagnosis=control").age
    61.5
    """
    head, mark, query = uri.partition("?")
    if head != f"sim:{VERSION}" or not mark:
        raise BadInput(uri, [f"expected sim:{VERSION}?…; this is {head!r}"])
    pairs = parse_qsl(query, keep_blank_values=True)
    names = [name for name, _ in pairs]
    known = (*FIELDS, "fault")
    findings = [f"{n}: unknown field; use {', '.join(known)}" for n in names if n not in known]
    findings += [
        f"{n}: given {names.count(n)} times, not once"
        for n in known
        if names.count(n) != 1 and (n in FIELDS or n in names)
    ]
    if findings:
        raise BadInput(uri, findings)
    texts = dict(pairs)
    for name in ("seed", "session"):
        if not re.fullmatch(r"[0-9]{1,30}", texts[name]):
            findings.append(f"{name}: {texts[name]!r} is not a whole number")
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", texts["age"]):
        findings.append(f"age: {texts['age']!r} is not a number of years")
    elif not 5 <= float(texts["age"]) <= 110:
        findings.append(f"age: {texts['age']} is outside 5–110 years")
    allowed = {
        "sex": ("F", "M"),
        "project": (*table("projects").index, RANDOM),
        "diagnosis": ("control", *table("diagnoses").index),
    }
    if "fault" in texts:
        allowed["fault"] = FAULTS
    for name, values in allowed.items():
        if texts[name] not in values:
            findings.append(f"{name}: {texts[name]!r} is not one of {', '.join(values)}")
    if findings:
        raise BadInput(uri, findings)
    return ScanSpec(
        seed=int(texts["seed"]),
        session=int(texts["session"]),
        age=float(texts["age"]),
        sex=texts["sex"],
        project=texts["project"],
        diagnosis=texts["diagnosis"],
        fault=texts.get("fault", ""),
    )
