"""Volumes of a cohort in a few memory-mapped files, written so that a killed run goes on.

A store is a folder of shards ``000.npy``, ``001.npy`` … of shape (n, x, y, z) or
(n, 3, x, y, z), float16, and ``index.csv`` (scan_id, shard, row, sha256 of the row's
bytes). A shard appears whole under its name, and only then the index speaks of it.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap

from brainage_lib.errors import BadInput, UserError
from brainage_lib.files import read_json, replacing, write_json

COLUMNS = ("scan_id", "shard", "row", "sha256")
SHARD_BYTES = 256 * 1024**2
"""Most bytes of a shard: what a killed run may lose, and what is copied at once."""


def shard_rows_for(shape: Sequence[int], most: int = 64) -> int:
    """Rows of a shard: ``most``, or fewer where volumes are large.

    Parameters
    ----------
    shape : sequence of int
        Shape of one volume, in voxels.
    most : int
        Upper limit.
    """
    return max(1, min(most, SHARD_BYTES // (2 * math.prod(shape))))


class VolumeWriter:
    """Write volumes one after the other; continue where an earlier writer was killed.

    Use it as a context manager: the last, shorter shard is written when the block ends
    well. A block that raises, or a process that dies, loses the rows since the last full
    shard and nothing else, so that the files do not depend on interruptions.

    Parameters
    ----------
    folder : path
        The store; made if needed.
    shape : tuple of int
        Shape of one volume: (x, y, z) or (3, x, y, z).
    shard_rows : int, optional
        Volumes in a shard; 64, or fewer where volumes are large.
    key : str
        All that the volumes depend on, as a digest. A store made with another key, shape
        or number of rows is emptied first.
    before_index : callable, optional
        Called without arguments after a shard is on disk and before the index lists it;
        what it writes covers at least the rows of the index, whenever the run is killed.

    Attributes
    ----------
    done : list of str
        Scans that are on disk and listed, in their order.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        shape: tuple[int, ...],
        shard_rows: int | None = None,
        key: str = "",
        before_index: Callable[[], None] | None = None,
    ):
        self.folder = Path(folder)
        self.shape = tuple(int(side) for side in shape)
        self.shard_rows = shard_rows or shard_rows_for(self.shape)
        self._before_index = before_index
        self._index: list[tuple[str, int, int, str]] = []
        self._waiting: list[tuple[str, str]] = []
        self._shard: np.memmap | None = None
        self._begin({"shape": list(self.shape), "shard_rows": self.shard_rows, "key": key})

    def _begin(self, facts: dict) -> None:
        known = self.folder / "store.json"
        if not known.is_file() or read_json(known) != facts:
            for old in (known, self.folder / "index.csv", *self._shard_files()):
                old.unlink(missing_ok=True)
            write_json(known, facts)
        for leftover in self.folder.glob(".tmp-*"):
            leftover.unlink()
        if (self.folder / "index.csv").is_file():
            store = VolumeStore(self.folder, check=False)
            damaged = store.damaged_shards()
            if damaged:
                store.index = store.index[store.index["shard"] < min(damaged)]
            self._index = list(store.index[list(COLUMNS)].itertuples(index=False, name=None))
        # A last shard that is not full is written anew, and what was never listed goes.
        if self._index and len(self._index) % self.shard_rows:
            self._index = self._index[: -(len(self._index) % self.shard_rows)]
        listed = {shard for _, shard, _, _ in self._index}
        self._write_index()
        for path in self._shard_files():
            if int(path.stem) not in listed:
                path.unlink()
        self._known = set(self.done)

    def _shard_files(self) -> list[Path]:
        return [path for path in sorted(self.folder.glob("*.npy")) if path.stem.isdigit()]

    @property
    def done(self) -> list[str]:
        """Scans that are on disk and listed, in their order."""
        return [scan_id for scan_id, *_ in self._index]

    def add(self, scan_id: str, volume: np.ndarray) -> None:
        """Append one volume.

        Parameters
        ----------
        scan_id : str
            Not yet in the store.
        volume : (x, y, z) or (3, x, y, z) array
            Finite, and within float16's ±65,504.
        """
        if volume.shape != self.shape:
            raise ValueError(f"{scan_id}: shape {volume.shape}, the store holds {self.shape}")
        if scan_id in self._known:
            raise ValueError(f"{scan_id} is in the store already")
        with np.errstate(over="ignore"):
            row = np.ascontiguousarray(volume, dtype=np.float16)
        if not np.isfinite(row).all():
            raise ValueError(f"{scan_id}: values that float16 cannot hold")
        if self._shard is None:
            self._shard = open_memmap(
                self._temporary, mode="w+", dtype=np.float16, shape=(self.shard_rows, *self.shape)
            )
            _reserve(self._temporary)
        self._shard[len(self._waiting)] = row
        self._known.add(scan_id)
        self._waiting.append((scan_id, hashlib.sha256(row.tobytes()).hexdigest()))
        if len(self._waiting) == self.shard_rows:
            self._close_shard()

    @property
    def _temporary(self) -> Path:
        return self.folder / ".tmp-shard.npy"

    def _close_shard(self) -> None:
        number = math.ceil(len(self._index) / self.shard_rows)
        path = self.folder / f"{number:03d}.npy"
        self._shard.flush()
        rows = len(self._waiting)
        if rows == self.shard_rows:
            os.replace(self._temporary, path)
        else:
            with replacing(path) as shorter:
                copy = open_memmap(shorter, mode="w+", dtype=np.float16, shape=(rows, *self.shape))
                copy[:] = self._shard[:rows]
                copy.flush()
        self._shard = None
        self._index += [
            (scan_id, number, row, digest) for row, (scan_id, digest) in enumerate(self._waiting)
        ]
        self._waiting = []
        if self._before_index is not None:
            self._before_index()
        self._write_index()

    def _write_index(self) -> None:
        with replacing(self.folder / "index.csv") as temporary:
            pd.DataFrame(self._index, columns=list(COLUMNS)).to_csv(temporary, index=False)

    def __enter__(self) -> VolumeWriter:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None and self._waiting:
            self._close_shard()
        self._shard = None
        self._temporary.unlink(missing_ok=True)


