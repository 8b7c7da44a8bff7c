"""How well real scans are stripped and registered, against what others segmented.

Needs the real scans in ``../shared/realdata``: a manifest, and, as extras, native brains of
people who were scanned twice with label maps by hand (``manifest_native.csv``, column
``x_labels``), the same scans as another project laid them onto MNI152, and of some people both a
head and a brain that was stripped elsewhere (``<participant>_head``, ``<participant>_brain``).
Prints aggregates only.
Run: ``OMP_WAIT_POLICY=PASSIVE python benchmarks/real_preprocessing.py``
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import nibabel as nib
import nibabel.processing
import numpy as np
import pandas as pd

from brainage_lib.data.native import native_brain
from brainage_lib.imaging import grid, open_image, resample, template, to_grid
from brainage_lib.imaging.registration import register
from brainage_lib.tables import read_manifest

REAL = Path(__file__).resolve().parents[2] / "shared" / "realdata"

# Numbers of the Neuromorphometrics protocol, right and left.
REGIONS = {
    "lateral ventricles": (51, 52),
    "thalamus": (59, 60),
    "hippocampus": (47, 48),
    "cerebral white matter": (44, 45),
}


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Twice the overlap over the sum of the sizes."""
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def said(name: str, values: list[float], unit: str = "") -> None:
    """Print the median and the range."""
    print(f"{name:58} {np.median(values):6.3f} ({min(values):.3f} to {max(values):.3f}){unit}, "
          f"n {len(values)}", flush=True)  # fmt: skip


def compare_masks(folder: Path, cache: Path) -> None:
    """Compare masks of heads with brains that were stripped by somebody else."""
    rows = pd.read_csv(folder / "manifest.csv", dtype=str).set_index("scan_id")
    found = []
    for name in rows.index[rows["t1w_state"] == "native-brain"]:
        head = f"{rows.loc[name, 'participant_id']}_head"
        if head not in rows.index:
            continue
        image = open_image(folder / rows.loc[head, "path"])
        ours = native_brain(folder / rows.loc[head, "path"], "native-head", cache).img
        theirs = open_image(folder / rows.loc[name, "path"])
        mask = (np.asarray(theirs.dataobj) > 0).astype(np.float32)
        # Both fill one box; the head was made coarser in it, and the box's turn was dropped.
        ratio = np.array(theirs.shape) / image.shape
        finer = image.affine @ nib.affines.from_matvec(np.diag(1 / ratio), (1 / ratio - 1) / 2)
        box = nib.processing.resample_from_to(
            nib.Nifti1Image(mask, finer), (ours.shape, ours.affine), order=1
        )
        found.append(dice(np.asarray(box.dataobj) > 0.5, np.asarray(ours.dataobj) > 0))
    said("brain mask of a 2 mm head, Dice with another's brain", found)


def compare_labels(folder: Path, cache: Path) -> None:
    """Lay labels by hand onto MNI152 by our affine; compare sessions, people, and places."""
    rows = read_manifest(folder / "manifest_native.csv")
    normalised = pd.read_csv(folder / "manifest.csv", dtype=str).set_index("scan_id")
    target = grid(2)
    inside = np.argwhere(template(target).mask)
    points = nib.affines.apply_affine(target.affine, inside[:: len(inside) // 5000])
    placed, apart = {}, []
    for row in rows.itertuples():
        brain = native_brain(folder / row.path, row.t1w_state, cache)
        labels = nib.load(folder / row.x_labels)
        placed[row.participant_id, row.session] = resample(
            np.asarray(labels.dataobj, np.float32), brain.to_mni @ labels.affine, target, order=0
        )
        theirs = row.scan_id.removesuffix("_native")
        if theirs in normalised.index:
            # Where a second registration, of the scan as another project laid it, would move it.
            laid = to_grid(open_image(folder / normalised.loc[theirs, "path"]), target)
            again = register(laid.astype(np.float32), target.affine)
            moved = nib.affines.apply_affine(again, points)
            apart.append(float(np.linalg.norm(moved - points, axis=1).mean()))
    for name, numbers in REGIONS.items():
        masks = {key: np.isin(volume, numbers) for key, volume in placed.items()}
        pairs = list(itertools.combinations(masks, 2))
        same = [dice(masks[a], masks[b]) for a, b in pairs if a[0] == b[0]]
        other = [dice(masks[a], masks[b]) for a, b in pairs if a[0] != b[0]]
        said(f"{name}: Dice between two sessions of a person", same)
        said(f"{name}: Dice between two people", other)
        centres = [
            nib.affines.apply_affine(target.affine, np.argwhere(mask)).mean(axis=0)
            for mask in masks.values()
        ]
        spread = np.linalg.norm(np.array(centres) - np.mean(centres, axis=0), axis=1)
        said(f"{name}: centre, distance from the mean", list(spread), " mm")
    if apart:
        said("another project's MNI152 brains, moved by ours by", apart, " mm")


def main() -> None:
    """Print one table."""
    if not REAL.is_dir():
        print(f"no real scans in {REAL}: nothing was measured")
        return
    with tempfile.TemporaryDirectory() as cache:
        compare_masks(REAL, Path(cache))
        compare_labels(REAL, Path(cache))


if __name__ == "__main__":
    main()
