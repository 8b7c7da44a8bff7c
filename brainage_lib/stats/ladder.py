"""The control ladder, which tells a gain by blood from one by a second look at T1w.

AICBV is computed from the T1w, and any second network may lower the error, because the mean
of two noisy guesses is less noisy. So the network on AICBV competes with other second
networks, each stacked with T in the same way (`stack`, as its net "A"; model TA):

- **T + T′** a second network on T1w, the next seed;
- **T + F**, **T + M** networks on a fixed transform of T1w and on tissue maps (nets F and M);
- **T + X** what A's predictions have beyond T, given to other people. The residual of A's
  regression on T is exchanged between participants of the same role and fold, so that the
  shuffled A still agrees with T as much as A does and knows nothing else. It must bring
  nothing. (Exchanging whole predictions within true age groups would hand over the age
  group, and errors of A around the true age would be a planted signal.)
- **T + P** a planted signal: the true age plus normal errors of its own, independent of
  everything, with the SD of A's errors in the same role and fold. It must be found.

X and P are drawn several times, and the errors averaged scan by scan, so that a row does not
hang on one draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from brainage_lib.stats.claims.finding import show_p, typeset
from brainage_lib.stats.metrics import REPLICATES, mae_with_interval, paired_differences
from brainage_lib.stats.paper import paper_table1
from brainage_lib.stats.seconds import (
    beside,
    fitted_and_tested,
    least_squares_errors,
    planted,
    shuffled,
)
from brainage_lib.stats.stacking import FITTED_ON, evaluated, stack
from brainage_lib.stats.wide import DESCRIPTION
from brainage_lib.tables import RUNGS

SECOND = {
    "T": "none",
    "T + A": "AICBV",
    "T + T′": "T1w again, another seed",
    "T + F": "a fixed transform of T1w",
    "T + M": "tissue maps",
    "T + X": "shuffled A",
    "T + P": "planted signal",
}
"""What the second network of a rung looks at."""

GAINS = {
    "gain_over_t": "T",
    "gain_over_second_look": "T + T′",
    "gain_over_tissue": "T + M",
}
"""Columns of a rung's gain, and the rung that it is measured against."""

CHECKS = ("T + X", "T + P")
"""Rungs that test the procedure; they ask nothing, so Holm's correction leaves them out."""

DRAWS = 10
"""How often X and P are drawn."""

# Ends the seeds of the draws, so that errors of simulated predictions are other numbers.
_STREAM = 9101

Signal = Callable[[pd.DataFrame, np.random.Generator], pd.Series]
ALPHA = 0.05
MEASURES = (
    "mae", "mae_low", "mae_high", "error_correlation",
    *(f"{gain}{end}" for gain in GAINS for end in ("", "_low", "_high", "_p", "_p_holm")),
)  # fmt: skip


