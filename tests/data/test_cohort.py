"""The cohort of a run: checked, copied, and opened from inside its folder alone."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml

from brainage_lib.data import open_scan, read_aliases, read_cohort, write_manifest
from brainage_lib.errors import BadImage, BadInput
from brainage_lib.files import digest_file, read_json
from brainage_lib.imaging import grid, measure_quality, template
from brainage_lib.run import start_run
from brainage_lib.tables import read_manifest

ROW = {
    "scan_id": "0001", "participant_id": "p1", "project": "OAS1", "session": "1", "age": 20.5,
    "sex": "F", "diagnosis": "control", "path": "a.nii.gz", "t1w_state": "mni152-brain",
    "x_site": "02",
}  # fmt: skip
PROFILE = {
    "grid_mm": 4, "modes": ["sound"], "folds": 2, "epochs": 1, "patience": 1, "batch": 3,
    "learning_rate": 0.0001, "generator": {"size": "demo", "patch": 16, "overlap": 0.25,
    "people": 1, "steps": 1, "batch": 1, "learning_rate": 0.001},
}  # fmt: skip


@pytest.fixture
def start(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    brain = np.where(template(grid(4)).mask, template(grid(4)).t1w, 0)
    nib.save(nib.Nifti1Image(brain, grid(4).affine), folder / "a.nii.gz")

    def start(rows, **files):
        manifest = folder / "manifest.csv"
        pd.DataFrame(rows).to_csv(manifest, index=False)
        for name, text in files.items():
            (folder / f"{name}.csv").write_text(text)
        asked = tmp_path / "asked.yml"
        asked.write_text(yaml.safe_dump({**PROFILE, "cohort": str(manifest)}))
        return start_run(tmp_path / "run", asked)

    return start


def test_the_manifest_is_copied_as_it_is_and_its_folder_noted_beside(start, tmp_path):
    run = start([ROW, {**ROW, "scan_id": "0002"}])
    manifest = write_manifest(run)
    assert manifest["scan_id"].tolist() == ["0001", "0002"]
    assert manifest["path"].tolist() == ["a.nii.gz", "a.nii.gz"]
    text = run.path("manifest.csv").read_text()
    assert text == (tmp_path / "scans" / "manifest.csv").read_text()
    assert read_json(run.path("cohort.json")) == {
        "folder": str(tmp_path / "scans"),
        "scans": 2,
        "sha256": digest_file(tmp_path / "scans" / "manifest.csv"),
        "simulated": False,
    }
    assert not run.simulated
    pd.testing.assert_frame_equal(read_cohort(run), manifest)


def test_a_bad_manifest_stops_the_run_before_anything_is_written(start):
    run = start([ROW, {**ROW, "age": 130, "sex": "X"}])
    with pytest.raises(BadInput) as raised:
        write_manifest(run)
    assert len(raised.value.findings) == 3
    assert not run.path("manifest.csv").exists()
    assert not run.path("cohort.json").exists()


def test_a_state_that_does_not_fit_the_path_is_found_with_its_line(start):
    with pytest.raises(BadInput, match=r"line 3, t1w_state: 'simulated' does not fit the path"):
        write_manifest(start([ROW, {**ROW, "scan_id": "2", "t1w_state": "simulated"}]))


URI = "sim:v1?seed={}&session=1&age={}&sex=F&project=IXI&diagnosis=control"


def simulated(number, seed=1, age="20.50", **changes):
    return {
        **ROW, "scan_id": str(number), "project": "IXI", "t1w_state": "simulated",
        "path": URI.format(seed, age), **changes,
    }  # fmt: skip


def test_a_simulated_cohort_needs_no_folder(start):
    run = start([simulated(1), simulated(2, seed=2, participant_id="p2")])
    write_manifest(run)
    facts = read_json(run.path("cohort.json"))
    assert (facts["simulated"], facts["folder"]) == (True, None)
    assert run.simulated


def test_a_simulated_row_that_contradicts_its_path_is_found(start):
    rows = [
        simulated(1),
        simulated(2, age="60.00"),
        simulated(3, sex="M"),
        simulated(4, project="OAS1"),
        simulated(5, diagnosis="AD"),
        simulated(6, participant_id="p2"),
        simulated(7, path="sim:v9?seed=1"),
        simulated(8, path="sim:v1?seed=1&age=4"),
    ]
    with pytest.raises(BadInput) as raised:
        write_manifest(start(rows))
    places = [finding.split(":")[0] for finding in raised.value.findings]
    assert places[:6] == [
        "line 3, age",
        "line 4, sex",
        "line 5, project",
        "line 6, diagnosis",
        "line 7, participant_id",
        "line 8, path",
    ]
    assert set(places[6:]) == {"line 9, path"}


def test_simulated_and_real_scans_do_not_mix(start):
    with pytest.raises(BadInput, match="line 3, path: simulated and real scans in one manifest"):
        write_manifest(start([ROW, simulated(2)]))


def test_a_scan_opens_on_the_grid_with_its_brain(start, tmp_path):
    run = start([ROW])
    scan = write_manifest(run).iloc[0]
    volume, mask = open_scan(scan, tmp_path / "scans", grid(4))
    assert volume.shape == mask.shape == grid(4).shape
    assert volume.dtype == np.float32
    assert mask.dtype == bool
    assert not volume[~mask].any()
    both = mask & template(grid(4)).mask
    assert both.sum() > 0.95 * mask.sum()


@pytest.mark.parametrize("path", ["../secret.nii.gz", "link.nii.gz", "{}/secret.nii.gz"])
def test_no_path_leads_out_of_the_folder(start, tmp_path, path):
    start([ROW])
    (tmp_path / "secret.nii.gz").write_bytes((tmp_path / "scans" / "a.nii.gz").read_bytes())
    (tmp_path / "scans" / "link.nii.gz").symlink_to(tmp_path / "secret.nii.gz")
    scan = {**ROW, "path": path.format(tmp_path)}
    with pytest.raises(BadImage, match="leaves the manifest's folder"):
        open_scan(scan, tmp_path / "scans", grid(4))


def test_a_box_without_a_brain_is_named(start, tmp_path):
    start([ROW])
    speck = np.zeros(grid(4).shape, np.float32)
    speck[0, 0, 0] = -1.0
    nib.save(nib.Nifti1Image(speck, grid(4).affine), tmp_path / "scans" / "speck.nii.gz")
    with pytest.raises(BadImage, match="no brain found"):
        open_scan({**ROW, "path": "speck.nii.gz"}, tmp_path / "scans", grid(4))


def test_aliases_beside_the_manifest_come_along_and_go_again(start, tmp_path):
    run = start([ROW], aliases="participant_id,same_as\np1,p2\n")
    write_manifest(run)
    assert read_aliases(run).to_dict("list") == {"participant_id": ["p1"], "same_as": ["p2"]}
    (tmp_path / "scans" / "aliases.csv").unlink()
    write_manifest(run)
    assert read_aliases(run) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one,two\np1,p2\n", "columns must be participant_id, same_as"),
        ("participant_id,same_as\np1,\n,p2\n", "line 2, same_as: is empty"),
        ("", "not a CSV table"),
    ],
)
def test_bad_aliases_are_refused(start, text, message):
    with pytest.raises(BadInput, match=message):
        write_manifest(start([ROW], aliases=text))


def test_real_scans_open(shared):
    folder = shared / "realdata"
    if not (folder / "manifest.csv").is_file():
        pytest.skip("no real scans beside the checkout")
    manifest = read_manifest(folder / "manifest.csv")
    ready = manifest[manifest["t1w_state"] == "mni152-brain"].iloc[:2]
    for scan in ready.to_dict("records"):
        _, mask = open_scan(scan, folder, grid(4))
        assert 1000 < mask.sum() * 0.064 < 2500  # ml in MNI152 space


@pytest.mark.slow
@pytest.mark.parametrize("state", ["native-head", "native-brain"])
def test_real_native_scans_are_preprocessed(shared, tmp_path, state):
    folder = shared / "realdata"
    if not (folder / "manifest.csv").is_file():
        pytest.skip("no real scans beside the checkout")
    manifest = read_manifest(folder / "manifest.csv")
    scan = manifest[manifest["t1w_state"] == state].iloc[0]
    volume, mask = open_scan(scan, folder, grid(4), tmp_path)
    measures = measure_quality(volume, grid(4))
    assert measures["template_correlation"] > 0.8
    assert 1400 < mask.sum() * 0.064 < 2300
    again, _ = open_scan(scan, folder, grid(4), tmp_path)
    np.testing.assert_array_equal(again, volume)
