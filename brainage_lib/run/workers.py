"""One function over many items in several processes."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from brainage_lib.errors import UserError
from brainage_lib.run.processes import stop_with_parent


def scatter(function: Callable, items: Sequence[tuple], workers: int) -> Iterator[Any]:
    """Call ``function(*item)`` for each item in several processes; results come in order.

    Parameters
    ----------
    function : callable
        Importable by name, as every process imports it anew.
    items : sequence of tuple
    workers : int
        With one, everything happens in this process.

    Raises
    ------
    UserError
        A process was ended from outside.
    """
    workers = min(workers, len(items))
    if workers <= 1:
        yield from (function(*item) for item in items)
        return
    # Fresh interpreters: forked ones would inherit the threads and locks of whatever the
    # notebook has loaded. The queue is short, so that volumes do not pile up.
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=stop_with_parent)
    waiting: deque = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, *item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise UserError(
            f"a process of {function.__name__} was ended from outside, perhaps for want of "
            "memory; what is finished is kept: run it again with fewer workers in the profile"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
