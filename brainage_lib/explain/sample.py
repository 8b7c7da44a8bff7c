"""Maps of a sample of a run's test scans by every method, kept one by one.

Scans are gone through in small batches and each batch is on disk before the next begins, so that
memory does not grow with their number and a stopped run goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from brainage_lib.data import VolumeStore, VolumeWriter, across_ages, network_inputs
from brainage_lib.data.inputs import VOLUMES
from brainage_lib.errors import WrongUsage
from brainage_lib.explain.cohort import CODE, fold_network, tested_scans, weights_path
from brainage_lib.explain.methods import METHODS, Mapper, make_mapper, method_resolution
from brainage_lib.files import digest_file, read_json, write_json
from brainage_lib.imaging import grid
from brainage_lib.run import Run, code_digest, progress

ROWS = 4
"""Scans that a stop may lose."""

CAMS = ("grad-cam", "signed-grad-cam")
AT_MOST = 6e4
"""Of a map in units of its mean, so that half precision holds it."""


class Look(NamedTuple):
    """A method, and for Grad-CAM the block at which it looks (else 0)."""

    method: str
    block: int = 0

    @property
    def place(self) -> str:
        """Name of its folder."""
        return f"{self.method}-{self.block}" if self.block else self.method

    @property
    def words(self) -> str:
        """As a page names it.

        Examples
        --------
        >>> Look("signed-grad-cam", 2).words
        'signed Grad-CAM, block 2'
        """
        name = METHODS[self.method].words
        return f"{name}, block {self.block}" if self.block else name

    @property
    def slow(self) -> bool:
        """Whether it goes through the network many times a scan."""
        return METHODS[self.method].slow

    def resolution(self, grid_mm: int) -> str:
        """How finely it can see on a grid."""
        return method_resolution(self.method, grid(grid_mm).shape, grid_mm, self.block)

    def mapper(self, grid_mm: float, baseline: np.ndarray | None, seed: int) -> Mapper:
        """Make the function that makes its maps."""
        chosen = {"block": self.block} if self.block else {}
        return make_mapper(self.method, grid_mm=grid_mm, baseline=baseline, seed=seed, **chosen)


class Sample:
    """A sample of the test scans of a mode, with one kind of network.

    Parameters
    ----------
    run : Run
        With splits, volumes and networks.
    net : {"T", "A"}
    mode : {"paper", "sound"}
    """

    def __init__(self, run: Run, net: str, mode: str):
        self.run, self.net, self.mode = run, net, mode
        self.grid = grid(run.profile.grid_mm)
        self.tested = tested_scans(run, mode)

    def scans(self, look: Look) -> pd.DataFrame:
        """Choose a method's scans: scan_id, participant_id, fold, age, decade; ordered by fold."""
        settings = self.run.profile.attribution
        n = settings.slow_sample if look.slow else settings.sample
        return across_ages(self.tested, n).sort_values(["fold", "scan_id"], ignore_index=True)

    def inputs(self, scan_ids: Sequence[str]) -> Sequence[np.ndarray]:
        """Open what the network reads of some scans, one by one."""
        return network_inputs(self.run, self.net, list(scan_ids))

    def brain(self, scan_id: str) -> np.ndarray:
        """Where a scan has brain."""
        return self._t1w[scan_id] > 0

    @cached_property
    def _t1w(self) -> VolumeStore:
        return VolumeStore(self.run.path("volumes", VOLUMES["T"]))

    @cached_property
    def average(self) -> np.ndarray:
        """Mean of what the network reads, over the larger sample: an average brain."""
        scans = self.scans(Look("grad-cam", 1))
        total = np.zeros(self.grid.shape, np.float64)
        for volume in self.inputs(scans["scan_id"]):
            total += volume
        return (total / len(scans)).astype(np.float32)

    def mapper(self, look: Look) -> Mapper:
        """Make a method's mapper; it compares with an average brain where it compares."""
        return look.mapper(self.grid.mm, self.average, self.run.profile.seed)

    def network(self, fold: int, **which: Any):
        """Open the network that tested a fold, or another one that was trained like it.

        ``seed`` chooses another seed; ``shuffled`` the one that learned shuffled ages.
        """
        return fold_network(self.run, self.net, self.mode, fold, **which)

    @property
    def others(self) -> list[dict[str, Any]]:
        """Further trainings of the first fold that maps are compared with, as for `network`."""
        profile = self.run.profile
        found: list[dict[str, Any]] = []
        if self.net == "T":
            found += [{"seed": seed} for seed in sorted(profile.seeds)[1:]]
        if self.net in profile.attribution.shuffled_nets:
            found.append({"shuffled": True})
        return found

    def key(self, look: Look, folds: Sequence[int]) -> list:
        """All that a method's maps depend on."""
        run = self.run
        volumes = run.path("volumes", VOLUMES[self.net], "index.csv")
        return [
            *(digest_file(weights_path(run, self.net, self.mode, fold)) for fold in folds),
            digest_file(volumes), look.place, run.profile.seed, run.profile.grid_mm,
            code_digest(*CODE, "explain/methods.py", "explain/sample.py"),
        ]  # fmt: skip

    def folder(self, look: Look):
        """Where a method's maps are kept."""
        return self.run.path("attribution", self.mode, self.net, "maps", look.place)

    def make(self, look: Look) -> Maps:
        """Make a method's maps of its sample, or go on where a stop left them.

        Each map is kept in units of its own mean over the brain, in half precision.

        Returns
        -------
        Maps
        """
        scans = self.scans(look)
        folds = sorted(scans["fold"].unique())
        key = repr([self.key(look, folds), scans["scan_id"].tolist()])
        folder = self.folder(look)
        complete = folder / "complete.json"
        # Asked before the writer opens the store: it takes a last, shorter shard away.
        if complete.is_file() and read_json(complete)["key"] == key:
            return self.read(look)
        complete.unlink(missing_ok=True)
        with VolumeWriter(folder, self.grid.shape, ROWS, key) as writer:
            left = scans[~scans["scan_id"].isin(writer.done)]
            began, networks = time.perf_counter(), {}
            for first in progress(
                range(0, len(left), ROWS), f"{look.words} {self.net} {self.mode}"
            ):
                some = left.iloc[first : first + ROWS]
                for fold, part in some.groupby("fold", sort=False):
                    if fold not in networks:
                        networks = {fold: self.network(int(fold))}
                    maps = self.mapper(look)(networks[fold], self.inputs(part["scan_id"]))
                    for scan, found in zip(part["scan_id"], maps, strict=True):
                        writer.add(scan, _scaled(found, self.brain(scan)))
            if len(left):
                spent = (time.perf_counter() - began) / len(left)
                write_json(folder / "seconds.json", {"scan": spent})
        write_json(complete, {"key": key})
        return self.read(look)

    def read(self, look: Look) -> Maps:
        """Open what `make` left."""
        folder = self.folder(look)
        seconds = folder / "seconds.json"
        return Maps(
            look,
            self.scans(look),
            VolumeStore(folder),
            read_json(seconds)["scan"] if seconds.is_file() else float("nan"),
        )


