"""The generator is the one in the table of layers, and its fast ways change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from brainage_lib.errors import WrongUsage
from brainage_lib.models import AICBVGenerator, count_parameters, synthesise
from brainage_lib.models.convolutions import Convolution, NormReLU
from brainage_lib.models.orders import eight_paths
from brainage_lib.models.vss3d import SS3D, VSS3D, _Collect, _Spread

# Parameters by layer, counted from MedSegMamba's description: encoder 1-4, norm before the
# expansion, expansion, a block, last norm, the two shrinking convolutions, doublings, decoder.
TABLE = {
    "paper": {
        "encoder": [28_768, 168_384, 672_640, 2_688_768],
        "bottom_norm": 512,
        "expand": 7_078_912,
        "blocks": [6_868_992] * 9,
        "norm": 2_048,
        "shrink": 7_078_144 + 512 + 1_769_728 + 512,
        "up": [885_120, 221_376, 55_392],
        "decoder": [1_360_768, 340_416, 225_728],
        "head": 65,
        "total": 84_398_721,
    },
    "lite": {
        "encoder": [7_472, 42_208, 168_384, 672_640],
        "bottom_norm": 256,
        "expand": 884_992,
        "blocks": [439_296] * 9,
        "norm": 512,
        "shrink": 884_864 + 256 + 442_496 + 256,
        "up": [221_376, 55_392, 13_872],
        "decoder": [340_416, 85_216, 21_360],
        "head": 17,
        "total": 7_795_649,
    },
}


@pytest.mark.parametrize("size", ["paper", "lite"])
def test_parameters_are_those_of_the_table(size):
    with torch.device("meta"):
        generator = AICBVGenerator(size)
    wanted = dict(TABLE[size])
    assert count_parameters(generator) == wanted.pop("total")
    for name, counts in wanted.items():
        part = getattr(generator, name)
        got = [count_parameters(p) for p in part] if isinstance(counts, list) else part
        assert (got if isinstance(counts, list) else count_parameters(got)) == counts, name


def test_lite_box_at_96_is_the_papers_1728_tokens():
    with torch.device("meta"):
        generator = AICBVGenerator("lite")
        x = torch.empty(1, 1, 96, 96, 96)
        for level, residual in enumerate(generator.encoder):
            x = residual(F.max_pool3d(x, 2) if level else x)
    assert x.shape == (1, 128, 12, 12, 12)


@pytest.mark.parametrize("orders", ["hilbert+snake", "snake4"])
def test_any_box_of_sixteens_comes_back_in_its_shape(orders):
    torch.manual_seed(0)
    generator = AICBVGenerator("demo", orders).eval()
    x = torch.rand(2, 1, 16, 32, 48)
    with torch.no_grad():
        both = generator(x)
        alone = generator(x[1:])
    assert both.shape == x.shape
    torch.testing.assert_close(alone, both[1:], rtol=1e-4, atol=1e-5)


def test_every_parameter_learns_and_two_runs_are_equal_to_the_bit():
    def gradients():
        torch.manual_seed(4)
        generator = AICBVGenerator("demo")
        x = torch.rand(1, 1, 32, 32, 32)
        out = generator(x)
        (out - x).abs().mean().backward()
        return out, {name: p.grad for name, p in generator.named_parameters()}

    out, first = gradients()
    assert out.min() < 0.5 < out.max() + 0.5
    for name, grad in first.items():
        assert grad is not None, name
        assert torch.isfinite(grad).all(), name
        assert grad.abs().max() > 0, name
    again, second = gradients()
    assert torch.equal(out, again)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("shape", [(1, 1, 32, 16, 32), (2, 1, 16, 32, 16)])
def test_output_and_gradients_equal_those_in_double_precision(shape):
    """Through other code at every step: no oneDNN, no compiled scan."""

    def run(precision):
        torch.manual_seed(1)
        generator = AICBVGenerator("demo").to(precision)
        x = torch.rand(shape, generator=torch.Generator().manual_seed(2)).to(precision)
        y = generator(x)
        (y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum().backward()
        return {"y": y.detach()} | {name: p.grad for name, p in generator.named_parameters()}

    got, wanted = run(torch.float32), run(torch.float64)
    largest = max(float(grad.abs().max()) for grad in wanted.values())
    for name, value in got.items():
        error = float((value.double() - wanted[name]).norm())
        # A bias before a norm with one channel a group has none but rounding: hence "largest".
        assert error < 1e-2 * float(wanted[name].norm()) + 1e-4 * largest, name


def test_start_at_moves_the_whole_patch_by_the_same_volume():
    torch.manual_seed(0)
    generator = AICBVGenerator("demo").eval().start_at(0)
    x = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(generator(x) + 3.5, generator.start_at(3.5)(x))


def test_a_few_steps_learn_a_contrast():
    """CBV that falls with the signal, as in grey and white matter; the error halves."""
    torch.manual_seed(0)
    generator = AICBVGenerator("demo")
    optimiser = torch.optim.AdamW(generator.parameters(), lr=1e-2)
    x = (torch.rand(2, 1, 4, 4, 4) > 0.5).float()
    x = x.repeat_interleave(4, 2).repeat_interleave(4, 3).repeat_interleave(4, 4)
    wanted = 5 - 3 * x
    losses = []
    for _ in range(16):
        optimiser.zero_grad()
        loss = F.l1_loss(generator(x), wanted)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_synthesis_runs_the_generator_over_a_whole_volume():
    torch.manual_seed(0)
    generator = AICBVGenerator("demo")
    volume = np.zeros((40, 24, 20), np.float32)
    volume[4:36, 3:20, 2:18] = 0.7
    cbv = synthesise(generator, volume, 32, 8)
    assert cbv.shape == volume.shape
    assert np.isfinite(cbv).all()
    assert np.array_equal(cbv != 0, volume > 0)


@pytest.mark.parametrize("shape", [(1, 1, 24, 32, 32), (1, 2, 32, 32, 32), (1, 32, 32, 32)])
def test_patches_that_do_not_halve_evenly_are_refused(shape):
    with pytest.raises(WrongUsage, match="multiples of 16"):
        AICBVGenerator("demo")(torch.zeros(shape))


def test_unknown_size_and_orders_are_refused_with_the_choices():
    with pytest.raises(WrongUsage, match="paper, lite, demo"):
        AICBVGenerator("huge")
    with pytest.raises(WrongUsage, match=r"hilbert\+snake, snake4"):
        AICBVGenerator("demo", "peano")


def values_and_gradients(function, x, parameters):
    x = x.clone().requires_grad_()
    y = function(x)
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    return [y, *torch.autograd.grad((y * weights).sum(), [x, *parameters])]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("shape", [(2, 2, 2), (4, 6, 3)])
def test_one_patch_in_halves_is_the_same_convolution(n, shape):
    torch.manual_seed(0)
    layer = Convolution(3, 5)
    x = torch.randn(n, 3, *shape)
    plain = values_and_gradients(
        lambda x: F.conv3d(x, layer.weight, layer.bias, padding=1), x, layer.parameters()
    )
    for got, wanted in zip(values_and_gradients(layer, x, layer.parameters()), plain, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [8, 24])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_norm_and_relu_together_are_torchs_one_after_the_other(channels, layout):
    torch.manual_seed(0)
    layer = NormReLU(channels).double()
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = (3 + torch.randn(2, channels, 4, 6, 2).double()).contiguous(memory_format=layout)
    parameters = list(layer.parameters())

    def apart(x):
        return F.relu(F.group_norm(x, 8, layer.weight, layer.bias))

    together = values_and_gradients(layer, x, parameters)
    for got, wanted in zip(together, values_and_gradients(apart, x, parameters), strict=True):
        torch.testing.assert_close(got, wanted)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), together[0].detach())


def test_spread_and_collect_are_each_others_transpose():
    order = eight_paths((2, 4, 2), 1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 16, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, 16, 8, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    spread = _Spread.apply(x, *order)
    for k, path in enumerate(order[0]):
        assert torch.equal(spread[:, :, k], x[:, path])
    torch.testing.assert_close(_Collect.apply(spread, *order), 8 * x)
    torch.testing.assert_close((spread * y).sum(), (_Collect.apply(y, *order) * x).sum())
    assert torch.autograd.gradcheck(lambda x: _Spread.apply(x, *order), x)
    assert torch.autograd.gradcheck(lambda y: _Collect.apply(y, *order), y)


def test_ss3d_is_eight_scans_path_by_path():
    """Each path by hand: gather, project, recur, put back; then sum, normalise, project."""
    torch.manual_seed(2)
    layer = SS3D(16, 4, block=3, orders="hilbert+snake")
    x = torch.randn(2, 4, 2, 6, 16)
    with torch.no_grad():
        got = layer(x)
        v = F.silu(layer.conv(layer.in_proj(x).permute(0, 4, 1, 2, 3)))
        v = v.flatten(2).transpose(1, 2)
        total = torch.zeros_like(v)
        A = -torch.exp(layer.A_log)
        for k, path in enumerate(eight_paths((4, 2, 6), 3, "hilbert+snake")[0]):
            own = slice(16 * k, 16 * (k + 1))
            state = torch.zeros(2, 16, 4)
            for voxel in path:
                u = v[:, voxel]
                rank, B, C = (u @ layer.x_proj[k].T).split([1, 4, 4], dim=1)
                dt = F.softplus(rank @ layer.dt_proj[k].T + layer.dt_bias[own])
                decay = torch.exp(dt[:, :, None] * A[own])
                state = decay * state + (dt * u)[:, :, None] * B[:, None]
                total[:, voxel] += (state * C[:, None]).sum(-1) + layer.D[own] * u
        wanted = layer.out_proj(layer.norm(total)).view_as(x)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_scan_starts_with_steps_between_a_thousandth_and_a_tenth():
    torch.manual_seed(0)
    layer = SS3D(32, 8, 0, "hilbert+snake")
    step = F.softplus(layer.dt_bias)
    assert 0.9e-3 < step.min() < 2e-3
    assert 0.05 < step.max() < 0.11
    torch.testing.assert_close(layer.A_log.exp()[5], torch.arange(1.0, 9))


def test_dropped_paths_keep_the_mean_and_vanish_in_evaluation():
    torch.manual_seed(0)
    block = VSS3D(16, 2, 0, "hilbert+snake", dropout=0.0, drop_path=0.5)
    nn.init.zeros_(block.mlp[3].weight)
    nn.init.ones_(block.mlp[3].bias)
    nn.init.zeros_(block.scan.out_proj.weight)  # so that the block adds 1, or 2, or nothing
    x = torch.zeros(200, 2, 2, 2, 16)
    with torch.no_grad():
        added = block.train()(x)[:, 0, 0, 0, 0]
        assert set(added.tolist()) == {0.0, 2.0}
        assert abs(added.mean() - 1) < 3 * 200**-0.5
        assert torch.equal(block.eval()(x), torch.ones_like(x))


def test_checkpointing_gives_the_same_gradients_and_remembers_less():
    def run(checkpointing):
        torch.manual_seed(3)
        generator = AICBVGenerator("demo", checkpointing=checkpointing).train()
        x = torch.rand(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(0))
        held = 0

        def keep(tensor):
            nonlocal held
            held += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = generator(x).square().mean()
        loss.backward()
        return held, [p.grad for p in generator.parameters()]

    (all_held, wanted), (few_held, got) = run(False), run(True)
    assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))
    assert few_held < 0.9 * all_held
