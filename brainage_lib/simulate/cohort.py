"""The simulated lifespan cohort: who is scanned, where, when."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import truncnorm

from brainage_lib.errors import WrongUsage
from brainage_lib.simulate.scan import truth_of
from brainage_lib.simulate.sources import table
from brainage_lib.simulate.uri import FAULTS, RANDOM, ScanSpec
from brainage_lib.tables import MANIFEST

PATIENT_SHARE = 0.22
"""Of the participants of studies of patients; some 13 % of all scans (our assumption: the
paper does not say whether patients are in its data)."""

PEOPLE_A_SEED = 10_000
"""Person seeds of a cohort are seed · this + 1, 2, …"""

TRAINING_SEEDS = 10**15
"""Person seeds of `training_people` begin here, beyond those of every cohort."""

MAX_SEED = 10**9


def simulate_cohort(
    seed: int = 2026, n_scans: int = 360, n_participants: int = 300, faults: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw up the cohort; no image is made.

    Studies have the sizes, age shapes, share of women, repeated scans and patients of
    projects.csv. The sizes (``n_fraction``) are a guess that fits the paper's Table 1: good
    for a simulation, never a fact to cite.

    Parameters
    ----------
    seed : int
        Below 10^9.
    n_scans, n_participants : int
        The scans beyond one a participant are repeats in the longitudinal studies.
    faults : bool
        Whether one more person is scanned for each of `FAULTS`, badly.

    Returns
    -------
    manifest : DataFrame
        Schema ``MANIFEST``; ``path`` is a ``sim:`` URI.
    truth : DataFrame
        ``scan_id``, ``latent_age`` and ``deviation`` (years), ``tiv_ml``, volumes of the
        structures (``<structure>_ml``), ``cbv_grey`` and ``cbv_white`` (ml/100 ml).

    Raises
    ------
    WrongUsage
        If the numbers cannot be met.
    """
    if not 0 <= seed < MAX_SEED:
        raise WrongUsage(f"seed {seed} is not within 0–{MAX_SEED - 1}")
    if not 0 < n_participants < PEOPLE_A_SEED:
        raise WrongUsage(f"n_participants {n_participants} is not within 1–{PEOPLE_A_SEED - 1}")
    projects = table("projects")
    scans = _apportion(projects.n_fraction.to_numpy(), n_scans)
    repeats = _repeats(projects.max_sessions.to_numpy(), scans, n_scans - n_participants)
    rng = np.random.default_rng([seed, 20])
    specs: list[tuple[str, ScanSpec]] = []
    first = seed * PEOPLE_A_SEED + 1
    for project, n, again in zip(projects.index, scans, repeats, strict=True):
        specs += _project_scans(project, n - again, again, first, rng)
        first += n - again
    if faults:
        specs += _bad_scans(first, np.random.default_rng([seed, 22]))
    manifest = pd.DataFrame([_row(person, spec) for person, spec in specs])
    truth = pd.DataFrame([truth_of(spec) for _, spec in specs])
    truth.insert(0, "scan_id", manifest["scan_id"])
    return MANIFEST.validate(manifest), truth


def _bad_scans(first: int, rng: np.random.Generator) -> list[tuple[str, ScanSpec]]:
    """One person a fault, in studies drawn at random; others keep the seeds that they had."""
    found = []
    for place, fault in enumerate(FAULTS):
        project = str(rng.choice(table("projects").index))
        row = table("projects").loc[project]
        spec = ScanSpec(
            seed=first + place,
            session=1,
            age=round(float(rng.uniform(row.age_min, row.age_max)), 2),
            sex=str(rng.choice(["F", "M"])),
            project=project,
            diagnosis="control",
            fault=fault,
        )
        found.append((f"{project}9{place + 1:03d}", spec))
    return found


def _row(person: str, spec: ScanSpec) -> dict:
    return {
        "scan_id": f"{person}_ses-{spec.session}",
        "participant_id": f"sub-{person}",
        "project": spec.project,
        "session": f"ses-{spec.session}",
        "age": spec.age,
        "sex": spec.sex,
        "diagnosis": spec.diagnosis,
        "path": spec.uri,
        "t1w_state": "simulated",
    }


