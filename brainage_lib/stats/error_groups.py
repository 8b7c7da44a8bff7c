"""What may be published of errors by group: Tables 2 and 3, and Figure 3 by decade."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brainage_lib.stats.disclosure import (
    LEAST_QUANTILES,
    LEAST_TAILS,
    hide_cells,
    hide_groups,
)
from brainage_lib.stats.stacking import Stacked, evaluated
from brainage_lib.tables import DECADES, MODELS, age_group, decade
from brainage_lib.tables.schemas import OUTSIDE

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
TAILS = ("q05", "q95")


def hide_by_group(table: pd.DataFrame, stacked: Stacked, group: str) -> pd.DataFrame:
    """Empty the groups of Table 2 or 3 that must not be published.

    Parameters
    ----------
    table : DataFrame
        What `table2` or `table3` give of ``stacked``.
    stacked : Stacked
    group : {"age_group", "project"}

    Returns
    -------
    DataFrame
        As `hide_groups` gives it. Age groups are hidden so that none follows from those of
        ten years either, which other tables have.
    """
    parts = []
    for key, block in evaluated(stacked):
        of_scan = age_group(block["age"]).astype(str) if group == "age_group" else block["project"]
        parts.append(block[["participant_id"]].assign(**key, **{group: np.asarray(of_scan)}))
    return hide_groups(
        table,
        pd.concat(parts, ignore_index=True),
        group,
        key=["recipe", "mode", "fitted_on"],
        kept=["model"],
        within=_decade_of if group == "age_group" else None,
    )


def _decade_of(label: str) -> str:
    """Decade of an age group; those outside are counted with the youngest."""
    return "1" if label == OUTSIDE else label[0]


def error_quantiles(stacked: Stacked) -> pd.DataFrame:
    """Quantiles of the gap by decade and model on the test rows.

    Returns
    -------
    DataFrame
        recipe, mode, fitted_on, model, decade, n_scans, n_participants, q05, q25, q50, q75,
        q95 (years, stacked − chronological age, to a tenth), hidden. Quantiles are missing
        for fewer than ten participants, q05 and q95 for fewer than twenty; counts where the
        decade is hidden (`hidden_groups`).
    """
    found = []
    for key, block in evaluated(stacked):
        members = block[["participant_id"]].assign(decade=decade(block["age"]).astype(str))
        rows = []
        for model in MODELS:
            gap = block[model] - block["age"]
            for label in DECADES:
                inside = members["decade"] == label
                if inside.any():
                    n_people = members.loc[inside, "participant_id"].nunique()
                    row = {"model": model, "decade": label, "n_scans": int(inside.sum())}
                    row["n_participants"] = n_people
                    rows.append(row | _quantiles(gap[inside], n_people))
        table = hide_groups(pd.DataFrame(rows), members, "decade", kept=["model"])
        found.append(_named(table, key))
    return pd.concat(found, ignore_index=True)


def age_density(stacked: Stacked) -> pd.DataFrame:
    """Count the test scans by decade of age and of stacked age.

    Returns
    -------
    DataFrame
        recipe, mode, fitted_on, model, decade, predicted_decade, n_scans; a missing count
        means none, or too few to be told (`hide_cells`).
    """
    found = []
    for key, block in evaluated(stacked):
        for model in MODELS:
            members = pd.DataFrame(
                {
                    "participant_id": block["participant_id"],
                    "decade": decade(block["age"]).astype(str),
                    "predicted_decade": decade(block[model]).astype(str),
                }
            )
            cells = hide_cells(members, "decade", "predicted_decade", (DECADES, DECADES))
            cells.insert(0, "model", model)
            found.append(_named(cells.drop(columns="n_participants"), key))
    return pd.concat(found, ignore_index=True)


def _quantiles(gap: pd.Series, n_participants: int) -> dict[str, float]:
    values = {}
    for name, share in QUANTILES.items():
        least = LEAST_TAILS if name in TAILS else LEAST_QUANTILES
        known = n_participants >= least
        values[name] = round(float(gap.quantile(share)), 1) if known else np.nan
    return values


def _named(table: pd.DataFrame, key: dict[str, str]) -> pd.DataFrame:
    for place, (name, value) in enumerate(key.items()):
        table.insert(place, name, value)
    return table
