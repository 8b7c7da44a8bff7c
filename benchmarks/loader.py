"""1 mm volumes a second: from a run's store, against .nii.gz with nibabel and MONAI's cache.

Each way ends in the same float32 batches of three. "warm" has the files in the system's page cache,
"disk" had them removed from it first (as far as the system lets a process ask for that). The last
column is the ratio to reading .nii.gz without workers, all in one process: ratios can be compared
between machines, volumes a second cannot. MONAI is measured where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from brainage_lib.data import VolumeStore, VolumeWriter
from brainage_lib.imaging import grid, template
from brainage_lib.train.batches import Scans, as_input

BATCH = 3


class Images(Dataset):
    """Images that nibabel opens, as float32 tensors."""

    def __init__(self, paths: list[Path]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitems__(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        volumes = [np.asarray(nib.load(self.paths[row]).dataobj, np.float32) for row in rows]
        return as_input(volumes), torch.zeros(len(rows))


def as_it_is(batch):
    return batch


def write(folder: Path, n: int, mm: int) -> tuple[list[Path], Path]:
    """Write n brains, each with its own noise, as images and as a store."""
    made, rng = template(grid(mm)), np.random.default_rng(0)
    paths = []
    with VolumeWriter(folder / "store", made.t1w.shape) as writer:
        for number in range(n):
            noise = rng.normal(0, 0.02, made.t1w.shape)
            volume = np.where(made.mask, made.t1w / made.t1w.max() + noise, 0).astype(np.float16)
            writer.add(f"scan-{number}", volume)
            # As studies keep them: whole numbers, compressed.
            img = nib.Nifti1Image((volume.astype(np.float32) * 1000).astype(np.int16), np.eye(4))
            paths.append(folder / f"scan-{number}.nii.gz")
            nib.save(img, paths[-1])
    return paths, folder / "store"


def forget(folder: Path) -> bool:
    """Ask the system to drop the files from its page cache."""
    if not hasattr(os, "posix_fadvise"):
        return False
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
    return True


def volumes_a_second(dataset: Dataset, n: int, workers: int, passes: int) -> float:
    """Read all of a dataset some times; workers are started before the clock."""
    loader = DataLoader(
        dataset,
        batch_size=BATCH,
        num_workers=workers,
        collate_fn=as_it_is,
        persistent_workers=workers > 0,
    )
    if workers:
        for _ in loader:
            pass
    began = time.perf_counter()
    for _ in range(passes):
        for volumes, _ in loader:
            assert volumes.dtype == torch.float32
    return passes * n / (time.perf_counter() - began)


def monai_dataset(paths: list[Path], folder: Path) -> Dataset | None:
    """MONAI's PersistentDataset over the same images, filled; None where it is not installed."""
    if importlib.util.find_spec("monai") is None:
        return None
    from monai.data import PersistentDataset
    from monai.transforms import EnsureChannelFirst, LoadImage

    class Batches(PersistentDataset):
        def __getitems__(self, rows):
            return torch.stack([torch.as_tensor(self[row]) for row in rows]).float(), None

    steps = [LoadImage(image_only=True), EnsureChannelFirst()]
    dataset = Batches([str(path) for path in paths], steps, folder / "monai")
    for row in range(len(paths)):
        dataset[row]
    return dataset


def main() -> None:
    """Print a table of volumes a second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=24)
    parser.add_argument("--grid-mm", type=int, default=1)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 2, 4])
    options = parser.parse_args()
    n = options.scans
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths, place = write(folder, n, options.grid_mm)
        store = VolumeStore(place)
        kinds: dict[str, Callable[[], Dataset | None]] = {
            "nii.gz, nibabel": lambda: Images(paths),
            "store, memory map": lambda: Scans(store.rows(store.scan_ids), np.zeros(n), "all"),
            "MONAI PersistentDataset": lambda: monai_dataset(paths, folder),
        }
        print(f"{'read from':<26} {'workers':>7} {'cache':>6} {'volumes/s':>10} {'ratio':>7}")
        base = None
        for kind, make in kinds.items():
            dataset = make()
            if dataset is None:
                print(f"{kind:<26} not installed here: not measured")
                continue
            passes = 1 if kind.startswith("nii") else 4
            for cache in ("warm", "disk"):
                for workers in options.workers if cache == "warm" else [0]:
                    if cache == "disk" and not forget(folder):
                        print(f"{kind:<26} {workers:>7} {cache:>6} this system does not forget")
                        continue
                    # Once through the files, so that they are in the page cache.
                    if cache == "warm" and workers == 0:
                        volumes_a_second(dataset, n, 0, 1)
                    speed = volumes_a_second(dataset, n, workers, passes if cache == "warm" else 1)
                    base = base or speed
                    row = f"{kind:<26} {workers:>7} {cache:>6} {speed:>10.2f} {speed / base:>6.1f}x"
                    print(row, flush=True)


if __name__ == "__main__":
    main()
