"""Maps that were made before, of a run or of a recording; nothing is computed here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from brainage_lib.explain import cohort
from brainage_lib.explain.cohort import Attribution
from brainage_lib.explain.gradcam import GroupMap, best_slices, top_fifth
from brainage_lib.files import replacing
from brainage_lib.imaging import grid
from brainage_lib.run import Run
from brainage_lib.tables import Recorded
from brainage_lib.tables.recorded import maps_file


class MeanMaps(NamedTuple):
    """Mean maps of groups of people.

    Attributes
    ----------
    t1w : dict of decade to (x, y, z) array of float32
        Mean normalised T1w of the group.
    groups : dict of net to dict of decade to GroupMap
    affine : (4, 4) array
        Of their grid.
    """

    t1w: dict[str, np.ndarray]
    groups: dict[str, dict[str, GroupMap]]
    affine: np.ndarray


def read_attribution(run: Run, net: str, mode: str) -> Attribution:
    """Read what `attribute` left in a run folder, whatever has changed since."""
    return cohort._read(run, net, mode)


def save_maps(
    path: str | os.PathLike, run: Run, nets: Sequence[str], mode: str, decades: Sequence[str]
) -> None:
    """Write the mean maps of some decades of a run to one compressed file, without pickle.

    Parameters
    ----------
    path : path
        An ``.npz``: ``decades`` (text) and, in half precision, a volume a decade each in
        ``t1w``, ``brain`` (share of scans with brain there) and ``map_<net>``.
    run, nets, mode
        Which of the run's maps.
    decades : sequence of str
        Only these: groups that are large enough.
    """
    arrays: dict[str, np.ndarray] = {"decades": np.array(list(decades))}
    for net in nets:
        labels = list(read_attribution(run, net, mode).groups)
        places = [labels.index(name) for name in decades]
        for name in ("map", "t1w", "brain"):
            stored = np.load(
                run.path("attribution", mode, net, f"{name}.npy"), allow_pickle=False
            ).astype(np.float16)
            arrays[f"map_{net}" if name == "map" else name] = stored[places]
    with replacing(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)


def recorded_maps(recorded: Recorded, kind: Mapping[str, str] | None) -> MeanMaps | None:
    """Open the mean maps of a recorded run.

    Parameters
    ----------
    recorded : Recorded
    kind : mapping or None
        Which recipe and mode, as `Recorded.kind` says.

    Returns
    -------
    MeanMaps or None
        None where no such maps are recorded.
    """
    if kind is None:
        return None
    path = recorded.folder / maps_file(kind["recipe"])
    table = recorded.table("attribution", recipe=kind["recipe"], mode=kind["mode"])
    if table is None or not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    decades = [str(name) for name in arrays.pop("decades")]
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    sizes = table.drop_duplicates("decade").set_index("decade")["n_scans"]
    groups: dict[str, dict[str, GroupMap]] = {}
    for name in (name for name in arrays if name.startswith("map_")):
        found = {}
        for place, decade in enumerate(decades):
            mean = arrays[name][place]
            top = top_fifth(mean, arrays["brain"][place] >= 0.5)
            found[decade] = GroupMap(int(sizes[decade]), mean, top, best_slices(top))
        groups[name.removeprefix("map_")] = found
    affine = grid(recorded.card["cohort"]["grid_mm"]).affine
    return MeanMaps(dict(zip(decades, arrays["t1w"], strict=True)), groups, affine)
