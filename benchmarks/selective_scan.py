"""Speed of the compiled selective scan beside torch's own operations.

Forward + backward of one block's scan, batch 1, eight groups, all in one process and in turn;
the best of a few rounds. Ratios are to mambapy's parallel scan (times are of this machine).
Memory is what a forward and a backward pass of the compiled scan add to a fresh process, in
units of one state tensor (length × channels × states in float32). At last: the share of the
scan in the lite generator, which tells what a faster one could bring.
Run: ``OMP_WAIT_POLICY=PASSIVE python benchmarks/selective_scan.py [threads]``
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from unittest import mock

import torch
import torch.nn.functional as F
from mambapy.pscan import pscan

from brainage_lib.models import AICBVGenerator, selective_scan_fn, vss3d

GROUPS = 8
CASES = {  # length, channels, states
    "demo block, 48³ patch": (216, 384, 8),
    "lite block, 64³ patch": (512, 2048, 16),
    "half a lite block, 96³ patch": (1728, 1024, 16),
    "1/32 of a paper block, 64³": (512, 256, 64),
    "1/32 of a paper block, 96³": (1728, 256, 64),
    "long, lite": (4096, 256, 16),
    "long, paper": (4096, 64, 64),
    "longest, lite": (32768, 32, 16),
    "longest, paper": (32768, 32, 64),
    "longest, one channel a group": (32768, 8, 64),
}
MEMORY_CASES = {"half a lite block, 96³ patch": (1728, 1024, 16), "long, lite": (4096, 256, 16)}
MEMORY = """
import re, sys, torch
from brainage_lib.models import selective_scan_fn
def mark():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
def run(L, D, N, G=8):
    inputs = [torch.randn(1, D, L), torch.rand(1, D, L), -torch.rand(D, N),
              torch.randn(1, G, N, L), torch.randn(1, G, N, L)]
    for x in inputs:
        x.requires_grad_()
    start = mark()
    selective_scan_fn(*inputs, delta_softplus=True).sum().backward()
    return (mark() - start) / (4 * L * D * N)
run(33, 128, 16)
print(run(*map(int, sys.argv[1:])))
"""


def parallel_scan(u, delta, A, B, C):
    """Compute it in the way of mambapy, with B and C spread over the channels of their groups."""
    dt = F.softplus(delta).transpose(1, 2)
    per_group = u.shape[1] // GROUPS
    b, c = (x.repeat_interleave(per_group, dim=1).permute(0, 3, 1, 2) for x in (B, C))
    states = pscan(torch.exp(dt[..., None] * A), (dt * u.transpose(1, 2))[..., None] * b)
    return (states * c).sum(-1).transpose(1, 2)


BACKENDS = {
    "pscan": parallel_scan,
    "reference": lambda *x: selective_scan_fn(*x, delta_softplus=True, backend="reference"),
    "numba": lambda *x: selective_scan_fn(*x, delta_softplus=True, backend="numba"),
}


def seconds(scan, inputs) -> float:
    for x in inputs:
        x.grad = None
    start = time.perf_counter()
    scan(*inputs).sum().backward()
    return time.perf_counter() - start


def scan_share(side: int, rounds: int) -> tuple[float, float]:
    """Seconds of a forward pass of the lite generator, and the scan's share of them."""
    network = AICBVGenerator("lite").eval()
    patch = torch.rand(1, 1, side, side, side)
    spent = 0.0

    def timed(*args, **settings):
        nonlocal spent
        start = time.perf_counter()
        y = selective_scan_fn(*args, **settings)
        spent += time.perf_counter() - start
        return y

    with mock.patch.object(vss3d, "selective_scan_fn", timed), torch.inference_mode():
        passes = []
        for _ in range(rounds):
            spent = 0.0
            start = time.perf_counter()
            network(patch)
            whole = time.perf_counter() - start
            passes.append((whole, spent / whole))
    return min(passes)


def main(threads: int = 2, rounds: int = 2) -> None:
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    print(f"forward + backward, {threads} threads, best of {rounds}; speed relative to pscan")
    print(
        f"{'case':30}{'L':>6}{'D':>6}{'N':>4}{'pscan s':>9}{'reference':>11}{'numba s':>9}", end=""
    )
    print(f"{'numba':>8}")
    for name, (length, channels, states) in CASES.items():
        draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
        bc = (1, GROUPS, states, length)
        inputs = [
            draw(1, channels, length),
            draw(1, channels, length) - 3,
            -torch.exp(draw(channels, states)),
            draw(*bc),
            draw(*bc),
        ]
        for x in inputs:
            x.requires_grad_()
        best = dict.fromkeys(BACKENDS, float("inf"))
        for _ in range(rounds):
            for backend, scan in BACKENDS.items():
                best[backend] = min(best[backend], seconds(scan, inputs))
        ratios = {backend: best["pscan"] / value for backend, value in best.items()}
        print(
            f"{name:30}{length:6}{channels:6}{states:4}{best['pscan']:9.3f}"
            f"{ratios['reference']:10.2f}×{best['numba']:9.4f}{ratios['numba']:7.1f}×"
        )
    print("\nforward pass of the lite generator")
    for side in (48, 64, 96):
        whole, share = scan_share(side, rounds)
        print(f"{f'{side}³ patch':30}{whole:8.2f} s, {share:.0%} of it in the scan")
    if not os.path.exists("/proc/self/status"):
        return
    print("\nmemory of forward + backward, in state tensors")
    for name, case in MEMORY_CASES.items():
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, *map(str, case)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        print(f"{name:30}{float(done.stdout):6.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
