"""Splits of a run behind the leak gate: nobody is learned from and tested, whatever the name.

Names are compared first. Then images: two scans of different persons that look alike beyond what
two people do are one picture, or one person, under two names. One picture is an error of the
manifest and refused where it would leak; those who look like one person are kept together.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import ndimage
from sklearn.utils.extmath import randomized_svd

from brainage_lib.data.cohort import read_aliases, read_cohort
from brainage_lib.data.splits import join_aliases, leaks, paper_split, sound_split
from brainage_lib.data.store import VolumeStore
from brainage_lib.data.volumes import kept
from brainage_lib.errors import BadInput
from brainage_lib.files import digest_file
from brainage_lib.imaging import grid, template
from brainage_lib.run import Run, code_digest
from brainage_lib.tables import COPIES, SPLIT_SCORES, SPLITS, read_table, write_table

ALIKE = 0.65
"""Correlation of fine detail from which on two scans count as one person's. Among 455 scans of
OAS1 and IXI: two people 0.21 at most (0.42 in 150 draws of 12 to 160 of them), a person's two
scans 0.91 at least and 0.97 in the median, one pair of two identifiers 0.75. Simulated people
share the folds of one template: 0.34 at most among 360, 0.61 among 20."""

DETAIL_MM = 4
"""Blocks over which volumes are averaged before they are compared."""

BOX = 5
"""Blocks, of which the mean is taken off: what remains are folds, and hardly age or scanner."""

EVERY = 3
"""Of this many blocks one is compared: a third tells two people apart as well as all."""

SHARED = 4
MOST_SHARED = 10
"""What scans share is taken off, at most ten components: those of more variance than four scans
of the cohort have in the mean. A person's own folds, in one scan or two, are never as much."""

MOST_LINES = 20


def find_copies(run: Run) -> pd.DataFrame:
    """Find pairs of scans that look like one person's, though their persons differ.

    Parameters
    ----------
    run : Run
        With volumes and quality.

    Returns
    -------
    DataFrame
        Schema ``COPIES``, a row a pair: identical images, or correlation of at least `ALIKE`
        between their fine detail. Written to ``copies.csv``; done again only when volumes or
        persons change.
    """
    manifest, aliases = kept(run), read_aliases(run)
    persons = join_aliases(manifest["participant_id"], aliases).to_numpy()
    key = {
        "volumes": digest_file(run.path("volumes", "t1w", "index.csv")),
        "scans": manifest["scan_id"].tolist(),
        "persons": persons.tolist(),
        "code": code_digest("data/gate.py"),
    }
    outputs = ["copies.csv"]
    if not run.up_to_date("copies", key, outputs):
        write_table(_compare(run, manifest, persons), run.path(*outputs), COPIES)
        run.finish("copies", key, outputs)
    return read_table(run.path(*outputs), COPIES)


def _compare(run: Run, manifest: pd.DataFrame, persons: np.ndarray) -> pd.DataFrame:
    store = VolumeStore(run.path("volumes", "t1w"))
    blocks = _own_detail(_detail(store, list(manifest["scan_id"]), run.profile.grid_mm))
    sums = store.index.set_index("scan_id")["sha256"].loc[manifest["scan_id"]].to_numpy()
    rows = []
    for place in range(len(manifest) - 1):
        # A row at a time: the whole matrix of thousands of scans would be large.
        alike = blocks[place + 1 :] @ blocks[place]
        same_image = sums[place + 1 :] == sums[place]
        others = np.flatnonzero((alike >= ALIKE) | same_image) + place + 1
        for other in others[persons[others] != persons[place]]:
            identical = bool(same_image[other - place - 1])
            rows.append(
                {
                    "scan_id": manifest["scan_id"][place],
                    "other": manifest["scan_id"][other],
                    "participant_id": manifest["participant_id"][place],
                    "other_participant_id": manifest["participant_id"][other],
                    "kind": "identical" if identical else "alike",
                    "correlation": 1.0 if identical else float(alike[other - place - 1]),
                }
            )
    return pd.DataFrame(rows, columns=list(COPIES.columns))


