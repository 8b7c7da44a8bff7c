"""Two ways to split a cohort: the paper's by scan, and a sound one by participant."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from brainage_lib.data.strata import count_cells, stratify
from brainage_lib.data.summary import CONTROL
from brainage_lib.errors import BadInput
from brainage_lib.stats.divergence import kl_to_whole

N_PARTITIONS = 10
LEAST_IN_PARTITION = 2
"""Scans of the smallest partition: fewer, and its KL divergence says nothing."""

VALIDATION_PARTS = 7
"""The training folds are cut into seven; one, about 15 %, stops the training early."""

ROLES_OF_FOLD = ("test", "validation", "train")
"""Roles of a sound fold in the order of their ``partition`` number in the scores."""


def paper_split(
    manifest: pd.DataFrame, seed: int, patients: str = "as-they-come"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split by scan, as the paper does: ten partitions, the two most typical ones held out.

    Scans are shuffled within their strata (age bin × project, see `stratify`) and dealt
    out in turn, on from where the stratum before stopped, so that partitions differ by one
    scan at most. The partition of smallest Kullback-Leibler divergence from the whole is
    the test set, the second smallest validation (which of the two is which is ours).
    The divergence is that of the joint histogram of age bin × project, in nats, with one
    added to every cell that the whole occupies.

    Parameters
    ----------
    manifest : DataFrame
        Schema ``MANIFEST``.
    seed : int
        Of the shuffle.
    patients : {"as-they-come", "apart"}
        Whether scans whose diagnosis is not "control" are dealt out like all others, or
        get the role "apart"; bins, strata and the whole are then those of the controls.

    Returns
    -------
    splits : DataFrame
        Schema ``SPLITS``, in the manifest's order; fold 0.
    scores : DataFrame
        Schema ``SPLIT_SCORES``: a row a partition. ``shared_participants`` counts those
        who also have a scan in another partition.

    Raises
    ------
    BadInput
        Fewer than two scans a partition.
    """
    if patients not in ("as-they-come", "apart"):
        raise ValueError(f"patients={patients!r}; use 'as-they-come' or 'apart'")
    learned = manifest["diagnosis"].eq(CONTROL).to_numpy() | (patients == "as-they-come")
    rows = manifest[learned].reset_index(drop=True)
    if len(rows) < LEAST_IN_PARTITION * N_PARTITIONS:
        raise BadInput(
            "paper split",
            [
                f"{len(rows)} scans cannot fill {N_PARTITIONS} partitions; at least "
                f"{LEAST_IN_PARTITION * N_PARTITIONS} are needed: add scans to the manifest, "
                "or take the mode paper out of the profile"
            ],
        )
    partition = _deal_out(stratify(rows, N_PARTITIONS)["stratum"], N_PARTITIONS, seed)
    kl = kl_to_whole(*count_cells(rows, partition, N_PARTITIONS))
    # Equal divergences differ in their last bits; among them the lower number comes first.
    test, validation = np.argsort(kl.round(12), kind="stable")[:2]
    role_of = np.full(N_PARTITIONS, "train", dtype=object)
    role_of[test], role_of[validation] = "test", "validation"
    splits = pd.DataFrame(
        {"scan_id": manifest["scan_id"].to_numpy(), "mode": "paper", "fold": 0, "role": "apart"}
    )
    splits["partition"] = pd.array([pd.NA] * len(splits), dtype="Int64")
    splits.loc[learned, "role"] = role_of[partition]
    splits.loc[learned, "partition"] = partition
    scores = _score(rows, partition, role_of, kl, "paper", 0)
    return splits, scores


def _deal_out(strata: pd.Series, n: int, seed: int) -> np.ndarray:
    """Deal the scans of one stratum after the other to ``n`` partitions in turn."""
    rng = np.random.default_rng([seed, 10])
    order = rng.permutation(len(strata))
    order = order[np.argsort(strata.to_numpy().astype(str)[order], kind="stable")]
    partition = np.empty(len(strata), int)
    partition[order] = np.arange(len(strata)) % n
    return partition


