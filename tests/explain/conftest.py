"""A run of ten small heads with untrained networks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from brainage_lib.data import VolumeWriter
from brainage_lib.imaging import grid
from brainage_lib.models import VGG8, network_facts, save_weights
from brainage_lib.run import start_run
from brainage_lib.tables import MANIFEST, SPLITS, write_table

SHAPE = grid(4).shape
SCANS = 10
GENERATOR = {
    "size": "demo", "patch": 16, "overlap": 0.25, "people": 1, "steps": 1, "batch": 1,
    "learning_rate": 0.001,
}  # fmt: skip


def scan_id(number):
    return f"s{number:02d}"


def weights_of(run, net, fold):
    return run.network_folder("paper", "sound", net, 0, fold) / "weights.safetensors"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Ten scans of 25–34 years, two folds, networks that were never trained."""
    folder = tmp_path_factory.mktemp("run")
    profile = {
        "cohort": "none.csv", "grid_mm": 4, "modes": ["sound"], "folds": 2, "epochs": 1,
        "patience": 1, "batch": 3, "learning_rate": 0.0001, "generator": GENERATOR,
    }  # fmt: skip
    (folder / "asked.yml").write_text(yaml.safe_dump(profile))
    run = start_run(folder, folder / "asked.yml")
    manifest = pd.DataFrame(
        {
            "scan_id": scan_id(number), "participant_id": scan_id(number), "project": "IXI",
            "session": "1", "age": 25.0 + number, "sex": "F", "diagnosis": "control",
            "path": "none.nii.gz", "t1w_state": "mni152-brain",
        }
        for number in range(SCANS)
    )  # fmt: skip
    write_table(manifest, run.path("manifest.csv"), MANIFEST)
    splits = pd.DataFrame(
        {
            "scan_id": scan_id(number), "mode": "sound", "fold": fold,
            "role": "test" if number % 2 == fold else "train", "partition": pd.NA,
        }
        for fold in range(2)
        for number in range(SCANS)
    ).astype({"partition": "Int64"})  # fmt: skip
    write_table(splits, run.path("splits.csv"), SPLITS)
    x, y, z = np.indices(SHAPE)
    rng = np.random.default_rng(5)
    for name in ("t1w", "cbv"):
        with VolumeWriter(run.path("volumes", name), SHAPE) as writer:
            for number in range(SCANS):
                # Each head has a size of its own.
                brain = ((x - 24) ** 2 + (y - 32) ** 2 + (z - 24) ** 2) < (16 + number % 4) ** 2
                writer.add(scan_id(number), brain * rng.uniform(0.2, 1, SHAPE))
    torch.manual_seed(3)
    for net in ("T", "A"):
        for fold in range(2):
            network = VGG8(SHAPE).start_at(50)
            save_weights(network, weights_of(run, net, fold), network_facts(network))
    return run
