"""Age by linear regression on the networks' predictions: the paper's way and a sound one.

Four models (Table 1): T and A rescale one network's prediction each, TA takes both, TAS
adds sex (0 female, 1 male).

- *Paper mode* fits on the training and validation rows ("in-sample": the rows on which the
  networks were trained and stopped) and evaluates on the test rows. The same fit on the
  validation rows alone ("validation") stands beside it.
- *Sound mode* predicts the test rows of fold k with coefficients fitted on the test
  predictions of the other folds ("out-of-fold"). Rows put apart (patients) are predicted by
  every fold's networks, averaged, and stacked with the coefficients of all folds; they are
  never fitted on.

A second look at T1w, or any other second network, is stacked by giving its rows the net "A". Where
there is but the one network, model T is all there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from brainage_lib.errors import BadInput
from brainage_lib.stats.regression import MODEL_TERMS, Fit, fit_model
from brainage_lib.stats.wide import DESCRIPTION, NETS, widen
from brainage_lib.tables import MODELS

FITTED_ON = {"paper": ("in-sample", "validation"), "sound": ("out-of-fold",)}
"""Which rows the stacking is fitted on, by mode."""

FLAT = 0.1
"""Years of SD below which a network's ages are warned of: no trained one comes near."""


@dataclass(frozen=True)
class Stacked:
    """Stacked ages of every scan, and the coefficients behind them.

    Attributes
    ----------
    inputs : DataFrame
        A row a scan × recipe × mode × fold: description, role and the networks' predicted
        ages ``T`` and ``A`` in years.
    rows : DataFrame
        A row a scan × recipe × mode × fitted_on × model: description, fold (missing where
        all folds were averaged), role, ``stacked_age`` in years. Rows on which a model was
        fitted are among them (roles train and validation), so that in-sample error can be
        seen; tables use the role test only.
    coefficients : DataFrame
        Schema ``COEFFICIENTS``; fold is missing for coefficients of all folds.
    warnings : tuple of str
        What could not be done as described, for the page.
    """

    inputs: pd.DataFrame
    rows: pd.DataFrame
    coefficients: pd.DataFrame
    warnings: tuple[str, ...]


