"""Grad-CAM of a run's test scans, each by a network that did not see it (Fig. 4)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from torch import nn

from brainage_lib.data import VolumeStore, network_inputs, read_cohort
from brainage_lib.data.inputs import VOLUMES
from brainage_lib.errors import BadInput
from brainage_lib.explain.gradcam import GroupMap, best_slices, grad_cam, top_fifth
from brainage_lib.explain.sanity import mass_outside, overlap
from brainage_lib.files import digest_file, replacing
from brainage_lib.imaging import grid
from brainage_lib.models import open_network
from brainage_lib.run import (
    NetworkKey,
    Run,
    ShuffledKey,
    code_digest,
    looked_at,
    progress,
)
from brainage_lib.tables import ATTRIBUTION, SPLITS, decade, read_table, write_table

FEW = 10
"""Groups of fewer scans are marked."""

BATCH = 8
ARRAYS = ("map", "brain", "t1w", "folds")
CODE = (
    "data/inputs.py", "explain/cohort.py", "explain/gradcam.py", "explain/sanity.py",
    "models/vgg8.py", "models/fcn.py",
)  # fmt: skip


class Attribution(NamedTuple):
    """Where one kind of network looked.

    Attributes
    ----------
    table : DataFrame
        Schema ``ATTRIBUTION``, a row a decade in which someone was tested.
    groups : dict of decade to GroupMap
    t1w : dict of decade to (x, y, z) array of float32
        Mean normalised T1w of the group.
    folds : list of (x, y, z) array of float32
        Of each fold's network the mean map over all scans that it tested, where it is in the
        top fifth of the brain. How much these differ is what a new training would change.
    """

    table: pd.DataFrame
    groups: dict[str, GroupMap]
    t1w: dict[str, np.ndarray]
    folds: list[np.ndarray]

    @property
    def mean_t1w(self) -> np.ndarray:
        """Mean normalised T1w of all that were tested, (x, y, z) of float32."""
        sizes = self.table["n_scans"].to_numpy(float)
        return np.average(list(self.t1w.values()), axis=0, weights=sizes).astype(np.float32)

    @property
    def fold_overlap(self) -> float:
        """Mean `overlap` of the folds' maps, in pairs; NaN if there is one fold."""
        pairs = [overlap(*pair) for pair in combinations(self.folds, 2)]
        return float(np.mean(pairs)) if pairs else float("nan")


def attribute(run: Run, net: str, mode: str) -> Attribution:
    """Make the Grad-CAM of every test scan, and average it over decades.

    A scan's map comes from the network of the fold in which it was tested; the profile's first
    recipe and lowest seed are taken. Maps are thresholded (`top_fifth`), and those of one network
    divided by their mean over the brain: gradients of different networks have no common scale.

    Writes ``attribution/<mode>/<net>/``: ``groups.csv`` and, in half precision, ``map.npy``,
    ``brain.npy`` (share of scans with brain there), ``t1w.npy`` (a volume a decade) and
    ``folds.npy`` (a volume a fold). Nothing is done again while networks and scans stay.

    Parameters
    ----------
    run : Run
        With splits, volumes and networks.
    net : {"T", "A"}
    mode : {"paper", "sound"}

    Returns
    -------
    Attribution

    Raises
    ------
    BadInput
        A network or a volume is missing.
    """
    tested = tested_scans(run, mode)
    key = {
        "scans": tested[["scan_id", "fold", "decade"]].to_numpy().tolist(),
        "networks": [digest_file(weights_path(run, net, mode, fold)) for fold in folds_of(tested)],
        "volumes": [
            digest_file(run.path("volumes", VOLUMES[name], "index.csv")) for name in ("T", net)
        ],
        "block": run.profile.attribution.block,
        "grid_mm": run.profile.grid_mm,
        "code": code_digest(*CODE),
    }
    step = f"attribution-{mode}-{net}"
    where = f"attribution/{mode}/{net}"
    outputs = [f"{where}/groups.csv", *(f"{where}/{name}.npy" for name in ARRAYS)]
    if not run.up_to_date(step, key, outputs):
        _average(run, net, mode, tested, key)
        run.finish(step, key, outputs)
    return _read(run, net, mode)


