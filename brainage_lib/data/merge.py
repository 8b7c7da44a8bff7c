"""Several manifests to one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from brainage_lib.data.cohort import ALIASES, SIMULATED, read_alias_file
from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.files import replacing
from brainage_lib.tables import MANIFEST, read_manifest, write_table

LIKELY = {("CoRR", "SLIM"): "CoRR_00{}"}
"""Studies whose people are likely the same, and how an id of the one is written in the other."""


class Merged(NamedTuple):
    """What was written.

    Attributes
    ----------
    rows : DataFrame
        The manifest.
    aliases : DataFrame
        participant_id and same_as, beside the manifest; empty if there are none.
    likely : DataFrame
        The same for people who are likely, not certainly, one person in two studies.
    """

    rows: pd.DataFrame
    aliases: pd.DataFrame
    likely: pd.DataFrame


def merge_manifests(
    manifests: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    likely_aliases: bool = False,
) -> Merged:
    """Write one manifest from several; their alias tables are merged, too.

    Parameters
    ----------
    manifests : sequence of path
        At least two; each is checked as a run would. The images of all must lie below the
        new manifest's folder.
    out : path
    likely_aliases : bool
        Whether people of CoRR and SLIM with the same number are written as one person: likely,
        not verified. Together they are kept on one side of a split; that does no harm if they
        are two.

    Raises
    ------
    WrongUsage
        Fewer than two manifests.
    BadInput
        A manifest is bad; a scan_id stands in two of them; a participant_id belongs to two
        projects; an image would lie outside the new manifest's folder. Every finding is named.
    """
    paths, out = [Path(path) for path in manifests], Path(out)
    if len(paths) < 2:
        raise WrongUsage("give at least two manifests to merge")
    base = out.resolve().parent
    findings: list[str] = []
    first_scan: dict[str, str] = {}
    owner: dict[str, tuple[str, str]] = {}
    parts = []
    for path in paths:
        table = read_manifest(path)
        moved = []
        for row in table.to_dict("records"):
            line = f"{path}, line {len(moved) + 2}"
            if row["scan_id"] in first_scan:
                findings.append(
                    f"{line}, scan_id: {row['scan_id']!r} stands already in "
                    f"{first_scan[row['scan_id']]}; give each scan its own scan_id"
                )
            first_scan.setdefault(row["scan_id"], line)
            project, place = owner.setdefault(row["participant_id"], (row["project"], line))
            if project != row["project"]:
                findings.append(
                    f"{line}, participant_id: {row['participant_id']!r} is of {row['project']} "
                    f"here and of {project} in {place}; put the project in front, and if they "
                    f"are one person say so in {ALIASES}"
                )
            moved.append(_rebased(row["path"], path, base, line, findings))
        parts.append(table.assign(path=moved))
    if findings:
        raise BadInput(str(out), findings)
    rows = pd.concat(parts, ignore_index=True)
    likely = _likely(set(rows["participant_id"]))
    aliases = _aliases(paths, out, likely if likely_aliases else likely.iloc[:0])
    write_table(rows, out, MANIFEST)
    if len(aliases):
        with replacing(out.parent / ALIASES) as temporary:
            aliases.to_csv(temporary, index=False)
    return Merged(rows, aliases, likely)


def _rebased(text: str, manifest: Path, base: Path, line: str, findings: list[str]) -> str:
    """Return a path relative to the new manifest's folder."""
    if text.startswith(SIMULATED):
        return text
    # The link itself is named, not what it leads to: the next reader sees the same file.
    target = manifest.resolve().parent / text
    relative = Path(os.path.relpath(target, base))
    if relative.parts[0] == ".." or not target.resolve().is_relative_to(base):
        findings.append(
            f"{line}, path: {text!r} lies outside {base}; write the new manifest to a folder "
            "above all images"
        )
    return relative.as_posix()


def _likely(people: set[str]) -> pd.DataFrame:
    pairs = [
        (form.format(person.removeprefix(f"{second}_")), person)
        for (_, second), form in LIKELY.items()
        for person in sorted(people)
        if person.startswith(f"{second}_")
    ]
    kept = [pair for pair in pairs if pair[0] in people]
    return pd.DataFrame(kept, columns=["participant_id", "same_as"])


def _aliases(paths: Sequence[Path], out: Path, likely: pd.DataFrame) -> pd.DataFrame:
    """All pairs that stand beside one of the manifests, old or new, each once."""
    places = dict.fromkeys((path.resolve().parent / ALIASES) for path in (*paths, out))
    tables = [read_alias_file(place) for place in places if place.is_file()]
    return pd.concat([*tables, likely], ignore_index=True).drop_duplicates(ignore_index=True)
