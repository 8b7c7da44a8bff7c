"""How well age is predicted from real scans, and what each step is worth.

One row a recipe, each predicted out of fold by participant, all on the same folds: linear and
kernel regression on smoothed voxels and on tissue maps, the networks of the profile's recipes, and
their stack. Then the error against the number of scans, each study predicted from the other one,
and what choosing the best row is worth on people whom the choice did not see.

Networks are trained by ``brainage model-train`` with the same profile and run, or here if they are
missing; all that is finished is kept in the run. Writes tables without a row of anyone to
``book/recorded/accuracy``; groups of fewer than ten people are left out.

Run: ``OMP_WAIT_POLICY=PASSIVE python benchmarks/accuracy.py MANIFEST [--run accuracy]``
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from scipy.optimize import curve_fit
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, GroupKFold

from brainage_lib.data import kept, network_inputs
from brainage_lib.files import digest_file, replacing
from brainage_lib.run import NetworkKey, Run, locate, start_run
from brainage_lib.stats import mae_with_interval, paired_differences
from brainage_lib.stats.disclosure import hidden_groups
from brainage_lib.stats.reliability import reliability
from brainage_lib.tables import SPLITS, choose, decade, read_table
from brainage_lib.train import predict_network
from brainage_lib.train.alone import train_alone
from brainage_lib.train.cohort import PREDICTED_AT_ONCE, fit_key, load_network, train_settings
from brainage_lib.train.settings import load_recipe

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "workflow" / "profiles" / "shipped.yml"
OUT = ROOT / "book" / "recorded" / "accuracy"

SMOOTHING_MM = 4.0
"""Standard deviation of the Gaussian for kernels; not tuned."""

PENALTIES = tuple(10.0**power for power in range(-5, 2))
"""Ridge penalties, for kernels whose mean diagonal is 1; chosen within the training people."""

WIDTHS = (0.5, 1.0, 2.0)
"""Widths of the radial kernel in median distances."""

FEWEST = 10
"""People in a group of which an error is told."""

SIZES = (50, 100, 200)
PAPER_TRAINED = 2278
CALIBRATED_ON = 10
DRAWS = 200

Kernel = np.ndarray
Learner = Callable[[str, np.ndarray, np.ndarray], np.ndarray]
"""From a project and the numbers of rows to learn from and to test, ages of the latter."""


def features(run: Run, reads: str, scan_ids: list[str]) -> np.ndarray:
    """(n, voxels) smoothed values of what a recipe reads, less their mean."""
    sigma = SMOOTHING_MM / run.profile.grid_mm
    rows = []
    for volume in network_inputs(run, "T", scan_ids, reads):
        volume = np.asarray(volume, np.float32)
        along = (0,) * (volume.ndim - 3) + (sigma,) * 3
        rows.append(gaussian_filter(volume, along).astype(np.float16).ravel())
    values = np.stack(rows).astype(np.float32)
    return values - values.mean(axis=0)


def kernels(values: np.ndarray) -> dict[str, list[Kernel]]:
    """Linear and radial kernels of the rows; of the radial one, a kernel a width."""
    products = (values @ values.T).astype(np.float64)
    squares = np.diag(products)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0))
    middle = np.median(distances[np.triu_indices_from(distances, 1)])
    return {
        "ridge": [products / squares.mean()],
        "Gaussian process": [np.exp(-0.5 * (distances / (width * middle)) ** 2)
                             for width in WIDTHS],
    }  # fmt: skip


def fit_predict(
    candidates: list[Kernel], age: np.ndarray, people: np.ndarray, train: np.ndarray,
    test: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Ages of ``test`` rows; kernel and penalty are chosen by folds within the ``train`` rows."""
    best: tuple[float, Callable[[], np.ndarray]] | None = None
    middle = age[train].mean()
    for kernel in candidates:
        search = GridSearchCV(
            KernelRidge(kernel="precomputed"), {"alpha": PENALTIES},
            scoring="neg_mean_absolute_error", cv=GroupKFold(5),
        )  # fmt: skip
        search.fit(kernel[np.ix_(train, train)], age[train] - middle, groups=people[train])
        predict = lambda found=search, k=kernel: found.predict(k[np.ix_(test, train)])  # noqa: E731
        if best is None or search.best_score_ > best[0]:
            best = (search.best_score_, predict)
    return best[1]() + middle


