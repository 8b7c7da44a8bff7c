"""What AICBV says on real scans: contrast, blood-flow atlas, repeated scans, gadolinium pairs.

Nothing of a single person is printed. What these numbers can and cannot show stands in
``brainage_lib/train/cbv_real.py``.
Run: ``python benchmarks/aicbv_real.py [--run RUN | --weights FILE] [--scans N] [--record]``; the
scans are sought in ``../shared/realdata``, and where they are not, it says so. ``--record`` writes
the tables of ten people or more to ``book/recorded/aicbv``, for the page on AICBV.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from brainage_lib.errors import UserError
from brainage_lib.files import replacing
from brainage_lib.imaging import grid, open_image, to_grid
from brainage_lib.models import open_generator
from brainage_lib.models.shipped import shipped_grids, shipped_weights
from brainage_lib.predict.cbv import cbv_of_scan, generator_of
from brainage_lib.run import Run, locate, progress
from brainage_lib.train.cbv_real import (
    PUBLISHED_RATIO,
    atlas_agreement,
    compare_maps,
    repeatability,
    tissue_contrast,
    with_intervals,
)
from brainage_lib.train.pairs import open_pair, read_pairs

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "realdata"
OUT = ROOT / "book" / "recorded" / "aicbv"

FEWEST = 10
"""People of whom a mean is recorded."""


def main() -> None:
    """Print four tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run")
    parser.add_argument("--weights")
    parser.add_argument("--scans", type=int, default=30, help="scans of controls to average")
    parser.add_argument("--record", action="store_true", help="write tables for the book")
    asked = parser.parse_args()
    if not REAL.is_dir():
        print(f"no real scans in {REAL}: nothing was measured")
        return
    if asked.run is None and asked.weights is None and not shipped_grids():
        print("no weights are shipped yet, and neither --run nor --weights was given")
        return
    generator = (
        generator_of(Run(locate(asked.run)))
        if asked.run
        else open_generator(asked.weights or shipped_weights())
    )
    target = grid(generator.grid_mm)
    manifest = pd.read_csv(REAL / "manifest.csv", dtype={"session": str})
    oas1 = manifest[(manifest["project"] == "OAS1") & (manifest["diagnosis"] == "control")]
    repeated = oas1[oas1["participant_id"].duplicated(keep=False)].sort_values("scan_id")
    once = oas1.drop_duplicates("participant_id").head(asked.scans)
    maps = {}
    for row in progress(list(pd.concat([once, repeated]).itertuples()), "Maps"):
        try:
            maps[row.scan_id] = cbv_of_scan(REAL / row.path, generator, "mni152-brain").cbv
        except UserError:
            continue  # of such a quality that a run would drop it
    shown = [maps[scan_id] for scan_id in once["scan_id"] if scan_id in maps]
    print(f"AICBV at {target.mm} mm of {len(shown)} OAS1 controls, ml/100 ml")
    contrast = pd.DataFrame([tissue_contrast(cbv, target) for cbv in shown])
    low, high = PUBLISHED_RATIO
    print(contrast.mean().round(2).to_frame("mean").T.to_string(index=False))
    print(f"published ratio of pure tissue: {low} to {high}\n")
    facts = {"grid_mm": target.mm, "n_participants": len(shown), **with_intervals(contrast)}
    facts = pd.DataFrame([facts | {"published_low": low, "published_high": high}])
    if asked.record:
        record("contrast", facts, len(shown))

    atlas = to_grid(open_image(REAL / "atlas" / "CBF_ASL_MRI.nii.gz"), target)
    print("average AICBV against the atlas of blood flow (ASL)")
    agreement = atlas_agreement(shown, atlas, target)
    print(agreement.round(3).to_string(index=False), "\n")
    if asked.record:
        record("atlas", agreement, len(shown))

    couples = [
        tuple(maps[scan_id] for scan_id in rows["scan_id"])
        for _, rows in repeated.groupby("participant_id")
        if len(rows) == 2 and set(rows["scan_id"]) <= set(maps)
    ]
    print("two sessions of one person")
    repeats = repeatability(couples)
    print(repeats.round(3).to_string(index=False), "\n")
    if asked.record:
        record("repeats", repeats, len(couples))

    rows = []
    for pair in read_pairs(REAL / "contrast" / "pairs.csv").itertuples():
        known = open_pair(pair.pre, pair.post, target.mm)
        t1w = known.t1w.astype(np.float32)
        rows.append(compare_maps(generator.cbv(t1w), known.cbv, t1w > 0))
    print(f"AICBV against blood volume by gadolinium, {len(rows)} people with multiple sclerosis")
    print(pd.DataFrame(rows).mean().round(3).to_frame("mean").T.to_string(index=False))


def record(name: str, table: pd.DataFrame, people: int) -> None:
    """Write a table for the book unless it is of too few people."""
    if people < FEWEST:
        print(f"{name}: {people} people, fewer than {FEWEST}; not recorded")
        return
    OUT.mkdir(parents=True, exist_ok=True)
    with replacing(OUT / f"{name}.csv") as temporary:
        table.round(3).to_csv(temporary, index=False)


if __name__ == "__main__":
    main()
