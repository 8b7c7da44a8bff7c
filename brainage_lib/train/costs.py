"""What the steps of a run cost: committed figures, or a few steps timed here."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import torch

from brainage_lib.data.volumes import prepare_scan
from brainage_lib.imaging import grid
from brainage_lib.models import AICBVGenerator, make_network
from brainage_lib.train.devices import arithmetic, find_device
from brainage_lib.train.memory import keep_freed_memory

COSTS = Path(__file__).with_name("costs.csv")

COLUMNS = ("stage", "name", "device", "seconds", "per", "machine", "date", "how")

PER = {
    "prepare": "million voxels of a scan",
    "generator": "million voxels of a training step",
    "synthesis": "million voxels of a window",
    "training": "million voxels of a training step",
}
"""What the seconds of a stage are for; on a CPU they are seconds of one core."""


PER_SCAN = ("native-head", "native-brain")
"""States of scans whose preparation costs the same whatever the grid: the image itself does."""


def committed_costs() -> pd.DataFrame:
    """Read the figures that come with the library.

    Returns
    -------
    DataFrame
        Columns stage, name, device ("cpu" or "cuda"), seconds, per, machine, date, how. Those
        of "cuda" are of one card, an NVIDIA H200.
    """
    return pd.read_csv(COSTS)


def measure_costs(
    networks: list[str], size: str, batch: int, device: str = "auto", scan: tuple | None = None
) -> pd.DataFrame:
    """Time a few steps of each kind on this machine.

    On a CPU one thread computes, and volumes are those of the 4 mm grid: a step costs the same
    a voxel on a finer one. On a GPU they are those of 2 mm, so that the card is busy.

    Parameters
    ----------
    networks : list of {"vgg8", "fcn"}
    size : {"demo", "lite", "paper"}
        Of the generator.
    batch : int
        Scans in a training step.
    device : str
        As for `find_device`.
    scan : (dict, str or None), optional
        A manifest row and the manifest's folder, to time the preparation of a scan.

    Returns
    -------
    DataFrame
        As `committed_costs`.

    Raises
    ------
    WrongUsage
        The device is not there.
    """
    place = find_device(device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    keep_freed_memory()
    mm = 4 if place.type == "cpu" else 2
    rows = []
    try:
        with arithmetic("float32"):
            rows += [
                _row("training", name, place, _training_step(name, mm, batch, place))
                for name in networks
            ]
            rows += _generator_steps(size, place)
        if scan is not None:
            kind, seconds = _prepare(*scan)
            rows.append(_row("prepare", kind, torch.device("cpu"), seconds))
    finally:
        torch.set_num_threads(threads)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(stage: str, name: str, device: torch.device, seconds: float) -> dict:
    if device.type == "cuda":
        machine = torch.cuda.get_device_name(device)
    else:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
    return {
        "stage": stage,
        "name": name,
        "device": device.type,
        "seconds": float(f"{seconds:.4g}"),
        "per": "scan" if name in PER_SCAN else PER[stage],
        "machine": machine,
        "date": datetime.now(UTC).date().isoformat(),
        "how": "brainage plan --calibrate",
    }


def _time(step: Callable[[], object], device: torch.device, times: int = 2) -> float:
    """Shortest of some calls, after one that is not counted.

    On a CPU the time that the process computed, so that others beside it count less.
    """
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    step()
    took = []
    for _ in range(times):
        _wait(device)
        began = clock()
        step()
        _wait(device)
        took.append(clock() - began)
    return min(took)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _training_step(name: str, mm: int, batch: int, device: torch.device) -> float:
    shape = grid(mm).shape
    network = make_network(name, shape).to(device, memory_format=torch.channels_last_3d)
    optimiser = torch.optim.Adam(network.parameters())
    volumes = torch.rand(batch, 1, *shape, device=device)

    def step() -> None:
        optimiser.zero_grad()
        network(volumes).abs().mean().backward()
        optimiser.step()

    return _time(step, device) / (volumes.numel() / 1e6)


def _generator_steps(size: str, device: torch.device) -> list[dict]:
    generator = AICBVGenerator(size).to(device)
    # The paper's patch is 96; on a CPU a step of it would take minutes.
    side = 96 if device.type == "cuda" else 32
    patch = torch.rand(1, 1, side, side, side, device=device)
    optimiser = torch.optim.AdamW(generator.parameters())

    def forward() -> None:
        with torch.inference_mode():
            generator.eval()(patch)

    def step() -> None:
        optimiser.zero_grad()
        generator.train()(patch).abs().mean().backward()
        optimiser.step()

    voxels = patch.numel() / 1e6
    return [
        _row("synthesis", size, device, _time(forward, device) / voxels),
        _row("generator", size, device, _time(step, device, 1) / voxels),
    ]


def _prepare(scan: dict, folder: str | None) -> tuple[str, float]:
    """Prepare a scan twice, as the first opens templates; seconds in the unit of its state."""
    for _ in range(2):
        began = time.process_time()
        # No cache: what was kept would not be timed.
        prepare_scan(scan, folder, 4, None, False)
        seconds = time.process_time() - began
    state = str(scan["t1w_state"])
    return state, seconds if state in PER_SCAN else seconds / (math.prod(grid(4).shape) / 1e6)
