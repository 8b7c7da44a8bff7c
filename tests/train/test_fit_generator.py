from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.models import AICBVGenerator, load_weights
from brainage_lib.train import GeneratorTraining, fit_generator
from brainage_lib.train.losses import generator_loss, structural_similarity

QUICK = GeneratorTraining(
    steps=12, batch=2, patch=16, learning_rate=1e-2, similarity=0.0, checkpoint_steps=4
)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(1, 8, 1), nn.ReLU(), nn.Dropout(0.1), nn.Conv3d(8, 1, 1)
        )

    def forward(self, x):
        return self.layers(x)


def small():
    torch.manual_seed(0)
    return Small()


def people(n=3, seed=0, shape=(16, 20, 16)):
    """CBV is a function of T1w: 5 in the dark tissue, 2 in the bright one, a few vessels."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        mask = np.zeros(shape, bool)
        mask[2:-2, 2:-2, 2:-2] = True
        grey = rng.random(shape) < 0.5
        t1w = np.where(grey, 0.5, 0.9) * mask
        cbv = np.where(grey, 5.0, 2.0) * mask
        found.append((t1w.astype(np.float16), cbv.astype(np.float16), mask))
    return found


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "durations.json"}


class Killed(Exception):
    pass


def test_what_the_signal_says_is_learned(tmp_path):
    settings = GeneratorTraining(
        steps=300, patch=16, learning_rate=3e-2, similarity=0.1, averaging=0.9, weight_decay=0
    )
    result = fit_generator(small(), people(), settings, 1, tmp_path)
    t1w, cbv, mask = people(1, seed=9)[0]
    with torch.no_grad():
        found = result.model(torch.tensor(t1w, dtype=torch.float32)[None, None])[0, 0].numpy()
    assert np.abs(found - cbv)[mask].mean() < 0.3  # tissue means alone: 0; one mean: 1.5
    assert result.log[-1].loss < result.log[0].loss / 3


def test_equal_calls_give_equal_bytes_and_nothing_is_left_changed(tmp_path):
    fit_generator(small(), people(), QUICK, 1, tmp_path / "a")
    state = torch.get_rng_state()
    model = small()
    torch.set_rng_state(state)
    fit_generator(model, people(), QUICK, 1, tmp_path / "b")
    assert torch.equal(state, torch.get_rng_state())
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert set(contents(tmp_path / "a")) == {"log.csv", "weights.safetensors"}
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("step", [5, 8, 11])
def test_an_interrupted_training_goes_on_to_the_same_bytes(tmp_path, step):
    def kill(done, steps, loss):
        if done == step:
            raise Killed

    fit_generator(small(), people(), QUICK, 1, tmp_path / "whole")
    with pytest.raises(Killed):
        fit_generator(small(), people(), QUICK, 1, tmp_path / "cut", report=kill)
    seen = []
    fit_generator(
        small(), people(), QUICK, 1, tmp_path / "cut", report=lambda *row: seen.append(row[0])
    )
    assert seen[0] == step - (step - 1) % 4  # the step after the last checkpoint
    assert contents(tmp_path / "whole") == contents(tmp_path / "cut")


def test_a_checkpoint_of_another_training_is_not_continued(tmp_path):
    def kill(done, steps, loss):
        if done == 8:
            raise Killed

    with pytest.raises(Killed):
        fit_generator(small(), people(), QUICK, 1, tmp_path / "mixed", report=kill)
    for folder in ("mixed", "clean"):
        fit_generator(small(), people(), QUICK, 1, tmp_path / folder, identity="other people")
    assert contents(tmp_path / "mixed") == contents(tmp_path / "clean")


def test_the_averaged_weights_are_kept(tmp_path):
    model = small()
    result = fit_generator(model, people(), QUICK, 1, tmp_path)
    state, metadata = load_weights(tmp_path / "weights.safetensors")
    for name, tensor in result.model.state_dict().items():
        assert torch.equal(tensor, state[name])
        assert not torch.equal(tensor, model.state_dict()[name])
    assert metadata["steps"] == "12"


def test_the_generator_itself_can_be_trained(tmp_path):
    torch.manual_seed(0)
    settings = GeneratorTraining(steps=2, batch=1, patch=16)
    result = fit_generator(AICBVGenerator("demo"), people(), settings, 1, tmp_path)
    assert np.isfinite([row.loss for row in result.log]).all()


def test_the_state_spaces_decays_are_not_drawn_to_zero(tmp_path):
    from brainage_lib.train.generator import _groups

    generator = AICBVGenerator("demo")
    names = {id(parameter): name for name, parameter in generator.named_parameters()}
    decayed, free = ([names[id(p)] for p in g["params"]] for g in _groups(generator, 0.05))
    assert len(decayed) + len(free) == len(names)
    assert all(name.endswith((".A_log", ".D", "bias", "norm.weight")) or ".weight" in name
               for name in free)  # fmt: skip
    assert not [name for name in decayed if name.endswith(("A_log", ".D", "bias"))]
    assert "encoder.0.body.0.weight" in decayed


def test_a_large_vessel_counts_as_its_cap():
    mask = torch.ones(1, 1, 8, 8, 8)
    cbv = torch.full_like(mask, 4.0)
    cbv[..., 0, 0, 0] = 50.0
    # 511 voxels are wrong by 1; the vessel by 40, counted 10/50.
    loss = generator_loss(cbv - torch.where(cbv > 10, 40.0, 1.0), cbv, mask, 10.0, 0.0)
    assert float(loss) == pytest.approx((511 + 8) / 512)
    outside = mask.clone()
    outside[..., 4:, :, :] = 0
    anything = torch.where(outside > 0, cbv, torch.tensor(1e6))
    assert float(generator_loss(anything, cbv, outside, 10.0, 0.0)) == 0


def test_similarity_is_one_for_equals_and_agrees_with_the_definition():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(1, 1, 9, 8, 7, generator=generator) for _ in range(2))
    torch.testing.assert_close(structural_similarity(first, first, 1.0), torch.ones(1, 1, 3, 2, 1))
    x, y = (volume[0, 0, 1:8, 1:8, :7].numpy().astype(float) for volume in (first, second))
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    expected = ((2 * x.mean() * y.mean() + 1e-4) * (2 * covariance + 9e-4)) / (
        (x.mean() ** 2 + y.mean() ** 2 + 1e-4) * (x.var() + y.var() + 9e-4)
    )
    found = structural_similarity(first, second, 1.0)[0, 0, 1, 1, 0]
    assert float(found) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([], "no pairs"),
        ([(np.ones((16,) * 3), np.ones((16,) * 3), np.ones((17,) * 3))], "pair 0: .* shapes"),
        ([(np.ones((16, 16, 8)),) * 3], "pair 0: smaller than a patch of 16"),
    ],
)
def test_pairs_that_do_not_fit_are_named(tmp_path, pairs, said):
    with pytest.raises(BadInput, match=said):
        fit_generator(small(), pairs, QUICK, 1, tmp_path)


def test_impossible_settings_are_named_together():
    with pytest.raises(WrongUsage) as caught:
        GeneratorTraining(steps=0, averaging=1.0, similarity=-1, precision="bf16")
    assert len(str(caught.value).splitlines()) == 5


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_rounding_to_tf32_is_as_asked_and_only_while_training(tmp_path, precision):
    seen = set()

    class Watched(Small):
        def forward(self, x):
            seen.add((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))
            return super().forward(x)

    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    settings = GeneratorTraining(steps=1, batch=1, patch=16, precision=precision)
    fit_generator(Watched(), people(), settings, 0, tmp_path)
    assert seen == {(precision == "tf32",) * 2}
    assert before == (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
