"""Many scans, left alone: in parallel, continued, and with a line for each in the end.

The result of a scan is its JSON file. It is written last and whole, and holds a key of all that
it depends on, so that a second start does only what is missing, wherever the first was stopped.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import multiprocessing
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from brainage_lib.data.cohort import SIMULATED
from brainage_lib.data.volumes import SEPARATOR
from brainage_lib.errors import UserError
from brainage_lib.files import read_json, write_json
from brainage_lib.predict.model import Model
from brainage_lib.predict.prediction import Prediction
from brainage_lib.predict.scan import image_digest, look_at_scan
from brainage_lib.run import Run, code_digest, progress
from brainage_lib.run.processes import stop_with_parent
from brainage_lib.tables import BATCH

WORKER_GB, FINE_GB = 2.0, 3.0
"""Memory that a process is reckoned to take, with networks of 4 mm and of finer grids.

At 4 mm brain extraction needs the most: 1.43 GB in all for a raw head of 270 × 272 × 272 voxels of
1 mm (measured as `benchmarks/predict.py MODEL 1` does). At 1 mm the generator does, within 3 GB
(`models.trained`); between them it was not measured.
"""

TRIES, PAUSE_S = 3, 2.0
"""How often a scan is tried when the system fails (a disk that does not answer), and the pause
before the second time, which doubles."""

FULL = (errno.ENOSPC, errno.EDQUOT)
PERMANENT = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
ENDED = "its process was ended from outside twice, perhaps for want of memory"
CODE = ("imaging", "data/cohort.py", "data/native.py", "data/volumes.py", "models", "predict",
        "train/predict.py", "train/aicbv.py")  # fmt: skip

Finish = Callable[[Model, Prediction, Path, dict[str, Any]], None]


class Job(NamedTuple):
    """One scan of a batch.

    Attributes
    ----------
    scan : dict
        A manifest row; only scan_id and path must be there.
    folder : str
        To which its path is relative.
    stem : str
        Beginning of the names of its files, relative to the output folder.
    """

    scan: dict[str, Any]
    folder: str | None
    stem: str


@dataclass(frozen=True)
class Batch:
    """How a batch is done; every process gets it.

    Attributes
    ----------
    out : str
        Folder of the results.
    model : str
        Folder of the networks.
    device : {"auto", "cpu", "cuda"}
    cache : str
        Where preprocessed scans are kept.
    finish : callable or None
        Writes what else is wanted of a scan (report, maps) from (model, prediction, stem, scan
        with ``folder`` and ``cache``); importable by name. Its files come before the result.
    wanted : tuple of str
        What ``finish`` writes, in a word each: part of the key.
    result : str
        Ending of the file of results.
    fold : int, optional
        Ask only the networks of this fold, as `predict_scan` does.
    """

    out: str
    model: str
    device: str = "auto"
    cache: str = ""
    finish: Finish | None = None
    wanted: tuple[str, ...] = ()
    result: str = "_prediction.json"
    fold: int | None = None


@dataclass
class Done:
    """What became of a batch.

    Attributes
    ----------
    results : dict of scan_id to dict
        As `Prediction.json` gives them; failed scans have the status "failed".
    fresh : int
        Scans that were done now, not by an earlier start.
    """

    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    fresh: int = 0

    def table(self, order: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the batch table, schema ``BATCH``."""
        rows = [_row(self.results[name]) for name in (order or self.results)]
        return pd.DataFrame(rows, columns=list(BATCH.columns))

    def counts(self) -> Counter:
        """Count scans by status: done, refused, unusable, failed."""
        return Counter(result["status"] for result in self.results.values())


