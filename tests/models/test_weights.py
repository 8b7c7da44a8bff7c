"""Weights come back as they were, or the error says which tensor does not fit."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.models import VGG8, load_weights, restore, save_weights


@pytest.fixture
def model():
    torch.manual_seed(1)
    model = VGG8((32, 32, 32)).start_at(50)
    model(torch.randn(2, 1, 32, 32, 32))  # moves the running statistics off their defaults
    return model.eval()


def test_round_trip_is_exact_with_buffers_and_metadata(model, tmp_path):
    path = tmp_path / "new" / "weights.safetensors"
    save_weights(model.to(memory_format=torch.channels_last_3d), path, {"grid_mm": "4"})
    other = VGG8((32, 32, 32)).eval()
    assert restore(other, path) == {"grid_mm": "4"}
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    state, metadata = load_weights(path)
    assert set(state) == set(model.state_dict())
    assert metadata == {"grid_mm": "4"}


def test_half_precision_halves_the_file_and_changes_ages_little(model, tmp_path):
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_weights(model, full, {})
    save_weights(model, half, {}, half=True)
    assert half.stat().st_size < 0.51 * full.stat().st_size
    other = VGG8((32, 32, 32)).eval()
    restore(other, half)
    assert other.last.weight.dtype == torch.float32
    x = torch.randn(4, 1, 32, 32, 32, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(other(x), model(x), atol=0.05, rtol=0)


def test_file_does_not_depend_on_the_process(tmp_path):
    code = (
        "import sys, torch; from brainage_lib.models import save_weights;"
        "save_weights({k: torch.ones(2) for k in 'dbca'}, sys.argv[1],"
        "{k: k for k in ('net', 'fold', 'seed', 'grid', 'mode', 'licence')})"
    )
    files = [tmp_path / f"{i}.safetensors" for i in range(2)]
    for file in files:
        subprocess.run([sys.executable, "-c", code, str(file)], check=True)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_values_beyond_half_precision_are_refused_and_leave_no_file(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(WrongUsage, match="big has values beyond float16"):
        save_weights({"big": torch.tensor([1e6])}, path, {}, half=True)
    assert list(tmp_path.iterdir()) == []


def test_metadata_that_is_not_text_is_named(tmp_path):
    with pytest.raises(WrongUsage, match="fold, seed"):
        save_weights({}, tmp_path / "w.safetensors", {"net": "T", "seed": 1, "fold": 0})


def test_missing_cut_and_pickled_files_are_refused(model, tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        load_weights(tmp_path / "none.safetensors")
    whole = tmp_path / "whole.safetensors"
    save_weights(model, whole, {})
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-100])
    pickled = tmp_path / "model.pt"
    torch.save(model.state_dict(), pickled)
    for path in (cut, pickled):
        with pytest.raises(BadInput, match="not a complete safetensors file"):
            load_weights(path)


def test_file_that_does_not_fit_names_every_tensor_and_changes_nothing(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = {"0.weight": torch.ones(3, 2), "0.bias": torch.ones(4), "1.weight": torch.ones(1, 3)}
    path = tmp_path / "w.safetensors"
    save_weights({**state, "extra": torch.ones(1)}, path, {})
    with pytest.raises(BadInput) as caught:
        restore(model, path)
    text = str(caught.value)
    assert "1.bias: missing in the file" in text
    assert "extra: not a part of the model" in text
    assert "0.bias: shape (4,), the model has (3,)" in text
    assert "0.weight" not in text
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
