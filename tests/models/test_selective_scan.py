"""The scan equals its definition, in every layout, and its gradients equal float64's."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage_lib.errors import WrongUsage
from brainage_lib.models import selective_scan_fn
from brainage_lib.models.selective_scan import scan_backend

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")


def draw(batch, channels, states, length, groups, seed=0, delta_scale=1.0):
    """Inputs in float64; groups None makes B and C constant, 0 makes them three-dimensional."""
    rng = np.random.default_rng([seed, length, states])
    shape = {None: (channels, states), 0: (batch, states, length)}.get(
        groups, (batch, groups, states, length)
    )
    arrays = {
        "u": rng.standard_normal((batch, channels, length)),
        "delta": delta_scale * (rng.standard_normal((batch, channels, length)) - 3),
        "A": -np.exp(rng.standard_normal((channels, states))),
        "B": rng.standard_normal(shape),
        "C": rng.standard_normal(shape),
        "D": rng.standard_normal(channels),
        "z": rng.standard_normal((batch, channels, length)),
        "delta_bias": rng.standard_normal(channels),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def run(inputs, backend, dtype, **settings):
    """Output, last state and gradients of all inputs under a fixed random weighting."""
    leaves = {
        name: x.to(dtype).clone().requires_grad_() for name, x in inputs.items() if x is not None
    }
    y, last = selective_scan_fn(
        **leaves, delta_softplus=True, return_last_state=True, backend=backend, **settings
    )
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    (y * weights.to(dtype)).sum().backward()
    return {"y": y.detach(), "last": last, **{f"d{n}": x.grad for n, x in leaves.items()}}


def relative(got, wanted):
    """Distance in units of the length of ``wanted``; both zero (A at a single step) is 0."""
    return float((got.double() - wanted).norm() / wanted.norm().clamp(min=1e-300))


def by_hand(u, delta, A, B, C, D, z, delta_bias):
    """The definition, voxel by voxel, in numpy; B and C grouped."""
    batch, channels, length = u.shape
    groups = B.shape[1]
    dt = np.log1p(np.exp(delta + delta_bias[:, None]))
    y = np.empty((batch, channels, length))
    for b in range(batch):
        for d in range(channels):
            g = d // (channels // groups)
            h = np.zeros(A.shape[1])
            for t in range(length):
                h = np.exp(dt[b, d, t] * A[d]) * h + dt[b, d, t] * B[b, g, :, t] * u[b, d, t]
                y[b, d, t] = C[b, g, :, t] @ h + D[d] * u[b, d, t]
    return y * z / (1 + np.exp(-z))


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_reference_is_the_definition(groups):
    inputs = draw(2, 6, 3, 7, groups)
    got = selective_scan_fn(**inputs, delta_softplus=True)
    wanted = by_hand(**{name: x.numpy() for name, x in inputs.items()})
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-12, atol=1e-12)


def test_reference_gradients_are_finite_differences():
    inputs = [x.requires_grad_() for x in draw(1, 2, 2, 4, 1).values()]
    assert torch.autograd.gradcheck(lambda *x: selective_scan_fn(*x, True), inputs)


@pytest.mark.parametrize("states", [8, 16, 64])
@pytest.mark.parametrize(
    ("length", "groups", "channels"),
    [(1, 2, 8), (31, 1, 5), (32, 4, 12), (33, 8, 320), (257, 2, 80), (1729, 8, 16)],
)
def test_numba_and_its_gradients_equal_float64(states, length, groups, channels):
    inputs = draw(2, channels, states, length, groups)
    wanted = run(inputs, "reference", torch.float64)
    got = run(inputs, "numba", torch.float32)
    assert set(got) == set(wanted) == {"y", "last", *(f"d{name}" for name in NAMES)}
    for name, value in got.items():
        assert value.dtype == torch.float32
        assert relative(value, wanted[name]) < 5e-6, name


@pytest.mark.parametrize(
    ("length", "channels", "groups", "step"),
    [(372, 16, 8, 0.05), (372, 16, 8, 10.0), (4097, 16, 2, 0.05), (4097, 16, 8, 8.0),
     (32768, 4, 2, 0.05), (32768, 4, 1, 10.0)],
)  # fmt: skip
def test_numba_holds_for_slow_and_fast_forgetting(length, channels, groups, step):
    """Steps of 0.05 and of 10: decays from nearly 1 to far below the smallest float32."""
    inputs = draw(1, channels, 16, length, groups)
    inputs["delta"] = inputs["delta"] * 0.1 + step + 0.3
    if step < 1:
        inputs["delta"] = torch.log(torch.expm1(step * torch.exp(0.3 * inputs["delta"])))
    inputs["delta_bias"] = 0.01 * inputs["delta_bias"]
    wanted = run(inputs, "reference", torch.float64)
    got = run(inputs, "numba", torch.float32)
    for name, value in got.items():
        assert torch.isfinite(value).all(), name
        assert relative(value, wanted[name]) < 1e-5, name


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 70),
    states=st.integers(1, 9),
    groups=st.sampled_from([None, 0, 1, 2, 3]),
    per_group=st.integers(1, 3),
    left_out=st.sets(st.sampled_from(["D", "z", "delta_bias"])),
)
def test_every_layout_and_option_agrees_with_float64(
    batch, length, states, groups, per_group, left_out
):
    inputs = draw(batch, 6 * per_group, states, length, groups)
    inputs |= dict.fromkeys(left_out)
    wanted = run(inputs, "reference", torch.float64)
    for name, value in run(inputs, "numba", torch.float32).items():
        assert relative(value, wanted[name]) < 1e-5, name


def test_constant_b_with_grouped_c_is_the_same_as_both_grouped():
    inputs = draw(2, 6, 4, 9, 2)
    constant = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).double()
    mixed = selective_scan_fn(**{**inputs, "B": constant})
    per_channel = constant[None, :, :, None].expand(2, 6, 4, 9)
    C = inputs["C"].repeat_interleave(3, dim=1)
    torch.testing.assert_close(mixed, selective_scan_fn(**{**inputs, "B": per_channel, "C": C}))


def test_forward_agrees_with_mambapys_parallel_scan():
    pscan = pytest.importorskip("mambapy.pscan").pscan
    inputs = {name: x.float() for name, x in draw(2, 12, 16, 100, 0).items()}
    dt = torch.nn.functional.softplus(inputs["delta"])
    decay = torch.exp(torch.einsum("bdl,dn->bldn", dt, inputs["A"]))
    drive = torch.einsum("bdl,bnl->bldn", dt * inputs["u"], inputs["B"])
    wanted = torch.einsum("bldn,bnl->bdl", pscan(decay, drive), inputs["C"])
    got = selective_scan_fn(
        *[inputs[n] for n in ("u", "delta", "A", "B", "C")], None, None, None, True
    )
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_same_bits_with_one_and_two_threads_and_again():
    inputs = draw(1, 48, 8, 216, 8)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 2):
            torch.set_num_threads(threads)
            results.append(run(inputs, "numba", torch.float32))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        # Only what the kernels computed: torch's own sums may depend on the threads.
        for name in ("y", "last", "du", "dB", "dC", "dA"):
            assert torch.equal(results[0][name], other[name]), name
    assert all(torch.equal(results[1][name], results[2][name]) for name in results[1])


def test_half_precision_input_gives_half_precision_output():
    inputs = {name: x.to(torch.bfloat16) for name, x in draw(1, 8, 8, 20, 2).items()}
    y, last = selective_scan_fn(**inputs, delta_softplus=True, return_last_state=True)
    assert y.dtype == torch.bfloat16
    assert last.dtype == torch.float32
    wanted = selective_scan_fn(
        **{name: x.double() for name, x in inputs.items()}, delta_softplus=True
    )
    assert relative(y, wanted) < 5e-3


def close(got, wanted, rtol, atol):
    torch.testing.assert_close(got, wanted.to(got.dtype), rtol=rtol, atol=atol)


@pytest.mark.parametrize("length", [128, 256, 512, 1024, 2048, 4096])
@pytest.mark.parametrize("groups", [1, 2])
def test_the_cases_of_mamba_ssm_within_its_own_tolerances(length, groups):
    """Its test of ``selective_scan_fn``: batch 2, 4 channels, 8 states, every option on.

    Shapes, distributions and tolerances as its test file has them; in single precision.
    """
    draw = torch.Generator().manual_seed(0)
    batch, channels, states = 2, 4, 8
    bc = (batch, states, length) if groups == 1 else (batch, groups, states, length)
    normal = lambda *shape: torch.randn(*shape, generator=draw)  # noqa: E731
    inputs = {
        "u": normal(batch, channels, length),
        "delta": 0.5 * torch.rand(batch, channels, length, generator=draw),
        "A": -0.5 * torch.rand(channels, states, generator=draw),
        "B": normal(*bc),
        "C": normal(*bc),
        "D": normal(channels),
        "z": normal(batch, channels, length),
        "delta_bias": 0.5 * torch.rand(channels, generator=draw),
    }
    got = run(inputs, None, torch.float32)
    wanted = run({name: x.double() for name, x in inputs.items()}, "reference", torch.float64)
    rtol, atol = 6e-4, 2e-3
    for name in ("y", "last", "dB", "dC", "dD", "dz", "ddelta_bias"):
        close(got[name], wanted[name], rtol, atol)
    close(got["du"], wanted["du"], 2 * rtol, 2 * atol)
    close(got["ddelta"], wanted["ddelta"], 5 * rtol, 10 * atol)
    close(got["dA"], wanted["dA"], rtol, 5 * atol)


needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="triton is not installed; `pip install triton` (Linux), no card is needed",
)


@pytest.fixture(scope="module")
def interpreted():
    """Triton's kernels, run step by step in numpy; on a card they are compiled."""
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    try:
        import brainage_lib.models.selective_scan.graphics  # noqa: F401

        yield
    finally:
        os.environ.pop("TRITON_INTERPRET")
        if before is not None:
            os.environ["TRITON_INTERPRET"] = before