def predict_many(
    jobs: Sequence[Job],
    batch: Batch,
    workers: int = 1,
    memory_gb: float | None = None,
    say: Callable[[str], None] | None = None,
) -> Done:
    """Predict many scans; nothing stops at a bad one.

    Parameters
    ----------
    jobs : sequence of Job
    batch : Batch
    workers : int
        Processes.
    memory_gb : float, optional
        Fewer processes are started if they would need more (`WORKER_GB` or `FINE_GB` each);
        what is free now unless given.
    say : callable, optional
        Takes one line a scan.

    Returns
    -------
    Done

    Raises
    ------
    BadInput
        The folder of networks lacks a file.
    UserError
        The disk is full.
    """
    model = Model(Run(batch.model), batch.device)
    model.check()
    each = WORKER_GB if model.run.profile.grid_mm == 4 else FINE_GB
    workers = min(affordable(workers, memory_gb, each), max(len(jobs), 1))
    done, speak = Done(), say or (lambda line: None)
    for job, result, seconds in progress(_results(jobs, batch, workers), "Scans", len(jobs)):
        done.results[job.scan["scan_id"]] = result
        done.fresh += seconds is not None
        speak(_line(result, seconds))
    return done


def affordable(workers: int, memory_gb: float | None = None, each_gb: float = FINE_GB) -> int:
    """How many processes fit into memory; one at least."""
    import psutil

    free = psutil.virtual_memory().available / 2**30 if memory_gb is None else memory_gb
    return max(1, min(workers, int(free / each_gb)))


def put_aside(name: str, reasons: Sequence[str], status: str = "unusable") -> dict[str, Any]:
    """Make the result of a scan that was not looked at, with the keys of every other one."""
    return Prediction(
        scan_id=name, predicted_age=None, interval_low=None, interval_high=None, gap_raw=None,
        gap_corrected=None, verdict="drop", reasons=tuple(reasons), warnings=(), model=None,
        networks={}, level=None, t1w=None, aicbv=None,
    ).json() | {"status": status, "key": None}  # fmt: skip


def _row(result: dict[str, Any]) -> dict[str, Any]:
    low, high = result["interval"] or (None, None)
    return {
        **{name: result[name] for name in ("scan_id", "predicted_age", "gap_raw", "gap_corrected")},
        "interval_low": low,
        "interval_high": high,
        "verdict": result["quality"]["verdict"],
        "reasons": SEPARATOR.join(result["quality"]["reasons"]),
        "warnings": SEPARATOR.join(result["warnings"]),
    }


def _line(result: dict[str, Any], seconds: float | None) -> str:
    name, reasons = result["scan_id"], SEPARATOR.join(result["quality"]["reasons"])
    took = "as before" if seconds is None else f"{seconds:.0f} s"
    if result["status"] == "done":
        return f"{name}: {result['predicted_age']:.1f} years ({took})"
    return f"{name}: {result['status']}: {reasons} ({took})"


def _results(jobs: Sequence[Job], batch: Batch, workers: int) -> Iterator[tuple]:
    """Each scan's job, result and seconds; those that another start is at come last."""
    busy = []
    for job, result, seconds in _run_all(jobs, batch, workers, patient=False):
        if result is None:
            busy.append(job)
        else:
            yield job, result, seconds
    yield from _run_all(busy, batch, workers, patient=True)


def _run_all(
    jobs: Sequence[Job], batch: Batch, workers: int, patient: bool
) -> Iterator[tuple[Job, dict | None, float | None]]:
    """Results as they come; a process that dies takes nothing with it but its own scan."""
    left, deaths = deque(jobs), Counter()
    if workers == 1 and not patient:
        # In this process: nothing to start, and an error can be followed.
        for job in left:
            yield (job, *_one(job, batch, patient))
        return
    while left:
        running: dict[Future, Job] = {}
        pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(workers,)
        )
        try:
            while left or running:
                while left and len(running) < 2 * workers:
                    running[pool.submit(_one, left[0], batch, patient)] = left[0]
                    left.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()  # may say that the pool is broken
                    yield (running.pop(future), *result)
        except BrokenProcessPool:
            # Whose it was cannot be told: they are tried again one at a time.
            for job in running.values():
                deaths[job.stem] += 1
                if deaths[job.stem] > 1 and workers == 1 and job is next(iter(running.values())):
                    yield job, put_aside(job.scan["scan_id"], [ENDED], "failed"), 0.0
                else:
                    left.append(job)
            workers = 1
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(workers: int) -> None:
    import torch

    stop_with_parent()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


