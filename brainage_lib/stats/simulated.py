"""Simulated predictions: what tests say where the truth is known, with the networks' own errors.

Ages are drawn from those of a run; errors are normal, with the lines over age, the SDs and the
correlation that the run's networks have on the rows that they learned from, and on new ones.
The second network is made to be worth nothing on new people, or worth exactly what another one
is worth, and then one counts how often a test says otherwise.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from brainage_lib.errors import BadInput
from brainage_lib.stats.metrics import percentile_interval, resampled_sums
from brainage_lib.stats.wide import widen

ALPHA = 0.05
TABLES = 2_000
# Ends the seeds, so that the numbers are no others' numbers.
_STREAM = 9105
_CHUNK = 2_000_000


def false_alarms(
    predictions: pd.DataFrame,
    recipe: str,
    sizes: tuple[int, ...] | None = None,
    tables: int = TABLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Count how often the F test calls a second network useful that brings new people nothing.

    On new rows A is T plus errors of its own, so that no line on both is better than one on
    T. On training rows both networks err as the run's networks do there: each has memorised the
    scans in its own way. The nested F test of T against T and A is then made on the rows of the
    paper's stacking (training and validation, in the run's proportion) and on as many new rows.

    Parameters
    ----------
    predictions : DataFrame
        Schema ``PREDICTIONS``, with training and test rows of the recipe.
    recipe : str
    sizes : tuple of int, optional
        Rows of the test; as many as the run's stacking has unless given.
    tables : int
        Simulated for each size.
    seed : int

    Returns
    -------
    DataFrame
        Schema ``FALSE_ALARMS``: share of the tables with p < 0.05, exact binomial 95 %
        limits, and the mean gain in squared error that new people would see (percent; not
        above 0 but for luck). No rows if the recipe has no training rows.
    """
    wide = _of_recipe(predictions, recipe)
    mode = "paper" if (wide["mode"] == "paper").any() else "sound"
    wide = wide[wide["mode"] == mode]
    learned, new = wide[wide["role"] == "train"], wide[wide["role"] == "test"]
    if min(len(learned), len(new)) < 10:
        return pd.DataFrame()
    stopped = (wide["role"] == "validation").sum() / wide["role"].isin(
        ["train", "validation"]
    ).sum()
    own = int(wide["role"].isin(["train", "validation"]).sum())
    if mode == "sound":
        own //= max(wide["fold"].nunique(), 1)
    found = []
    for size in sizes or (own,):
        rng = np.random.default_rng([seed, size, _STREAM])
        ages = wide["age"].to_numpy()
        n_new = round(stopped * size)
        counts = {"fitted, in-sample": 0, "out of fold": 0}
        gains = []
        for count in _chunks(tables, size):
            age = rng.choice(ages, (count, size))
            null = _null(new, age, rng)
            seen = _memorised(learned, age, rng)
            seen = [np.concatenate([a[:, n_new:], b[:, :n_new]], axis=1)
                    for a, b in zip(seen, null, strict=True)]  # fmt: skip
            # The rows of the validation part are new to both networks.
            moved = np.concatenate([age[:, n_new:], age[:, :n_new]], axis=1)
            counts["fitted, in-sample"] += int((_p(moved, *seen) < ALPHA).sum())
            counts["out of fold"] += int((_p(age, *null) < ALPHA).sum())
            gains.append(_gain_on_new(moved, seen, age, null))
        for rows, number in counts.items():
            found.append(
                {
                    "recipe": recipe,
                    "rows": rows,
                    "n_scans": size,
                    "tables": tables,
                    **_rate(number, tables),
                    "null_gain": 100 * float(np.mean(np.concatenate(gains)))
                    if rows == "fitted, in-sample"
                    else np.nan,
                }
            )
    return pd.DataFrame(found)


