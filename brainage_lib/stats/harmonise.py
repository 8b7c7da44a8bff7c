"""ComBat on features, and how well the study can be read from them.

ComBat (Johnson et al. 2007, Biostatistics 8:118; for images Fortin et al. 2018, NeuroImage 167:104)
estimates a shift and a scale of each feature in each study, with age and sex in the model, and
pulls them together by empirical Bayes. It is fitted on training rows and then applied to new
ones **without their age**: with it, what should be predicted would leak in; with the mean age of
all in its place, as `neuroCombatFromTraining` does, age would be flattened. Rows are scaled around
their study's centre instead, and a study's slope over age is scaled with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainage_lib.errors import BadInput
from brainage_lib.stats.metrics import REPLICATES, percentile_interval
from brainage_lib.stats.regression import SEX_CODE
from brainage_lib.stats.tested import resampled_means

LEAST = 10
"""Participants of a study that a classifier is asked to tell."""

_STEPS = 200
_CLOSE = 1e-6


@dataclass(frozen=True)
class Combat:
    """Shift and scale of each feature in each study.

    Attributes
    ----------
    projects : tuple of str
    centre : (projects, features) array
        What a study's training rows would have on average if no study shifted anything.
    shift, scale : (projects, features) array
        In units of the feature; scale is a ratio of SDs.
    """

    projects: tuple[str, ...]
    centre: np.ndarray
    shift: np.ndarray
    scale: np.ndarray

    def apply(self, features: np.ndarray, project: Sequence[str]) -> np.ndarray:
        """Take shift and scale out of new rows; neither age nor sex of theirs is used.

        Parameters
        ----------
        features : (n, features) array of float
        project : (n,) sequence of str

        Raises
        ------
        BadInput
            A study was not among the training rows: its shift is not known, and not guessed.
        """
        unseen = sorted(set(project) - set(self.projects))
        if unseen:
            raise BadInput(
                "harmonisation",
                [f"project {name} has no training rows; ComBat cannot know its shift"
                 for name in unseen],
            )  # fmt: skip
        place = np.array([self.projects.index(name) for name in project], dtype=int)
        centre = self.centre[place]
        return (np.asarray(features) - self.shift[place] - centre) / self.scale[place] + centre


def fit_combat(
    features: np.ndarray, project: Sequence[str], age: np.ndarray, sex: Sequence[str]
) -> Combat:
    """Estimate shifts and scales on training rows.

    Parameters
    ----------
    features : (n, features) array of float
    project : (n,) sequence of str
        Two studies or more, of two rows or more each.
    age : (n,) array of float
        Years.
    sex : (n,) sequence of str
        F or M.

    Raises
    ------
    BadInput
        Fewer than two studies, or a study of one row.
    """
    features = np.asarray(features, dtype=float)
    codes, names = pd.factorize(np.asarray(project), sort=True)
    sizes = np.bincount(codes)
    if len(names) < 2 or sizes.min(initial=2) < 2:
        few = [str(name) for name, size in zip(names, sizes, strict=True) if size < 2]
        what = f"project {', '.join(few)} has one row" if few else "one project"
        raise BadInput("harmonisation", [f"{what}: ComBat needs two projects of two rows each"])
    member = np.eye(len(names))[codes]
    covariates = np.column_stack([age, [SEX_CODE[name] for name in sex]])
    covariates = covariates - covariates.mean(axis=0)
    columns = np.column_stack([member, covariates])
    # The pseudo-inverse: with one sex alone its column is zero.
    fit = np.linalg.pinv(columns) @ features
    grand = (sizes / len(codes)) @ fit[: len(names)]
    effect = covariates @ fit[len(names) :]
    spread = np.sqrt(((features - columns @ fit) ** 2).mean(axis=0))
    spread = np.where(spread > 0, spread, 1.0)
    scaled = (features - grand - effect) / spread
    shift, scale, centre = [], [], []
    for number in range(len(names)):
        rows = codes == number
        gamma, delta = _shrunk(scaled[rows])
        shift.append(spread * gamma)
        scale.append(np.sqrt(delta))
        centre.append(grand + effect[rows].mean(axis=0))
    return Combat(tuple(map(str, names)), *(np.array(part) for part in (centre, shift, scale)))


def readable_projects(
    features: np.ndarray, rows: pd.DataFrame, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, float]:
    """Measure how well a linear classifier reads the study from features.

    Parameters
    ----------
    features : (n, features) array of float
    rows : DataFrame
        participant_id and project; studies of fewer than ten people are left out.
    replicates, seed : int
        Of the participant-cluster bootstrap.

    Returns
    -------
    dict
        accuracy (mean over studies of the share of their rows that are told, out of fold by
        participant), low, high, chance (1 / studies), n_scans, projects. Nothing is known
        with fewer than two studies: accuracy is NaN.
    """
    people = rows.groupby("project")["participant_id"].nunique()
    kept = rows["project"].isin(people[people >= LEAST].index).to_numpy()
    names = sorted(rows.loc[kept, "project"].unique())
    found = {"n_scans": int(kept.sum()), "projects": len(names)}
    if len(names) < 2:
        return found | dict.fromkeys(("accuracy", "low", "high", "chance"), np.nan)
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    part, values = rows[kept], np.asarray(features, dtype=float)[kept]
    machine = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=500)
    )
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    told = cross_val_predict(
        machine, values, part["project"], groups=part["participant_id"], cv=folds
    )
    right = (told == part["project"].to_numpy()).astype(float)
    member = np.column_stack([part["project"] == name for name in names])
    shares = np.array([right[inside].mean() for inside in member.T])
    drawn = resampled_means(
        part["participant_id"], np.tile(right[:, None], len(names)), member, replicates, seed
    )
    low, high = percentile_interval(np.nanmean(drawn, axis=1))
    return found | {
        "accuracy": float(shares.mean()),
        "low": float(low),
        "high": float(high),
        "chance": 1 / len(names),
    }


def _shrunk(scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shift and variance of a study's standardised rows, drawn towards what its features share.

    The equations of Johnson et al. 2007 (normal and inverse gamma priors by moments).
    """
    n = len(scaled)
    mean, variance = scaled.mean(axis=0), scaled.var(axis=0, ddof=1)
    prior, between = mean.mean(), mean.var(ddof=1) if len(mean) > 1 else 0.0
    level, spread = variance.mean(), variance.var(ddof=1) if len(variance) > 1 else 0.0
    if between <= 0 or spread <= 0:
        return mean, np.where(variance > 0, variance, 1.0)
    a = (2 * spread + level**2) / spread
    b = (level * spread + level**3) / spread
    gamma, delta = mean, np.where(variance > 0, variance, level)
    for _ in range(_STEPS):
        new = (n * between * mean + delta * prior) / (n * between + delta)
        rest = ((scaled - new) ** 2).sum(axis=0)
        other = (0.5 * rest + b) / (n / 2 + a - 1)
        change = max(np.abs(new - gamma).max(), np.abs(other / delta - 1).max())
        gamma, delta = new, other
        if change < _CLOSE:
            break
    return gamma, delta
