"""What did not become a row of the manifest, with its reason and its remedy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from brainage_lib.files import replacing

SHOWN = 5
"""Examples that are printed for a reason; the table beside the manifest has all."""


class LeftOut(NamedTuple):
    """A row or an image that is not in the manifest.

    Attributes
    ----------
    file : str
        The table, or the image below its folder.
    line : int or None
        Line of the table (1 is the header); None for an image.
    scan : str
        The participant, visit or image, as far as it is known.
    reason, remedy : str
    """

    file: str
    line: int | None
    scan: str
    reason: str
    remedy: str


def write_left_out(left_out: Sequence[LeftOut], path: str | os.PathLike) -> None:
    """Write the whole list as a CSV with the columns of `LeftOut`."""
    table = pd.DataFrame(left_out, columns=LeftOut._fields)
    with replacing(path) as temporary:
        table.astype({"line": "Int64"}).to_csv(temporary, index=False)


def describe_left_out(left_out: Sequence[LeftOut]) -> str:
    """Tell what was left out, grouped by reason.

    Returns
    -------
    str
        A block a reason: how many, why, what to do, and the first few with file and line.
    """
    groups: dict[tuple[str, str], list[LeftOut]] = {}
    for entry in left_out:
        groups.setdefault((entry.reason, entry.remedy), []).append(entry)
    lines = []
    for (reason, remedy), entries in sorted(groups.items(), key=lambda group: -len(group[1])):
        lines.append(f"{len(entries)} left out: {reason}; {remedy}")
        for entry in entries[:SHOWN]:
            line = f", line {entry.line}" if entry.line else ""
            scan = f": {entry.scan}" if entry.scan and entry.scan != entry.file else ""
            lines.append(f"  {entry.file}{line}{scan}")
        if len(entries) > SHOWN:
            lines.append(f"  and {len(entries) - SHOWN} more")
    return "\n".join(lines)