def out_of_fold(
    candidates: list[Kernel], scans: pd.DataFrame, rows: np.ndarray | None = None
) -> np.ndarray:
    """Predict every scan from the other folds; only from those of them in ``rows`` if given."""
    age, people = scans["age"].to_numpy(), scans["participant_id"].to_numpy()
    found = np.full(len(scans), np.nan)
    for fold in np.unique(scans["fold"]):
        test = np.flatnonzero(scans["fold"] == fold)
        train = np.flatnonzero(scans["fold"] != fold)
        if rows is not None:
            train = np.intersect1d(train, rows)
        found[test] = fit_predict(candidates, age, people, train, test)
    return found


def stacked(columns: np.ndarray, scans: pd.DataFrame) -> np.ndarray:
    """Regress age on several out-of-fold predictions; each fold with the others' coefficients."""
    age, found = scans["age"].to_numpy(), np.full(len(scans), np.nan)
    design = np.column_stack([np.ones(len(scans)), columns])
    for fold in np.unique(scans["fold"]):
        test = (scans["fold"] == fold).to_numpy()
        weights = np.linalg.lstsq(design[~test], age[~test], rcond=None)[0]
        found[test] = design[test] @ weights
    return found


def tested(run: Run) -> pd.DataFrame:
    """Controls of the run with the fold in which each is tested."""
    splits = choose(read_table(run.path("splits.csv"), SPLITS), mode="sound", role="test")
    return kept(run).merge(splits[["scan_id", "fold"]], on="scan_id").reset_index(drop=True)


def describe(scans: pd.DataFrame, predicted: np.ndarray) -> dict[str, float]:
    """Errors of one column of predictions, with intervals over people."""
    age = scans["age"].to_numpy()
    value, low, high = mae_with_interval(scans.assign(predicted_age=predicted))
    row = {
        "n_scans": len(scans), "n_participants": scans["participant_id"].nunique(),
        "mae": value, "mae_low": low, "mae_high": high, "mae_over_sd": value / age.std(),
        "r2": 1 - ((predicted - age) ** 2).mean() / age.var(),
        # Of the gap over age: −1 for a guess of one age, 0 without regression to the mean.
        "bias_slope": np.polyfit(age, predicted - age, 1)[0],
    }  # fmt: skip
    for project, part in scans.assign(predicted_age=predicted).groupby("project"):
        if part["participant_id"].nunique() >= FEWEST:
            value, low, high = mae_with_interval(part)
            row |= {f"mae_{project}": value, f"low_{project}": low, f"high_{project}": high}
    return row


