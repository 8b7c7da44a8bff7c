"""What a run's maps say to the paper's statements about regions (§3.4)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from brainage_lib.stats.claims.finding import show_p, typeset

TRIED = ("agrees", "does not agree")
NAMES = {"grad-cam": "Grad-CAM", "signed-grad-cam": "signed Grad-CAM", "smoothgrad": "SmoothGrad"}


def tell_statements(statements: pd.DataFrame) -> dict[int, str]:
    """Write what the tests of statements found, by finding of the ledger.

    Parameters
    ----------
    statements : DataFrame
        Schema ``STATEMENTS``, of one method or several.

    Returns
    -------
    dict of int to str
        A statement that no method could try is told with the reason.
    """
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
    return (
        f"{name} {row['outcome']} ({row['measure']} {row['value']:.3f}, by chance "
        f"{row['null_low']:.3f} to {row['null_high']:.3f}, p {show_p(row['p'])}, "
        f"n {row['n_scans']})"
    )
