"""What a run's maps say to the paper's statements about regions (§3.4)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from brainage_lib.stats.claims.finding import show_p, typeset

ABOUT_MAPS = (34, 41, 43, 44, 45, 46)
"""Findings of the ledger to which maps speak."""

NOT_RECORDED = "not recorded"
TRIED = ("agrees", "does not agree")
NAMES = {"grad-cam": "Grad-CAM", "signed-grad-cam": "signed Grad-CAM", "smoothgrad": "SmoothGrad"}


def tell_statements(statements: pd.DataFrame | None) -> dict[int, str]:
    """Write what the tests of statements found, by finding of the ledger.

    Parameters
    ----------
    statements : DataFrame or None
        Schema ``STATEMENTS``, of one method or several; or a recording's table of them, None
        where the recording is older than these.

    Returns
    -------
    dict of int to str
        A statement that no method could try is told with the reason.
    """
    if statements is None:
        return dict.fromkeys(ABOUT_MAPS, NOT_RECORDED)
    told: dict[int, str] = {}
    for number, rows in statements.groupby("finding"):
        parts = []
        for statement, some in rows.groupby("statement", sort=False):
            tried = some[some["outcome"].isin(TRIED)]
            if tried.empty:
                row = some.iloc[-1]
                parts.append(f"{statement}: {row['outcome']} ({row['reason']})")
                continue
            each = ", ".join(map(_sentence, tried.to_dict("records")))
            parts.append(f"{statement}: {each}")
        told[int(number)] = typeset("; ".join(parts))
    return told


def _sentence(row: Mapping) -> str:
    name = NAMES.get(row["method"], row["method"].replace("-", " "))
    if row["block"]:
        name += f" of block {row['block']}"
    # A recording rounds its counts down.
    least = "at least " if "hidden" in row else ""
    return (
        f"{name} {row['outcome']} ({row['measure']} {row['value']:.3f}, by chance "
        f"{row['null_low']:.3f} to {row['null_high']:.3f}, p {show_p(row['p'])}, "
        f"n {least}{row['n_scans']})"
    )
