"""How far predicted ages are from true ages, and how sure one can be of it.

Intervals come from a bootstrap of participants: a person's scans are drawn together,
because their errors go together. All statistics here are ratios of sums over scans, so a
replicate needs only each participant's sums, and ten thousand of them one product of
matrices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from brainage_lib.stats.corrected import refuse_corrected

REPLICATES = 10_000
LEVEL = 0.95
# Weights drawn at a time: 2 million integers are 16 MB.
_CHUNK = 2_000_000


def mae(age: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute error in years; NaN without scans.

    Parameters
    ----------
    age, predicted : (n,) array of float
        Years.

    Examples
    --------
    >>> mae([20, 40], [23, 39])
    2.0
    """
    error = _errors(age, predicted)
    return float(np.abs(error).mean()) if error.size else float("nan")


def mse(age: np.ndarray, predicted: np.ndarray) -> float:
    """Mean squared error in years²; NaN without scans.

    Examples
    --------
    >>> mse([20, 40], [23, 39])
    5.0
    """
    error = _errors(age, predicted)
    return float((error**2).mean()) if error.size else float("nan")


def age_sd(age: np.ndarray) -> float:
    """Spread of ages in years: SD with divisor n, so that R² = 1 − MSE / SD².

    Examples
    --------
    >>> age_sd([20, 40])
    10.0
    """
    age = np.asarray(age, dtype=float)
    return float(age.std()) if age.size else float("nan")


def r2(age: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the age variance that is explained, 1 − MSE / variance.

    This is not the squared correlation: a constant bias or a wrong slope lowers it, and it
    may be negative. NaN where all ages are equal.

    Examples
    --------
    >>> r2([20, 40], [23, 39])
    0.95
    """
    variance = age_sd(age) ** 2
    return 1.0 - mse(age, predicted) / variance if variance > 0 else float("nan")


def resampled_sums(
    clusters: Sequence, values: np.ndarray, replicates: int = REPLICATES, seed: int = 0
) -> np.ndarray:
    """Draw whole participants with replacement and sum over their scans.

    Parameters
    ----------
    clusters : (n,) sequence
        The participant of each scan.
    values : (n, k) array of float
        What is summed: ones for a count, absolute errors, squared errors, ….
    replicates : int
        Number of bootstrap samples.
    seed : int
        The same seed and the same participants give the same draws, whatever the values:
        statistics of one table are drawn together and may be subtracted.

    Returns
    -------
    (replicates, k) array of float
    """
    codes, unique = pd.factorize(np.asarray(clusters), sort=True)
    values = np.asarray(values, dtype=float)
    n_clusters = len(unique)
    if n_clusters == 0:
        return np.zeros((replicates, values.shape[1]))
    sums = np.zeros((n_clusters, values.shape[1]))
    np.add.at(sums, codes, values)
    rng = np.random.default_rng([seed])
    drawn = []
    step = max(1, _CHUNK // n_clusters)
    for start in range(0, replicates, step):
        size = min(step, replicates - start)
        picks = rng.integers(0, n_clusters, size=(size, n_clusters))
        picks += np.arange(size)[:, None] * n_clusters
        weights = np.bincount(picks.ravel(), minlength=size * n_clusters)
        drawn.append(weights.reshape(size, n_clusters).astype(float) @ sums)
    return np.concatenate(drawn)


def percentile_interval(draws: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of each column of bootstrap draws.

    Parameters
    ----------
    draws : (replicates, …) array of float
        NaN where a replicate had no scan; those are left out.
    level : float
        Between 0 and 1.

    Returns
    -------
    low, high : (…) array of float
        NaN where no replicate had a value.
    """
    tail = (1.0 - level) / 2.0
    filled = np.where(np.isnan(draws).all(axis=0), 0.0, draws)
    low, high = np.nanquantile(filled, [tail, 1.0 - tail], axis=0)
    empty = np.isnan(draws).all(axis=0)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def bootstrap_p(draws: np.ndarray, observed: float, one_sided: bool = False) -> float:
    """Probability of a difference as large as the observed one if the truth were none.

    The draws are shifted so that their centre, the observed difference, becomes zero; the
    observed one counts as a draw, so p is never below 1 / (replicates + 1).

    Parameters
    ----------
    draws : (replicates,) array of float
    observed : float
    one_sided : bool
        Count only differences in the positive direction.
    """
    shifted = draws - observed
    beyond = shifted >= observed if one_sided else np.abs(shifted) >= abs(observed)
    return float((1 + beyond.sum()) / (1 + len(draws)))


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm's step-down correction of p values of one family.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def mae_with_interval(
    rows: pd.DataFrame, replicates: int = REPLICATES, seed: int = 0
) -> tuple[float, float, float]:
    """MAE of one network on some scans, with its interval.

    Parameters
    ----------
    rows : DataFrame
        participant_id, age and predicted_age (years); a row a scan.
    replicates, seed : int
        Of the participant-cluster bootstrap.

    Returns
    -------
    mae, low, high : float
        Years; the limits are NaN with fewer than two participants.
    """
    refuse_corrected(rows, "accuracy")
    value = mae(rows["age"], rows["predicted_age"])
    if rows["participant_id"].nunique() < 2:
        return value, float("nan"), float("nan")
    error = (rows["predicted_age"] - rows["age"]).abs().to_numpy()
    columns = np.column_stack([np.ones(len(rows)), error])
    sums = resampled_sums(rows["participant_id"], columns, replicates, seed)
    low, high = percentile_interval(sums[:, 1] / sums[:, 0])
    return value, float(low), float(high)


