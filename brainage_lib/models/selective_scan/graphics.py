"""The scan on a graphics card: our own Triton kernels, forward and backward.

One program holds the states of some neighbouring channels of one group and walks through time;
many programs run side by side. The state is written at every ``CHUNK``-th step only; the
backward pass recomputes a chunk's states into a scratch area, which stays in the card's cache.
Sums over channels (gradients of B and C) are written a block of channels at a time and added
up by torch, without atomic additions, so that equal calls give equal bits.

Triton runs the same code without a card, step by step in numpy, where the environment has
``TRITON_INTERPRET=1`` before this module is imported: that is how the tests run it.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 32
WIDTH = 32
"""Channels of a program, at most."""

_LOG2_E = tl.constexpr(1.4426950408889634)


def scan_triton(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Like :func:`~brainage_lib.models.selective_scan.reference.scan_reference`, in float32."""
    return _Scan.apply(u, dt, A, B, C)


@triton.jit
def _forward(
    u, dt, A, B, C, y, starts, last, length, per_group, groups, n_states,
    KEEP: tl.constexpr, N: tl.constexpr, W: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """y, the state at the start of each chunk (if KEEP), the last state.

    Layout: u, dt, y (batch, L, D); A (N, D); B, C (batch, L, G, N);
    starts (batch, chunks, N, D); last (batch, N, D).
    """
    blocks = tl.cdiv(per_group, W)
    program = tl.program_id(0)
    g = (program // blocks) % groups
    batch = (program // blocks // groups).to(tl.int64)
    channels = groups * per_group
    lane = (program % blocks) * W + tl.arange(0, W)
    d = g * per_group + lane
    n = tl.arange(0, N)
    both = (n < n_states)[:, None] & (lane < per_group)[None, :]
    square = n[:, None] * channels + d[None, :]
    rate = tl.load(A + square, both, 0.0) * _LOG2_E
    h = tl.zeros((N, W), tl.float32)
    chunks = tl.cdiv(length, STEPS)
    for chunk in range(chunks):
        if KEEP:
            tl.store(starts + (batch * chunks + chunk) * n_states * channels + square, h, both)
        for i in range(STEPS):
            t = chunk * STEPS + i
            # Beyond the end a step of no length: the state stays.
            row = (batch * length + t) * channels + d
            here = lane < tl.where(t < length, per_group, 0)
            step = tl.load(dt + row, here, 0.0)
            x = tl.load(u + row, here, 0.0)
            column = ((batch * length + t) * groups + g) * n_states + n
            now = n < tl.where(t < length, n_states, 0)
            b = tl.load(B + column, now, 0.0)
            c = tl.load(C + column, now, 0.0)
            h = tl.exp2(rate * step[None, :]) * h + b[:, None] * (step * x)[None, :]
            tl.store(y + row, tl.sum(h * c[:, None], axis=0), here)
    tl.store(last + batch * n_states * channels + square, h, both)


@triton.jit
def _backward(
    dy, u, dt, A, B, C, starts, scratch, du, ddt, dA, dB, dC,
    length, per_group, groups, n_states,
    N: tl.constexpr, W: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Gradients: du, ddt (batch, L, D); dA (batch, N, D); dB, dC (batch, L, G, blocks, N).

    With g the gradient of the state h, from the end: g_t = C_t dy_t + exp(dt_{t+1} A) g_{t+1}.
    """
    blocks = tl.cdiv(per_group, W)
    program = tl.program_id(0)
    block = program % blocks
    g = (program // blocks) % groups
    batch = (program // blocks // groups).to(tl.int64)
    channels = groups * per_group
    lane = block * W + tl.arange(0, W)
    d = g * per_group + lane
    n = tl.arange(0, N)
    both = (n < n_states)[:, None] & (lane < per_group)[None, :]
    square = n[:, None] * channels + d[None, :]
    slope = tl.load(A + square, both, 0.0)
    rate = slope * _LOG2_E
    kept = (
        scratch + program.to(tl.int64) * STEPS * N * W + n[:, None] * W + tl.arange(0, W)[None, :]
    )
    carried = tl.zeros((N, W), tl.float32)
    d_rate = tl.zeros((N, W), tl.float32)
    chunks = tl.cdiv(length, STEPS)
    for k in range(chunks):
        chunk = chunks - 1 - k
        h = tl.load(starts + (batch * chunks + chunk) * n_states * channels + square, both, 0.0)
        for i in range(STEPS):
            t = chunk * STEPS + i
            row = (batch * length + t) * channels + d
            here = lane < tl.where(t < length, per_group, 0)
            step = tl.load(dt + row, here, 0.0)
            x = tl.load(u + row, here, 0.0)
            column = ((batch * length + t) * groups + g) * n_states + n
            b = tl.load(B + column, n < tl.where(t < length, n_states, 0), 0.0)
            tl.store(kept + i * N * W, h)
            h = tl.exp2(rate * step[None, :]) * h + b[:, None] * (step * x)[None, :]
        tl.debug_barrier()
        # Summed a chunk at a time: long sums in float32 lose digits.
        d_rate_here = tl.zeros((N, W), tl.float32)
        for j in range(STEPS):
            i = STEPS - 1 - j
            t = chunk * STEPS + i
            row = (batch * length + t) * channels + d
            here = lane < tl.where(t < length, per_group, 0)
            step = tl.load(dt + row, here, 0.0)
            x = tl.load(u + row, here, 0.0)
            d_out = tl.load(dy + row, here, 0.0)
            column = ((batch * length + t) * groups + g) * n_states + n
            now = n < tl.where(t < length, n_states, 0)
            b = tl.load(B + column, now, 0.0)
            c = tl.load(C + column, now, 0.0)
            before = tl.load(kept + i * N * W)
            decay = tl.exp2(rate * step[None, :])
            drive = step * x
            grad = carried + c[:, None] * d_out[None, :]
            after = decay * before + b[:, None] * drive[None, :]
            part = (((batch * length + t) * groups + g) * blocks + block) * n_states + n
            tl.store(dC + part, tl.sum(after * d_out[None, :], axis=1), now)
            tl.store(dB + part, tl.sum(grad * drive[None, :], axis=1), now)
            d_drive = tl.sum(grad * b[:, None], axis=0)
            carried = grad * decay
            back = carried * before
            d_step = tl.sum(back * slope, axis=0)
            d_rate_here += back * step[None, :]
            tl.store(du + row, d_drive * step, here)
            tl.store(ddt + row, d_drive * x + d_step, here)
        d_rate += d_rate_here
        tl.debug_barrier()
    tl.store(dA + batch * n_states * channels + square, d_rate, both)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, dt, A, B, C):
        # No copies where the caller's memory already has time before channels.
        u, dt = (x.transpose(1, 2).contiguous() for x in (u, dt))
        A = A.t().contiguous()
        B, C = (x.permute(0, 3, 1, 2).contiguous() for x in (B, C))
        batch, length, channels = u.shape
        keep = any(ctx.needs_input_grad)
        y = torch.empty_like(u)
        starts = u.new_empty(batch, -(-length // CHUNK) if keep else 0, A.shape[0], channels)
        last = u.new_empty(batch, A.shape[0], channels)
        numbers, grid, fixed = _launch(u, B)
        with torch.cuda.device_of(u):
            _forward[grid](u, dt, A, B, C, y, starts, last, *numbers, KEEP=keep, **fixed)
        ctx.save_for_backward(u, dt, A, B, C, starts)
        last = last.transpose(1, 2)
        ctx.mark_non_differentiable(last)
        return y.transpose(1, 2), last

    @staticmethod
    @once_differentiable
    def backward(ctx, dy, _):
        u, dt, A, B, C, starts = ctx.saved_tensors
        dy = dy.transpose(1, 2).contiguous()
        numbers, grid, fixed = _launch(u, B)
        blocks = grid[0] // (B.shape[0] * B.shape[2])
        du, ddt = torch.empty_like(u), torch.empty_like(u)
        dA = u.new_empty(u.shape[0], *A.shape)
        dB, dC = (u.new_empty(*B.shape[:3], blocks, B.shape[3]) for _ in range(2))
        scratch = u.new_empty(grid[0], CHUNK, fixed["N"], fixed["W"])
        with torch.cuda.device_of(u):
            _backward[grid](
                dy, u, dt, A, B, C, starts, scratch, du, ddt, dA, dB, dC, *numbers, **fixed
            )
        return (
            du.transpose(1, 2),
            ddt.transpose(1, 2),
            dA.sum(0).t(),
            dB.sum(3).permute(0, 2, 3, 1),
            dC.sum(3).permute(0, 2, 3, 1),
        )


def _launch(u: Tensor, B: Tensor) -> tuple[tuple[int, ...], tuple[int], dict[str, int]]:
    """Sizes for a kernel, how many programs, and what it is compiled for."""
    batch, length, channels = u.shape
    groups, n_states = B.shape[2:]
    per_group = channels // groups
    width = min(WIDTH, triton.next_power_of_2(per_group))
    states = triton.next_power_of_2(n_states)
    warps = max(1, min(8, states * width // 512))
    programs = batch * groups * triton.cdiv(per_group, width)
    return (
        (length, per_group, groups, n_states),
        (programs,),
        {"N": states, "W": width, "STEPS": CHUNK, "num_warps": warps},
    )