def _apportion(weights: np.ndarray, total: int) -> np.ndarray:
    """Share a whole number out by weight (largest remainders)."""
    exact = weights / weights.sum() * total
    counts = np.floor(exact).astype(int)
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def _repeats(max_sessions: np.ndarray, scans: np.ndarray, total: int) -> np.ndarray:
    """How many of each study's scans are repeats."""
    # m sessions at most: of n scans at least ceil(n / m) are first ones.
    room = scans - -(-scans // max_sessions)
    if not 0 <= total <= room.sum():
        raise WrongUsage(
            f"{total} repeated scans cannot be shared out: give n_scans between n_participants "
            f"and n_participants + {room.sum()}"
        )
    return _apportion(room, total) if total else 0 * room


def _project_scans(
    project: str, n_people: int, n_repeats: int, first: int, rng: np.random.Generator
) -> list[tuple[str, ScanSpec]]:
    row = table("projects").loc[project]
    visits = 1 + np.array([n_repeats // max(n_people, 1)] * n_people)
    visits[: n_repeats - (visits - 1).sum()] += 1
    visits = rng.permutation(visits)
    baseline = rng.permutation(_ages(row, n_people, rng))
    women = round(row.female_fraction * n_people)
    sexes = rng.permutation(["F"] * women + ["M"] * (n_people - women))
    diagnoses = rng.permutation(_diagnoses(row.patients, n_people))
    found = []
    for i in range(n_people):
        for visit in range(int(visits[i])):
            later = visit * row.interval_y * (1 + 0.1 * rng.standard_normal())
            # A repeat shifts the middle of the study's ages; half of it is taken off before.
            age = baseline[i] + later - (visits[i] - 1) * row.interval_y / 2
            spec = ScanSpec(
                seed=first + i,
                session=visit + 1,
                age=round(float(np.clip(age, row.age_min, row.age_max)), 2),
                sex=str(sexes[i]),
                project=project,
                diagnosis=str(diagnoses[i]),
            )
            found.append((f"{project}{i + 1:04d}", spec))
    return found


def _ages(row, n: int, rng: np.random.Generator) -> np.ndarray:
    """Ages by the study's mixture of normals within its range, one from each n-th of it."""
    parts = [tuple(map(float, part.split(":"))) for part in row.ages.split(";")]
    counts = _apportion(np.array([weight for weight, _, _ in parts]), n)
    ages = []
    for (_, mean, sd), count in zip(parts, counts, strict=True):
        places = (np.arange(count) + rng.random(count)) / max(count, 1)
        low, high = (row.age_min - mean) / sd, (row.age_max - mean) / sd
        ages.append(truncnorm.ppf(places, low, high, loc=mean, scale=sd))
    return np.concatenate(ages)


def _diagnoses(patients: str, n: int) -> list[str]:
    if not patients:
        return ["control"] * n
    words, weights = zip(*(part.split(":") for part in patients.split(";")), strict=True)
    counts = _apportion(np.array(weights, dtype=float), round(PATIENT_SHARE * n))
    ill = [word for word, count in zip(words, counts, strict=True) for _ in range(count)]
    return ill + ["control"] * (n - len(ill))


def training_people(n: int, seed: int) -> list[str]:
    """URIs of people who are in no cohort, for training the generator.

    Ages spread evenly over 15–95, each scan with a sequence of its own.

    Parameters
    ----------
    n : int
        At most 10^6.
    seed : int
        Another seed gives other people.

    Returns
    -------
    list of str
    """
    if not 0 <= n <= 10**6:
        raise WrongUsage(f"n {n} is not within 0–1000000")
    rng = np.random.default_rng([seed, 21])
    ages = rng.permutation(15 + 80 * (np.arange(n) + rng.random(n)) / max(n, 1))
    sexes = rng.choice(["F", "M"], n)
    first = TRAINING_SEEDS + seed * 10**6
    return [
        ScanSpec(first + i, 1, round(float(age), 2), str(sex), RANDOM, "control").uri
        for i, (age, sex) in enumerate(zip(ages, sexes, strict=True))
    ]
