"""By how much a figure looks better where it was not measured on new people.

Each row sets a flattered figure beside an honest one of the same model and gives the difference
with the interval of a participant-cluster bootstrap (networks and coefficients as they are).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from brainage_lib.stats.metrics import REPLICATES, percentile_interval
from brainage_lib.stats.nested import NESTED
from brainage_lib.stats.regression import fit_model
from brainage_lib.stats.stacking import FITTED_ON, Stacked
from brainage_lib.stats.tested import compared_means, resampled_means
from brainage_lib.stats.wide import NETS
from brainage_lib.tables import MODELS

LEARNED = "rows that the networks learned from"
STACKED = "rows that the stacking was fitted on"
FIT = "stacking fitted on rows that the networks had seen"
OWN = "stacking fitted on the tested rows themselves"
PERSON = "tested people who were also trained on"
SPLIT = "split by scan, the same scans"
GAIN = "gain by one more term, on the rows of the fit"


def inflation(stacked: Stacked, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """Measure each inflation that the predictions allow.

    Parameters
    ----------
    stacked : Stacked
    replicates, seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        Schema ``INFLATION``. ``inflation`` is positive where the flattered figure looks
        better: honest − flattered for errors, flattered − honest for gains.

        - *rows that the networks learned from*: error of T and A before stacking, test rows
          against training rows;
        - *rows that the stacking was fitted on* (paper mode): test rows against them;
        - *stacking fitted on rows that the networks had seen* (paper mode): the same test
          rows, with the coefficients of training and validation rows and with those of the
          validation rows alone. Here the fit on seen rows is what flatters **itself**, so a
          negative number says that it also errs more on new people;
        - *stacking fitted on the tested rows themselves* (sound mode);
        - *tested people who were also trained on* (paper mode): other scans of a person;
        - *split by scan, the same scans*: those that both modes test. They also differ in
          how many scans the networks learned from;
        - *gain by one more term*: percent of the squared error, on the rows of the fit
          against the test rows; this is what the F tests see.

        A comparison without rows has no row.
    """
    rows = [row for recipe in dict.fromkeys(stacked.inputs["recipe"])
            for row in _of_recipe(stacked, recipe, replicates, seed)]  # fmt: skip
    return pd.DataFrame(rows)


def _of_recipe(stacked: Stacked, recipe: str, replicates: int, seed: int) -> Iterator[dict]:
    draws = (replicates, seed)
    inputs = stacked.inputs[stacked.inputs["recipe"] == recipe]
    rows = stacked.rows[stacked.rows["recipe"] == recipe]
    rows = rows.assign(absolute=(rows["stacked_age"] - rows["age"]).abs())
    for mode, part in inputs.groupby("mode", sort=False):
        named = {"recipe": recipe, "mode": mode}
        yield from _networks(part, named, draws)
        main = rows[(rows["mode"] == mode) & (rows["fitted_on"] == FITTED_ON[mode][0])]
        if mode == "paper":
            yield from _fitted_rows(main, named, draws)
            validation = rows[(rows["mode"] == mode) & (rows["fitted_on"] == "validation")]
            yield from _other_fit(main, validation, named, draws)
            yield from _known_people(part, main, named, draws)
        else:
            yield from _own_rows(part, main, named, draws)
        yield from _gains(part, main, mode, named, draws)
    yield from _both_modes(rows, recipe, draws)


def _networks(inputs: pd.DataFrame, named: dict, draws: tuple) -> Iterator[dict]:
    honest, flattered = (inputs["role"] == role for role in ("test", "train"))
    for net in NETS:
        error = (inputs[net] - inputs["age"]).abs()
        which = named | {"what": LEARNED, "model": f"{net} before stacking"}
        yield from _unpaired(which, inputs, error, honest, flattered, "test", "training", draws)


def _fitted_rows(main: pd.DataFrame, named: dict, draws: tuple) -> Iterator[dict]:
    for model in MODELS:
        rows = main[main["model"] == model].reset_index(drop=True)
        honest, flattered = rows["role"] == "test", rows["role"].isin(["train", "validation"])
        which = named | {"what": STACKED, "model": model}
        labels = "test", "training and validation"
        yield from _unpaired(which, rows, rows["absolute"], honest, flattered, *labels, draws)


def _other_fit(
    main: pd.DataFrame, validation: pd.DataFrame, named: dict, draws: tuple
) -> Iterator[dict]:
    labels = "fitted on validation rows", "fitted on training and validation rows"
    for model in MODELS:
        both = _same_scans(validation, main, model)
        yield from _paired(named | {"what": FIT, "model": model}, both, *labels, draws)


def _own_rows(
    inputs: pd.DataFrame, main: pd.DataFrame, named: dict, draws: tuple
) -> Iterator[dict]:
    test = inputs[inputs["role"] == "test"].reset_index(drop=True)
    fitting = test[test["diagnosis"] == "control"]
    labels = "fitted on the other folds", "fitted on all folds, their own too"
    for model in MODELS:
        own = fit_model(fitting, model).predict(test)
        flattered = test.assign(model=model, role="test", absolute=(own - test["age"]).abs())
        both = _same_scans(main, flattered, model)
        yield from _paired(named | {"what": OWN, "model": model}, both, *labels, draws)


def _known_people(
    inputs: pd.DataFrame, main: pd.DataFrame, named: dict, draws: tuple
) -> Iterator[dict]:
    trained = set(inputs.loc[inputs["role"] == "train", "participant_id"])
    labels = "test, people not trained on", "test, people trained on"
    for model in MODELS:
        rows = main[(main["model"] == model) & (main["role"] == "test")].reset_index(drop=True)
        known = rows["participant_id"].isin(trained)
        which = named | {"what": PERSON, "model": model}
        yield from _unpaired(which, rows, rows["absolute"], ~known, known, *labels, draws)


def _both_modes(rows: pd.DataFrame, recipe: str, draws: tuple) -> Iterator[dict]:
    fits = {mode: rows[(rows["mode"] == mode) & (rows["fitted_on"] == FITTED_ON[mode][0])]
            for mode in ("sound", "paper")}  # fmt: skip
    named = {"recipe": recipe, "mode": "sound and paper", "what": SPLIT}
    labels = "by participant, out of fold", "by scan, in-sample stacking"
    for model in MODELS:
        both = _same_scans(fits["sound"], fits["paper"], model)
        yield from _paired(named | {"model": model}, both, *labels, draws)


def _gains(
    inputs: pd.DataFrame, main: pd.DataFrame, mode: str, named: dict, draws: tuple
) -> Iterator[dict]:
    """Share of the squared error that a larger model takes away, on the fit's rows and on test."""
    if mode == "paper":
        fitted = inputs[inputs["role"].isin(["train", "validation"])]
    else:
        fitted = inputs[(inputs["role"] == "test") & (inputs["diagnosis"] == "control")]
    test = main[main["role"] == "test"]
    wide = test.pivot(index="scan_id", columns="model", values="absolute")
    people = test.drop_duplicates("scan_id").set_index("scan_id")["participant_id"]
    squares = {model: fit_model(fitted, model).predict(fitted) for model in MODELS}
    for smaller, larger in NESTED:
        parts = []
        for name in (smaller, larger):
            own = (squares[name] - fitted["age"].to_numpy()) ** 2
            parts.append(np.concatenate([wide[name].to_numpy() ** 2, own]))
        honest = np.arange(len(parts[0])) < len(wide)
        persons = np.concatenate(
            [people.reindex(wide.index).to_numpy(), fitted["participant_id"].to_numpy()]
        )
        values = np.column_stack([parts[0], parts[1], parts[0], parts[1]])
        members = np.column_stack([honest, honest, ~honest, ~honest])
        sums = values.T @ members
        seen = [1 - sums[1, 1] / sums[0, 0], 1 - sums[3, 3] / sums[2, 2]]
        low = high = np.nan
        if min(len(set(persons[honest])), len(set(persons[~honest]))) > 1:
            drawn = resampled_means(persons, values, members, *draws)
            gain = (1 - drawn[:, 3] / drawn[:, 2]) - (1 - drawn[:, 1] / drawn[:, 0])
            low, high = percentile_interval(100 * gain)
        own = "training and validation" if mode == "paper" else "test, one fit on all folds"
        yield {
            **named,
            "what": GAIN,
            "model": f"{smaller} to {larger}",
            "measure": "gain in squared error",
            "unit": "%",
            "honest_rows": "test",
            "flattered_rows": own,
            "n_honest": int(honest.sum()),
            "n_flattered": int((~honest).sum()),
            "honest": 100 * seen[0],
            "flattered": 100 * seen[1],
            "inflation": 100 * (seen[1] - seen[0]),
            "low": float(low),
            "high": float(high),
        }


