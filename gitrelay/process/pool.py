"""One pool of forked processes, for work that is cut into parts and read by several processors.

Invariants: a worker never outlives the process that started it, however that ended (also by SIGKILL); Ctrl-C is
for that process alone; the results come in the order of the parts. Without `os.fork` the work is done here.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

_PROCESSES: Final = 4  # at most
_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def workers(parts: int) -> int:
    """How many processes work at once on so many parts: one for each processor, at most 4; 1 if fork is missing."""
    return min(_PROCESSES, os.cpu_count() or 1, parts) if hasattr(os, "fork") else 1


def each(
    work: Callable[[_Part], _Result], parts: Sequence[_Part], count: int, *, collect: bool = True
) -> Iterator[_Result]:
    """`work(part)` for each part, in order, by `count` processes; what `work` raises is raised here.

    `work`, the parts and the results must be picklable if `count` is more than 1; with 1 nothing is forked.
    `collect` is False if nothing that `work` makes refers to itself: then the workers collect no garbage.
    """
    if count <= 1:
        yield from map(work, parts)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    alive, ours = os.pipe()
    try:
        with ProcessPoolExecutor(count, get_context("fork"), _begin, (alive, ours, collect)) as pool:
            try:
                jobs = [pool.submit(work, part) for part in parts]
                for job in jobs:
                    yield job.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)  # without waiting, python complains at its own end
                raise
    finally:
        os.close(alive)
        os.close(ours)


def _begin(alive: int, ours: int, collect: bool) -> None:
    """In the worker, before its first part."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.close(ours)
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    gc.freeze()  # what is there already stays; a worker ends before it has much of its own to collect
    if not collect:
        gc.disable()


def _end_with(alive: int) -> None:
    """End this process when the pipe `alive` ends: it does when the first process has ended."""
    os.read(alive, 1)
    os._exit(1)