def ladder(
    predictions: pd.DataFrame,
    recipe: str,
    mode: str,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> pd.DataFrame:
    """Stack T with each second network and measure the gains.

    Parameters
    ----------
    predictions : DataFrame
        Schema ``PREDICTIONS``. Of each net the lowest seed is used; T′ is the next seed of T.
    recipe, mode : str
        Which of its rows; out of fold in sound mode, in-sample in paper mode.
    replicates, seed : int
        Of the participant-cluster bootstrap; the seed also draws X and P.

    Returns
    -------
    DataFrame
        Schema ``LADDER``, a row a rung, always all seven: MAE in years; ``gain_over_…`` is
        the MAE of T, T + T′ or T + M minus that of the rung (positive: the rung errs less),
        on the same scans, with 95 % interval, p, and Holm's correction over all gains of the
        table but those of `CHECKS`; ``error_correlation`` is that of the errors of T and the
        second network, each rescaled by itself. ``status`` says why a rung was not run.

    Raises
    ------
    WrongUsage
        The recipe or mode is not in the table.
    BadInput
        The table breaks its schema, has no net T, or cannot be stacked.
    """
    rows, reasons = beside(predictions, recipe, mode)
    signals = {"T + P": planted}
    if "T + A" in rows:
        signals["T + X"] = shuffled
    tested, correlations, useless = _stacked(rows, mode)
    for rung, signal in signals.items():
        tested[rung], correlations[rung] = _drawn(rows, mode, signal, seed)
    reasons |= dict.fromkeys(useless, "not run: constant, or the same as T")
    if "T + A" in useless:
        reasons["T + X"] = "not run: A has nothing beyond T to shuffle"
    computed = [rung for rung in RUNGS if rung in tested and rung not in reasons]
    gains = _gains(tested, computed, replicates, seed)
    table = []
    for rung in RUNGS:
        row = {
            "recipe": recipe,
            "mode": mode,
            "fitted_on": FITTED_ON[mode][0],
            "rung": rung,
            "second": SECOND[rung],
            "status": reasons.get(rung, "computed"),
            "n_scans": 0,
            "n_participants": 0,
        }
        if rung in computed:
            row |= _error(tested, rung, replicates, seed)
            row["error_correlation"] = correlations.get(rung, np.nan)
        table.append(dict.fromkeys(MEASURES, np.nan) | row | gains.get(rung, {}))
    return pd.DataFrame(table)


def paper_ladder() -> pd.DataFrame:
    """Give the two rungs that the paper printed: rung, n_scans, mae, gain_over_t (years)."""
    printed = paper_table1().set_index("model")
    rungs = {"T": "T", "T + A": "TA"}
    mae = printed.loc[list(rungs.values()), "mae"].to_numpy()
    return pd.DataFrame(
        {
            "rung": list(rungs),
            "n_scans": printed.loc[list(rungs.values()), "n_scans"].to_numpy(),
            "mae": mae,
            "gain_over_t": [np.nan, mae[0] - mae[1]],
        }
    )


def ladder_differences(table: pd.DataFrame) -> pd.DataFrame:
    """List the gains of a ladder as differences, for their chart.

    Parameters
    ----------
    table : DataFrame
        What `ladder` gives, of one recipe and mode.

    Returns
    -------
    DataFrame
        The columns of `paired_differences` and ``label``: gains over T first, then those
        over T + T′ and over T + M, each in the order of the rungs.
    """
    found = []
    for over, first in GAINS.items():
        rows = table[table[over].notna()]
        part = rows[["n_scans", "n_participants"]].assign(first=first, second=rows["rung"])
        for end in ("", "_low", "_high", "_p", "_p_holm"):
            part[end.lstrip("_") or "difference"] = rows[over + end]
        found.append(part.assign(label=rows["rung"] + " against " + first))
    return pd.concat(found, ignore_index=True)


def ladder_verdict(table: pd.DataFrame) -> str:
    """Answer the question in words: a gain counts for blood only beyond both controls.

    A gain is one beyond luck where it is positive and its p, after Holm, is below 0.05. It
    must be so over T, over T + T′ and over T + M; a control that was not run leaves the
    question open.

    Parameters
    ----------
    table : DataFrame
        What `ladder` gives, of one recipe and mode.
    """
    rungs = table.set_index("rung")
    row = rungs.loc["T + A"]
    if row["status"] != "computed":
        return f"It cannot be said: T + A was {row['status']}"
    told = []
    for over, first in GAINS.items():
        if rungs.loc[first, "status"] != "computed":
            told.append(
                f"The control {first} ({SECOND[first]}) was not run, so that no gain can be "
                "counted for blood"
            )
            break
        told.append(_compared(row, over, first))
        if not (row[over] > 0 and row[f"{over}_p_holm"] < ALPHA):
            told.append(_INSTEAD[first])
            break
    else:
        told.append("The gain is beyond both controls and counts for blood")
    return ". ".join(told)


_INSTEAD = {
    "T": "This is no clear gain, so that none counts for blood",
    "T + T′": "As far as these scans can tell, a second look at T1w does as well, so that no "
    "gain counts for blood",
    "T + M": "As far as these scans can tell, tissue maps do as well, so that no gain counts "
    "for blood",
}


def _compared(row: pd.Series, over: str, first: str) -> str:
    value, low, high = row[over], row[f"{over}_low"], row[f"{over}_high"]
    less = "less" if value >= 0 else "more"
    if value < 0:
        value, low, high = -value, -high, -low
    p = show_p(row[f"{over}_p_holm"])
    return typeset(
        f"T + A errs {value:.2f} years {less} than {first} (95 % interval {low:.2f} to "
        f"{high:.2f}, p {p} after Holm, n = {row['n_scans']:,} scans)"
    )


def _stacked(rows: pd.DataFrame, mode: str) -> tuple[pd.DataFrame, dict[str, float], set[str]]:
    """Stack the networks of the table with T, each as the net A of a recipe of its own.

    Returns
    -------
    tested : DataFrame
        A row a tested scan, indexed by scan_id: participant_id and, by rung, the absolute
        error in years.
    correlations : dict
        By rung, of the errors of T and the second network.
    useless : set
        Rungs whose second network got no coefficient in some fit.
    """
    base = rows[[*DESCRIPTION, "mode", "role", "fold"]].assign(seed=0)
    t = base.assign(net="T", predicted_age=rows["T"])
    parts = []
    # Without any second network T stands in for it, and only the rung T is read.
    for rung in [rung for rung in RUNGS[1:] if rung in rows] or ["T"]:
        parts += [t.assign(recipe=rung), t.assign(recipe=rung, net="A", predicted_age=rows[rung])]
    stacked = stack(pd.concat(parts, ignore_index=True))
    tested, correlations = pd.DataFrame(), {}
    for key, block in evaluated(stacked):
        if key["fitted_on"] != FITTED_ON[mode][0]:
            continue
        block = block.set_index("scan_id")
        gaps = block[["T", "A", "TA"]].sub(block["age"], axis=0)
        if tested.empty:
            tested = block[["participant_id"]].assign(T=gaps["T"].abs())
        if key["recipe"] != "T":
            tested[key["recipe"]] = gaps["TA"].abs()
            correlations[key["recipe"]] = _correlation(gaps["T"], gaps["A"])
    terms = stacked.coefficients
    lost = terms[(terms["model"] == "TA") & (terms["term"] == "A") & terms["p"].isna()]
    return tested, correlations, set(lost["recipe"]) - {"T"}


def _drawn(rows: pd.DataFrame, mode: str, signal: Signal, seed: int) -> tuple[pd.Series, float]:
    """Absolute errors (years) of T with a drawn signal, and the errors' correlation: means."""
    age, t = rows["age"].to_numpy(), rows["T"].to_numpy()
    parts = fitted_and_tested(rows, mode)
    tested = (rows["role"] == "test").to_numpy()
    alone = least_squares_errors(age, t[:, None], parts)[tested]
    errors, correlations = [], []
    for draw in range(DRAWS):
        second = signal(rows, np.random.default_rng([seed, draw, _STREAM])).to_numpy()
        both = np.column_stack([t, second])
        errors.append(np.abs(least_squares_errors(age, both, parts)[tested]))
        own = least_squares_errors(age, second[:, None], parts)[tested]
        correlations.append(_correlation(alone, own))
    means = pd.Series(np.mean(errors, axis=0), index=rows.loc[tested, "scan_id"])
    return means, float(np.mean(correlations))


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if min(np.std(first), np.std(second)) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _error(tested: pd.DataFrame, rung: str, replicates: int, seed: int) -> dict:
    # The interval's function wants predictions of an age; of an error that age is 0.
    rows = pd.DataFrame({"participant_id": tested["participant_id"], "age": 0.0})
    ends = mae_with_interval(rows.assign(predicted_age=tested[rung]), replicates, seed)
    return {
        "n_scans": len(tested),
        "n_participants": tested["participant_id"].nunique(),
        **dict(zip(("mae", "mae_low", "mae_high"), ends, strict=True)),
    }


def _gains(
    tested: pd.DataFrame, computed: list[str], replicates: int, seed: int
) -> dict[str, dict[str, float]]:
    """Columns of `GAINS` by rung; a pair is compared in one direction only."""
    bases = {first: gain for gain, first in GAINS.items() if first in computed}
    order = [*bases, *(rung for rung in computed if rung not in bases)]
    pairs = [(first, rung) for first in bases for rung in order[order.index(first) + 1 :]]
    found: dict[str, dict[str, float]] = {}
    for checks in (False, True):
        family = [pair for pair in pairs if (pair[1] in CHECKS) is checks]
        if not family:
            continue
        people = tested["participant_id"]
        table = paired_differences(tested[computed], people, family, replicates, seed)
        for row in table.to_dict("records"):
            gain = bases[row["first"]]
            of_rung = found.setdefault(row["second"], {})
            of_rung |= {
                gain: row["difference"],
                f"{gain}_low": row["low"],
                f"{gain}_high": row["high"],
                f"{gain}_p": row["p"],
                f"{gain}_p_holm": np.nan if checks else row["p_holm"],
            }
    return found