def _reserve(path: Path) -> None:
    """Take a file's room on the disk now: to run out of it in a memory map kills the process.

    Raises
    ------
    UserError
        The disk has not so much room.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    size = path.stat().st_size
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return
        raise UserError(
            f"no room for {size / 1e6:.0f} MB of volumes in {path.parent}: "
            f"{os.strerror(error.errno)}; what is finished is kept. Make room, and give the same "
            "command again"
        ) from None
    finally:
        os.close(descriptor)


class VolumeStore:
    """Read volumes without loading them all.

    Parameters
    ----------
    folder : path
        What a `VolumeWriter` wrote.
    check : bool
        Look whether each shard is there and has the rows that the index speaks of.

    Attributes
    ----------
    index : DataFrame
        Columns scan_id, shard, row, sha256.

    Raises
    ------
    BadInput
        No store is there, or shards of it are missing or cut short.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with VolumeWriter(folder, (2, 2, 2)) as writer:
    ...     writer.add("a", np.ones((2, 2, 2)))
    >>> float(VolumeStore(folder)["a"].sum())
    8.0
    """

    def __init__(self, folder: str | os.PathLike, check: bool = True):
        self.folder = Path(folder)
        try:
            self.index = pd.read_csv(
                self.folder / "index.csv",
                dtype={"scan_id": str, "sha256": str},
                keep_default_na=False,
            )
            shape = read_json(self.folder / "store.json")["shape"]
        except FileNotFoundError:
            raise BadInput(
                str(self.folder), ["no volumes here; run the chapter that makes them"]
            ) from None
        self.shape: tuple[int, ...] = tuple(shape)
        self._place = {
            scan_id: (int(shard), int(row))
            for scan_id, shard, row in zip(
                self.index["scan_id"], self.index["shard"], self.index["row"], strict=True
            )
        }
        self._shards: dict[int, np.ndarray] = {}
        if check:
            wanted = self.index.groupby("shard").size()
            findings = [
                f"{shard:03d}.npy is missing or cut short; run the chapter that makes it again"
                for shard, rows in wanted.items()
                if not self._has_rows(int(shard), int(rows))
            ]
            if findings:
                raise BadInput(str(self.folder), findings)

    @property
    def scan_ids(self) -> list[str]:
        """Scans in the order in which they were written."""
        return list(self._place)

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, scan_id: object) -> bool:
        return scan_id in self._place

    def __getitem__(self, scan_id: str) -> np.ndarray:
        """Return a read-only float16 view of one volume.

        Raises
        ------
        KeyError
            If the scan is not in the store.
        """
        if scan_id not in self._place:
            raise KeyError(f"{scan_id} has no volume in {self.folder.name}: was it put aside?")
        shard, row = self._place[scan_id]
        return self._open(shard)[row]

    def array(self, scan_ids: Iterable[str]) -> np.ndarray:
        """Copy some volumes into one (n, …) float16 array."""
        chosen = list(scan_ids)
        result = np.empty((len(chosen), *self.shape), np.float16)
        for place, scan_id in enumerate(chosen):
            result[place] = self[scan_id]
        return result

    def rows(self, scan_ids: Iterable[str]) -> Rows:
        """Return some volumes as a sequence that opens each when it is asked for."""
        return Rows(self, scan_ids)

    def damaged_shards(self) -> list[int]:
        """Numbers of the shards that are missing or whose bytes differ from the index."""
        damaged = []
        for shard, rows in self.index.groupby("shard"):
            intact = self._has_rows(int(shard), len(rows)) and all(
                hashlib.sha256(self._open(int(shard))[row].tobytes()).hexdigest() == digest
                for row, digest in zip(rows["row"], rows["sha256"], strict=True)
            )
            if not intact:
                damaged.append(int(shard))
        return damaged

    def _has_rows(self, shard: int, rows: int) -> bool:
        try:
            found = self._open(shard)
        except (OSError, ValueError):
            return False
        return found.shape == (rows, *self.shape) and found.dtype == np.float16

    def _open(self, shard: int) -> np.ndarray:
        if shard not in self._shards:
            mapped = open_memmap(self.folder / f"{shard:03d}.npy", mode="r")
            self._shards[shard] = np.asarray(mapped)
        return self._shards[shard]

    def __getstate__(self) -> dict:
        # A pickled memory map is a copy of the whole file; each process opens its own.
        return {**self.__dict__, "_shards": {}}


class Rows(Sequence):
    """Volumes of some scans, opened when they are asked for.

    ``rows[i]`` is a read-only float16 view of shape ``rows.shape[1:]``; a slice is again
    a sequence of this kind.

    Parameters
    ----------
    store : VolumeStore
    scan_ids : iterable of str
        All in the store; one may come twice.

    Raises
    ------
    KeyError
        If a scan is not in the store.
    """

    def __init__(self, store: VolumeStore, scan_ids: Iterable[str]):
        self.store = store
        self.scan_ids = list(scan_ids)
        missing = [scan_id for scan_id in self.scan_ids if scan_id not in store]
        if missing:
            shown = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
            raise KeyError(f"{len(missing)} scans have no volume in {store.folder.name}: {shown}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as if it were one array."""
        return (len(self.scan_ids), *self.store.shape)

    def __len__(self) -> int:
        return len(self.scan_ids)

    @overload
    def __getitem__(self, place: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, place: slice) -> Rows: ...
    def __getitem__(self, place):
        """Return one volume, or a part of the sequence."""
        if isinstance(place, slice):
            return Rows(self.store, self.scan_ids[place])
        return self.store[self.scan_ids[place]]