def paired_differences(
    errors: pd.DataFrame,
    participants: Sequence,
    pairs: Sequence[tuple[str, str]],
    replicates: int = REPLICATES,
    seed: int = 0,
) -> pd.DataFrame:
    """Differences of MAE between models on the same scans.

    Parameters
    ----------
    errors : (n, models) DataFrame
        Predicted minus true age in years; a column a model.
    participants : (n,) sequence
        The participant of each scan.
    pairs : sequence of (first, second)
        The difference is MAE of the first minus MAE of the second: positive where the
        second is better.
    replicates, seed : int
        Of the participant-cluster bootstrap.

    Returns
    -------
    DataFrame
        first, second, n_scans, n_participants, difference, low, high (years; 95 %
        percentile interval), p (two-sided), p_holm (Holm over ``pairs``). Without two
        participants the interval and p are NaN.
    """
    refuse_corrected(errors, "accuracy")
    absolute = errors.abs()
    columns = np.column_stack(
        [np.ones(len(errors)), *(absolute[a] - absolute[b] for a, b in pairs)]
    )
    n_participants = len(set(participants))
    draws = None
    if n_participants > 1:
        sums = resampled_sums(participants, columns, replicates, seed)
        draws = sums[:, 1:] / sums[:, :1]
        low, high = percentile_interval(draws)
    found = []
    for number, (first, second) in enumerate(pairs):
        observed = float(columns[:, number + 1].mean()) if len(errors) else float("nan")
        known = draws is not None
        found.append(
            {
                "first": first,
                "second": second,
                "n_scans": len(errors),
                "n_participants": n_participants,
                "difference": observed,
                "low": low[number] if known else np.nan,
                "high": high[number] if known else np.nan,
                "p": bootstrap_p(draws[:, number], observed) if known else np.nan,
            }
        )
    table = pd.DataFrame(found)
    return table.assign(p_holm=holm(table["p"]))


def _errors(age: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    refuse_corrected(predicted, "accuracy")
    age, predicted = np.asarray(age, dtype=float), np.asarray(predicted, dtype=float)
    if age.shape != predicted.shape:
        raise ValueError(f"ages have shape {age.shape}, predictions {predicted.shape}")
    return predicted - age
