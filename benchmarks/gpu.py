"""What one CUDA card does with a training step at 1 mm, as in the paper and for speed.

Under eight minutes on any one card. One table: VGG8 in float32 as in the paper, and with TF32,
bf16, channels_last_3d and torch.compile, alone and together; volumes a second, memory, share of
the card's peak (`--peak-tflops`, from its data sheet), share of the time in which the card was busy
(where nvidia-ml-py is installed), and the loss after the same number of steps beside float32's.
Then AICBV of one scan at both sizes, the selective-scan kernels forward and backward against the
plain loop in PyTorch, and against mamba-ssm and mambapy where they are installed, each with its
distance from float64; and the hours of the whole paper profile from these figures.

`--out FOLDER` writes the tables, for the book. `--device cpu --grid-mm 4` runs the same logic on a
CPU, with figures that say nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from brainage_lib.errors import WrongUsage
from brainage_lib.files import replacing
from brainage_lib.imaging.grids import SHAPES
from brainage_lib.models import VGG8, AICBVGenerator
from brainage_lib.models.synthesis import windows
from brainage_lib.train.devices import arithmetic, find_device

BUDGET_SECONDS = 450.0
"""What is left out once it is spent, so that all of it stays under eight minutes."""


@dataclass(frozen=True)
class Variant:
    """How a step is computed; the first is as in the paper."""

    name: str
    precision: str = "float32"
    channels_last: bool = False
    compiled: bool = False


VARIANTS = (
    Variant("float32, as the paper"),
    Variant("TF32", "tf32"),
    Variant("bf16", "bf16"),
    Variant("channels_last_3d", channels_last=True),
    Variant("compile", compiled=True),
    Variant("TF32, channels_last_3d", "tf32", True),
    Variant("bf16, channels_last_3d", "bf16", True),
    Variant("bf16, channels_last_3d, compile", "bf16", True, True),
)


@dataclass(frozen=True)
class Result:
    """Seconds a step, bytes at most, the loss after all steps, share of time the card was busy."""

    seconds: float
    memory: int
    loss: float
    busy: float


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def watched(device: torch.device) -> Iterator[list[float]]:
    """Fill a list with the card's utilisation (0–1), ten times a second; leave it empty elsewhere.

    It is the driver's: the share of the last moments in which any kernel ran.
    """
    seen: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            seen.append(torch.cuda.utilization(device) / 100)

    known = device.type == "cuda" and importlib.util.find_spec("pynvml") is not None
    watcher = threading.Thread(target=look, daemon=True)
    if known:
        watcher.start()
    try:
        yield seen
    finally:
        over.set()
        if known:
            watcher.join()


def step_flops(network: nn.Module, volumes: Tensor) -> float:
    """Floating-point operations of a forward and a backward pass, counted without computing."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        twin = VGG8(network.shape)
    counter = FlopCounterMode(display=False)
    with counter:
        twin(torch.empty_like(volumes, device="meta")).abs().mean().backward()
    return float(counter.get_total_flops())


def train(
    variant: Variant, shape: tuple[int, int, int], batch: int, steps: int, device: torch.device
) -> Result:
    """Train VGG8 on the same made-up scans; the first two steps are not timed."""
    torch.manual_seed(0)
    network = VGG8(shape).start_at(50).to(device)
    rng = torch.Generator().manual_seed(1)
    volumes = torch.rand(batch, 1, *shape, generator=rng).to(device)
    ages = (20 + 60 * torch.rand(batch, generator=rng)).to(device)
    if variant.channels_last:
        network = network.to(memory_format=torch.channels_last_3d)
        volumes = volumes.contiguous(memory_format=torch.channels_last_3d)
    computed = torch.compile(network) if variant.compiled else network
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)

    def step() -> Tensor:
        optimiser.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, variant.precision == "bf16"):
            predicted = computed(volumes)
        loss = (predicted.float() - ages).abs().mean()
        loss.backward()
        optimiser.step()
        return loss.detach()

    with arithmetic(variant.precision):
        for _ in range(2):
            step()
        wait(device)
        with watched(device) as seen:
            began = time.perf_counter()
            for _ in range(steps):
                loss = step()
            wait(device)
            seconds = (time.perf_counter() - began) / steps
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    # The first look reaches back to before the steps.
    busy = float(np.mean(seen[1:])) if len(seen) > 1 else float("nan")
    return Result(seconds, memory, float(loss), busy)


