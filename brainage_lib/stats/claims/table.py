"""The findings as a table, beside what a run saw."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pandas as pd

from brainage_lib.stats.claims import by_age, by_project, headline, table_one, words
from brainage_lib.stats.claims.finding import Finding, printed, typeset

LEDGER_COLUMNS = (
    "id", "section", "claim", "printed", "recomputed", "verdict", "reason", "kind", "recorded",
    "this_run",
)  # fmt: skip


@cache
def findings() -> tuple[Finding, ...]:
    """Compute all findings, in order of their id (under a second)."""
    paper = printed()
    rooms = (table_one, headline, by_age, by_project, words)
    return tuple(finding for room in rooms for finding in room.findings(paper))


def ledger(
    recorded: Mapping[int, str] | None = None, this_run: Mapping[int, str] | None = None
) -> pd.DataFrame:
    """Give the claim ledger.

    Parameters
    ----------
    recorded, this_run : mapping of int to str, optional
        What a run saw, by the id of the finding, as `observe` tells it: of the recorded
        real run and of the run at hand. A recorded ledger's own column ``this_run``,
        indexed by id, is such a mapping.

    Returns
    -------
    DataFrame
        Schema ``LEDGER``: a row a finding, ids 1–46; all text but ``id``. Empty where a run
        has nothing to say to a finding.

    Examples
    --------
    >>> table = ledger().set_index("id")
    >>> table.loc[7, ["claim", "verdict"]].tolist()
    ['Sex further enhances performance', 'contradicted']
    """
    rows = []
    for finding in findings():
        row = {name: getattr(finding, name) for name in LEDGER_COLUMNS[:8]}
        row["recomputed"] = typeset(finding.recomputed)
        for name, told in (("recorded", recorded), ("this_run", this_run)):
            text = "" if told is None else told.get(finding.id, "")
            # A table that was read from its file has NaN where the text was empty.
            row[name] = text if isinstance(text, str) else ""
        rows.append(row)
    return pd.DataFrame(rows, columns=list(LEDGER_COLUMNS))
