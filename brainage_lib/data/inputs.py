"""What a network reads of a scan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from brainage_lib.data.store import VolumeStore
from brainage_lib.imaging import top_mean
from brainage_lib.run import Run

VOLUMES = {"T": "t1w", "A": "cbv"}
"""What each net reads, in the run's folder of volumes."""


class Normalised(Sequence):
    """Volumes divided by the mean of their top 1 %, as they are asked for.

    The networks read AICBV on the same scale as T1w; the maps are kept in ml/100 ml. The
    divisor of each is worked out once.
    """

    def __init__(self, volumes: Sequence[np.ndarray]):
        self.volumes = volumes
        self.scan_ids: list[str] | None = getattr(volumes, "scan_ids", None)
        self._scales: dict[int, np.float32] = {}

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, place: int) -> np.ndarray:
        volume = np.asarray(self.volumes[place], dtype=np.float32)
        if place not in self._scales:
            self._scales[place] = top_mean(volume)
        return volume / self._scales[place]


def scaled(net: str, volumes: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Put volumes as a run stores them on the scale on which a net reads them.

    Parameters
    ----------
    net : {"T", "A"}
        T1w is stored normalised, AICBV in ml/100 ml.
    volumes : sequence of (x, y, z) array
    """
    return volumes if net == "T" else Normalised(volumes)


def network_inputs(run: Run, net: str, scan_ids: Iterable[str]) -> Sequence[np.ndarray]:
    """Open what a net reads of some scans, on the scale on which it reads it."""
    return scaled(net, VolumeStore(run.path("volumes", VOLUMES[net])).rows(scan_ids))
