"""The selective scan of Mamba, with the signature and the meaning of mamba-ssm's function."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from brainage_lib.errors import WrongUsage
from brainage_lib.models.selective_scan.reference import scan_reference

__all__ = ["BACKENDS", "scan_backend", "selective_scan_fn"]

BACKENDS = ("reference", "numba", "triton", "mamba-ssm")

PACKAGES = {"mamba-ssm": "mamba_ssm", "triton": "triton"}
"""What the backends of a graphics card need, the first choice first."""


def scan_backend(device: str | torch.device) -> str:
    """Name the backend that a float32 scan takes on a device unless another is asked for.

    Parameters
    ----------
    device : str or torch device

    Returns
    -------
    str
        ``numba`` on the CPU. On a CUDA card ``mamba-ssm`` where that package is installed, else
        our own kernels (``triton``, which comes with torch for CUDA on Linux). ``reference``
        anywhere else.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        return "numba"
    if kind == "cuda":
        for backend, package in PACKAGES.items():
            if importlib.util.find_spec(package) is not None:
                return backend
    return "reference"


def selective_scan_fn(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
    backend: str | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Linear recurrence whose coefficients depend on the input (Gu & Dao, arXiv 2312.00752).

    dt = delta + delta_bias, through softplus if asked; h_t = exp(dt_t A) h_{t-1} +
    dt_t B_t u_t from h_{-1} = 0; y_t = sum over states of C_t h_t, plus D u_t, times SiLU(z_t).
    Shapes and semantics are those of ``mamba_ssm.ops.selective_scan_fn``, written from its
    description.

    Parameters
    ----------
    u, delta, z : (batch, channels, length) tensors
    A : (channels, states) tensor
        Real; usually negative.
    B, C : (channels, states), (batch, states, length) or (batch, groups, states, length) tensor
        Constant, shared by all channels, or by the channels of a group: channel d belongs to
        group d // (channels / groups).
    D, delta_bias : (channels,) tensors
    delta_softplus : bool
    return_last_state : bool
    backend : {"reference", "numba", "triton", "mamba-ssm"}, optional
        Default: that of :func:`scan_backend` for float32 and shorter, else reference, which
        works in any precision on any device and is slow.

    Returns
    -------
    y : (batch, channels, length) tensor
        In u's precision; sums are done in float32, in float64 if u has it.
    last_state : (batch, channels, states) tensor
        Only if asked; float32 (or float64), without gradient.

    Raises
    ------
    WrongUsage
        Shapes that do not fit, complex A, B or C, an unknown backend or one that cannot do it.

    Examples
    --------
    With exp(dt A) = 1/2 and dt B C = 1, an impulse halves at each step:

    >>> half = torch.log(torch.tensor([[0.5]]))
    >>> one = torch.ones(1, 1)
    >>> impulse = torch.tensor([[[1.0, 0.0, 0.0]]])
    >>> selective_scan_fn(impulse, torch.ones(1, 1, 3), half, one, one, backend="reference")
    tensor([[[1.0000, 0.5000, 0.2500]]])
    """
    _check(u, delta, A, B, C, D, z, delta_bias)
    precision = torch.float64 if u.dtype == torch.float64 else torch.float32
    scan = _choose(backend, u, precision)
    x, dt = u.to(precision), delta.to(precision)
    if delta_bias is not None:
        dt = dt + delta_bias.to(precision)[:, None]
    if delta_softplus:
        dt = F.softplus(dt)
    B, C = _same_groups(B.to(precision), C.to(precision), u)
    y, last = scan(x, dt, A.to(precision), B, C)
    if D is not None:
        y = y + D.to(precision)[:, None] * x
    if z is not None:
        y = y * F.silu(z.to(precision))
    y = y.to(u.dtype)
    return (y, last) if return_last_state else y


def _choose(backend: str | None, u: Tensor, precision: torch.dtype) -> Callable:
    if backend is None:
        backend = scan_backend(u.device) if precision == torch.float32 else "reference"
    if backend not in BACKENDS:
        raise WrongUsage(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    if backend == "reference":
        return scan_reference
    if precision != torch.float32 or (backend == "numba" and u.device.type != "cpu"):
        where = "float32 on the CPU" if backend == "numba" else "float32"
        raise WrongUsage(
            f"backend {backend!r} computes in {where}; u is {u.dtype} on {u.device}: "
            "use backend='reference'"
        )
    package = PACKAGES.get(backend)
    if package and importlib.util.find_spec(package) is None:
        raise WrongUsage(
            f"backend {backend!r} needs the package {package}, which is not installed; install "
            "it, or leave backend out"
        )
    # Here, because importing a compiler takes a while and the reference does without.
    if backend == "numba":
        from brainage_lib.models.selective_scan.compiled import scan_numba as scan
    elif backend == "triton":
        from brainage_lib.models.selective_scan.graphics import scan_triton as scan
    else:
        from brainage_lib.models.selective_scan.mamba import scan_mamba as scan
    return scan


def _same_groups(B: Tensor, C: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """B and C as (batch, groups, states, length) with one number of groups for both."""
    batch, _, length = u.shape

    def grouped(x: Tensor) -> Tensor:
        if x.ndim == 2:  # constant: every channel is a group of its own
            return x[None, :, :, None].expand(batch, -1, -1, length)
        return x[:, None] if x.ndim == 3 else x

    B, C = grouped(B), grouped(C)
    groups = math.lcm(B.shape[1], C.shape[1])
    return tuple(
        x if x.shape[1] == groups else x.repeat_interleave(groups // x.shape[1], dim=1)
        for x in (B, C)
    )


def _check(u, delta, A, B, C, D, z, delta_bias) -> None:
    if any(x.is_complex() for x in (u, A, B, C)):
        raise WrongUsage("the selective scan is real here: complex A, B or C are not supported")
    if u.ndim != 3 or A.ndim != 2 or 0 in u.shape:
        raise WrongUsage(
            f"u must be (batch, channels, length), none of them 0, and A (channels, states); "
            f"got u {tuple(u.shape)}, A {tuple(A.shape)}"
        )
    batch, channels, length = u.shape
    states = A.shape[1]
    exact = {
        "delta": (delta, (batch, channels, length)),
        "z": (z, (batch, channels, length)),
        "A": (A, (channels, states)),
        "D": (D, (channels,)),
        "delta_bias": (delta_bias, (channels,)),
    }
    for name, (tensor, shape) in exact.items():
        if tensor is not None and tuple(tensor.shape) != shape:
            raise WrongUsage(f"{name} must have shape {shape}, got {tuple(tensor.shape)}")
    for name, tensor in (("B", B), ("C", C)):
        groups = tensor.shape[1] if tensor.ndim == 4 else 1
        allowed = {
            2: (channels, states),
            3: (batch, states, length),
            4: (batch, groups, states, length),
        }
        if tuple(tensor.shape) != allowed.get(tensor.ndim) or groups < 1 or channels % groups:
            raise WrongUsage(
                f"{name} must be ({channels}, {states}), ({batch}, {states}, {length}) or "
                f"({batch}, groups, {states}, {length}) with groups dividing {channels}; "
                f"got {tuple(tensor.shape)}"
            )
