"""What one CUDA card does with a training step at 1 mm, as in the paper and for speed.

Under eight minutes on any one card. One table: VGG8 in float32 as in the paper, and with TF32,
bf16, channels_last_3d and torch.compile, alone and together; volumes a second, memory, share of
the card's peak (`--peak-tflops`, from its data sheet), and the loss after the same number of steps
beside float32's. Then AICBV of one scan at both sizes, the selective-scan kernels against mamba-ssm
where it is installed, and the hours of the whole paper profile from these figures.

`--device cpu --grid-mm 4` runs the same logic on a CPU, with figures that say nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from brainage_lib.errors import WrongUsage
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
    """Seconds a step, bytes at most, and the loss after all steps."""

    seconds: float
    memory: int
    loss: float


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


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
    began = 0.0
    with arithmetic(variant.precision):
        for step in range(steps + 2):
            if step == 2:
                wait(device)
                began = time.perf_counter()
            optimiser.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, variant.precision == "bf16"):
                predicted = computed(volumes)
            loss = (predicted.float() - ages).abs().mean()
            loss.backward()
            optimiser.step()
    wait(device)
    seconds = (time.perf_counter() - began) / steps
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return Result(seconds, memory, float(loss.detach()))


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


def compare_scans(device: torch.device, length: int = 1728, channels: int = 2048) -> list[str]:
    """Our selective scan beside mamba-ssm's, a line each."""
    from brainage_lib.models import selective_scan as ours

    rng = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng).to(device)

    u, delta = draw(1, channels, length), draw(1, channels, length).sigmoid()
    a, b, c, d = -draw(channels, 16).exp(), draw(1, 16, length), draw(1, 16, length), draw(channels)
    kinds: dict[str, Callable[[], Tensor]] = {
        "brainage_lib": lambda: ours.selective_scan_fn(u, delta, a, b, c, d)
    }
    if importlib.util.find_spec("mamba_ssm") is not None and device.type == "cuda":
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

        kinds["mamba-ssm"] = lambda: selective_scan_fn(u, delta, a, b, c, d)
    lines = []
    first = None
    for name, scan in kinds.items():
        with torch.inference_mode():
            result = scan()
            wait(device)
            began = time.perf_counter()
            scan()
            wait(device)
        first = result if first is None else first
        apart = float((result - first).abs().max())
        seconds = time.perf_counter() - began
        lines.append(f"{name:<14} {1e3 * seconds:8.2f} ms, {apart:.1e} from the first")
    if len(kinds) == 1:
        lines.append("mamba-ssm      not installed here: not measured")
    return lines


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
    parser.add_argument("--peak-tflops", type=float, help="of the card, in the variant's precision")
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
    print(
        f"{'VGG8 training step':<32} {'ms':>8} {'volumes/s':>10} {'GB':>6} {'TFLOP/s':>8} "
        f"{'of peak':>8} {'times':>6} {'loss':>8}"
    )
    base = None
    for variant in VARIANTS[: options.variants]:
        if time.perf_counter() - began > BUDGET_SECONDS:
            print(f"{variant.name:<32} left out: eight minutes are nearly over")
            continue
        found = train(variant, shape, options.batch, options.steps, device)
        base = base or found
        rate = flops / found.seconds / 1e12
        share = f"{rate / options.peak_tflops:8.1%}" if options.peak_tflops else f"{'?':>8}"
        print(
            f"{variant.name:<32} {1e3 * found.seconds:8.1f} {options.batch / found.seconds:10.2f} "
            f"{found.memory / 1e9:6.2f} {rate:8.2f} {share} {base.seconds / found.seconds:5.2f}x "
            f"{found.loss:8.4f}",
            flush=True,
        )
    scan = np.nan
    for size in options.sizes:
        if time.perf_counter() - began > BUDGET_SECONDS:
            print(f"AICBV, {size}: left out: eight minutes are nearly over")
            continue
        scan = synthesis_seconds(size, shape, options.patch, device)
        print(
            f"AICBV of one scan, {size} size, windows of {options.patch}: {scan:.2f} s", flush=True
        )
    print("Selective scan")
    for line in compare_scans(device):
        print(f"  {line}")
    print("Profile paper on this card, from these figures")
    for what, hours in paper_hours(base.seconds, scan).items():
        print(f"  {what}: {hours:.1f} h")
    print(f"All of this took {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