@cache
def _model(folder: str, device: str) -> Model:
    return Model(Run(folder), device)


@cache
def _code() -> str:
    return code_digest(*CODE)


def _one(job: Job, batch: Batch, patient: bool) -> tuple[dict | None, float | None]:
    """Give the result of one scan, and the seconds that it took; None if it was there.

    Without a result: another start is at it, and there is no patience to wait for it.
    """
    began = time.monotonic()
    name, path = job.scan["scan_id"], Path(batch.out, job.stem + batch.result)
    for attempt in range(1, TRIES + 1):
        try:
            key = _key(job, batch)
            if (known := _known(path, key)) is not None:
                return known, None
            with _claimed(path, patient) as mine:
                if not mine:
                    return None, None
                # Another start may have done it meanwhile.
                if (known := _known(path, key)) is not None:
                    return known, None
                return _do(job, batch, path, key), time.monotonic() - began
        except UserError as error:
            return put_aside(name, [str(error)], "failed"), time.monotonic() - began
        except PERMANENT as error:
            reason = f"{error.strerror}: {os.path.basename(error.filename or '')}"
            return put_aside(name, [reason], "failed"), time.monotonic() - began
        except OSError as error:
            if error.errno in FULL:
                raise UserError(
                    f"{batch.out}: {error.strerror}; what is finished is kept: make room and start "
                    "again"
                ) from None
            if attempt == TRIES:
                reason = f"the system failed {TRIES} times: {error.strerror or error}"
                return put_aside(name, [reason], "failed"), time.monotonic() - began
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        except Exception as error:
            # A bug, or memory; the other scans go on, and the next start tries again.
            reason = f"{type(error).__name__}: {error}"
            return put_aside(name, [reason], "failed"), time.monotonic() - began
    raise AssertionError


def _do(job: Job, batch: Batch, path: Path, key: str) -> dict[str, Any]:
    model = _model(batch.model, batch.device)
    cache = batch.cache or os.path.join(batch.out, "preprocessed")
    found = look_at_scan(model, job.scan, job.folder, batch.fold, cache)
    if batch.finish is not None:
        where = {**job.scan, "t1w_state": found.t1w_state, "folder": job.folder, "cache": cache}
        batch.finish(model, found, Path(batch.out, job.stem), where | {"wanted": batch.wanted})
    result = found.json() | {"key": key}
    write_json(path, result)
    return result


def _key(job: Job, batch: Batch) -> str:
    """Digest of all that the result depends on."""
    scan, image = job.scan, str(job.scan["path"])
    if not image.startswith(SIMULATED):
        file = Path(os.path.realpath(Path(job.folder or ".", image)))
        image = image_digest(file) if file.exists() else "missing"
    asked = [str(scan.get(name, "")) for name in ("scan_id", "age", "sex", "t1w_state")]
    model = _model(batch.model, batch.device).digest
    made_from = [image, *asked, model, _code(), list(batch.wanted), batch.fold]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()


def _known(path: Path, key: str) -> dict[str, Any] | None:
    """Read the result of an earlier start, if it was made from the same."""
    if not path.is_file():
        return None
    with contextlib.suppress(ValueError):
        result = read_json(path)
        if isinstance(result, dict) and result.get("key") == key:
            return result
    return None


@contextlib.contextmanager
def _claimed(path: Path, patient: bool) -> Iterator[bool]:
    """Whether this process may do the scan; another start that is at it holds a lock.

    The system releases it when its process ends, however that comes about.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if patient else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            # While it is held: whoever waits for it looks at the result first.
            lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
