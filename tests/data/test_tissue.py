"""Tissue maps of a run: of every scan that has tissues, and a verdict on one that has none."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml

from brainage_lib.data import VolumeStore, network_inputs, prepare_volumes
from brainage_lib.data import tissue as module
from brainage_lib.data.cohort import write_manifest
from brainage_lib.data.tissue import SIDE, brain_box
from brainage_lib.imaging import grid, template
from brainage_lib.imaging.tissue import inner
from brainage_lib.run import start_run


@pytest.fixture
def run(tmp_path, root):
    """Two brains with three tissues between their values, and one of a T2w's order."""
    known = template(grid(2))
    rng = np.random.default_rng(2)
    t1w = np.where(known.mask, 100 * known.t1w + rng.normal(0, 2, known.t1w.shape), 0)
    folder = tmp_path / "scans"
    folder.mkdir()
    rows = []
    for name, values in {"a": t1w, "t2w": np.where(t1w > 0, 110 - t1w, 0), "b": 3 * t1w}.items():
        img = nib.Nifti1Image(values.clip(min=0).astype(np.float32), grid(2).affine)
        nib.save(img, folder / f"{name}.nii.gz")
        rows.append({"scan_id": name, "participant_id": name, "project": "IXI", "session": "1",
                     "age": 40.0, "sex": "F", "diagnosis": "control", "path": f"{name}.nii.gz",
                     "t1w_state": "mni152-brain"})  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    text = (root / "workflow" / "profiles" / "shipped.yml").read_text(encoding="utf-8")
    # As they lie: what is asked here is what becomes of a scan without tissues.
    settings = {"cohort": str(folder / "manifest.csv"), "workers": 1,
                "preprocessing": {"register_again": False},
                "quality": {"template_correlation": 0.0, "turn_degrees": 180.0}}  # fmt: skip
    profile = tmp_path / "tissue.yml"
    profile.write_text(yaml.safe_dump(yaml.safe_load(text) | settings), encoding="utf-8")
    found = start_run(tmp_path / "run", profile)
    write_manifest(found)
    return found


def test_a_scan_without_three_tissues_is_dropped_with_the_reason_and_the_others_go_on(
    run, monkeypatch
):
    quality = prepare_volumes(run).set_index("scan_id")
    assert quality["verdict"].eq("drop").to_dict() == {"a": False, "t2w": True, "b": False}
    assert "rising brightness" in quality.loc["t2w", "reasons"]
    assert list(VolumeStore(run.path("volumes", "tissue")).scan_ids) == ["a", "b"]
    one, other = network_inputs(run, "T", ["a", "b"], "tissue")
    np.testing.assert_allclose(np.asarray(one, float), np.asarray(other, float), atol=5e-3)
    with pytest.raises(KeyError, match="no volume in tissue: t2w"):
        network_inputs(run, "T", ["t2w"], "tissue")
    monkeypatch.setattr(module, "tissue_of_scan", None)  # nothing is made anew
    assert prepare_volumes(run).set_index("scan_id").equals(quality)


@pytest.mark.parametrize("mm", [1, 2, 3, 4])
def test_the_box_holds_what_the_maps_show_and_halves_three_times(mm):
    box = brain_box(grid(mm))
    mask = inner(grid(mm))
    assert mask[box].sum() == mask.sum()
    for side, voxels in zip(box, grid(mm).shape, strict=True):
        assert 0 <= side.start < side.stop <= voxels
        assert (side.stop - side.start) % SIDE == 0 or side.stop - side.start == voxels