def synthesis_seconds(
    size: str, shape: tuple[int, int, int], patch: int, device: torch.device
) -> float:
    """Seconds for a scan's AICBV: all windows, at most two at once."""
    generator = AICBVGenerator(size).eval().to(device)
    count = sum(1 for _ in windows(tuple(max(s, patch) for s in shape), (patch,) * 3, patch // 3))
    two = torch.rand(2, 1, patch, patch, patch, device=device)
    took = []
    with torch.inference_mode(), arithmetic("float32"):
        for _ in range(3):
            wait(device)
            began = time.perf_counter()
            generator(two)
            wait(device)
            took.append(time.perf_counter() - began)
    return min(took[1:]) * count / 2


def compare_scans(device: torch.device, batch: int, channels: int, length: int) -> list[dict]:
    """Time our selective scan beside others', forward and backward, 16 states.

    Parameters
    ----------
    device : torch device
    batch, channels, length : int
        Those of the generator's bottleneck: 2,048 channels; 1,728 steps for a patch of 96.

    Returns
    -------
    list of dict
        A row an implementation: ``name``, ``ms`` (shortest of three after one that is not
        counted), ``gb`` (most memory beside the inputs), ``off_output`` and ``off_gradients``
        (relative L2 distance from float64, of the gradients the largest), ``times_ours`` (its time
        in ours).
    """
    from brainage_lib.models.selective_scan import selective_scan_fn

    rng = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng).to(device)

    inputs = [
        draw(batch, channels, length), draw(batch, channels, length).sigmoid(),
        -draw(channels, 16).exp(), draw(batch, 16, length), draw(batch, 16, length),
        draw(channels),
    ]  # fmt: skip
    weights = draw(batch, channels, length)

    def both(scan: Callable[..., Tensor], dtype: torch.dtype = torch.float32) -> list[Tensor]:
        leaves = [x.to(dtype).requires_grad_() for x in inputs]
        y = scan(*leaves)
        return [y.detach(), *torch.autograd.grad((y * weights.to(dtype)).sum(), leaves)]

    kinds: dict[str, Callable[..., Tensor]] = {
        "brainage_lib": selective_scan_fn,
        "loop in PyTorch": lambda *x: selective_scan_fn(*x, backend="reference"),
    }
    if importlib.util.find_spec("mamba_ssm") is not None and device.type == "cuda":
        kinds["mamba-ssm"] = lambda *x: selective_scan_fn(*x, backend="mamba-ssm")
    if importlib.util.find_spec("mambapy") is not None:
        kinds["mambapy"] = _mambapy
    exact = both(kinds["loop in PyTorch"], torch.float64)
    found: list[dict] = []
    for name, scan in kinds.items():
        made, took = [], []
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
        for _ in range(4):
            wait(device)
            began = time.perf_counter()
            made = both(scan)
            wait(device)
            took.append(time.perf_counter() - began)
        most = torch.cuda.max_memory_allocated(device) - before if device.type == "cuda" else 0
        apart = [float((x - e).norm() / e.norm()) for x, e in zip(made, exact, strict=True)]
        first = found[0]["ms"] if found else 1e3 * min(took[1:])
        found.append({
            "name": name, "ms": 1e3 * min(took[1:]), "gb": most / 1e9,
            "off_output": apart[0], "off_gradients": max(apart[1:]),
            "times_ours": 1e3 * min(took[1:]) / first,
        })  # fmt: skip
    return found


def _mambapy(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor
) -> Tensor:  # fmt: skip
    """Scan in parallel as mambapy does, whose layout is (batch, length, channels, states)."""
    from mambapy.pscan import pscan

    time_first = delta.transpose(1, 2)[..., None]
    decay = torch.exp(time_first * A)
    drive = time_first * u.transpose(1, 2)[..., None] * B.transpose(1, 2)[:, :, None]
    states = pscan(decay, drive)
    y = (states @ C.transpose(1, 2)[..., None]).squeeze(-1)
    return y.transpose(1, 2) + D[:, None] * u


def paper_hours(step: float, scan: float, scans: int = 2851) -> dict[str, float]:
    """Hours of the profile paper on one card: two networks, at most 100 epochs, one map a scan."""
    learned, validated = round(0.8 * scans), round(0.1 * scans)
    epoch = learned / 3 * step + validated / 3 * step / 3
    return {
        "two networks, at most 100 epochs": 2 * 100 * epoch / 3600,
        "AICBV of all scans": scans * scan / 3600,
    }


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--grid-mm", type=int, default=1, choices=sorted(SHAPES))
    parser.add_argument("--batch", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--patch", type=int, default=96)
    parser.add_argument("--variants", type=int, default=len(VARIANTS), help="only the first")
    parser.add_argument("--sizes", nargs="*", default=["lite", "paper"])
    parser.add_argument("--lengths", nargs="*", type=int, default=[512, 1728, 4096])
    parser.add_argument("--channels", type=int, default=2048)
    parser.add_argument(
        "--peak-tflops", type=float, nargs=3, metavar=("FLOAT32", "TF32", "BF16"),
        help="of the card's data sheet, dense",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="a folder for the tables")
    options = parser.parse_args(arguments)
    try:
        device, shape = find_device(options.device), SHAPES[options.grid_mm]
    except WrongUsage as error:
        print(f"Nothing was timed: {error}")
        return
    began = time.perf_counter()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}, PyTorch {torch.__version__}, {options.grid_mm} mm, batch {options.batch}")
    volumes = torch.empty(options.batch, 1, *shape, device="meta")
    flops = step_flops(VGG8(shape), volumes)
    peaks = dict(zip(("float32", "tf32", "bf16"), options.peak_tflops or (), strict=False))
    rows: list[dict] = []
    for variant in VARIANTS[: options.variants]:
        if time.perf_counter() - began > BUDGET_SECONDS:
            print(f"{variant.name:<32} left out: eight minutes are nearly over")
            continue
        found = train(variant, shape, options.batch, options.steps, device)
        rate = flops / found.seconds / 1e12
        rows.append({
            "variant": variant.name, "ms": 1e3 * found.seconds,
            "volumes_a_second": options.batch / found.seconds, "gb": found.memory / 1e9,
            "tflops": rate, "of_peak": rate / peaks.get(variant.precision, np.nan),
            "busy": found.busy, "loss": found.loss,
            "times": (rows[0]["ms"] if rows else 1e3 * found.seconds) / (1e3 * found.seconds),
        })  # fmt: skip
        print(rows[-1], flush=True)
    steps = pd.DataFrame(rows)
    _tell("VGG8 training step", steps)
    rows = []
    for size in options.sizes:
        if time.perf_counter() - began > BUDGET_SECONDS:
            print(f"AICBV, {size}: left out: eight minutes are nearly over")
            continue
        seconds = synthesis_seconds(size, shape, options.patch, device)
        rows.append({"size": size, "patch": options.patch, "seconds_a_scan": seconds})
    maps = pd.DataFrame(rows, columns=["size", "patch", "seconds_a_scan"])
    _tell("AICBV of one scan", maps)
    rows = []
    for length in options.lengths:
        compared = compare_scans(device, 1, options.channels, length)
        rows += [{"length": length, "channels": options.channels, **row} for row in compared]
    scans = pd.DataFrame(rows)
    _tell("Selective scan, forward and backward, 16 states", scans)
    a_map = maps["seconds_a_scan"].iloc[-1] if len(maps) else np.nan
    hours = pd.DataFrame(
        paper_hours(steps["ms"][0] / 1e3, a_map).items(), columns=["what", "hours"]
    )
    _tell("Profile paper on this card, from these figures", hours)
    print(f"All of this took {time.perf_counter() - began:.0f} s")
    if options.out:
        facts = {
            "card": name, "PyTorch": torch.__version__, "voxel, mm": options.grid_mm,
            "scans a step": options.batch, "steps timed": options.steps,
            "TFLOP a step": flops / 1e12, "peak, TFLOP/s": ", ".join(
                f"{kind} {value:g}" for kind, value in peaks.items()
            ), "date": datetime.now(UTC).date().isoformat(),
        }  # fmt: skip
        facts = pd.DataFrame(facts.items(), columns=["what", "value"])
        tables = {"steps": steps, "maps": maps, "scans": scans, "hours": hours, "facts": facts}
        options.out.mkdir(parents=True, exist_ok=True)
        for table, content in tables.items():
            with replacing(options.out / f"{table}.csv") as temporary:
                content.to_csv(temporary, index=False, float_format="%.4g")


def _tell(title: str, table: pd.DataFrame) -> None:
    print(
        f"\n{title}\n{table.to_string(index=False, float_format=lambda x: f'{x:.4g}')}", flush=True
    )


if __name__ == "__main__":
    main()