def sound_split(
    manifest: pd.DataFrame, folds: int, seed: int, aliases: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split by participant: every control is tested once, by networks that never saw them.

    Parameters
    ----------
    manifest : DataFrame
        Schema ``MANIFEST``.
    folds : int
        At least 2.
    seed : int
        Of the shuffles.
    aliases : DataFrame, optional
        Columns participant_id, same_as: participants who are one person.

    Returns
    -------
    splits : DataFrame
        Schema ``SPLITS``, a row a scan and fold. Controls are "test" in one fold, in the
        others "train" or (about one participant in seven) "validation", for early
        stopping; scans of patients are "apart" in all. ``partition`` is empty.
    scores : DataFrame
        Schema ``SPLIT_SCORES``: three rows a fold, ``partition`` 0 test, 1 validation,
        2 train, against all controls.

    Raises
    ------
    BadInput
        Fewer than two persons a fold among the controls.
    """
    if folds < 2:
        raise ValueError(f"folds={folds}; a split needs at least 2")
    is_control = manifest["diagnosis"].eq(CONTROL).to_numpy()
    rows = manifest[is_control].reset_index(drop=True)
    persons = join_aliases(rows["participant_id"], aliases).to_numpy()
    n_persons = len(set(persons))
    if n_persons < 2 * folds:
        raise BadInput(
            "sound split",
            [
                f"{n_persons} participants among the controls cannot fill {folds} folds; at "
                f"least {2 * folds} are needed: lower folds in the profile, or add scans"
            ],
        )
    tables, scores = [], []
    for fold, test in enumerate(_cut(rows, persons, folds, seed)):
        others = np.flatnonzero(~test)
        parts = min(VALIDATION_PARTS, len(set(persons[others])))
        cuts = _cut(rows.iloc[others], persons[others], parts, _derive(seed, fold))
        role = np.full(len(rows), "train", dtype=object)
        role[test] = "test"
        role[others[cuts[0]]] = "validation"
        table = pd.DataFrame(
            {
                "scan_id": manifest["scan_id"].to_numpy(),
                "mode": "sound",
                "fold": fold,
                "role": "apart",
            }
        )
        table.loc[is_control, "role"] = role
        tables.append(table)
        number = np.array([ROLES_OF_FOLD.index(name) for name in role])
        kl = kl_to_whole(*count_cells(rows, number, len(ROLES_OF_FOLD)))
        scores.append(_score(rows, number, ROLES_OF_FOLD, kl, "sound", fold, persons))
    splits = pd.concat(tables, ignore_index=True)
    splits["partition"] = pd.array([pd.NA] * len(splits), dtype="Int64")
    return splits, pd.concat(scores, ignore_index=True)


def _cut(rows: pd.DataFrame, persons: np.ndarray, n: int, seed: int) -> list[np.ndarray]:
    """Cut scans into ``n`` parts by person, alike in age bin × project.

    Returns one boolean mask a part; none is empty.
    """
    strata = stratify(rows.reset_index(drop=True), n)["stratum"]
    cutter = StratifiedGroupKFold(n, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # The last stratum, of what could not be pooled, may hold fewer scans than parts.
        warnings.filterwarnings("ignore", message="The least populated class")
        found = [chosen for _, chosen in cutter.split(rows, strata, persons)]
    part = np.empty(len(rows), int)
    for number, chosen in enumerate(found):
        part[chosen] = number
    _fill_empty(part, persons, n)
    return [part == number for number in range(n)]


def _fill_empty(part: np.ndarray, persons: np.ndarray, n: int) -> None:
    """Give each part without a scan one person of the part with most persons, in place.

    ``StratifiedGroupKFold`` may leave a part empty where there are hardly more persons than
    parts. At least ``n`` persons.
    """
    scans = pd.Series(persons).map(pd.Series(persons).value_counts()).to_numpy()
    for empty in sorted(set(range(n)) - set(part)):
        crowd = pd.Series(persons).groupby(part).nunique().idxmax()
        inside = np.flatnonzero(part == crowd)
        fewest = min(inside, key=lambda k: (scans[k], str(persons[k])))
        part[persons == persons[fewest]] = empty


def _derive(seed: int, fold: int) -> int:
    return int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])


def join_aliases(participants: pd.Series, aliases: pd.DataFrame | None) -> pd.Series:
    """Name the person behind each participant.

    Parameters
    ----------
    participants : Series of str
    aliases : DataFrame or None
        Columns participant_id, same_as; chains are followed.

    Returns
    -------
    Series of str
        The alphabetically first participant_id of all that are one person.
    """
    if aliases is None:
        return participants
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.get(name, name) != name:
            name = leader[name]
        return name

    for one, other in aliases[["participant_id", "same_as"]].itertuples(index=False):
        first, second = sorted([find(one), find(other)])
        leader[second] = first
    return participants.map(find)


def _score(
    rows: pd.DataFrame,
    part: np.ndarray,
    role_of: Sequence[str],
    kl: np.ndarray,
    mode: str,
    fold: int,
    persons: np.ndarray | None = None,
) -> pd.DataFrame:
    persons = rows["participant_id"].to_numpy() if persons is None else persons
    parts_of_person = pd.Series(part).groupby(persons).nunique()
    scores = []
    for number, role in enumerate(role_of):
        inside = part == number
        ages = rows["age"].to_numpy()[inside]
        people = np.unique(persons[inside])
        scores.append(
            {
                "mode": mode,
                "fold": fold,
                "partition": number,
                "role": role,
                "n_scans": int(inside.sum()),
                "n_participants": len(people),
                "age_mean": ages.mean(),
                "age_sd": ages.std(ddof=1) if len(ages) > 1 else np.nan,
                "kl": kl[number],
                "shared_participants": int((parts_of_person[people] > 1).sum()),
            }
        )
    return pd.DataFrame(scores)


def leaks(
    splits: pd.DataFrame, manifest: pd.DataFrame, aliases: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Count the persons whom a split shows to a network in more than one role.

    Parameters
    ----------
    splits : DataFrame
        Schema ``SPLITS``.
    manifest : DataFrame
        Schema ``MANIFEST``, with all scans of the splits.
    aliases : DataFrame, optional
        See `sound_split`.

    Returns
    -------
    DataFrame
        A row a mode. ``n_persons``: in train, validation or test. ``shared_persons``: in
        more than one of these within a fold. ``test_scans`` and ``leaked_test_scans``: of
        all folds; leaked if the person is also in train or validation. ``apart_scans`` and
        ``leaked_apart_scans``: scans apart, and those of them whose person is in train or
        validation of some fold (someone who was a control once and a patient later).
    """
    person_of = dict(
        zip(
            manifest["scan_id"],
            join_aliases(manifest["participant_id"], aliases),
            strict=True,
        )
    )
    rows = splits.assign(person=splits["scan_id"].map(person_of))
    if rows["person"].isna().any():
        raise ValueError("splits hold scans that are not in the manifest")
    counts = []
    for mode, part in rows.groupby("mode", sort=True):
        used = part[part["role"] != "apart"]
        roles = used.groupby(["fold", "person"])["role"].nunique()
        learned = used[used["role"] != "test"][["fold", "person"]].drop_duplicates()
        seen = part.merge(learned, on=["fold", "person"])
        counts.append(
            {
                "mode": mode,
                "n_persons": used["person"].nunique(),
                "shared_persons": roles[roles > 1].index.get_level_values("person").nunique(),
                "test_scans": int((used["role"] == "test").sum()),
                "leaked_test_scans": int((seen["role"] == "test").sum()),
                "apart_scans": part.loc[part["role"] == "apart", "scan_id"].nunique(),
                "leaked_apart_scans": seen.loc[seen["role"] == "apart", "scan_id"].nunique(),
            }
        )
    return pd.DataFrame(counts)
