"""Strata of a split: age bins with deciles as edges, by project; small ones are pooled."""

from __future__ import annotations

import numpy as np
import pandas as pd

N_BINS = 10
REST = "rest"


def age_edges(ages: np.ndarray | pd.Series) -> np.ndarray:
    """Edges of the age bins: minimum, 10th, 20th … 90th percentile, maximum.

    Parameters
    ----------
    ages : (n,) array of float
        Years.

    Returns
    -------
    (11,) array of float
        Not falling; equal neighbours enclose an empty bin.
    """
    return np.percentile(np.asarray(ages, float), np.linspace(0, 100, N_BINS + 1))


def age_bins(ages: np.ndarray | pd.Series) -> np.ndarray:
    """Return the bin (0–9) of each age; an age on an edge belongs to the bin above it.

    Parameters
    ----------
    ages : (n,) array of float
        Years; their own deciles are the edges.
    """
    return np.searchsorted(age_edges(ages)[1:-1], np.asarray(ages, float), side="right")


def stratify(manifest: pd.DataFrame, least: int) -> pd.DataFrame:
    """Sort scans into strata of at least ``least`` scans.

    A stratum is an age bin of a project. Those with fewer than ``least`` scans are pooled
    within their project; what is left of projects whose pool is still too small, within
    the age bin; what is left of age bins, together ("rest", which alone may be small).

    Parameters
    ----------
    manifest : DataFrame
        Schema ``MANIFEST``.
    least : int
        Number of partitions or folds.

    Returns
    -------
    DataFrame
        Index and order of the manifest; columns scan_id, age_bin (0–9), project, stratum
        (its name) and pooled_within: "" (not pooled), "project", "age bin" or "rest".
    """
    table = pd.DataFrame(
        {
            "scan_id": manifest["scan_id"],
            "age_bin": age_bins(manifest["age"]),
            "project": manifest["project"],
        },
        index=manifest.index,
    )
    bin_names = table["age_bin"].map("bin {}".format)
    table["stratum"] = table["project"] + ", " + bin_names
    table["pooled_within"] = ""
    for within, names in (
        ("project", table["project"] + ", pooled"),
        ("age bin", "pooled, " + bin_names),
        (REST, pd.Series(REST, index=table.index)),
    ):
        size = table.groupby("stratum")["scan_id"].transform("size")
        # A pool is never pooled with strata that are large enough by themselves.
        small = size < least
        table.loc[small, "stratum"] = names[small]
        table.loc[small, "pooled_within"] = within
    return table


def count_cells(
    manifest: pd.DataFrame, labels: np.ndarray, n_labels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Joint histogram of age bin × project, of each part and of the whole.

    Parameters
    ----------
    manifest : DataFrame
        Schema ``MANIFEST``; its deciles are the edges.
    labels : (n,) array of int
        Part of each scan.
    n_labels : int

    Returns
    -------
    counts : (n_labels, n_cells) array of int
    whole : (n_cells,) array of int
        Cells that no scan occupies are left out.
    """
    cells = manifest["project"].astype(str) + "\n" + age_bins(manifest["age"]).astype(str)
    codes, names = pd.factorize(cells, sort=True)
    counts = np.zeros((n_labels, len(names)), int)
    np.add.at(counts, (np.asarray(labels), codes), 1)
    return counts, counts.sum(axis=0)