def overlap_table(looked: Mapping[str, Attribution]) -> pd.DataFrame:
    """Compare where networks of two kinds look with what another training of one kind changes.

    Parameters
    ----------
    looked : mapping of net to Attribution
        Of one mode.

    Returns
    -------
    DataFrame
        Columns pair, where, overlap (Dice, 0–1; NaN where there is nothing to compare). First,
        over all ages, two kinds fold by fold, and the folds of one kind with each other; then
        two kinds by decade.
    """
    rows = []
    for one, other in combinations(looked, 2):
        pairs = zip(looked[one].folds, looked[other].folds, strict=True)
        mean = float(np.mean([overlap(*pair) for pair in pairs]))
        rows.append((f"{one} and {other}, same people", "all ages", mean))
    for net, found in looked.items():
        rows.append((f"two of {net}, other people", "all ages", found.fold_overlap))
    for one, other in combinations(looked, 2):
        for label, group in looked[one].groups.items():
            dice = overlap(group.top, looked[other].groups[label].top)
            rows.append((f"{one} and {other}, same people", f"{label} years", dice))
    return pd.DataFrame(rows, columns=["pair", "where", "overlap"])


def mean_cbv(run: Run, mode: str) -> dict[str, np.ndarray]:
    """Mean AICBV of the test scans of each decade, in ml/100 ml.

    Parameters
    ----------
    run, mode
        As for `attribute`.

    Returns
    -------
    dict of decade to (x, y, z) array of float32
    """
    store = VolumeStore(run.path("volumes", VOLUMES["A"]))
    found = {}
    for label, rows in tested_scans(run, mode).groupby("decade", observed=True):
        total = np.zeros(store.shape, np.float64)
        for scan in rows["scan_id"]:
            total += store[scan]
        found[str(label)] = (total / len(rows)).astype(np.float32)
    return found


def tested_scans(run: Run, mode: str) -> pd.DataFrame:
    """Test scans of a mode with fold, age and decade, ordered by fold."""
    splits = read_table(run.path("splits.csv"), SPLITS)
    chosen = splits[(splits["mode"] == mode) & (splits["role"] == "test")]
    people = read_cohort(run)[["scan_id", "participant_id", "age"]]
    rows = chosen[["scan_id", "fold"]].merge(people, on="scan_id")
    if rows.empty:
        raise BadInput(str(run.path("splits.csv")), [f"no test scan in {mode} mode"])
    rows["decade"] = decade(rows["age"])
    return rows.sort_values(["fold", "scan_id"], ignore_index=True)


def folds_of(tested: pd.DataFrame) -> list[int]:
    """Folds in which someone is tested."""
    return sorted(int(fold) for fold in tested["fold"].unique())


def weights_path(
    run: Run, net: str, mode: str, fold: int, seed: int | None = None, shuffled: bool = False
) -> Path:
    """Weights of the network that is looked at: first recipe, and lowest seed unless given.

    With ``shuffled`` those of its counterpart that learned shuffled ages.
    """
    kind = ShuffledKey if shuffled else NetworkKey
    seed = min(run.profile.seeds) if seed is None else seed
    key = kind(looked_at(run.profile, mode), mode, net, seed, fold)
    path = run.path("networks", key.place, "weights.safetensors")
    if not path.is_file():
        name = path.relative_to(run.folder).as_posix()
        remedy = f"`brainage train {run.folder} {key.place}` trains it"
        raise BadInput(str(run.folder), [f"{name} is missing; {remedy}"])
    return path


def fold_network(run: Run, net: str, mode: str, fold: int, **which: Any) -> nn.Module:
    """Open it; arguments as of `weights_path`."""
    return open_network(weights_path(run, net, mode, fold, **which))


class _FoldSums(NamedTuple):
    """What one fold's network adds to the means; one file a fold, until all are done.

    Attributes
    ----------
    maps, brains, means : (n_decades, x, y, z) array of float32
        Sums over scans: thresholded maps, brain, T1w.
    voxels : int
        Of brain, over all scans.
    outside : (n, 2) array
        A row a scan, in their order: share of the map and of the image outside the brain.
    """

    maps: np.ndarray
    brains: np.ndarray
    means: np.ndarray
    voxels: np.ndarray
    outside: np.ndarray


def _fold_sums(
    run: Run, net: str, mode: str, fold: int, rows: pd.DataFrame, decades: list[str]
) -> _FoldSums:
    """Go through a fold's scans, a few at a time."""
    t1w = VolumeStore(run.path("volumes", VOLUMES["T"]))
    block = run.profile.attribution.block
    shape = grid(run.profile.grid_mm).shape
    network = fold_network(run, net, mode, fold)
    sums, brains, means = (np.zeros((len(decades), *shape), np.float32) for _ in range(3))
    voxels, outside = 0, []
    starts = range(0, len(rows), BATCH)
    for first in progress(starts, f"Grad-CAM {net} {mode} {fold}", len(starts)):
        some = rows.iloc[first : first + BATCH]
        found = grad_cam(network, network_inputs(run, net, some["scan_id"]), block, BATCH)
        for scan, label, cam in zip(some["scan_id"], some["decade"], found, strict=True):
            group, image = decades.index(label), t1w[scan].astype(np.float32)
            mask = image > 0
            sums[group] += top_fifth(cam, mask)
            brains[group] += mask
            means[group] += image
            voxels += int(mask.sum())
            outside.append((float(mass_outside(cam[None], mask)[0]), 1 - mask.mean()))
    return _FoldSums(sums, brains, means, np.array(voxels), np.array(outside))


