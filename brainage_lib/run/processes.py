"""Processes end together: what a command started does not outlive it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def end_descendants(grace: float = 3.0) -> None:
    """End every process that this one started, and those that they started.

    A kernel has a session of its own and its worker processes are nobody's children once
    it is gone, so that a signal to our process group reaches neither.

    Parameters
    ----------
    grace : float
        Seconds until those that did not end are killed.
    """
    import psutil

    processes = psutil.Process().children(recursive=True)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=grace)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def stop(number: int = signal.SIGTERM, frame: object = None) -> NoReturn:
    """End at once, with everything that was started; a signal handler."""
    end_descendants()
    os._exit(128 + number)


def stop_on_signals() -> None:
    """Let the usual signals end this process and everything that it started."""
    for name in SIGNALS:
        signal.signal(name, stop)


def stop_with_parent() -> None:
    """End, in the way of `stop`, within a second after the parent process has gone.

    Nothing else tells a process that its parent was killed outright. It is also an
    initializer for worker processes, which otherwise wait for ever when their pool is gone:
    ``ProcessPoolExecutor(initializer=stop_with_parent)``.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        stop()

    threading.Thread(target=watch, daemon=True).start()