class Maps(NamedTuple):
    """Maps of a sample.

    Attributes
    ----------
    look : Look
    scans : DataFrame
        scan_id, participant_id, fold, age, decade.
    store : VolumeStore
        A map a scan, in units of its mean absolute value within the brain.
    seconds : float
        Time a scan, on the machine that made them; NaN if unknown.
    """

    look: Look
    scans: pd.DataFrame
    store: VolumeStore
    seconds: float

    def mean(self, scan_ids: Sequence[str] | None = None) -> np.ndarray:
        """Mean absolute map of some scans, (x, y, z) of float32; all unless given.

        Raises
        ------
        WrongUsage
            There is no scan in the group.
        """
        chosen = list(self.scans["scan_id"] if scan_ids is None else scan_ids)
        if not chosen:
            raise WrongUsage(f"no scan in this group has a map of {self.look.words}")
        total = np.zeros(self.store.shape, np.float64)
        for scan in chosen:
            total += np.abs(self.store[scan].astype(np.float32))
        return (total / len(chosen)).astype(np.float32)


def _scaled(found: np.ndarray, brain: np.ndarray) -> np.ndarray:
    scale = float(np.abs(found[brain]).mean()) if brain.any() else 0.0
    if not scale > 0:
        return np.zeros(found.shape, np.float32)
    return np.clip(found / scale, -AT_MOST, AT_MOST)
