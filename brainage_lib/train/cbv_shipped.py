"""A run's generator beside the shipped one: where each comes from, one scan by both, scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import numpy as np
import pandas as pd

from brainage_lib.models import TrainedGenerator, load_weights, open_generator
from brainage_lib.models.shipped import shipped_card, shipped_grids, shipped_weights
from brainage_lib.run import SHIPPED, Run
from brainage_lib.simulate import training_people
from brainage_lib.train.aicbv import (
    BASELINE_PEOPLE,
    SCORED_PEOPLE,
    WEIGHTS,
    cbv_map,
    load_generator,
)
from brainage_lib.train.people import open_truth
from brainage_lib.train.teaching import SIMULATED

OWN, GIVEN, OF_PACKAGE = "trained in this run", "weights of the profile", "shipped weights"

MEASURES = ("spearman", "pearson", "ssim", "mae")
"""Of the whole brain; beside them ``grey_residual_r2``."""


@dataclass(frozen=True)
class Origin:
    """Where a run's generator comes from.

    Attributes
    ----------
    label : str
        "trained in this run", "weights of the profile" or "shipped weights".
    size : {"demo", "lite", "paper"}
    learned : str
        From whom: "48 simulated scans in 400 steps".
    source : str
        What it was trained on, for captions.
    """

    label: str
    size: str
    learned: str
    source: str

    @property
    def sentence(self) -> str:
        """All of it, for a page."""
        if self.label == OWN:
            return f"This run trained its generator (size {self.size}) on {self.learned}."
        return (
            f"This run trained no generator. It uses {self.label} (size {self.size}), which "
            f"were trained on {self.learned}."
        )


def origin(run: Run) -> Origin:
    """Tell where the generator of a run comes from, by its profile and its weights.

    Raises
    ------
    BadInput
        The run has no weights yet.
    """
    named = run.profile.generator.weights
    label = OWN if named is None else OF_PACKAGE if named == SHIPPED else GIVEN
    return _origin(label, load_weights(run.path(WEIGHTS))[1])


def _origin(label: str, metadata: dict[str, str]) -> Origin:
    source = metadata.get("source", "scans that the file does not name")
    learned = f"{metadata['people']} {source}" if "people" in metadata else source
    if "steps" in metadata:
        learned += f" in {int(metadata['steps']):,} steps"
    return Origin(label, metadata.get("size", "unknown"), learned, source)


@dataclass(frozen=True)
class Beside:
    """One simulated scan by the run's generator and by the shipped one, and scores of both.

    Attributes
    ----------
    sentence : str
        Which maps there are, and why no other.
    t1w, true_cbv : (x, y, z) arrays
        Normalised T1w, and true blood volume in ml/100 ml, of a simulated person in no cohort
        and in nobody's training.
    maps : dict of str to (x, y, z) array
        AICBV (ml/100 ml) by whose it is; one or two.
    scores : DataFrame
        A row a generator, then tissue means and ceiling: ``predictor``, ``size``, ``learned``,
        the means of ``spearman``, ``pearson``, ``ssim``, ``mae`` (ml/100 ml) over the brain, and
        ``grey_residual_r2``. Those of the shipped one are its model card's.
    """

    sentence: str
    t1w: np.ndarray = field(repr=False)
    true_cbv: np.ndarray = field(repr=False)
    maps: dict[str, np.ndarray] = field(repr=False)
    scores: pd.DataFrame = field(repr=False)


def put_beside(run: Run, scores: pd.DataFrame) -> Beside:
    """Map one simulated scan by the run's generator and, where there is one, the shipped one.

    Parameters
    ----------
    run : Run
        With its generator.
    scores : DataFrame
        Schema ``AICBV_SCORES``: those of the run.

    Raises
    ------
    BadInput
        The run has no weights yet, or the shipped ones are damaged.
    """
    mm, own = run.profile.grid_mm, origin(run)
    shipped = open_generator(shipped_weights(mm)) if mm in shipped_grids() else None
    learned_from = {run.profile.seed, *(_seed(shipped) if shipped else ())}
    # Another seed gives other people: this one is of nobody's training.
    seed = next(n for n in count(run.profile.seed + 1) if n not in learned_from)
    truth = open_truth(training_people(SCORED_PEOPLE, seed)[0], mm)
    maps = {own.label: cbv_map(run, load_generator(run), truth.t1w)}
    rows = [_row(own, _means(scores, "network"))]
    if own.label == OF_PACKAGE:
        sentence = f"This run uses the weights shipped for {mm} mm; there is no other map to show."
    elif shipped is None:
        sentence = (
            f"No weights are shipped for {mm} mm with this version, so that only the map of this "
            "run's generator is shown."
        )
    else:
        other = _origin(OF_PACKAGE, shipped.metadata)
        maps[other.label] = shipped.cbv(truth.t1w)
        rows.append(_row(other, _means_of_card(shipped_card(mm)["scores"])))
        sentence = (
            f"The first map is by the generator {own.label} (size {own.size}, {own.learned}), the "
            f"second by the weights that are shipped for {mm} mm (size {other.size}, "
            f"{other.learned}). Neither has learned from this person."
        )
    for predictor in ("tissue means", "ceiling"):
        people = min(run.profile.generator.people or BASELINE_PEOPLE, BASELINE_PEOPLE)
        fitted = Origin(predictor, "no network", f"{people} {SIMULATED}", SIMULATED)
        rows.append(_row(fitted, _means(scores, predictor)))
    return Beside(sentence, truth.t1w, truth.cbv, maps, pd.DataFrame(rows))


def _seed(generator: TrainedGenerator) -> list[int]:
    return [int(generator.metadata["seed"])] if "seed" in generator.metadata else []


def _row(whose: Origin, means: dict[str, float]) -> dict:
    learned = f"from {whose.learned}"
    return {"predictor": whose.label, "size": whose.size, "learned": learned, **means}


def _means(scores: pd.DataFrame, predictor: str) -> dict[str, float]:
    means = scores.groupby(["predictor", "region", "measure"])["value"].mean()
    found = {name: means.get((predictor, "brain", name)) for name in MEASURES}
    return found | {"grey_residual_r2": means.get((predictor, "grey matter", "residual_r2"))}


def _means_of_card(scores: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    def mean(region: str, measure: str):
        return scores.get(region, {}).get(measure, {}).get("network")

    found = {name: mean("brain", name) for name in MEASURES}
    return found | {"grey_residual_r2": mean("grey matter", "residual_r2")}
