"""The two splits: what each promises, on random cohorts."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage_lib.data.splits import join_aliases, leaks, paper_split, sound_split
from brainage_lib.errors import BadInput
from brainage_lib.tables import MANIFEST, SPLIT_SCORES, SPLITS


def make_cohort(seed, n=60, projects=3, repeats=0.3, patients=0.0):
    """Random scans; ``repeats`` and ``patients`` are shares of scans."""
    rng = np.random.default_rng([seed, 99])
    people = max(2, round(n * (1 - repeats)))
    owner = np.concatenate([np.arange(people), rng.integers(0, people, max(0, n - people))])[:n]
    project = rng.integers(0, projects, people)
    age = rng.choice([rng.uniform(6, 90, people), rng.normal(25, 4, people)])
    table = pd.DataFrame(
        {
            "scan_id": [f"s{k:03d}" for k in range(n)],
            "participant_id": [f"p{k:03d}" for k in owner],
            "project": [f"P{project[k]}" for k in owner],
            "session": [str(k) for k in range(n)],
            "age": np.clip(age[owner] + rng.uniform(0, 3, n), 5, 110).round(1),
            "sex": rng.choice(["F", "M"], people)[owner],
            "diagnosis": np.where(rng.random(n) < patients, "AD", "control"),
            "path": "sim:v1",
            "t1w_state": "simulated",
        }
    )
    return MANIFEST.validate(table)


COHORTS = st.builds(
    make_cohort,
    seed=st.integers(0, 10**6),
    n=st.integers(30, 110),
    projects=st.integers(1, 13),
    repeats=st.sampled_from([0.0, 0.3, 0.7]),
    patients=st.sampled_from([0.0, 0.15]),
)
FEW = settings(deadline=None, max_examples=25)


def most_folds(manifest, wanted):
    """As many folds as wanted, or as the cohort has two participants for."""
    controls = manifest.loc[manifest["diagnosis"] == "control", "participant_id"]
    return min(wanted, controls.nunique() // 2)


def expected_kl(manifest, splits):
    """The definition, cell by cell, without arrays."""
    learned = splits[splits["role"] != "apart"].merge(manifest, on="scan_id")
    ages = sorted(learned["age"])

    def percentile(share):
        place = share * (len(ages) - 1)
        low = math.floor(place)
        high = min(low + 1, len(ages) - 1)
        return ages[low] + (place - low) * (ages[high] - ages[low])

    edges = [percentile(k / 10) for k in range(1, 10)]
    cell = {
        row.scan_id: (row.project, sum(edge <= row.age + 1e-9 for edge in edges))
        for row in learned.itertuples()
    }
    whole = Counter(cell.values())
    n_whole = sum(whole.values())
    result = []
    for number in range(10):
        part = Counter(
            cell[scan] for scan in learned.loc[learned["partition"] == number, "scan_id"]
        )
        n_part = sum(part.values())
        total = 0.0
        for key, count in whole.items():
            p = (part[key] + 1) / (n_part + len(whole))
            q = (count + 1) / (n_whole + len(whole))
            total += p * math.log(p / q)
        result.append(total)
    return result


@FEW
@given(COHORTS)
def test_kl_equals_the_definition_and_the_two_smallest_are_held_out(manifest):
    splits, scores = paper_split(manifest, seed=1)
    SPLITS.validate(splits)
    SPLIT_SCORES.validate(scores)
    kl = expected_kl(manifest, splits)
    np.testing.assert_allclose(scores["kl"], kl, rtol=1e-9)
    by_role = scores.set_index("role")["kl"]
    assert by_role["test"] <= by_role["validation"] + 1e-12
    assert by_role["validation"] <= by_role["train"].min() + 1e-12
    assert (scores["role"] == "train").sum() == 8
    roles = splits.groupby("partition")["role"].agg(lambda values: set(values))
    assert [{role} for role in scores["role"]] == roles.tolist()


@FEW
@given(COHORTS)
def test_partitions_differ_by_one_scan_and_every_scan_is_in_one(manifest):
    splits, scores = paper_split(manifest, seed=1)
    assert splits["scan_id"].tolist() == manifest["scan_id"].tolist()
    sizes = splits["partition"].value_counts()
    assert sizes.max() - sizes.min() <= 1
    assert scores["n_scans"].tolist() == [sizes[k] for k in range(10)]
    assert (splits["fold"] == 0).all()


@FEW
@given(COHORTS, st.integers(0, 100))
def test_a_stratum_is_spread_over_the_partitions(manifest, seed):
    from brainage_lib.data.strata import stratify

    splits, _ = paper_split(manifest, seed)
    counts = pd.crosstab(stratify(manifest, 10)["stratum"].to_numpy(), splits["partition"])
    assert (counts.max(axis=1) - counts.reindex(columns=range(10)).min(axis=1) <= 1).all()


def test_the_seed_alone_decides_the_paper_split():
    manifest = make_cohort(3, n=90)
    first, _ = paper_split(manifest, seed=5)
    again, _ = paper_split(manifest, seed=5)
    other, _ = paper_split(manifest, seed=6)
    pd.testing.assert_frame_equal(first, again)
    assert (first["partition"] != other["partition"]).any()


def test_patients_come_as_they_are_or_stay_apart():
    manifest = make_cohort(4, n=90, patients=0.2)
    mixed, _ = paper_split(manifest, seed=5)
    assert "apart" not in set(mixed["role"])
    apart, scores = paper_split(manifest, seed=5, patients="apart")
    is_patient = manifest["diagnosis"].ne("control").to_numpy()
    np.testing.assert_array_equal(apart["role"].eq("apart"), is_patient)
    np.testing.assert_array_equal(apart["partition"].isna(), is_patient)
    assert scores["n_scans"].sum() == (~is_patient).sum()
    with pytest.raises(ValueError, match="as-they-come"):
        paper_split(manifest, seed=5, patients="away")


def test_leaks_of_the_paper_mode_are_counted():
    manifest = make_cohort(5, n=40, repeats=0.0)
    splits, _ = paper_split(manifest, seed=1)
    clean = leaks(splits, manifest).iloc[0]
    assert clean[["n_persons", "shared_persons", "leaked_test_scans"]].tolist() == [40, 0, 0]
    test = splits.loc[splits["role"] == "test", "scan_id"].tolist()
    train = splits.loc[splits["role"] == "train", "scan_id"].tolist()
    validation = splits.loc[splits["role"] == "validation", "scan_id"].tolist()
    person = manifest.set_index("scan_id")["participant_id"]
    # One person in test and train, one in test and validation, one in train and validation.
    person[test[0]] = person[train[0]]
    person[test[1]] = person[validation[0]]
    person[train[1]] = person[validation[1]]
    # Two test scans of one person are no leak.
    person[test[3]] = person[test[2]]
    leaky = manifest.assign(participant_id=person.to_numpy())
    found = leaks(splits, leaky).iloc[0]
    assert found["shared_persons"] == 3
    assert found["leaked_test_scans"] == 2
    assert found["test_scans"] == 4
    joined = pd.DataFrame({"participant_id": [person[test[2]]], "same_as": [person[train[2]]]})
    assert leaks(splits, leaky, joined).iloc[0]["leaked_test_scans"] == 4


def test_partitions_that_share_people_say_so():
    manifest = make_cohort(6, n=60, repeats=0.7)
    splits, scores = paper_split(manifest, seed=1)
    rows = splits.merge(manifest[["scan_id", "participant_id"]], on="scan_id")
    for number, shared in zip(scores["partition"], scores["shared_participants"], strict=True):
        inside = set(rows.loc[rows["partition"] == number, "participant_id"])
        outside = set(rows.loc[rows["partition"] != number, "participant_id"])
        assert shared == len(inside & outside)


@FEW
@given(COHORTS, st.integers(2, 5), st.integers(0, 50))
def test_same_participant_never_in_two_roles(manifest, folds, seed):
    folds = most_folds(manifest, folds)
    splits, scores = sound_split(manifest, folds, seed)
    SPLITS.validate(splits)
    SPLIT_SCORES.validate(scores)
    rows = splits.merge(manifest, on="scan_id")
    used = rows[rows["role"] != "apart"]
    assert (used.groupby(["fold", "participant_id"])["role"].nunique() == 1).all()
    assert (scores["shared_participants"] == 0).all()
    found = leaks(splits, manifest).iloc[0]
    assert (found["shared_persons"], found["leaked_test_scans"]) == (0, 0)


@FEW
@given(COHORTS, st.integers(2, 5), st.integers(0, 50))
def test_each_control_is_tested_once_and_patients_never(manifest, folds, seed):
    folds = most_folds(manifest, folds)
    splits, scores = sound_split(manifest, folds, seed)
    rows = splits.merge(manifest, on="scan_id")
    controls = rows[rows["diagnosis"] == "control"]
    assert (controls.groupby("scan_id")["role"].agg(lambda r: (r == "test").sum()) == 1).all()
    assert (rows.loc[rows["diagnosis"] != "control", "role"] == "apart").all()
    assert rows.groupby("scan_id").size().eq(folds).all()
    # Every fold has all three roles; validation is a small part of what is left.
    table = scores.pivot(index="fold", columns="role", values="n_scans")
    assert (table > 0).all().all()
    assert (table["validation"] <= table["train"]).all()
    assert table.sum(axis=1).eq((manifest["diagnosis"] == "control").sum()).all()


def test_validation_is_about_a_seventh_of_the_training_folds():
    manifest = make_cohort(7, n=350, repeats=0.2)
    _, scores = sound_split(manifest, folds=5, seed=2026)
    table = scores.pivot(index="fold", columns="role", values="n_scans")
    share = table["validation"] / (table["validation"] + table["train"])
    assert share.between(0.12, 0.18).all()
    assert (table["test"] / 350).between(0.17, 0.23).all()


def test_folds_are_alike_in_age_and_project():
    manifest = make_cohort(8, n=350, repeats=0.0, projects=3)
    splits, _ = sound_split(manifest, folds=5, seed=2026)
    test = splits[splits["role"] == "test"].merge(manifest, on="scan_id")
    counts = pd.crosstab(test["project"], test["fold"])
    assert (counts.max(axis=1) - counts.min(axis=1) <= 4).all()
    assert test.groupby("fold")["age"].mean().std() < 1.0


def test_the_seed_alone_decides_the_sound_split():
    manifest = make_cohort(9, n=90)
    first, _ = sound_split(manifest, 3, seed=5)
    again, _ = sound_split(manifest, 3, seed=5)
    other, _ = sound_split(manifest, 3, seed=6)
    pd.testing.assert_frame_equal(first, again)
    assert (first["role"] != other["role"]).any()


def test_aliases_keep_one_person_of_two_studies_together():
    manifest = make_cohort(10, n=60, repeats=0.0)
    names = manifest["participant_id"].tolist()
    # A chain of 20: each is the next one; joined, they are one person.
    chain = pd.DataFrame({"participant_id": names[:19], "same_as": names[1:20]})
    persons = join_aliases(manifest["participant_id"], chain.sample(frac=1, random_state=1))
    assert set(persons[:20]) == {names[0]}
    assert persons[20:].tolist() == names[20:]
    splits, _ = sound_split(manifest, 2, 1, aliases=chain)
    table = splits.pivot(index="scan_id", columns="fold", values="role")
    assert (table.loc[manifest["scan_id"][:20]].nunique() == 1).all()
    assert leaks(splits, manifest, chain).iloc[0]["shared_persons"] == 0


def test_someone_who_became_a_patient_is_counted_as_a_leak_of_the_scans_apart():
    manifest = make_cohort(11, n=40, repeats=0.0)
    manifest.loc[1, ["participant_id", "diagnosis"]] = [manifest["participant_id"][0], "AD"]
    manifest.loc[2, "diagnosis"] = "AD"
    splits, _ = sound_split(manifest, 2, 1)
    found = leaks(splits, manifest).iloc[0]
    assert (found["apart_scans"], found["leaked_apart_scans"]) == (2, 1)


@pytest.mark.parametrize("n", [30, 31, 45])
def test_a_tiny_cohort_of_one_project_can_be_split(n):
    manifest = make_cohort(12, n=n, projects=1, repeats=0.2)
    splits, _ = paper_split(manifest, 1)
    assert set(splits["role"]) == {"train", "validation", "test"}
    for folds in (2, 5):
        splits, _ = sound_split(manifest, folds, 1)
        assert splits["fold"].nunique() == folds


def test_too_few_scans_or_participants_is_said_with_a_remedy():
    with pytest.raises(BadInput, match="19 scans cannot fill 10 partitions; at least 20"):
        paper_split(make_cohort(1, n=19), 1)
    with pytest.raises(BadInput, match="9 participants among the controls cannot fill 5 folds"):
        sound_split(make_cohort(1, n=9, repeats=0.0), 5, 1)
    patients = make_cohort(1, n=40).assign(diagnosis="AD")
    with pytest.raises(BadInput, match="0 scans cannot fill"):
        paper_split(patients, 1, "apart")
    with pytest.raises(BadInput, match="0 participants among the controls"):
        sound_split(patients, 2, 1)
    with pytest.raises(ValueError, match="at least 2"):
        sound_split(make_cohort(1), 1, 1)


def test_leaks_need_the_scans_of_the_split():
    manifest = make_cohort(13)
    splits, _ = paper_split(manifest, 1)
    with pytest.raises(ValueError, match="not in the manifest"):
        leaks(splits, manifest.iloc[1:])


def test_every_part_has_a_person_where_there_are_hardly_enough():
    manifest = make_cohort(seed=1, n=30, projects=2, repeats=0.7)
    splits, _ = sound_split(manifest, 3, 0)
    for _, rows in splits.groupby("fold"):
        assert set(rows["role"]) == {"train", "validation", "test"}
    assert splits[splits["role"] == "test"]["scan_id"].is_unique
