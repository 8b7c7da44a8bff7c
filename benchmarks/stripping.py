"""How much the age depends on who stripped the brain, for networks that read tissue maps.

The same sessions as brains in MNI152 and as brains in scanner space, by the networks of the
package: once as they are, and once the latter with the former's map of each tissue. The people
may be among those who were learned from, so that only the difference counts. Needs the real scans
in ``../shared/realdata`` (``manifest.csv``, ``manifest_native.csv``); prints means only.
Run: ``OMP_WAIT_POLICY=PASSIVE python benchmarks/stripping.py``
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from brainage_lib.data.tissue import tissue_of_scan
from brainage_lib.imaging.tissue import TISSUES
from brainage_lib.predict import Model, find_model
from brainage_lib.tables import read_manifest
from brainage_lib.train import predict_network

REAL = Path(__file__).resolve().parents[2] / "shared" / "realdata"


def age_of(model: Model, maps: np.ndarray) -> float:
    """Years that the folds' networks read from (3, x, y, z) tissue maps, in the mean."""
    ages = [predict_network(model.network("T", fold), [maps])[0] for fold in model.folds]
    return float(np.mean(ages))


def compared(model: Model, one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Ages of two sets of maps, and of the second with each map of the first."""
    ages = {"MNI152": age_of(model, one), "scanner space": age_of(model, other)}
    for number, tissue in enumerate(TISSUES):
        mixed = other.copy()
        mixed[number] = one[number]
        ages[f"scanner space, {tissue} of MNI152"] = age_of(model, mixed)
    return ages


def pairs(folder: Path) -> Iterator[tuple[dict, dict]]:
    """Rows of the same session in both tables."""
    rows = [read_manifest(folder / name).to_dict("records")
            for name in ("manifest.csv", "manifest_native.csv")]  # fmt: skip
    known = {(row["participant_id"], row["session"]): row for row in rows[0]}
    for row in rows[1]:
        key = (row["participant_id"], row["session"])
        if key in known:
            yield known[key], row


def main() -> None:
    """Print mean ages."""
    if not (REAL / "manifest_native.csv").is_file():
        print(f"no real scans in {REAL}: nothing was measured")
        return
    model = Model(find_model())
    settings, found = model.run.profile, []
    with tempfile.TemporaryDirectory() as cache:
        for both in pairs(REAL):
            maps = [
                tissue_of_scan(row, str(REAL), settings.grid_mm, cache,
                               settings.preprocessing.register_again)
                for row in both
            ]  # fmt: skip
            with threadpool_limits(1):
                found.append({"true age": both[1]["age"], **compared(model, *maps)})
    table = pd.DataFrame(found)
    print(f"{len(table)} sessions, mean age in years")
    print(table.mean().round(1).to_string())


if __name__ == "__main__":
    main()
