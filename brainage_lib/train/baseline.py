"""A yardstick without a network: linear support vector regression on smoothed voxels.

What a network learns beyond it is what depth is worth on this cohort. It is fitted on the same
people as the networks of a fold, those included on whom they are stopped, and asked about the
same test people.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from sklearn.svm import SVR
from threadpoolctl import threadpool_limits

from brainage_lib.data import kept, network_inputs
from brainage_lib.files import digest_file
from brainage_lib.run import Run, code_digest, progress
from brainage_lib.tables import PREDICTIONS, SPLITS, choose, read_table, write_table

RECIPE = "linear-svr"
"""What stands in the column ``recipe`` of its predictions."""

DESCRIPTION = ["scan_id", "participant_id", "project", "session", "age", "sex", "diagnosis"]

SMOOTHING_MM = 2.0
"""Standard deviation of the Gaussian. Chosen among four by the error on tested OAS1 scans (4 mm:
0.2 years worse), as a network's settings must never be: it flatters the yardstick a little."""

SAMPLED_MM = 4
"""Smoothed voxels are taken about so far apart on finer grids, so that memory stays that of the
4 mm grid: 2,851 scans of all voxels at 1 mm would need 82 GB."""

PENALTY, TUBE = 100.0, 1.0
"""C, for voxels scaled to a mean squared norm of 1, and epsilon in years. From C = 30 up, the
error on real scans does not depend on it."""


def fit_baseline(run: Run) -> pd.DataFrame:
    """Predict every tested scan of the sound mode by the yardstick, unless it is up to date.

    Parameters
    ----------
    run : Run
        With splits and volumes.

    Returns
    -------
    DataFrame
        Schema ``PREDICTIONS``, recipe "linear-svr", net T, role test; written to
        ``baseline.csv``. No rows if the run has no sound mode.
    """
    manifest = kept(run)
    splits = choose(read_table(run.path("splits.csv"), SPLITS), mode="sound")
    key = {
        "volumes": digest_file(run.path("volumes", "t1w", "index.csv")),
        "splits": splits[["scan_id", "fold", "role"]].to_numpy().tolist(),
        "ages": manifest["age"].tolist(),
        "code": code_digest("data/inputs.py", "train/baseline.py"),
    }
    outputs = ["baseline.csv"]
    if not run.up_to_date("baseline", key, outputs):
        # One thread: sums in another order would differ in their last bits.
        with threadpool_limits(1):
            table = _predict(run, manifest, splits)
        write_table(table, run.path(*outputs), PREDICTIONS)
        run.finish("baseline", key, outputs)
    return read_table(run.path(*outputs), PREDICTIONS)


def _predict(run: Run, manifest: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    kernel = _kernel(run, list(manifest["scan_id"])) if len(splits) else np.empty((0, 0))
    ages = manifest["age"].to_numpy()
    parts = []
    for fold, rows in splits.groupby("fold"):
        roles = manifest["scan_id"].map(dict(zip(rows["scan_id"], rows["role"], strict=True)))
        learned = np.flatnonzero(roles.isin(["train", "validation"]))
        tested = np.flatnonzero(roles.eq("test"))
        machine = SVR(kernel="precomputed", C=PENALTY, epsilon=TUBE)
        machine.fit(kernel[np.ix_(learned, learned)], ages[learned])
        told = machine.predict(kernel[np.ix_(tested, learned)])
        parts.append(manifest.iloc[tested][DESCRIPTION].assign(fold=fold, predicted_age=told))
    if not parts:
        return pd.DataFrame(columns=list(PREDICTIONS.columns))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(recipe=RECIPE, mode="sound", role="test", net="T", seed=0)


def _kernel(run: Run, scan_ids: list[str]) -> np.ndarray:
    """(n, n) products of smoothed volumes less their mean, of a mean squared norm of 1."""
    sigma = SMOOTHING_MM / run.profile.grid_mm
    volumes = network_inputs(run, "T", scan_ids)
    step = max(1, SAMPLED_MM // run.profile.grid_mm)
    smoothed = np.stack(
        [
            gaussian_filter(np.asarray(volume, np.float32), sigma)[::step, ::step, ::step].ravel()
            for volume in progress(volumes, "Smoothed voxels", len(scan_ids))
        ]
    )
    smoothed -= smoothed.mean(axis=0)
    kernel = (smoothed @ smoothed.T).astype(np.float64)
    return kernel / np.trace(kernel) * len(kernel)
