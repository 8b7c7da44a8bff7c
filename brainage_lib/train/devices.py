"""Where a training runs, in which arithmetic, and whether it fits there."""

from __future__ import annotations

import fcntl
import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch import nn

from brainage_lib.errors import WrongUsage
from brainage_lib.train.settings import TrainSettings

MARGIN = 1.25
"""On what is counted: workspaces of convolutions, and gaps between blocks."""

OTHER_BYTES = 0.6e9
"""Of the CUDA context and its libraries."""


def find_device(asked: str) -> torch.device:
    """Return the device that was asked for.

    Parameters
    ----------
    asked : str
        "auto" (the first GPU, or the CPU), "cpu", "cuda" or one GPU, such as "cuda:1".

    Raises
    ------
    WrongUsage
        It is not there; the message says which there are.
    """
    n = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "cpu" or (asked == "auto" and n == 0):
        return torch.device("cpu")
    number = int(asked.partition(":")[2] or 0)
    if number >= n:
        there = ", ".join(["cpu", *(f"cuda:{i}" for i in range(n))])
        hint = "" if n else "; a GPU needs its driver and PyTorch's CUDA build (TORCH_INDEX=)"
        raise WrongUsage(f"device {asked!r} is not there; there are: {there}{hint}")
    return torch.device("cuda", number)


@contextmanager
def held_devices(asked: str, n: int = 1) -> Iterator[list[torch.device]]:
    """Give this process devices of its own as long as the block lasts.

    Of several GPUs, "auto" and "cuda" mean those that no other training of this computer holds;
    if too few are free, the first of the others with them. The system gives a lock back when
    its process ends, however that happens.

    Parameters
    ----------
    asked : str
        As for `find_device`.
    n : int
        How many: GPUs, or as many times the CPU.

    Raises
    ------
    WrongUsage
        There are not so many GPUs, or cores.
    """
    device = find_device(asked)
    there = _cores() if device.type == "cpu" else 1 if ":" in asked else torch.cuda.device_count()
    if n > there:
        kind = "core" if device.type == "cpu" else "GPU"
        raise WrongUsage(
            f"devices {n} of {asked!r} are not there; there {'is' if there == 1 else 'are'} "
            f"{there} {kind}{'' if there == 1 else 's'}"
        )
    if device.type == "cpu" or ":" in asked:
        yield [device] * n
        return
    with ExitStack() as held:
        numbers = range(torch.cuda.device_count())
        free = list(itertools.islice((i for i in numbers if _hold(i, held)), n))
        others = [number for number in numbers if number not in free]
        yield [torch.device("cuda", number) for number in (free + others)[:n]]


def _hold(number: int, held: ExitStack) -> bool:
    """Lock a GPU until ``held`` is closed; False where another training has it."""
    name = f"brainage-{os.getuid()}-gpu-{torch.cuda.get_device_properties(number).uuid}.lock"
    descriptor = os.open(Path(tempfile.gettempdir()) / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    held.callback(os.close, descriptor)
    return True


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Allow or forbid TF32 within the block.

    PyTorch rounds the factors of convolutions on its own on cards that can; "float32" means
    that it does not.
    """
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.allow_tf32 = value


def training_bytes(
    model: nn.Module, shape: Sequence[int], batch: int, precision: str = "float32"
) -> int:
    """Count the memory of a training step, without computing it.

    Parameters
    ----------
    model : Module
        Reads (n, channels, x, y, z).
    shape : (3,) or (4,) ints
        Of one scan: (x, y, z) or (channels, x, y, z).
    batch : int
        Scans in a step.
    precision : {"float32", "tf32", "bf16"}
        bf16 halves what is kept of a step.

    Returns
    -------
    int
        Weights with gradients and Adam's two moments, what is kept for the gradients, and the
        two largest gradients at once; with a margin.
    """
    import copy

    sides = (batch, *((1,) if len(shape) == 3 else ()), *shape)
    twin = copy.deepcopy(model).to("meta").train()
    own = {parameter.untyped_storage()._cdata for parameter in twin.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage()._cdata not in own:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        # Held until the end, so that no storage is counted for another.
        result = twin(torch.empty(sides, device="meta"))
    sizes = [tensor.untyped_storage().nbytes() for tensor in kept.values()]
    weights = sum(parameter.numel() for parameter in twin.parameters())
    del result
    activations = sum(sizes) + 2 * max(sizes, default=0)
    if precision == "bf16":
        activations //= 2
    return int(MARGIN * activations + 16 * weights)


def check_memory(
    model: nn.Module, shape: Sequence[int], settings: TrainSettings, device: torch.device
) -> None:
    """Refuse a training that the memory of its CUDA device cannot hold, before its first step.

    Raises
    ------
    WrongUsage
        Says how much is needed, how much there is, and the largest batch that would fit.
    """
    free, total = torch.cuda.mem_get_info(device)
    share = settings.batch // settings.devices
    needed = training_bytes(model, shape, share, settings.precision) + OTHER_BYTES
    if needed <= free:
        return
    least = 2 if settings.devices == 1 else 1
    fits = [
        fewer * settings.devices
        for fewer in range(share - 1, least - 1, -1)
        if training_bytes(model, shape, fewer, settings.precision) + OTHER_BYTES <= free
    ]
    advice = f"no batch of {least * settings.devices} or more would fit"
    if fits:
        advice = f"batch: {fits[0]} would fit"
    if settings.precision != "bf16":
        advice += ", precision: bf16 needs about half"
    raise WrongUsage(
        f"a step of {share} scans of {' × '.join(map(str, shape))} voxels needs about "
        f"{needed / 1e9:.1f} GB; {device} has {free / 1e9:.1f} of {total / 1e9:.1f} GB free. "
        f"{advice}; or take a coarser grid_mm, or device: cpu"
    )
