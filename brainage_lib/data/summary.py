"""Who is in the data: counts for chapter 01."""

from __future__ import annotations

import pandas as pd

from brainage_lib.tables import DECADES, PROJECTS, decade

CONTROL = "control"


def count_people(manifest: pd.DataFrame) -> pd.DataFrame:
    """Count scans and people by decade of age, project and sex.

    Parameters
    ----------
    manifest : DataFrame
        Schema ``MANIFEST``.

    Returns
    -------
    DataFrame
        Columns decade, project, sex, n_scans, n_participants: a row for every decade of
        ``DECADES``, every project of the manifest and both sexes, empty ones included. A
        person scanned in two decades counts in both.
    """
    projects = _in_order(manifest)
    frame = pd.DataFrame(
        {
            "decade": decade(manifest["age"]),
            "project": pd.Categorical(manifest["project"], projects),
            "sex": pd.Categorical(manifest["sex"], ["F", "M"]),
            "participant_id": manifest["participant_id"].to_numpy(),
        }
    )
    groups = frame.groupby(["decade", "project", "sex"], observed=False)["participant_id"]
    counts = groups.agg(n_scans="size", n_participants="nunique").reset_index()
    counts["decade"] = pd.Categorical(counts["decade"], DECADES, ordered=True)
    return counts.astype({"project": str, "sex": str})


def describe_projects(manifest: pd.DataFrame) -> pd.DataFrame:
    """Describe each project and, in the last row ("all"), the whole.

    Returns
    -------
    DataFrame
        Columns project, n_scans, n_participants, n_repeated (participants with more than
        one scan), n_patients and n_patient_scans (diagnosis other than "control"),
        age_mean, age_sd, age_min, age_max (years), female (share of participants, 0–1).
    """
    parts = [(name, manifest[manifest["project"] == name]) for name in _in_order(manifest)]
    return pd.DataFrame(
        [_describe(name, rows) for name, rows in [*parts, ("all", manifest)]]
    ).reset_index(drop=True)


def _in_order(manifest: pd.DataFrame) -> list[str]:
    """Projects that occur: the paper's 13 in its order, then others by name."""
    found = set(manifest["project"])
    return [*(name for name in PROJECTS if name in found), *sorted(found - set(PROJECTS))]


def _describe(name: str, rows: pd.DataFrame) -> dict:
    people = rows.drop_duplicates("participant_id")
    patients = rows[rows["diagnosis"] != CONTROL]
    return {
        "project": name,
        "n_scans": len(rows),
        "n_participants": len(people),
        "n_repeated": int((rows["participant_id"].value_counts() > 1).sum()),
        "n_patients": patients["participant_id"].nunique(),
        "n_patient_scans": len(patients),
        "age_mean": rows["age"].mean(),
        "age_sd": rows["age"].std(),
        "age_min": rows["age"].min(),
        "age_max": rows["age"].max(),
        "female": (people["sex"] == "F").mean(),
    }


def count_diagnoses(manifest: pd.DataFrame) -> pd.DataFrame:
    """Count scans and people by project and diagnosis.

    Returns
    -------
    DataFrame
        Columns project, diagnosis, n_scans, n_participants; only what occurs.
    """
    groups = manifest.groupby(["project", "diagnosis"])["participant_id"]
    return groups.agg(n_scans="size", n_participants="nunique").reset_index()


def list_repeats(manifest: pd.DataFrame) -> pd.DataFrame:
    """Describe the participants with more than one scan, by project.

    Returns
    -------
    DataFrame
        Columns project, scans (of one participant), n_participants, years_median and
        years_max (between a participant's first and last scan). No row if nobody was
        scanned twice.
    """
    people = manifest.groupby(["project", "participant_id"])["age"].agg(
        scans="size", years=lambda ages: ages.max() - ages.min()
    )
    repeated = people[people["scans"] > 1].reset_index()
    groups = repeated.groupby(["project", "scans"])
    return groups.agg(
        n_participants=("participant_id", "size"),
        years_median=("years", "median"),
        years_max=("years", "max"),
    ).reset_index()
