"""Counting in Tables 2 and 3: who is below whom, and who is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from brainage_lib.tables import MODELS

BOTH = "TA/TAS"


def below(mae: Mapping[str, np.ndarray], better: str, *others: str) -> np.ndarray:
    """Mark the groups where one model's MAE is below that of all others named."""
    return np.logical_and.reduce([mae[better] < mae[other] for other in others])


def best(mae: Mapping[str, np.ndarray]) -> np.ndarray:
    """Name the model of lowest MAE in each group: T, A or TA/TAS.

    TA and TAS count as one, because they differ by a hundredth.
    """
    lowest = np.argmin(np.stack([mae[model] for model in MODELS]), axis=0)
    names = np.array(["T", "A", BOTH, BOTH])
    return names[lowest]


def chosen(labels: Sequence[str], mark: np.ndarray) -> list[str]:
    """Give the labels where ``mark`` is true."""
    return [label for label, is_marked in zip(labels, mark, strict=True) if is_marked]


def joined(labels: Sequence[str]) -> str:
    """Write labels as a reader lists them; neighbouring age groups are merged.

    Examples
    --------
    >>> joined(["15–20", "20–25", "55–60"])
    '15–25, 55–60'
    >>> joined(["ADNI", "IXI"])
    'ADNI, IXI'
    """
    merged: list[str] = []
    for label in labels:
        start, _, end = label.partition("–")
        if merged and end and merged[-1].endswith(f"–{start}"):
            merged[-1] = merged[-1].partition("–")[0] + f"–{end}"
        else:
            merged.append(label)
    return ", ".join(merged) if merged else "none"


def starts(labels: Sequence[str]) -> list[int]:
    """Lower ends of age groups in years."""
    return [int(label.partition("–")[0]) for label in labels]
