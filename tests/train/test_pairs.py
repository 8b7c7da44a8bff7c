"""Blood volume from scans before and after contrast, on simulated pairs whose truth is known."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from brainage_lib import simulate
from brainage_lib.cli.main import app
from brainage_lib.errors import BadInput
from brainage_lib.files import read_json
from brainage_lib.imaging import grid, normalise
from brainage_lib.models import load_weights, open_generator
from brainage_lib.simulate.person import Person, person_of
from brainage_lib.simulate.scanner import class_signals
from brainage_lib.simulate.sources import sequence_of
from brainage_lib.simulate.uri import parse
from brainage_lib.train.pairs import open_pair, prepare_pairs, read_pairs, steady_state_cbv

URI = simulate.training_people(1, 77)[0]


@pytest.fixture(scope="module")
def truth():
    # At 2 mm, because a voxel of 4 mm holds no pure blood.
    return simulate.open_scan(URI, grid(2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, truth):
    """A pair whose second scan has another scale, and its manifest."""
    folder = tmp_path_factory.mktemp("pairs")
    post = simulate.open_contrast(URI, grid(2))
    for name, volume, scale in (("pre", truth.t1w, 1), ("post", post, 1.7)):
        brain = np.where(truth.mask, scale * volume, 0).astype(np.float32)
        nib.save(nib.Nifti1Image(brain, grid(2).affine), folder / f"{name}.nii.gz")
    table = pd.DataFrame([{"participant_id": "a", "pre": "pre.nii.gz", "post": "post.nii.gz"}])
    table.to_csv(folder / "pairs.csv", index=False)
    return folder


def test_contrast_shortens_the_blood_alone():
    person: Person = person_of(parse(URI))
    before = class_signals(sequence_of("ADNI"), person)
    after = class_signals(sequence_of("ADNI"), person, simulate.scan.GADOLINIUM_MM)
    assert all(before[name][:2] == after[name][:2] for name in before if name != "blood")
    # By the closed form of the reference: MPRAGE at 3 T brightens blood about fourfold.
    assert 3.5 < after["blood"][0] / before["blood"][0] < 5.5


def test_blood_volume_comes_back_in_its_unit_whatever_the_scales(folder, truth):
    pair = open_pair(folder / "pre.nii.gz", folder / "post.nii.gz", 2)
    brain = truth.mask & (pair.t1w > 0)
    grey = brain & (truth.tissue[0] > 0.9)
    white = brain & (truth.tissue[1] > 0.95)
    assert pair.cbv[grey].mean() == pytest.approx(truth.cbv[grey].mean(), rel=0.1)
    assert pair.cbv[white].mean() == pytest.approx(truth.cbv[white].mean(), rel=0.25)
    assert np.corrcoef(pair.cbv[brain], truth.cbv[brain])[0, 1] > 0.9
    assert 0 <= pair.cbv.min() <= pair.cbv.max() <= 100
    before = np.where(truth.mask, truth.t1w, 0)
    np.testing.assert_allclose(pair.t1w[brain], normalise(before)[brain], atol=0.01)


def test_scaling_by_white_matter_is_exact_where_water_does_not_cross():
    """Closed form: two tissues and blood, no noise; a factor between the scans is found."""
    rng = np.random.default_rng(0)
    v = rng.uniform(1, 8, (20, 20, 20)) / 100
    white = np.zeros(v.shape, bool)
    white[:10] = True
    v[white] = 0.023
    corridor = np.zeros(v.shape, bool)
    corridor[15:] = True
    v[19, :4] = 1
    tissue = np.where(white, 1.0, 0.6)
    pre, post = ((1 - v) * tissue + v * blood for blood in (0.5, 2.3))
    found = steady_state_cbv(pre, 3.1 * post, white, corridor)
    np.testing.assert_allclose(found, 100 * v, rtol=1e-4)


def test_exchanged_or_misplaced_scans_are_refused(folder, tmp_path):
    img = nib.load(folder / "post.nii.gz")
    turned = np.asarray(img.dataobj)[:, ::-1, ::-1]
    nib.save(nib.Nifti1Image(turned, img.affine), folder / "turned.nii.gz")
    (folder / "empty.nii.gz").write_bytes(b"")
    names = [("post", "pre"), ("pre", "turned"), ("pre", "empty")]
    rows = [(f"{pre}.nii.gz", f"{post}.nii.gz") for pre, post in names]
    pd.DataFrame(rows, columns=["pre", "post"]).to_csv(folder / "wrong.csv", index=False)
    with pytest.raises(BadInput) as error:
        prepare_pairs(read_pairs(folder / "wrong.csv"), 4, tmp_path / "people", "key")
    first, second, third = error.value.findings
    assert first.startswith("line 2: contrast makes no blood in the large veins brighter")
    assert "exchanged" in first
    assert second.startswith("line 3: the two scans do not lie on one another")
    assert third.startswith("line 4: file is empty")


def test_every_bad_cell_of_a_manifest_is_named(folder):
    rows = [("pre.nii.gz", "pre.nii.gz"), ("", "post.nii.gz"), ("none.nii", "../post.nii.gz")]
    pd.DataFrame(rows, columns=["pre", "post"]).to_csv(folder / "bad.csv", index=False)
    with pytest.raises(BadInput) as error:
        read_pairs(folder / "bad.csv")
    said = "\n".join(error.value.findings)
    assert "line 2: pre and post are one file" in said
    assert "line 3, pre: is empty" in said
    assert "line 4, pre: none.nii does not exist" in said
    assert "line 4, post: leaves the folder" in said
    (folder / "columns.csv").write_text("pre,after\na,b\n")
    with pytest.raises(BadInput, match="column post is missing"):
        read_pairs(folder / "columns.csv")


def test_stored_pairs_are_those_that_were_opened_and_are_kept(folder, tmp_path, monkeypatch):
    table = read_pairs(folder / "pairs.csv")
    t1w, cbv, mask = prepare_pairs(table, 4, tmp_path / "people", "key")[0]
    pair = open_pair(folder / "pre.nii.gz", folder / "post.nii.gz", 4)
    np.testing.assert_array_equal(t1w, pair.t1w)
    np.testing.assert_array_equal(cbv, pair.cbv.astype(np.float16))
    np.testing.assert_array_equal(mask, pair.t1w > 0)


def test_weights_learned_from_pairs_are_written_with_their_card(folder, tmp_path, monkeypatch):
    from brainage_lib.train import shipping

    monkeypatch.setattr(shipping, "SCORED_PEOPLE", 1)
    monkeypatch.setattr(shipping, "BASELINE_PEOPLE", 2)
    asked = [
        "cbv-train", "--out", str(tmp_path), "--pairs", str(folder / "pairs.csv"), "--size", "demo",
        "--patch", "32", "--steps", "3", "--batch", "1", "--workers", "1",
    ]  # fmt: skip
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    made = tmp_path / "aicbv-4mm.safetensors"
    state, metadata = load_weights(made)
    assert {str(x.dtype) for x in state.values()} == {"torch.float16"}
    assert metadata["source"] == "scans before and after contrast"
    card = read_json(made.with_suffix(".json"))
    assert card["people"] == 1
    assert len(card["log"]) == 3
    assert set(card["scores"]["brain"]["spearman"]) >= {"network", "ceiling", "tissue means"}
    assert any("Not a measurement" in line for line in card["not_for"])
    assert str(folder) not in made.with_suffix(".json").read_text()
    assert open_generator(made).patch == 32
    # What is complete is not done again.
    monkeypatch.setattr(shipping, "teach_generator", None)
    monkeypatch.setattr(shipping, "score_generator", None)
    assert CliRunner().invoke(app, asked).exit_code == 0


def test_people_and_pairs_together_are_refused(folder):
    asked = ["cbv-train", "--out", "x", "--pairs", str(folder / "pairs.csv"), "--people", "3"]
    error = CliRunner().invoke(app, asked).exception
    assert error.exit_code == 2
    assert "one of them" in str(error)
