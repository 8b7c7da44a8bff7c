"""What a network reads of a scan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from brainage_lib.data.store import VolumeStore
from brainage_lib.data.tissue import brain_box
from brainage_lib.imaging import grid, top_mean
from brainage_lib.imaging.tissue import TISSUES
from brainage_lib.run import Run

VOLUMES = {"T": "t1w", "A": "cbv", "F": "t1w", "M": "tissue"}
"""What each net reads, in the run's folder of volumes, unless its recipe says otherwise."""


def volumes_of(net: str, reads: str = "t1w") -> str:
    """Name the folder of volumes that a net reads.

    Parameters
    ----------
    net : {"T", "A", "F", "M"}
    reads : {"t1w", "tissue"}
        What the net's recipe says that T reads.
    """
    return reads if net == "T" else VOLUMES[net]


def input_shape(net: str, reads: str, grid_mm: int) -> tuple[int, int, int, int]:
    """Channels and voxels of what a net reads of one scan.

    Examples
    --------
    >>> input_shape("T", "t1w", 4), input_shape("T", "tissue", 4), input_shape("A", "tissue", 4)
    ((1, 48, 64, 48), (3, 32, 48, 40), (1, 48, 64, 48))
    """
    target = grid(grid_mm)
    if volumes_of(net, reads) == "tissue":
        return len(TISSUES), *(side.stop - side.start for side in brain_box(target))
    return 1, *target.shape


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


class Exchanged(Sequence):
    """T1w with dark and bright exchanged within the brain, as they are asked for.

    What a fixed transform of the same image is worth (net F): it holds nothing that the T1w does
    not hold, in another contrast.
    """

    def __init__(self, volumes: Sequence[np.ndarray]):
        self.volumes = volumes
        self.scan_ids: list[str] | None = getattr(volumes, "scan_ids", None)

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, place: int) -> np.ndarray:
        volume = np.asarray(self.volumes[place], dtype=np.float32)
        # Positive everywhere in the brain, as augmentation expects of brightness.
        return np.where(volume > 0, 1 / (1 + volume), 0)


def scaled(net: str, volumes: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Put volumes as a run stores them on the scale on which a net reads them.

    Parameters
    ----------
    net : {"T", "A", "F", "M"}
        T1w is stored normalised, as are tissue maps, AICBV in ml/100 ml.
    volumes : sequence of (x, y, z) or (channels, x, y, z) array
    """
    if net == "A":
        return Normalised(volumes)
    return Exchanged(volumes) if net == "F" else volumes


def network_inputs(
    run: Run, net: str, scan_ids: Iterable[str], reads: str = "t1w"
) -> Sequence[np.ndarray]:
    """Open what a net reads of some scans, on the scale on which it reads it.

    Parameters
    ----------
    run : Run
    net, reads
        As for `volumes_of`.
    scan_ids : iterable of str

    Returns
    -------
    sequence of (x, y, z) or (channels, x, y, z) array
        Opened as they are asked for.

    Raises
    ------
    BadInput
        The maps were not made.
    KeyError
        They were, but not of one of these scans.
    """
    return scaled(net, VolumeStore(run.path("volumes", volumes_of(net, reads))).rows(scan_ids))
