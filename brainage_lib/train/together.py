"""Several processes that train one network, each on a device of its own.

The process that asks starts the others and listens to them. It computes nothing meanwhile, so
that it can be a notebook's, and when one of them ends, it ends all.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from brainage_lib.errors import UserError, WrongUsage
from brainage_lib.run.processes import stop_with_parent

LAST_WORDS = 3.0
"""Seconds in which the others may say why, after a process ended without a reason."""

LONGEST = timedelta(hours=2)
"""How long a process waits for another, which may read volumes or write a checkpoint."""

ENDED = (
    "a process of the training was ended from outside, perhaps for want of memory; what is "
    "finished is kept: give the same command again"
)


def side_by_side(
    function: Callable[..., None],
    arguments: Sequence[Any],
    places: Sequence[torch.device],
    report: Callable[..., None] | None = None,
) -> None:
    """Call ``function(rank, send, *arguments)`` in a process a device, joined in a process group.

    What a process gives to ``send(*values)`` reaches ``report(*values)`` here.

    Parameters
    ----------
    function : callable
        Importable by name; its arguments are picklable.
    arguments : sequence
    places : sequence of torch.device
        All CUDA devices (they talk by NCCL), or all the CPU (Gloo, through the loopback alone).
    report : callable, optional
        What it raises ends all processes.

    Raises
    ------
    UserError
        What one of them raised; or one was ended from outside.
    RuntimeError
        Any other error of one of them, with its traceback.
    """
    # Fresh interpreters: forked ones would inherit threads, and no CUDA.
    spawn = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // len(places))
    # As bytes: PyTorch would hand tensors over in memory that all processes then share.
    packed = pickle.dumps(tuple(arguments))
    processes, listening = [], {}
    # They find each other through a file, because a port could be taken by somebody else.
    with tempfile.TemporaryDirectory(prefix="brainage-") as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        try:
            for rank in range(len(places)):
                ours, theirs = spawn.Pipe(duplex=False)
                process = spawn.Process(
                    target=_work,
                    args=(theirs, meeting, rank, list(places), threads, function, packed),
                    daemon=True,
                )
                process.start()
                theirs.close()
                processes.append(process)
                listening[ours] = process
            _listen(listening, report or (lambda *values: None))
        finally:
            for process in processes:
                # Not asked to end: it may wait for one that has gone. Files are renamed whole.
                process.kill()
                process.join()


def _listen(listening: dict[Connection, Any], report: Callable[..., None]) -> None:
    reason: Exception | None = None
    until = None
    while listening:
        ready = wait(list(listening), None if until is None else max(0, until - time.monotonic()))
        if not ready:
            break
        for connection in ready:
            try:
                kind, *values = connection.recv()
            except (EOFError, OSError):
                kind, values = "gone", []
            if kind == "report":
                report(*values)
                continue
            process = listening.pop(connection)
            if kind == "refused":
                raise (WrongUsage if values[0] == WrongUsage.exit_code else UserError)(values[1])
            if kind == "done":
                process.join()
                continue
            # The others fail for want of this one; what ended first is the reason.
            found = UserError(ENDED) if kind == "gone" else RuntimeError(values[0])
            if reason is None or kind == "gone":
                reason = found
            until = until or time.monotonic() + LAST_WORDS
    if reason is not None:
        raise reason


def _work(
    connection: Connection,
    meeting: str,
    rank: int,
    places: list[torch.device],
    threads: int,
    function: Callable[..., None],
    packed: bytes,
) -> None:
    # A key pressed in the terminal reaches every process; the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_with_parent()
    torch.set_num_threads(threads)
    # Lightning takes it from there that the processes are started already.
    os.environ["LOCAL_RANK"] = str(rank)
    try:
        _join(meeting, rank, places)
        arguments = pickle.loads(packed)
        function(rank, lambda *values: connection.send(("report", *values)), *arguments)
        distributed.barrier()
        connection.send(("done",))
    except UserError as error:
        connection.send(("refused", error.exit_code, str(error)))
    except BaseException:
        connection.send(("failed", traceback.format_exc()))
    connection.close()
    sys.stdout.flush()
    sys.stderr.flush()
    # No farewell to a process that may have gone.
    os._exit(0)


def _join(meeting: str, rank: int, places: list[torch.device]) -> None:
    on_gpu = places[rank].type == "cuda"
    if on_gpu:
        torch.cuda.set_device(places[rank])
    else:
        import psutil

        for name in psutil.net_if_addrs():
            if name.startswith("lo"):
                os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
    distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=meeting,
        rank=rank,
        world_size=len(places),
        timeout=LONGEST,
        device_id=places[rank] if on_gpu else None,
    )


def gather(values: torch.Tensor) -> list[torch.Tensor]:
    """Give each process the values of all, in the order of ranks; they may differ in length."""
    found: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, values.cpu())
    return found


def average_statistics(network: nn.Module) -> None:
    """Give all processes the mean of their running means and variances of normalisations."""
    for layer in network.modules():
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None:
            for statistic in (layer.running_mean, layer.running_var):
                distributed.all_reduce(statistic)
                statistic /= distributed.get_world_size()