def by_decade(scans: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """MAE by decade of age; small decades are left out so that none follows from the others."""
    decades = scans.groupby(decade(scans["age"]).astype(str))
    people = {label: set(rows["participant_id"]) for label, rows in decades}
    hidden = hidden_groups(people, least=FEWEST)
    found = []
    for label, rows in decades:
        if label in hidden:
            continue
        for name in predicted:
            part = rows.assign(predicted_age=predicted.loc[rows.index, name])
            value, low, high = mae_with_interval(part)
            found.append({"recipe": name, "decade": label, "n_scans": len(rows), "mae": value,
                          "mae_low": low, "mae_high": high})  # fmt: skip
    return pd.DataFrame(found)


def choosing(scans: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """Tell what the best row errs by on folds that had no say in the choice."""
    errors = predicted.sub(scans["age"], axis=0).abs()
    best = errors.mean().idxmin()
    picked = pd.Series(np.nan, index=scans.index)
    chosen = []
    for fold in np.unique(scans["fold"]):
        inside = scans["fold"] == fold
        chosen.append(errors[~inside].mean().idxmin())
        picked[inside] = errors.loc[inside, chosen[-1]]
    return pd.DataFrame([{
        "best": best, "mae_of_best": errors[best].mean(), "mae_when_chosen_elsewhere":
        picked.mean(), "optimism": picked.mean() - errors[best].mean(),
        "folds": len(chosen), "folds_that_choose_it": chosen.count(best),
    }])  # fmt: skip


def learning_curve(candidates: list[Kernel], scans: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Error against the number of people learned from, and a fitted curve carried on."""
    people = scans["participant_id"].unique()
    found = []
    for size in [*SIZES, None]:
        values = []
        for draw in range(1 if size is None else 3):
            # Of the whole, so that a fold's share is learned from in each fold.
            share = 1 / (1 - 1 / scans["fold"].nunique())
            rng = np.random.default_rng([seed, size or 0, draw])
            some = people if size is None else rng.permutation(people)[: round(size * share)]
            rows = np.flatnonzero(scans["participant_id"].isin(some))
            predicted = out_of_fold(candidates, scans, rows)
            values.append(np.abs(predicted - scans["age"]).mean())
        n = size or round(len(people) * (1 - 1 / scans["fold"].nunique()))
        found.append({"people": n, "mae": np.mean(values), "kind": "measured"})
    table = pd.DataFrame(found)

    def curve(n, scale, power):
        return scale * n**-power

    (scale, power), _ = curve_fit(curve, table["people"], table["mae"], p0=(20, 0.3))
    carried = {"people": PAPER_TRAINED, "mae": curve(PAPER_TRAINED, scale, power),
               "kind": f"carried on by {scale:.1f} n^-{power:.2f}"}  # fmt: skip
    return pd.concat([table, pd.DataFrame([carried])], ignore_index=True)


def network_apart(
    run: Run, recipe: str, scans: pd.DataFrame, project: str, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Ages of one study by a network that learned from the others; trained unless it is there."""
    key = NetworkKey(recipe, f"without-{project}", "T", run.profile.seeds[0], 0)
    known, settings = scans.iloc[train], load_recipe(recipe)
    last = known["fold"] == known["fold"].max()
    sets = {"train": known[~last], "validation": known[last]}
    fit_key(run, key, sets, train_settings(run.profile, settings), f"{recipe} without {project}")
    volumes = network_inputs(run, "T", list(scans["scan_id"].iloc[test]), settings.reads)
    return predict_network(load_network(run, key), volumes, PREDICTED_AT_ONCE)


def other_study(learners: Mapping[str, Learner], scans: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Each study predicted from the others, as it is and after a small calibration sample."""
    age, people = scans["age"].to_numpy(), scans["participant_id"].to_numpy()
    found = []
    for project in sorted(scans["project"].unique()):
        inside = (scans["project"] == project).to_numpy()
        test, train = np.flatnonzero(inside), np.flatnonzero(~inside)
        if len(train) < SIZES[0] or len(set(people[test])) < 2 * CALIBRATED_ON:
            continue
        for name, learner in learners.items():
            predicted = learner(project, train, test)
            gap = predicted - age[test]
            value, low, high = mae_with_interval(scans.iloc[test].assign(predicted_age=predicted))
            rng, moved = np.random.default_rng(seed), []
            for _ in range(DRAWS):
                few = rng.permutation(len(test))[:CALIBRATED_ON]
                rest = np.setdiff1d(np.arange(len(test)), few)
                moved.append(np.abs(gap[rest] - gap[few].mean()).mean())
            found.append({
                "recipe": name, "tested": project, "n_scans": len(test),
                "mae": value, "mae_low": low, "mae_high": high, "mean_gap": gap.mean(),
                # −1 where one age is told for all, 0 without a pull to the mean.
                "bias_slope": np.polyfit(age[test], gap, 1)[0],
                f"mae_after_{CALIBRATED_ON}": np.mean(moved),
            })  # fmt: skip
    return pd.DataFrame(found)


def repeated(scans: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """Agreement of two sessions of one person, by recipe; none with fewer people than are told."""
    found = []
    for name in predicted:
        agreement = reliability(scans.assign(stacked_age=predicted[name]))
        if agreement is None or agreement.n_participants < FEWEST:
            continue
        change = agreement.smallest_detectable_change
        found.append({"recipe": name, "n_participants": agreement.n_participants,
                      "icc": agreement.icc, "bias": agreement.bias,
                      # The change is 1.96 √2 standard errors of one measurement.
                      "sd": change / (1.96 * 2**0.5), "smallest_detectable_change": change,
                      })  # fmt: skip
    return pd.DataFrame(found, columns=["recipe", "n_participants", "icc", "bias", "sd",
                                        "smallest_detectable_change"])  # fmt: skip


def network_columns(run: Run, scans: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict]:
    """Out-of-fold predictions of the run's networks, averaged over seeds, and their hours."""
    table = choose(pd.read_csv(run.path("predictions.csv")), mode="sound", role="test", net="T")
    columns, seconds = {}, {}
    for name in run.profile.recipes:
        rows = table[table["recipe"] == name]
        means = rows.groupby("scan_id")["predicted_age"].mean()
        columns[name] = scans["scan_id"].map(means).to_numpy()
        files = run.path("networks", name, "sound").rglob("durations.json")
        seconds[name] = sum(sum(pd.read_json(path, typ="series")["seconds_per_epoch"])
                            for path in files)  # fmt: skip
    return columns, seconds


def write(table: pd.DataFrame, name: str) -> None:
    """Write a table for the book, rounded: it is read by people."""
    OUT.mkdir(parents=True, exist_ok=True)
    with replacing(OUT / f"{name}.csv") as temporary:
        table.round(3).to_csv(temporary, index=False)
    print(f"\n{name}\n{table.round(2).to_string(index=False)}", flush=True)


def main() -> None:
    """Train what is missing, predict, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--run", default="accuracy", help="name of the run, or its folder")
    parser.add_argument("--profile", type=Path, default=PROFILE)
    options = parser.parse_args()
    run = start_run(locate(options.run), options.profile, options.manifest)
    train_alone(run)
    scans = tested(run)
    made: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}
    candidates: dict[str, list[Kernel]] = {}
    for reads, words in (("t1w", "smoothed T1w"), ("tissue", "smoothed tissue maps")):
        for learner, found in kernels(features(run, reads, list(scans["scan_id"]))).items():
            began = time.monotonic()
            name = f"{learner} on {words}"
            candidates[name] = found
            made[name] = out_of_fold(found, scans)
            seconds[name] = time.monotonic() - began
    networks, hours = network_columns(run, scans)
    told = {name: f"network: {load_recipe(name).description}" for name in networks}
    made |= {told[name]: values for name, values in networks.items()}
    seconds |= {told[name]: value for name, value in hours.items()}
    best_kernel = min(candidates, key=lambda name: np.abs(made[name] - scans["age"]).mean())
    names = [best_kernel, *told.values()]
    made["stack of the best kernel and the networks"] = stacked(
        np.column_stack([made[name] for name in names]), scans
    )
    predicted = pd.DataFrame({
        "median age of the other folds": [scans.loc[scans["fold"] != fold, "age"].median()
                                          for fold in scans["fold"]],
        **made,
    })  # fmt: skip
    errors = predicted.sub(scans["age"], axis=0)
    order = list(predicted)
    pairs = list(zip(order[1:], order[:-1], strict=True))
    steps = paired_differences(errors, scans["participant_id"], pairs)
    levers = pd.DataFrame([{"recipe": name, **describe(scans, predicted[name].to_numpy()),
                            "seconds": seconds.get(name, np.nan)} for name in order])  # fmt: skip
    for column in ("difference", "low", "high"):
        levers[f"to_row_above_{column}"] = [np.nan, *steps[column]]
    write(levers, "levers")
    write(by_decade(scans, predicted[order[1:]]), "by_decade")
    write(choosing(scans, predicted), "choosing")
    write(repeated(scans, predicted[order[1:]]), "repeats")
    write(learning_curve(candidates[best_kernel], scans, run.profile.seed), "learning_curve")
    age, people = scans["age"].to_numpy(), scans["participant_id"].to_numpy()
    learners: dict[str, Learner] = {
        name: lambda _, train, test, found=found: fit_predict(found, age, people, train, test)
        for name, found in candidates.items()
    } | {told[name]: partial(network_apart, run, name, scans) for name in networks}
    write(other_study(learners, scans, run.profile.seed), "studies")
    facts = {"manifest sha256": digest_file(options.manifest), "folds": run.profile.folds,
             "scans": len(scans), "participants": scans["participant_id"].nunique()}  # fmt: skip
    write(pd.DataFrame({"what": facts.keys(), "value": facts.values()}), "facts")


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
