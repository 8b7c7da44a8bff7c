"""Fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference tables and real scans beside the checkout, if it is there."""
    folder = ROOT.parent / "shared"
    if not (folder / "reference").is_dir():
        pytest.skip("no folder ../shared with reference tables and real scans beside the checkout")
    return folder


GENERATOR = {
    "size": "demo", "patch": 48, "overlap": 0.25, "people": 1, "steps": 1, "batch": 1,
    "learning_rate": 0.001,
}  # fmt: skip


def pretend_predictions(n=60):
    """What chapter 05 would have written for a cohort of controls."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(11)
    scans = pd.DataFrame(
        {
            "scan_id": [f"c{i}" for i in range(n)], "participant_id": [f"c{i}" for i in range(n)],
            "project": "IXI", "session": "1", "age": np.linspace(20, 80, n),
            "sex": ["F", "M"] * (n // 2), "diagnosis": "control", "recipe": "paper",
            "mode": "sound", "role": "test", "fold": [0, 1, 1, 0] * (n // 4), "seed": 0,
        }
    )  # fmt: skip
    nets = [scans.assign(net=net, predicted_age=scans["age"] + rng.normal(0, 5, n)) for net in "TA"]
    return pd.concat(nets)


@pytest.fixture(scope="session")
def pretended():
    """`pretend_predictions`, for other tests."""
    return pretend_predictions()


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """Four simulated scans in two folds; a generator and networks that were never trained."""
    import pandas as pd
    import torch
    import yaml

    from brainage_lib.data import prepare_volumes, write_reference
    from brainage_lib.data.cohort import write_manifest
    from brainage_lib.imaging import grid
    from brainage_lib.models import VGG8, AICBVGenerator, network_facts, save_weights
    from brainage_lib.run import start_run
    from brainage_lib.simulate import simulate_cohort
    from brainage_lib.stats import save_calibration_json, save_model_json, stack
    from brainage_lib.tables import MANIFEST, SPLITS, write_table
    from brainage_lib.train import aicbv

    folder = tmp_path_factory.mktemp("tiny") / "run"
    folder.mkdir()
    manifest, _ = simulate_cohort(seed=5, n_scans=40, n_participants=40)
    manifest = manifest[manifest["diagnosis"] == "control"].iloc[[0, 9, 18, 27]]
    write_table(manifest, folder / "cohort.csv", MANIFEST)
    profile = {
        "cohort": str(folder / "cohort.csv"), "grid_mm": 4, "modes": ["sound"], "folds": 2,
        "epochs": 1, "patience": 1, "batch": 3, "learning_rate": 0.0001, "workers": 1,
        "generator": GENERATOR,
    }  # fmt: skip
    (folder / "asked.yml").write_text(yaml.safe_dump(profile))
    run = start_run(folder, folder / "asked.yml")
    write_manifest(run)
    prepare_volumes(run)
    splits = pd.DataFrame(
        {
            "scan_id": scan, "mode": "sound", "fold": fold,
            "role": "test" if number % 2 == fold else "train", "partition": pd.NA,
        }
        for fold in (0, 1)
        for number, scan in enumerate(manifest["scan_id"])
    ).astype({"partition": "Int64"})  # fmt: skip
    write_table(splits, run.path("splits.csv"), SPLITS)
    torch.manual_seed(1)
    save_weights(AICBVGenerator("demo").start_at(3.0), run.path(aicbv.WEIGHTS), {})
    for net in "TA":
        for fold in (0, 1):
            network = VGG8(grid(4).shape).start_at(40 + 10 * fold)
            save_weights(
                network,
                run.network_folder("paper", "sound", net, 0, fold) / "weights.safetensors",
                network_facts(network),
            )
    stacked = stack(pretend_predictions())
    save_model_json(stacked, run.path("stacking", "model.json"))
    save_calibration_json(stacked, run.path("stacking", "calibration.json"))
    write_reference(run)
    return run


@pytest.fixture(scope="session")
def brains(tmp_path_factory):
    """A folder with the template as somebody's scan, whole and cut in half."""
    import nibabel as nib
    import numpy as np

    from brainage_lib.imaging import grid, template

    folder = tmp_path_factory.mktemp("brains")
    whole = np.where(template(grid(4)).mask, template(grid(4)).t1w, 0).astype(np.float32)
    half = whole.copy()
    half[:24] = 0
    for name, volume in (("whole", whole), ("half", half)):
        nib.save(nib.Nifti1Image(volume, grid(4).affine), folder / f"{name}.nii.gz")
    return folder