def ladder_null(
    predictions: pd.DataFrame,
    recipe: str,
    mode: str,
    sizes: tuple[int, ...] | None = None,
    folds: tuple[int, ...] | None = None,
    tables: int = TABLES,
    replicates: int = 1_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Count how often the ladder's intervals are right where the truth is known.

    Each table has a first network, a second look, a network A that is one more look of the
    same kind, a shuffled and a planted signal; one scan a person, stacked out of fold, with the
    percentile interval of the ladder. That interval takes the coefficients as they are. With two
    folds they are fitted on half of the people, and their luck is missing in it; with five, too
    little is missing to be seen.

    Parameters
    ----------
    predictions : DataFrame
        Schema ``PREDICTIONS``; its test rows give the errors.
    recipe, mode : str
    sizes : tuple of int, optional
        People tested; as many as the run has unless given.
    folds : tuple of int, optional
        Folds of the stacking; as many as the run has unless given.
    tables, replicates, seed : int

    Returns
    -------
    DataFrame
        Schema ``LADDER_NULL``. *A against the second look*: both are worth the same, and the
        interval of the difference should cover zero in 95 of 100 tables. *shuffled A*: the
        interval should be above zero in no more than 2.5 of 100. *planted signal*: the share
        found, above zero, which should be high. ``gain`` is the mean one.
    """
    wide = _of_recipe(predictions, recipe)
    wide = wide[(wide["mode"] == mode) & (wide["role"] == "test")]
    if len(wide) < 10:
        raise BadInput(
            f"predictions, recipe {recipe}, {mode} mode",
            [f"{len(wide)} test rows with both networks: at least 10 are needed"],
        )
    found = []
    sizes = sizes or (wide["participant_id"].nunique(),)
    for size, parts in product(sizes, folds or (max(wide["fold"].nunique(), 2),)):
        rng = np.random.default_rng([seed, size, _STREAM, 1])
        people = np.arange(size)
        seen: dict[tuple[str, str, float], list[tuple[int, float]]] = {}
        for count in _chunks(tables, size):
            differences = _ladder_differences(wide, size, parts, count, rng)
            for question, (values, truth, wanted) in differences.items():
                sums = resampled_sums(people, values.T, replicates, seed)
                low, high = percentile_interval(sums / size)
                hit = (low <= 0) & (high >= 0) if truth == "no difference" else low > 0
                part = int(hit.sum()), float(values.mean()) * count / tables
                seen.setdefault((question, truth, wanted), []).append(part)
        for (question, truth, wanted), chunks in seen.items():
            found.append(
                {
                    "recipe": recipe,
                    "mode": mode,
                    "question": question,
                    "truth": truth,
                    "n_scans": size,
                    "folds": parts,
                    "tables": tables,
                    "gain": sum(gain for _, gain in chunks),
                    **_rate(sum(hits for hits, _ in chunks), tables),
                    "wanted": wanted,
                }
            )
    return pd.DataFrame(found)


def _of_recipe(predictions: pd.DataFrame, recipe: str) -> pd.DataFrame:
    """Both networks of one recipe beside each other; others need not have both."""
    if "recipe" in predictions.columns:
        predictions = predictions[predictions["recipe"] == recipe]
    return widen(predictions)


def _ladder_differences(
    wide: pd.DataFrame, size: int, folds: int, tables: int, rng: np.random.Generator
) -> dict[str, tuple[np.ndarray, str, float]]:
    """Absolute error less absolute error (years) of each scan: (tables, size) by question."""
    line, residual = _lines(wide)
    sd = float(np.sqrt(np.mean(np.diag(residual))))
    correlation = float(residual[0, 1] / np.sqrt(residual[0, 0] * residual[1, 1]))
    age = rng.choice(wide["age"].to_numpy(), (tables, size))
    # Three looks of one kind: equal SDs, equal correlations, the mean line of the two networks.
    shared = np.sqrt(max(correlation, 0.0)) * rng.normal(size=(tables, size))
    own = np.sqrt(1 - max(correlation, 0.0))
    intercept, slope = line.mean(axis=1)
    t, second, a = (
        intercept + slope * age + sd * (shared + own * rng.normal(size=(tables, size)))
        for _ in range(3)
    )
    error = {
        "T": _stacked_errors(age, [t], folds),
        "T + T′": _stacked_errors(age, [t, second], folds),
        "T + A": _stacked_errors(age, [t, a], folds),
        "T + X": _stacked_errors(age, [t, _shuffled(t, a, rng)], folds),
        "T + P": _stacked_errors(age, [t, age + sd * rng.normal(size=age.shape)], folds),
    }
    return {
        "T + A against T + T′": (error["T + T′"] - error["T + A"], "no difference", 0.95),
        "T + X against T": (error["T"] - error["T + X"], "nothing to find", 0.025),
        "T + P against T": (error["T"] - error["T + P"], "a gain", 1.0),
    }


def _shuffled(t: np.ndarray, a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A's line on T with the residuals exchanged, table by table."""
    slope, centre_t, centre_a = _simple_line(t, a)
    line = centre_a + slope * (t - centre_t)
    return line + rng.permuted(a - line, axis=1)


def _stacked_errors(age: np.ndarray, columns: list[np.ndarray], folds: int) -> np.ndarray:
    """Absolute errors (years) out of fold, people dealt to the folds in turn: (tables, n)."""
    error = np.empty_like(age)
    fold = np.arange(age.shape[1]) % folds
    for number in range(folds):
        here, others = fold == number, fold != number
        told = _predict(age[:, others], [c[:, others] for c in columns],
                        [c[:, here] for c in columns])  # fmt: skip
        error[:, here] = np.abs(told - age[:, here])
    return error


def _predict(age: np.ndarray, columns: list[np.ndarray], new: list[np.ndarray]) -> np.ndarray:
    """Least squares of age on one or two columns in each table, applied to new rows."""
    first, *rest = columns
    slope, centre, mean = _simple_line(first, age)
    if not rest:
        return mean + slope * (new[0] - centre)
    # Frisch, Waugh and Lovell: the second column's coefficient is that of its residual.
    other = rest[0]
    between, _, middle = _simple_line(first, other)
    left = other - middle - between * (first - centre)
    weight = (left * age).sum(axis=1, keepdims=True) / (left**2).sum(axis=1, keepdims=True)
    extra = new[1] - middle - between * (new[0] - centre)
    return mean + slope * (new[0] - centre) + weight * extra


def _simple_line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope of y on x in each table, and the means of x and y: (tables, 1) each."""
    centre, mean = x.mean(axis=1, keepdims=True), y.mean(axis=1, keepdims=True)
    apart = x - centre
    slope = (apart * (y - mean)).sum(axis=1, keepdims=True) / (apart**2).sum(axis=1, keepdims=True)
    return slope, centre, mean


def _lines(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Lines of T and A over age, (intercept and slope, net), and the covariance about them."""
    columns = np.column_stack([np.ones(len(rows)), rows["age"]])
    values = rows[["T", "A"]].to_numpy()
    line = np.linalg.lstsq(columns, values, rcond=None)[0]
    rest = values - columns @ line
    return line, rest.T @ rest / max(len(rows) - 2, 1)


def _memorised(rows: pd.DataFrame, age: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """T and A as they are on rows that the networks learned from."""
    line, covariance = _lines(rows)
    # A little on the diagonal: networks that repeat every age have no spread.
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(2))
    errors = rng.normal(size=(*age.shape, 2)) @ root.T
    return [line[0, net] + line[1, net] * age + errors[..., net] for net in (0, 1)]


def _null(rows: pd.DataFrame, age: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """T as it is on new rows, and A that is T and errors of its own, of A's size."""
    line, covariance = _lines(rows)
    t = line[0, 0] + line[1, 0] * age + np.sqrt(covariance[0, 0]) * rng.normal(size=age.shape)
    slope = covariance[0, 1] / covariance[0, 0]
    rest = np.sqrt(max(covariance[1, 1] - slope * covariance[0, 1], 1e-12))
    return [t, t + rest * rng.normal(size=age.shape)]


def _p(age: np.ndarray, t: np.ndarray, a: np.ndarray) -> np.ndarray:
    """P of the nested F test of T against T and A in each table, from the partial correlation."""
    from scipy.stats import f

    slope, centre, mean = _simple_line(t, age)
    left_age = age - mean - slope * (t - centre)
    between, _, middle = _simple_line(t, a)
    left_a = a - middle - between * (t - centre)
    product = (left_age * left_a).sum(axis=1)
    squared = product**2 / ((left_age**2).sum(axis=1) * (left_a**2).sum(axis=1))
    degrees = age.shape[1] - 3
    return f.sf(degrees * squared / (1 - squared), 1, degrees)


def _gain_on_new(
    age: np.ndarray, seen: list[np.ndarray], new_age: np.ndarray, new: list[np.ndarray]
) -> np.ndarray:
    """Gain in squared error on new people of the coefficients from the seen rows, a table each."""
    alone = ((_predict(age, seen[:1], new[:1]) - new_age) ** 2).mean(axis=1)
    both = ((_predict(age, seen, new) - new_age) ** 2).mean(axis=1)
    return 1 - both / alone


def _chunks(tables: int, size: int) -> list[int]:
    step = max(1, _CHUNK // size)
    return [min(step, tables - start) for start in range(0, tables, step)]


def _rate(number: int, tables: int) -> dict[str, float]:
    from scipy.stats import binomtest

    limits = binomtest(number, tables).proportion_ci()
    return {
        "rate": number / tables,
        "rate_low": float(limits.low),
        "rate_high": float(limits.high),
    }
