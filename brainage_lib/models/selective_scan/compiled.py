"""The compiled scan as a torch function with its own backward pass."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from brainage_lib.models.selective_scan.kernels import (
    CHUNK,
    NARROW_CHUNK,
    scan_backward,
    scan_backward_narrow,
    scan_forward,
    scan_forward_narrow,
)

FEW = 16
"""Channels of a group, at most, for which the states may fill the processor's vectors instead.

They do where there are more of them. Measured: with 16 states, groups of 4 channels go 2.4 times
as fast that way, and groups of 32 half as fast."""


def scan_numba(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Like :func:`~brainage_lib.models.selective_scan.reference.scan_reference`.

    float32 on the CPU. The first call on a machine compiles for some seconds; the result is
    kept beside the package. Uses ``torch.get_num_threads()`` threads, and gives the same bits
    with any number of them.
    """
    return _Scan.apply(u, dt, A, B, C)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, dt, A, B, C):
        # No copies where the caller's memory already has time before channels.
        u, dt = (x.transpose(1, 2).contiguous() for x in (u, dt))
        A = A.t().contiguous()
        batch, length, channels = u.shape
        n_states, groups = A.shape[0], B.shape[1]
        keep = any(ctx.needs_input_grad)
        forward, _, chunk = _kernels(channels // groups, n_states)
        chunks = -(-length // chunk) if keep else 0
        y = torch.empty_like(u)
        starts = u.new_empty(batch, chunks, n_states, channels)
        last = u.new_empty(batch, n_states, channels)
        arrays = [x.detach().numpy() for x in (u, dt, A, B, C, y, starts)]
        final = last.numpy()
        _share_out(batch * groups, lambda lo, hi: forward(lo, hi, *arrays, keep, final))
        ctx.save_for_backward(u, dt, A, B, C, starts)
        last = last.transpose(1, 2)
        ctx.mark_non_differentiable(last)
        return y.transpose(1, 2), last

    @staticmethod
    @once_differentiable
    def backward(ctx, dy, _):
        u, dt, A, B, C, starts = ctx.saved_tensors
        dy = dy.transpose(1, 2).contiguous()
        du, ddt = torch.empty_like(u), torch.empty_like(u)
        dA = torch.zeros(u.shape[0], *A.shape, dtype=torch.float64)
        dB, dC = torch.empty_like(B), torch.empty_like(C)
        arrays = [x.detach().numpy() for x in (dy, u, dt, A, B, C, starts, du, ddt, dA, dB, dC)]
        groups = B.shape[1]
        _, backward, _ = _kernels(u.shape[2] // groups, A.shape[0])
        _share_out(u.shape[0] * groups, lambda lo, hi: backward(lo, hi, *arrays))
        return (
            du.transpose(1, 2),
            ddt.transpose(1, 2),
            dA.sum(0).to(A.dtype).t(),
            dB,
            dC,
        )


def _kernels(per_group: int, n_states: int) -> tuple[Callable, Callable, int]:
    """Choose forward and backward loops, and how many steps lie between kept states."""
    if per_group <= FEW and per_group < n_states:
        return scan_forward_narrow, scan_backward_narrow, NARROW_CHUNK
    return scan_forward, scan_backward, CHUNK


def _share_out(tasks: int, work: Callable[[int, int], None]) -> None:
    """Run ``work(first, last)`` over all tasks with torch's number of threads.

    Plain threads, because the loops release the interpreter's lock: numba's own pools do not
    survive a fork, and a second OpenMP runtime beside torch's would spin against it.
    """
    threads = min(torch.get_num_threads(), tasks)
    if threads <= 1:
        work(0, tasks)
        return
    edges = [tasks * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(work, edges[i], edges[i + 1]) for i in range(1, threads)]
        work(0, edges[1])
        for other in others:
            other.result()
