"""What disturbed scans do to predictions, over several scans."""

from __future__ import annotations

import pandas as pd


def summarise_stability(table: pd.DataFrame) -> pd.DataFrame:
    """Sum up the answers to disturbed scans, a row a disturbance and strength.

    Parameters
    ----------
    table : DataFrame
        Schema STABILITY; one scan or many. Rows of scans as they came are left out.

    Returns
    -------
    DataFrame
        Schema STABILITY_SUMMARY, in the order of the table. ``n_scans``: scans with a change;
        ``n_refused``: answered as they came, and refused when disturbed; ``mean_change`` and
        ``mean_size`` (of the changes without their signs), ``largest_change`` (years);
        ``smallest_change``: the largest that is stated for any of the scans; ``n_beyond``:
        scans whose change is not smaller than what is stated for them.
    """
    came = table[table["disturbance"] == "none"]
    answered = came.loc[came["predicted_age"].notna(), "scan_id"]
    rows = table[(table["disturbance"] != "none") & table["scan_id"].isin(answered)]
    found = []
    keys = ["disturbance", "strength", "unit"]
    for key, part in rows.groupby(keys, sort=False):
        change = part["change"].dropna()
        size = change.abs()
        beyond = part["change"].abs() >= part["smallest_change"]
        found.append(
            {
                **dict(zip(keys, key, strict=True)),
                "n_scans": len(change),
                "n_refused": int(part["predicted_age"].isna().sum()),
                "mean_change": change.mean(),
                "mean_size": size.mean(),
                "largest_change": change[size.idxmax()] if len(change) else float("nan"),
                "smallest_change": part["smallest_change"].max(),
                "n_beyond": int(beyond.sum()),
            }
        )
    names = [*keys, "n_scans", "n_refused", "mean_change", "mean_size", "largest_change",
             "smallest_change", "n_beyond"]  # fmt: skip
    return pd.DataFrame(found, columns=names)
