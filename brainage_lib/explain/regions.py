"""Named regions of MNI152, and what share of a map lies in each.

The regions are groups of Neuromorphometrics labels, read from the installed package deepmriprep
and never copied. They are those of an average brain: in one person they are off by some
millimetres, which is less than a cell of most maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd

from brainage_lib.errors import WrongUsage
from brainage_lib.explain.sample import Maps, Sample
from brainage_lib.imaging import Grid, grid
from brainage_lib.imaging.resampling import resample
from brainage_lib.simulate.atlas import label_path
from brainage_lib.stats.metrics import percentile_interval, resampled_sums
from brainage_lib.tables import REGIONS

REST = "outside the atlas"
"""Brain to which no label belongs: most of it the rim."""

ALL_AGES = "all ages"
DENTATE_MM = 3.0
"""Thickness of the dentate gyrus, about."""


class Atlas(NamedTuple):
    """Regions on a grid.

    Attributes
    ----------
    names : tuple of str
        The last is `REST`.
    labels : (x, y, z) array of int
        Place in ``names`` of each voxel.
    mm : float
        Side of a voxel.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    mm: float

    def mask(self, *names: str) -> np.ndarray:
        """Voxels of some regions.

        Raises
        ------
        WrongUsage
            There is no such region.
        """
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise WrongUsage(f"no region {unknown[0]!r}; there are: {', '.join(self.names)}")
        return np.isin(self.labels, [self.names.index(name) for name in names])

    def width_mm(self, *names: str) -> float:
        """Side of a cube as large as one side's half of some regions, in mm."""
        return float(np.cbrt(self.mask(*names).sum() / 2) * self.mm)


def atlas(target: Grid) -> Atlas:
    """Put the named regions on a grid.

    Raises
    ------
    UserError
        deepmriprep is not installed.
    """
    return _atlas(target.mm)


@lru_cache(maxsize=2)
def _atlas(mm: int) -> Atlas:
    target = grid(mm)
    with files("brainage_lib.explain").joinpath("regions.csv").open(encoding="utf-8") as stream:
        table = pd.read_csv(stream)
    names = (*table["region"], REST)
    places = np.full(256, len(names) - 1, np.int16)
    for place, labels in enumerate(table["labels"]):
        places[[int(number) for number in labels.split()]] = place
    img = nib.load(label_path())
    numbers = resample(np.asarray(img.dataobj), img.affine, target, order=0)
    labels = places[np.rint(numbers).astype(np.int16)]
    labels.flags.writeable = False
    return Atlas(names, labels, float(mm))


def region_shares(found: np.ndarray, mask: np.ndarray, regions: Atlas) -> np.ndarray:
    """Share of a map's absolute sum within the brain that lies in each region.

    Parameters
    ----------
    found : (x, y, z) array
        A map.
    mask : (x, y, z) array of bool
        The brain.
    regions : Atlas

    Returns
    -------
    (n_regions,) array, 0–1; its sum is 1, or NaN for an empty map. A map that is the same
    everywhere gives the regions' shares of the brain.

    Raises
    ------
    WrongUsage
        The map and the atlas are on different grids.
    """
    if not found.shape == mask.shape == regions.labels.shape:
        raise WrongUsage(
            f"the atlas has {regions.labels.shape} voxels, the map {found.shape}, the brain "
            f"{mask.shape}; put all on one grid"
        )
    weights = np.abs(found[mask]).astype(float)
    sums = np.bincount(regions.labels[mask], weights=weights, minlength=len(regions.names))
    total = sums.sum()
    return sums / total if total > 0 else np.full(len(sums), np.nan)


def share_table(
    scans: pd.DataFrame,
    shares: np.ndarray,
    even: np.ndarray,
    names: Sequence[str],
    replicates: int,
    seed: int,
) -> pd.DataFrame:
    """Average shares over decades, with intervals by a bootstrap of participants.

    Parameters
    ----------
    scans : DataFrame
        participant_id and decade of each scan.
    shares, even : (n, n_regions) array
        Of each scan: the map's shares, and the regions' shares of the brain.
    names : sequence of str
        Of the regions.
    replicates, seed : int

    Returns
    -------
    DataFrame
        Columns decade, region, n_scans, n_participants, share, low, high, even. Decades
        without scans have no row; `ALL_AGES` comes last. Intervals of fewer than five
        participants are empty.
    """
    rows = []
    decades = [str(name) for name in pd.unique(scans["decade"].astype(str))]
    labels = scans["decade"].astype(str).to_numpy()
    known = ~np.isnan(shares).any(axis=1)
    for label in [*sorted(decades), ALL_AGES]:
        some = known & ((labels == label) | (label == ALL_AGES))
        if not some.any():
            continue
        people = scans.loc[some, "participant_id"].to_numpy()
        n_people = len(set(people))
        columns = np.column_stack([np.ones(int(some.sum())), shares[some]])
        draws = resampled_sums(people, columns, replicates, seed)
        low, high = percentile_interval(draws[:, 1:] / draws[:, :1])
        for place, name in enumerate(names):
            enough = n_people >= 5
            rows.append(
                {
                    "decade": label,
                    "region": name,
                    "n_scans": int(some.sum()),
                    "n_participants": n_people,
                    "share": float(shares[some, place].mean()),
                    "low": float(low[place]) if enough else np.nan,
                    "high": float(high[place]) if enough else np.nan,
                    "even": float(even[some, place].mean()),
                }
            )
    return pd.DataFrame(rows)


def region_table(
    samples: Mapping[str, Sample], maps: Sequence[Mapping[str, Maps]], replicates: int, seed: int
) -> pd.DataFrame:
    """Share of the maps of several methods in each region, by network and decade.

    Parameters
    ----------
    samples : mapping of net to Sample
    maps : sequence of mapping of net to Maps
        One mapping a method. One scan's map is open at a time.
    replicates, seed : int
        Of the bootstrap of participants.

    Returns
    -------
    DataFrame
        Schema ``REGIONS``.
    """
    tables = []
    for of_nets in maps:
        for net, found in of_nets.items():
            sample = samples[net]
            regions = atlas(sample.grid)
            shares, even = [], []
            for scan in found.scans["scan_id"]:
                brain = sample.brain(scan)
                one = found.store[scan].astype(np.float32)
                shares.append(region_shares(one, brain, regions))
                even.append(region_shares(brain, brain, regions))
            table = share_table(
                found.scans, np.array(shares), np.array(even), regions.names, replicates, seed
            )
            look = found.look
            tables.append(
                table.assign(mode=sample.mode, net=net, method=look.method, block=look.block)
            )
    if not tables:
        return pd.DataFrame(columns=list(REGIONS.columns))
    return pd.concat(tables, ignore_index=True)[list(REGIONS.columns)]
