"""How small a gain would have been found: signals of graded size planted beside T.

A planted signal is the true age plus normal errors with variance τ². Beside the line of age
on T, whose residuals have variance σ² and are uncorrelated with T, the best linear stack of
both has a mean squared error of σ²τ² / (σ² + τ²), exactly. So τ² can be chosen for any gain.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from brainage_lib.errors import BadInput
from brainage_lib.stats.claims.arithmetic import absolute_difference_sd
from brainage_lib.stats.seconds import beside, least_squares_errors

SHARES = (0.0, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3)
"""Planted gains as shares of the error that they lower; the paper's is 3.4 %."""

DRAWS = 400
POWER = 0.8
# A 95 % interval that leaves zero out.
_Z = 1.959964
# Ends the seed, so that errors of simulated predictions are other numbers.
_STREAM = 9102
# Without 20 tested people there is nothing to resample.
_FEWEST = 20


def power(
    predictions: pd.DataFrame,
    recipe: str,
    mode: str,
    shares: tuple[float, ...] = SHARES,
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Simulate how often a planted gain over T, and over T + T′, is found with these people.

    Each draw resamples the tested people within their folds, plants a signal, stacks it out
    of fold as the sound mode does (paper mode's people are halved at random for it), and asks
    whether the paired difference of MAE exceeds 1.96 standard errors, clustered by
    participant.

    Parameters
    ----------
    predictions : DataFrame
        Schema ``PREDICTIONS``.
    recipe, mode : str
        Whose test rows lend their ages and the errors of T (and T′).
    shares : tuple of float
        Planted gains, as shares of the root mean squared error of the reference; 0 plants
        noise beside T, which is found as often as the procedure errs.
    draws, seed : int
        A signal has new errors for each scan and each draw.

    Returns
    -------
    DataFrame
        ``over`` (T, and T + T′ where a second seed is there), ``share``, ``gain`` (mean
        difference of MAE, years), ``n_scans``, ``n_participants``, ``power`` (share of the
        draws that found it) with exact binomial 95 % limits ``power_low``, ``power_high``,
        and ``power_formula`` (over T only: `formula_power`).

    Raises
    ------
    WrongUsage
        The recipe or mode is not in the table.
    BadInput
        No net T, fewer than 20 tested people, or fewer than two folds of a sound mode.
    """
    rows, _ = beside(predictions, recipe, mode)
    rows = rows[rows["role"] == "test"].reset_index(drop=True)
    where = f"predictions, recipe {recipe}, {mode} mode"
    n_people = rows["participant_id"].nunique()
    if n_people < _FEWEST:
        raise BadInput(where, [f"{n_people} tested people: power needs at least {_FEWEST}"])
    rng = np.random.default_rng([seed, _STREAM])
    age = rows["age"].to_numpy()
    people, fold = _people(rows, mode, rng)
    if len(set(fold)) < 2:
        raise BadInput(where, ["test rows in 1 fold: out-of-fold stacking needs two folds"])
    references = {"T": rows[["T"]].to_numpy()}
    if "T + T′" in rows:
        references["T + T′"] = rows[["T", "T + T′"]].to_numpy()
    seen: dict[tuple[str, float], list[tuple[float, float]]] = {}
    sizes = {
        (over, share): _noise(age, references["T"], columns, share)
        for over, columns in references.items()
        for share in shares
        # A signal worth T′ in squared error is not worth it in MAE, so that it is no null.
        if share > 0 or over == "T"
    }
    for _ in range(draws):
        scans, person = _resampled(people, fold, rng)
        noise = rng.normal(size=len(scans))
        of = {over: columns[scans] for over, columns in references.items()}
        base = {
            over: _out_of_fold(age[scans], columns, fold[scans]) for over, columns in of.items()
        }
        for (over, share), size in sizes.items():
            signal = noise if math.isinf(size) else age[scans] + size * noise
            both = np.column_stack([of["T"], signal])
            error = _out_of_fold(age[scans], both, fold[scans])
            found = _difference(np.abs(base[over]) - np.abs(error), person)
            seen.setdefault((over, share), []).append(found)
    return pd.DataFrame(
        [
            {
                "over": over,
                "share": share,
                "gain": float(np.mean([value for value, _ in found])),
                "n_scans": len(rows),
                "n_participants": n_people,
                **_rate([value > _Z * deviation for value, deviation in found]),
                "power_formula": formula_power(share, len(rows)) if over == "T" else np.nan,
            }
            for (over, share), found in seen.items()
        ]
    )


def detectable_gain(table: pd.DataFrame, over: str = "T", wanted: float = POWER) -> float:
    """Find the smallest planted gain (years) that is found with the wanted power.

    Read from the simulated curve by linear interpolation; NaN where it does not get there.

    Parameters
    ----------
    table : DataFrame
        What `power` gives.
    over : str
        T or T + T′.
    wanted : float
    """
    curve = table[table["over"] == over].sort_values("share")
    reached = np.flatnonzero(curve["power"].to_numpy() >= wanted)
    if not len(reached):
        return float("nan")
    place = reached[0]
    ends = curve.iloc[max(place - 1, 0) : place + 1]
    return float(np.interp(wanted, ends["power"], ends["gain"]))


def detectable_sentence(table: pd.DataFrame, over: str = "T") -> str:
    """Say how small a gain these scans would find with a power of 80 %.

    Parameters
    ----------
    table : DataFrame
        What `power` gives.
    over : str
        T or T + T′.
    """
    rows = table[table["over"] == over]
    scans = f"With these {rows['n_scans'].iloc[0]:,} scans"
    gain = detectable_gain(table, over)
    if math.isnan(gain):
        gain, scans = rows["gain"].max(), f"{scans} not even"
    often = f"{100 * POWER:.0f} % of trials"
    return f"{scans} a gain of {gain:.2f} years over {over} is found in {often}"


def formula_power(share: float, n_scans: int) -> float:
    """Power for a gain over T from a formula: normal errors, one scan a person, known weights.

    The errors of T and of the best stack with a gain of ``share`` correlate by 1 − share, so
    that the SD of the paired difference is known (`absolute_difference_sd`).

    Parameters
    ----------
    share : float
        Of T's error, 0–1.
    n_scans : int

    Examples
    --------
    >>> round(formula_power(0.034, 288), 2)
    0.48
    """
    from scipy.stats import norm

    if share == 0:
        return float(norm.sf(_Z))
    gain = math.sqrt(2 / math.pi) * share
    error = absolute_difference_sd(1.0, 1.0 - share, 1.0 - share) / math.sqrt(n_scans)
    return float(norm.cdf(gain / error - _Z))


def scans_needed(share: float, wanted: float = POWER) -> int:
    """Give the number of scans for which `formula_power` reaches the wanted power.

    Examples
    --------
    >>> scans_needed(0.034)
    628
    """
    from scipy.stats import norm

    gain = math.sqrt(2 / math.pi) * share
    deviation = absolute_difference_sd(1.0, 1.0 - share, 1.0 - share)
    return math.ceil(((_Z + norm.ppf(wanted)) * deviation / gain) ** 2)


def _people(
    rows: pd.DataFrame, mode: str, rng: np.random.Generator
) -> tuple[list[np.ndarray], np.ndarray]:
    """List the scans of each person, and the fold of each scan."""
    people = list(rows.groupby("participant_id", sort=True).indices.values())
    fold = rows["fold"].to_numpy().copy()
    if mode == "paper":
        for half, person in enumerate(rng.permutation(len(people))):
            fold[people[person]] = half % 2
    return people, fold


def _noise(age: np.ndarray, t: np.ndarray, columns: np.ndarray, share: float) -> float:
    """SD τ (years) of the signal whose stack with T lowers the reference's error by a share.

    Infinite where the signal has to be worth nothing.
    """
    alone, reference = (_residual_variance(age, values) for values in (t, columns))
    target = (1.0 - share) ** 2 * reference
    worth = 1.0 / target - 1.0 / alone
    return 1.0 / math.sqrt(worth) if worth > 1e-12 else math.inf


def _residual_variance(age: np.ndarray, columns: np.ndarray) -> float:
    everyone = np.ones(len(age), bool)
    error = least_squares_errors(age, columns, [(everyone, everyone)])
    return float(error @ error / (len(age) - columns.shape[1] - 1))


def _out_of_fold(age: np.ndarray, columns: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Errors (years) of age on ``columns``, fitted on the other folds."""
    parts = [(fold != name, fold == name) for name in np.unique(fold)]
    return least_squares_errors(age, columns, parts)


def _resampled(
    people: list[np.ndarray], fold: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw people with replacement within folds: their scans, and whose they are."""
    of_fold = np.array([fold[scans[0]] for scans in people])
    drawn = []
    for name in np.unique(of_fold):
        there = np.flatnonzero(of_fold == name)
        drawn += [people[place] for place in rng.choice(there, len(there))]
    return np.concatenate(drawn), np.repeat(np.arange(len(drawn)), [len(scans) for scans in drawn])


def _difference(values: np.ndarray, person: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error, clustered by person."""
    mean = float(values.mean())
    sums = np.bincount(person, weights=values - mean)
    return mean, float(np.sqrt(np.sum(sums**2)) / len(values))


def _rate(found: list[bool]) -> dict[str, float]:
    from scipy.stats import binomtest

    limits = binomtest(sum(found), len(found)).proportion_ci()
    return {
        "power": float(np.mean(found)),
        "power_low": float(limits.low),
        "power_high": float(limits.high),
    }