@needs_triton
@pytest.mark.parametrize(
    ("batch", "length", "groups", "channels", "states"),
    [(1, 1, 1, 3, 1), (2, 33, 2, 10, 8), (1, 65, 2, 80, 16), (1, 31, 8, 32, 64), (1, 96, 1, 7, 3)],
)
def test_triton_and_its_gradients_equal_float64(
    interpreted, batch, length, groups, channels, states
):
    inputs = draw(batch, channels, states, length, groups)
    wanted = run(inputs, "reference", torch.float64)
    for name, value in run(inputs, "triton", torch.float32).items():
        assert relative(value, wanted[name]) < 5e-6, name


@needs_triton
def test_triton_holds_for_steps_of_ten_and_without_gradients(interpreted):
    inputs = {name: x.float() for name, x in draw(1, 8, 8, 45, 2).items()}
    inputs["delta"] = 10 + inputs["delta"].abs()
    wanted = selective_scan_fn(**{name: x.double() for name, x in inputs.items()})
    got = selective_scan_fn(**inputs, backend="triton")
    assert relative(got, wanted) < 1e-6


def test_the_default_backend_depends_on_device_and_what_is_installed(monkeypatch):
    found = set()
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: object() if name in found else None
    )
    assert scan_backend("cpu") == "numba"
    assert scan_backend("cuda") == "reference"
    found.add("triton")
    assert scan_backend("cuda:1") == "triton"
    found.add("mamba_ssm")
    assert scan_backend("cuda") == "mamba-ssm"
    assert scan_backend("mps") == "reference"
    found.clear()
    inputs = {name: x.float() for name, x in draw(1, 4, 2, 5, 1).items()}
    with pytest.raises(WrongUsage, match="needs the package mamba_ssm"):
        selective_scan_fn(**inputs, backend="mamba-ssm")


