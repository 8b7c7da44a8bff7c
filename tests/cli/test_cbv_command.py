"""`brainage cbv` as a user calls it: the map, and one clear error for each bad input."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from brainage_lib import simulate
from brainage_lib.cli.main import app
from brainage_lib.imaging import grid, normalise, template
from brainage_lib.models import VGG8, AICBVGenerator, save_weights, shipped

FACTS = {"network": "AICBVGenerator", "size": "demo", "grid_mm": "4", "patch": "48"}


def weights(path, **changes):
    """An untrained generator that says CBV is about 4 everywhere."""
    torch.manual_seed(0)
    save_weights(AICBVGenerator("demo").start_at(4), path, FACTS | changes)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cbv")
    made = template(grid(4))
    brain = np.where(made.mask, made.t1w, 0).astype(np.float32)
    nib.save(nib.Nifti1Image(900 * brain, grid(4).affine), folder / "brain.nii.gz")
    head = np.where(brain > 0, brain, 0.4).astype(np.float32)
    head[[0, -1]] = 0
    nib.save(nib.Nifti1Image(900 * head, grid(4).affine), folder / "head.nii.gz")
    weights(folder / "w.safetensors")
    return folder


def call(folder, *asked, t1w="brain.nii.gz", out="cbv.nii.gz", state="mni152-brain"):
    return CliRunner().invoke(
        app, ["cbv", str(folder / t1w), "--out", str(folder / out), "--t1w-state", state, *asked]
    )


def test_a_map_lies_on_the_brain_in_mni152_and_says_what_it_is(folder):
    result = call(folder, "--weights", str(folder / "w.safetensors"))
    assert result.exit_code == 0, result.output
    assert "simulation-trained prior" in result.output
    img = nib.load(folder / "cbv.nii.gz")
    np.testing.assert_array_equal(img.affine, grid(4).affine)
    assert img.header["sform_code"] == img.header["qform_code"] == 4
    cbv = np.asarray(img.dataobj)
    brain = template(grid(4)).mask
    assert 0.9 < np.count_nonzero(cbv[brain]) / brain.sum() <= 1
    assert 2 < cbv[brain].mean() < 6
    assert not cbv[[0, -1]].any()


def test_without_weights_the_shipped_ones_of_the_finest_grid_are_used(
    folder, tmp_path, monkeypatch
):
    for mm in (4, 3):
        weights(tmp_path / f"aicbv-{mm}mm.safetensors", grid_mm=str(mm))
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    for asked, mm in (([], 3), (["--grid-mm", "4"], 4)):
        result = call(folder, *asked)
        assert result.exit_code == 0, result.output
        assert f"{mm} mm, mean" in result.output
        assert nib.load(folder / "cbv.nii.gz").shape == grid(mm).shape


def test_scale_of_the_scan_does_not_matter(folder):
    img = nib.load(folder / "brain.nii.gz")
    nib.save(nib.Nifti1Image(np.asarray(img.dataobj) / 7, img.affine), folder / "other.nii.gz")
    maps = []
    for name in ("brain.nii.gz", "other.nii.gz"):
        assert call(folder, "--weights", str(folder / "w.safetensors"), t1w=name).exit_code == 0
        maps.append(np.asarray(nib.load(folder / "cbv.nii.gz").dataobj))
    # Normalised T1w are stored in half precision.
    np.testing.assert_allclose(*maps, atol=0.02)


def test_a_simulated_scan_gets_the_map_that_a_run_gives_it(folder):
    uri = simulate.training_people(1, 3)[0]
    result = CliRunner().invoke(
        app,
        ["cbv", uri, "--out", str(folder / "s.nii"), "--weights", str(folder / "w.safetensors")],
    )
    assert result.exit_code == 0, result.output
    from brainage_lib.models import open_generator
    from brainage_lib.train.people import open_truth

    wanted = open_generator(folder / "w.safetensors").cbv(open_truth(uri, 4).t1w)
    got = np.asarray(nib.load(folder / "s.nii").dataobj)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--weights", "{}/w.safetensors", "--patch", "40"], "multiple of 16, such as 32"),
        (["--weights", "{}/w.safetensors", "--grid-mm", "2"], "trained for 4 mm"),
        (["--weights", "{}/w.safetensors", "--run", "demo"], "give one of them"),
        (["--grid-mm", "1"], "no weights are shipped for 1 mm"),
        (["--run", "{}/no-run"], "not a run folder"),
    ],
)
def test_wrong_usage_names_the_remedy(folder, tmp_path, asked, said, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    result = call(folder, *[part.format(folder) for part in asked])
    assert result.exit_code == 2 or result.exception.exit_code == 2
    assert said in str(result.exception)


def test_unknown_state_and_output_are_refused_before_anything_is_computed(folder):
    asked = ["--weights", str(folder / "w.safetensors")]
    assert "native-head, native-brain" in str(call(folder, *asked, state="raw").exception)
    assert "change --out" in str(call(folder, *asked, out="cbv.png").exception)


@pytest.mark.parametrize(
    ("t1w", "state", "code", "said"),
    [
        ("none.nii.gz", "mni152-brain", 3, "file does not exist"),
        ("w.safetensors", "mni152-brain", 3, "not a NIfTI image"),
        ("head.nii.gz", "mni152-brain", 4, "not skull-stripped"),
    ],
)
def test_a_scan_that_cannot_be_used_is_refused(folder, t1w, state, code, said):
    result = call(folder, "--weights", str(folder / "w.safetensors"), t1w=t1w, state=state)
    assert result.exception.exit_code == code
    assert said in str(result.exception)
    assert result.exception.__class__.__name__ in ("BadImage", "Refused")


def test_weights_that_are_not_a_generators_are_refused(folder):
    whole = (folder / "w.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (folder / "pickle.pt").write_bytes(b"\x80\x04cos\nsystem\n(S'touch ran'\ntR.")
    weights(folder / "size.safetensors", size="lite")
    weights(folder / "grid.safetensors", grid_mm="5")
    save_weights(VGG8((48, 64, 48)), folder / "vgg8.safetensors", {"network": "VGG8"})
    for name, said in {
        "cut.safetensors": "copy it again",
        "pickle.pt": "not a complete safetensors file",
        "size.safetensors": "same size and grid",
        "grid.safetensors": "grid_mm: '5' is not one of 1, 2, 3, 4",
        "vgg8.safetensors": "weights of VGG8, not of an AICBVGenerator",
        "none.safetensors": "no such file",
    }.items():
        error = call(folder, "--weights", str(folder / name)).exception
        assert error.exit_code == 3, name
        assert said in str(error), name
        assert len(str(error).splitlines()) < 12, name


def test_the_library_refuses_what_is_not_normalised_or_not_on_the_grid(folder):
    from brainage_lib.errors import BadInput
    from brainage_lib.models import open_generator

    generator = open_generator(folder / "w.safetensors")
    made = template(grid(4))
    brain = np.where(made.mask, made.t1w, 0)
    for volume, said in (
        (300 * brain, "not normalised: the mean of the top 1 %"),
        (normalise(brain)[:, :48], "imaging.to_grid"),
        (normalise(brain + 0.5), "not brain-extracted"),
        (-normalise(brain), "0 outside the brain"),
    ):
        with pytest.raises(BadInput, match=said):
            generator.cbv(volume)