def stack(predictions: pd.DataFrame, models: Sequence[str] = MODELS) -> Stacked:
    """Stack the predictions of the nets T and A, by recipe and mode.

    Parameters
    ----------
    predictions : DataFrame
        Schema ``PREDICTIONS``; the column ``recipe`` may be absent. Of each net the lowest
        seed is used; other nets are left alone, and so are recipes with one of the two only
        (a baseline) where another recipe has both.
    models : sequence of str
        Those of `MODELS` that are wanted; ``("T",)`` needs no net A.

    Returns
    -------
    Stacked

    Raises
    ------
    BadInput
        A net is missing for some scan, a scan is described in two ways, a person is tested
        in two folds, or too few rows are there to fit on.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> age = np.linspace(20, 80, 40)
    >>> scans = pd.DataFrame({
    ...     "scan_id": [f"s{i}" for i in range(40)], "participant_id": [f"p{i}" for i in range(40)],
    ...     "project": "IXI", "session": "1", "age": age, "sex": ["F", "M"] * 20,
    ...     "diagnosis": "control", "recipe": "paper", "mode": "sound", "role": "test",
    ...     "fold": [0, 1, 1, 0] * 10, "seed": 0})
    >>> nets = [scans.assign(net=n, predicted_age=age + rng.normal(0, 5, 40)) for n in "TA"]
    >>> stacked = stack(pd.concat(nets))
    >>> stacked.rows.groupby("model")["stacked_age"].count().to_dict()
    {'A': 40, 'T': 40, 'TA': 40, 'TAS': 40}
    """
    rows, coefficients, warnings = [], [], []
    nets = [net for net in NETS if any(net in MODEL_TERMS[model] for model in models)]
    inputs = widen(_with_all(predictions, nets, warnings), nets)
    for (recipe, mode), block in inputs.groupby(["recipe", "mode"], sort=False):
        warnings += _flat(recipe, mode, block, nets)
        split = _paper_fits if mode == "paper" else _sound_fits
        for fitted_on, fold, fitting, predicted in split(recipe, block, warnings):
            for model in models:
                fit = fit_model(fitting, model)
                if fit.dropped:
                    warnings.append(_explain(recipe, mode, fitted_on, fold, fit))
                coefficients.append(_describe(recipe, mode, fitted_on, fold, fit))
                if predicted.empty:  # nobody is set apart
                    continue
                rows.append(
                    predicted[[*DESCRIPTION, "recipe", "mode"]].assign(
                        fitted_on=fitted_on,
                        fold=predicted["fold"],
                        model=model,
                        role=predicted["role"],
                        stacked_age=fit.predict(predicted),
                    )
                )
    return Stacked(
        inputs=inputs,
        rows=_ordered(pd.concat(rows)),
        coefficients=_ordered(pd.concat(coefficients)),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _flat(recipe: str, mode: str, block: pd.DataFrame, nets: list[str]) -> list[str]:
    """Warn of networks that say nearly the same of everyone."""
    spreads = {net: block.groupby("fold")[net].std().max() for net in nets}
    return [
        f"{recipe}, {mode} mode: what {net} says of people differs by {spread:.2g} years (SD); it "
        "has learned nothing, and the regression blows up what is left"
        for net, spread in spreads.items()
        if 0 < spread < FLAT
    ]


def evaluated(stacked: Stacked) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Yield the test rows of each table, wide.

    Yields
    ------
    key : dict
        recipe, mode, fitted_on.
    block : DataFrame
        A row a test scan: scan_id, participant_id, project, age, sex, and the stacked age
        of each model in years.
    """
    keys = ["recipe", "mode", "fitted_on"]
    described = ["scan_id", "participant_id", "project", "age", "sex"]
    for values, block in stacked.rows.groupby(keys, sort=False):
        test = block[block["role"] == "test"]
        models = models_in(block["model"])
        wide = test[test["model"] == models[0]][described].reset_index(drop=True)
        for model in models:
            ages = test.loc[test["model"] == model, ["scan_id", "stacked_age"]]
            wide = wide.merge(ages.rename(columns={"stacked_age": model}), on="scan_id")
        yield dict(zip(keys, values, strict=True)), wide


def models_in(names: Iterable[str]) -> list[str]:
    """Those of `MODELS` that are among some names, in their order."""
    known = set(names)
    return [model for model in MODELS if model in known]


def _with_all(predictions: pd.DataFrame, nets: list[str], warnings: list[str]) -> pd.DataFrame:
    """Leave out recipes that lack one of the nets: there is nothing to stack."""
    if not {"recipe", "net"} <= set(predictions.columns):
        return predictions
    there = predictions[predictions["net"].isin(nets)].groupby("recipe", sort=False)["net"]
    lacking = there.nunique() < len(nets)
    single = list(lacking[lacking].index)
    if not single or lacking.all():  # `widen` says what is missing
        return predictions
    warnings += [f"recipe {name} has one network only and is not stacked" for name in single]
    return predictions[~predictions["recipe"].isin(single)]


def _paper_fits(recipe: str, block: pd.DataFrame, warnings: list[str]) -> Iterator[tuple]:
    where = f"predictions, recipe {recipe}, paper mode"
    folds = sorted(block["fold"].unique())
    if len(folds) > 1:
        raise BadInput(where, [f"folds {folds}: paper mode has one split, fold 0; keep one"])
    if not (block["role"] == "test").any():
        raise BadInput(where, ["no rows with role test; there is nothing to evaluate on"])
    roles = {"in-sample": ("train", "validation"), "validation": ("validation",)}
    for fitted_on in FITTED_ON["paper"]:
        fitting = block[block["role"].isin(roles[fitted_on])]
        if fitted_on == "validation" and len(fitting) < _needed():
            warnings.append(
                f"{recipe}, paper mode: {len(fitting)} validation rows are too few to fit "
                "the stacking on them alone; that comparison is left out"
            )
            continue
        _enough(fitting, where, f"rows with role {' or '.join(roles[fitted_on])}")
        yield fitted_on, folds[0], fitting, block


def _sound_fits(recipe: str, block: pd.DataFrame, warnings: list[str]) -> Iterator[tuple]:
    where = f"predictions, recipe {recipe}, sound mode"
    test = block[block["role"] == "test"]
    folds = sorted(test["fold"].unique())
    without = sorted(set(block["fold"]) - set(folds))
    if len(folds) < 2:
        lacking = f"; there are none in fold {_listed(without)}" if without else ""
        raise BadInput(
            where,
            [f"test rows in {len(folds)} fold(s): out-of-fold stacking needs at least two folds"
             + lacking],
        )  # fmt: skip
    without += sorted(set(range(max(folds))) - set(folds) - set(without))
    if without:
        warnings.append(
            f"{recipe}, sound mode: fold {_listed(without)} has no test rows; whom it should test "
            "is missing in every table"
        )
    in_folds = test.groupby("participant_id")["fold"].nunique()
    twice = list(in_folds[in_folds > 1].index)
    if twice or test["scan_id"].duplicated().any():
        twice = twice or sorted(test.loc[test["scan_id"].duplicated(), "scan_id"].unique())
        raise BadInput(
            where,
            [f"{name} is in the test rows of several folds; test each person once"
             for name in twice],
        )  # fmt: skip
    control = test["diagnosis"] == "control"
    if not control.all():
        warnings.append(
            f"{recipe}, sound mode: {int((~control).sum())} test rows are not controls; they "
            "are predicted and counted in the tables, and no coefficient is fitted on them"
        )
    controls = test[control]
    for fold in folds:
        others = controls[controls["fold"] != fold]
        _enough(others, where, f"test rows of controls outside fold {fold}")
        yield "out-of-fold", fold, others, test[test["fold"] == fold]
    yield "out-of-fold", pd.NA, controls, _average(block[block["role"] == "apart"])


def _listed(folds: list[int]) -> str:
    return ", ".join(str(int(fold)) for fold in folds)


def _average(apart: pd.DataFrame) -> pd.DataFrame:
    """One row a scan: predictions averaged over the folds' networks."""
    nets = [net for net in NETS if net in apart.columns]
    means = apart.groupby("scan_id", sort=False)[nets].mean()
    single = apart.drop_duplicates("scan_id").drop(columns=nets)
    single = single.merge(means, left_on="scan_id", right_index=True)
    return single.assign(fold=pd.array([pd.NA] * len(single), dtype="Int64"))


def _needed() -> int:
    # One residual degree of freedom for the largest model.
    return max(len(terms) for terms in MODEL_TERMS.values()) + 2


def _enough(rows: pd.DataFrame, where: str, what: str) -> None:
    if len(rows) < _needed():
        raise BadInput(where, [f"{len(rows)} {what}: the stacking needs at least {_needed()}"])


def _explain(recipe: str, mode: str, fitted_on: str, fold, fit: Fit) -> str:
    reasons = {
        "sex": "all rows that fit it are of one sex, so the model equals TA",
        "T": "the network's predictions are constant",
        "A": "the network's predictions are constant or repeat those of T",
    }
    told = "; ".join(f"{term}: {reasons[term]}" for term in fit.dropped)
    place = "all folds" if fold is pd.NA else f"fold {fold}"
    return (
        f"{recipe}, {mode} mode, {fitted_on}, {place}, model {fit.model}: "
        f"no coefficient can be estimated for {told}"
    )


def _describe(recipe: str, mode: str, fitted_on: str, fold, fit: Fit) -> pd.DataFrame:
    table = fit.table()
    named = {"recipe": recipe, "mode": mode, "fitted_on": fitted_on, "fold": fold}
    for position, (name, value) in enumerate(named.items()):
        table.insert(position, name, value)
    return table.astype({"fold": "Int64"})


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype({"fold": "Int64"}).reset_index(drop=True)
