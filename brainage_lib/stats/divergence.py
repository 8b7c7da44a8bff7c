"""How far a part of the scans is from the whole."""

from __future__ import annotations

import numpy as np


def kl_to_whole(counts: np.ndarray, whole: np.ndarray, prior: float = 1.0) -> np.ndarray:
    """Kullback-Leibler divergence of each partition from the whole, in nats.

    The sum over cells of p · ln(p / q), where p is the partition's and q the whole's share
    of the cell after ``prior`` was added to both.

    Parameters
    ----------
    counts : (n_partitions, n_cells) array of int
        Scans per age bin × project in each partition.
    whole : (n_cells,) array of int
        The same for all scans; cells that are empty here are left out.
    prior : float
        Added to every cell, so that an empty one stays finite.

    Returns
    -------
    (n_partitions,) array of float, >= 0.

    Raises
    ------
    ValueError
        Shapes do not fit, a count is negative, no cell is occupied, or a partition has
        scans in a cell where the whole has none.

    Examples
    --------
    >>> kl_to_whole([[1, 3], [2, 2]], [10, 10], prior=0).round(4)
    array([0.1308, 0.    ])
    """
    counts, whole = np.asarray(counts, dtype=float), np.asarray(whole, dtype=float)
    if counts.ndim != 2 or whole.shape != counts.shape[1:]:
        raise ValueError(f"counts have shape {counts.shape}, the whole {whole.shape}")
    if (counts < 0).any() or (whole < 0).any():
        raise ValueError("counts of scans cannot be negative")
    occupied = whole > 0
    if not occupied.any():
        raise ValueError("the whole has no scans")
    if counts[:, ~occupied].any():
        raise ValueError("a partition has scans in a cell where the whole has none")
    part = counts[:, occupied] + prior
    if (part.sum(axis=1) == 0).any():
        raise ValueError("a partition has no scans; give a prior above 0")
    part = part / part.sum(axis=1, keepdims=True)
    reference = whole[occupied] + prior
    reference = reference / reference.sum()
    # 0 · ln 0 is 0, which log alone does not know.
    logs = np.log(part / reference, out=np.zeros_like(part), where=part > 0)
    # Rounding may leave −1e-17 for equal shares.
    return np.maximum((part * logs).sum(axis=1), 0.0)