def test_mamba_ssm_is_called_as_it_wants_to_be(monkeypatch):
    """A stand-in with its signature, because the package itself needs a card."""

    def theirs(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
               return_last_state=False):  # fmt: skip
        assert all(x.is_contiguous() for x in (u, delta, A, B, C))
        assert D is z is delta_bias is None
        assert return_last_state
        assert not delta_softplus
        return selective_scan_fn(u, delta, A, B, C, return_last_state=True, backend="reference")

    modules = {name: types.ModuleType(name) for name in (
        "mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.selective_scan_interface")}  # fmt: skip
    modules["mamba_ssm.ops.selective_scan_interface"].selective_scan_fn = theirs
    modules["mamba_ssm"].__spec__ = importlib.util.spec_from_loader("mamba_ssm", None)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    inputs = draw(2, 6, 4, 9, 2)
    wanted = run(inputs, "reference", torch.float64)
    for name, value in run(inputs, "mamba-ssm", torch.float32).items():
        assert relative(value, wanted[name]) < 1e-5, name


def test_not_a_number_stays_one():
    inputs = {name: x.float() for name, x in draw(1, 4, 2, 6, 1).items()}
    inputs["delta"][0, 1, 3] = float("nan")
    y = selective_scan_fn(**inputs, delta_softplus=True)
    assert torch.isnan(y[0, 1]).tolist() == [False] * 3 + [True] * 3
    assert not torch.isnan(y[0, [0, 2, 3]]).any()


def test_memory_of_forward_and_backward_stays_below_half_a_state_tensor():
    """High-water mark of a fresh process, above the one before the scan."""
    code = """
import torch, re
from brainage_lib.models import selective_scan_fn
def mark():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
def run(L, D, N, G=8):
    u, delta = torch.randn(1, D, L), torch.rand(1, D, L)
    A, B, C = -torch.rand(D, N), torch.randn(1, G, N, L), torch.randn(1, G, N, L)
    for x in (u, delta, A, B, C):
        x.requires_grad_()
    start = mark()
    selective_scan_fn(u, delta, A, B, C, delta_softplus=True).sum().backward()
    return (mark() - start) / (4 * L * D * N)
run(33, 128, 16)
print(run(1728, 1024, 16))
"""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("no /proc to read the high-water mark of memory from")
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert float(out.stdout) < 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A": torch.zeros(4, 2, dtype=torch.complex64)}, "complex"),
        ({"delta": torch.zeros(1, 4, 6)}, r"delta must have shape \(1, 4, 5\)"),
        ({"B": torch.zeros(1, 3, 2, 5)}, "groups dividing 4"),
        ({"C": torch.zeros(1, 2, 6)}, r"C must be \(4, 2\)"),
        ({"D": torch.zeros(5)}, "D must have shape"),
        ({"A": torch.zeros(4)}, "A \\(channels, states\\)"),
        ({"backend": "cuda"}, "reference, numba, triton, mamba-ssm"),
        ({"u": torch.zeros(1, 4, 5).double(), "backend": "numba"}, "backend='reference'"),
    ],
)
def test_misuse_names_the_argument(change, message):
    inputs = {
        "u": torch.zeros(1, 4, 5),
        "delta": torch.zeros(1, 4, 5),
        "A": torch.zeros(4, 2),
        "B": torch.zeros(1, 2, 5),
        "C": torch.zeros(1, 2, 5),
    }
    with pytest.raises(WrongUsage, match=message):
        selective_scan_fn(**{**inputs, **change})