def _detail(store: VolumeStore, scan_ids: list[str], mm: int) -> np.ndarray:
    """(n, blocks) of the brain's inside, less the mean of the blocks around each."""
    side = max(1, DETAIL_MM // mm)
    inside = ndimage.binary_erosion(_averaged(template(grid(mm)).mask, side) == 1)
    found = np.empty((len(scan_ids), len(range(0, int(inside.sum()), EVERY))), np.float32)
    for place, scan_id in enumerate(scan_ids):
        volume = _averaged(store[scan_id].astype(np.float32), side)
        found[place] = (volume - ndimage.uniform_filter(volume, BOX))[inside][::EVERY]
    return found


def _averaged(volume: np.ndarray, side: int) -> np.ndarray:
    shape = tuple(length // side for length in volume.shape)
    cut = volume[tuple(slice(length * side) for length in shape)]
    apart = cut.reshape(shape[0], side, shape[1], side, shape[2], side)
    return apart.mean(axis=(1, 3, 5), dtype=np.float32)


def _own_detail(detail: np.ndarray) -> np.ndarray:
    """Less what all or many scans share, each row of length 1."""
    detail = detail - detail.mean(axis=0)
    n, variance = len(detail), float((detail**2).sum())
    if min(detail.shape) > MOST_SHARED and variance > 0:
        left, sizes, right = randomized_svd(detail, MOST_SHARED, random_state=0)
        shared = sizes**2 > variance * SHARED / n
        detail -= (left * sizes)[:, shared] @ right[shared]
    norms = np.linalg.norm(detail, axis=1, keepdims=True)
    return detail / np.where(norms > 0, norms, 1)


def _one_person(run: Run) -> pd.DataFrame | None:
    """Who is one person: the run's table of aliases, and those whose scans look like it."""
    aliases, copies = read_aliases(run), find_copies(run)
    alike = copies.loc[copies["kind"] == "alike", ["participant_id", "other_participant_id"]]
    if alike.empty:
        return aliases
    alike = alike.set_axis(["participant_id", "same_as"], axis=1)
    return alike if aliases is None else pd.concat([aliases, alike], ignore_index=True)


def refuse_leaks(run: Run, splits: pd.DataFrame, copies: pd.DataFrame) -> None:
    """Refuse splits of the sound mode that show a network whom it is tested on.

    The paper mode splits by scan and leaks by design; its leaks are counted, not refused.

    Parameters
    ----------
    run : Run
    splits : DataFrame
        Schema ``SPLITS``.
    copies : DataFrame
        Of `find_copies`.

    Raises
    ------
    BadInput
        A person, or a picture under two names, is in training or validation and in test. Each
        pair is named, with the line for ``aliases.csv`` that joins them.
    """
    sound = splits[splits["mode"] == "sound"]
    if sound.empty:
        return
    counts = leaks(sound, read_cohort(run), read_aliases(run))
    findings = []
    if counts["shared_persons"].sum():
        n = int(counts["shared_persons"].sum())
        findings.append(f"{n} participants are in more than one role of a fold; split anew")
    roles = sound.set_index(["fold", "scan_id"])["role"]
    crossing = []
    for pair in copies.itertuples():
        for fold in sound["fold"].unique():
            sides = {roles.get((fold, pair.scan_id)), roles.get((fold, pair.other))}
            if "test" in sides and sides & {"train", "validation"}:
                crossing.append(pair)
                break
    findings += [
        f"{pair.scan_id} and {pair.other} are {pair.kind} (correlation {pair.correlation:.2f}) "
        "and on both sides of the split; remove one, or add the line "
        f"{pair.participant_id},{pair.other_participant_id} to aliases.csv beside the manifest"
        for pair in crossing[:MOST_LINES]
    ]
    if len(crossing) > MOST_LINES:
        findings.append(f"and {len(crossing) - MOST_LINES} pairs more; all are in copies.csv")
    if findings:
        raise BadInput("leak gate", findings)


def write_splits(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the run's kept scans in each mode of its profile.

    In sound mode nobody is on two sides, under one name or two: `find_copies` says who looks like
    one person. Writes ``splits.csv`` and ``split_scores.csv``, unless they are up to date.

    Returns
    -------
    splits, scores : DataFrame
        Schemas ``SPLITS`` and ``SPLIT_SCORES``.

    Raises
    ------
    BadInput
        Too few scans or participants for the profile's modes and folds, or a leak
        (`refuse_leaks`); nothing is written.
    """
    profile = run.profile
    outputs = ["splits.csv", "split_scores.csv"]
    together = _one_person(run)
    key = {
        "manifest": digest_file(run.path("manifest.csv")),
        "quality": digest_file(run.path("quality.csv")),
        "together": None if together is None else together.to_dict("list"),
        "look": profile.quality.look,
        "settings": [profile.modes, profile.patients, profile.folds, profile.seed],
        "code": code_digest("data", "stats/divergence.py"),
    }
    if not run.up_to_date("splits", key, outputs):
        manifest = kept(run)
        made = []
        if "paper" in profile.modes:
            made.append(paper_split(manifest, profile.seed, profile.patients))
        if "sound" in profile.modes:
            made.append(sound_split(manifest, profile.folds, profile.seed, together))
        splits, scores = (
            pd.concat(tables, ignore_index=True) for tables in zip(*made, strict=True)
        )
        refuse_leaks(run, splits, find_copies(run))
        write_table(splits, run.path("splits.csv"), SPLITS)
        write_table(scores, run.path("split_scores.csv"), SPLIT_SCORES)
        run.finish("splits", key, outputs)
    return (
        read_table(run.path("splits.csv"), SPLITS),
        read_table(run.path("split_scores.csv"), SPLIT_SCORES),
    )


def read_leaks(run: Run) -> pd.DataFrame:
    """Count the leaks of the run's splits; see `leaks`."""
    splits = read_table(run.path("splits.csv"), SPLITS)
    return leaks(splits, read_cohort(run), _one_person(run))