def _same_scans(honest: pd.DataFrame, flattered: pd.DataFrame, model: str) -> pd.DataFrame:
    """Absolute errors (years) of the scans that both test: honest, flattered, participant_id."""
    sides = [
        rows[(rows["model"] == model) & (rows["role"] == "test")].set_index("scan_id")
        for rows in (honest, flattered)
    ]
    found = sides[0][["participant_id", "absolute"]].rename(columns={"absolute": "honest"})
    return found.join(sides[1]["absolute"].rename("flattered"), how="inner").reset_index()


def _paired(
    which: dict, both: pd.DataFrame, honest: str, flattered: str, draws: tuple
) -> Iterator[dict]:
    if both.empty:
        return
    everyone = np.ones(len(both), bool)
    first, second = both["honest"].to_numpy(), both["flattered"].to_numpy()
    found = compared_means(both["participant_id"], (first, everyone), (second, everyone), *draws)
    yield _row(which, found, honest, flattered, (len(both), len(both)))


def _unpaired(
    which: dict,
    rows: pd.DataFrame,
    error: pd.Series,
    honest: pd.Series,
    flattered: pd.Series,
    name: str,
    other: str,
    draws: tuple,
) -> Iterator[dict]:
    if not honest.any() or not flattered.any():
        return
    values = error.to_numpy()
    found = compared_means(
        rows["participant_id"],
        (values, honest.to_numpy()),
        (values, flattered.to_numpy()),
        *draws,
    )
    yield _row(which, found, name, other, (int(honest.sum()), int(flattered.sum())))


def _row(which: dict, found: dict, honest: str, flattered: str, sizes: tuple[int, int]) -> dict:
    return {
        **which,
        "measure": "MAE",
        "unit": "years",
        "honest_rows": honest,
        "flattered_rows": flattered,
        "n_honest": sizes[0],
        "n_flattered": sizes[1],
        "honest": found["first"],
        "flattered": found["second"],
        "inflation": found["difference"],
        "low": found["low"],
        "high": found["high"],
    }
