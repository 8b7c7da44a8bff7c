"""Parts of a cohort that jobs of their own prepare, perhaps on several computers at once.

A part is a store of its own under ``volumes/parts``. The chapter puts the parts together, in the
manifest's order, and removes them: the files of the run are those of a run without parts.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from brainage_lib.data.store import VolumeStore
from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.run import Run


def part_folder(run: Run, kind: str, part: int) -> Path:
    """Folder of a part's store.

    Parameters
    ----------
    run : Run
    kind : {"t1w", "cbv"}
    part : int
        From 0.
    """
    return run.path("volumes", "parts", f"{kind}-{part:04d}")


def part_of(rows: list, run: Run, part: int) -> list:
    """Rows of the manifest that belong to a part.

    Raises
    ------
    WrongUsage
        The run has no parts, or not so many.
    """
    size = run.profile.scans_a_job
    if not size:
        raise WrongUsage(f"the run {run.folder.name} has no parts: its scans_a_job is 0")
    count = -(-len(rows) // size)
    if not 0 <= part < count:
        raise WrongUsage(f"there is no part {part}; the run has parts 0 to {count - 1}")
    return rows[part * size : (part + 1) * size]


def finish_part(folder: Path, key: str) -> None:
    """Say that a part is whole, and of what."""
    (folder / "done").write_text(key, encoding="utf-8")


def is_finished(folder: Path, key: str) -> bool:
    """Whether a part was finished with the same key and its volumes are there."""
    done = folder / "done"
    if not done.is_file() or done.read_text(encoding="utf-8") != key:
        return False
    try:
        VolumeStore(folder)
    except BadInput:
        return False
    return True


def forget_parts(run: Run, kinds: Iterable[str]) -> None:
    """Remove the parts of some kinds, once they are put together."""
    for kind in kinds:
        for folder in run.path("volumes", "parts").glob(f"{kind}-*"):
            shutil.rmtree(folder)