def _average(run: Run, net: str, mode: str, tested: pd.DataFrame, key: Any) -> None:
    decades = list(tested["decade"].cat.remove_unused_categories().cat.categories)
    shape = grid(run.profile.grid_mm).shape
    maps, brains, means = (np.zeros((len(decades), *shape), np.float32) for _ in range(3))
    of_folds, outside, pieces = [], [], []
    for fold in folds_of(tested):
        rows = tested[tested["fold"] == fold]
        # A fold that is done stays done when a run is stopped in a later one.
        step, piece = f"attribution-{mode}-{net}-{fold}", f"attribution/{mode}/{net}/{fold}.npz"
        pieces.append((step, piece))
        if not run.up_to_date(step, key, [piece]):
            found = _fold_sums(run, net, mode, fold, rows, decades)
            with replacing(run.path(piece)) as temporary:
                np.savez(temporary, allow_pickle=False, **found._asdict())
            run.finish(step, key, [piece])
        with np.load(run.path(piece), allow_pickle=False) as stored:
            found = _FoldSums(**{name: stored[name] for name in _FoldSums._fields})
        scale = float(found.maps.sum(dtype=np.float64)) / max(int(found.voxels), 1) or 1.0
        maps += found.maps / np.float32(scale)
        brains += found.brains
        means += found.means
        of_folds.append(found.maps.sum(axis=0) / np.float32(scale * len(rows)))
        outside.append(found.outside)
    counts = tested.groupby("decade", observed=True).size().reindex(decades).to_numpy()
    each = counts[:, None, None, None].astype(np.float32)
    arrays = (maps / each, brains / each, means / each, np.stack(of_folds))
    for name, array in zip(ARRAYS, arrays, strict=True):
        with replacing(run.path("attribution", mode, net, f"{name}.npy")) as temporary:
            np.save(temporary, array.astype(np.float16), allow_pickle=False)
    # The scans are ordered by fold, as the pieces are.
    shares = np.concatenate(outside)
    facts = tested.assign(mass_outside=shares[:, 0], outside=shares[:, 1])
    _write_groups(run, net, mode, facts)
    for step, piece in pieces:
        run.path(piece).unlink()
        run.path("steps", f"{step}.json").unlink()


def _write_groups(run: Run, net: str, mode: str, facts: pd.DataFrame) -> None:
    affine = grid(run.profile.grid_mm).affine
    groups = _group_maps(run, net, mode, facts.groupby("decade", observed=True).size())
    rows = []
    for label, part in facts.groupby("decade", observed=True):
        places = affine[:3, 3] + np.diag(affine)[:3] * groups[label].slices
        rows.append(
            {
                "recipe": looked_at(run.profile, mode),
                "mode": mode,
                "net": net,
                "decade": label,
                "n_scans": len(part),
                "small": len(part) < FEW,
                **dict(zip(("sagittal", "coronal", "axial"), places, strict=True)),
                "mass_outside": part["mass_outside"].mean(),
                "outside": part["outside"].mean(),
            }
        )
    path = run.path("attribution", mode, net, "groups.csv")
    write_table(pd.DataFrame(rows), path, ATTRIBUTION)


def _load(run: Run, net: str, mode: str, name: str) -> np.ndarray:
    path = run.path("attribution", mode, net, f"{name}.npy")
    return np.load(path, allow_pickle=False).astype(np.float32)


def _group_maps(run: Run, net: str, mode: str, sizes: pd.Series) -> dict[str, GroupMap]:
    """Group maps from what is on disk, so that a second look shows what the first did."""
    maps, brains = (_load(run, net, mode, name) for name in ("map", "brain"))
    found = {}
    for (label, n), mean, share in zip(sizes.items(), maps, brains, strict=True):
        top = top_fifth(mean, share >= 0.5)
        found[str(label)] = GroupMap(int(n), mean, top, best_slices(top))
    return found


def _read(run: Run, net: str, mode: str) -> Attribution:
    table = read_table(run.path("attribution", mode, net, "groups.csv"), ATTRIBUTION)
    sizes = table.set_index("decade")["n_scans"]
    shares = _load(run, net, mode, "brain")
    brain = np.tensordot(sizes.to_numpy() / sizes.sum(), shares, axes=1) >= 0.5
    return Attribution(
        table,
        _group_maps(run, net, mode, sizes),
        dict(zip(sizes.index, _load(run, net, mode, "t1w"), strict=True)),
        [top_fifth(fold, brain) for fold in _load(run, net, mode, "folds")],
    )
