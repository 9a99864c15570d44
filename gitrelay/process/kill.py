"""Ends processes, and all that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final

import psutil

TERM_GRACE: Final = 5.0  # seconds between SIGTERM and SIGKILL; claude needs 1.6 s to end its tools
_ROUNDS: Final = 5  # times to look again for a process that was started by one that is being ended


# -- killing ---------------------------------------------------------------------------------------


def identity_matches(pid: int, created: float) -> bool:
    """Whether process `pid` is still the one that was created at `created` (seconds since the epoch)."""
    try:
        process = psutil.Process(pid)
        # create_time is derived from the boot time, which moves a little with the clock
        return abs(process.create_time() - created) < 2.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def stop(pid: int, ended_within: Callable[[float], bool] | None = None) -> None:
    """End the process group of `pid`, then its descendants: SIGTERM, wait, SIGKILL.

    The group first and alone: SIGKILL on all of codex's descendants at once leaves folders in the
    repository, and gemini ignores SIGTERM to its pid. Tools run in sessions of their own, so what is
    still there afterwards is ended one by one; each is addressed by pid and start time.
    `ended_within` waits for a child of this process (psutil's own wait would take its exit code away).
    """
    try:
        leader = psutil.Process(pid)
        family = leader.children(recursive=True)
    except psutil.Error:
        return
    if ended_within is None:
        family.append(leader)

        def ended_within(limit: float) -> bool:
            return not psutil.wait_procs([leader], timeout=limit)[1]

    _signal_group(leader, force=False)
    if not ended_within(TERM_GRACE):
        with contextlib.suppress(psutil.Error):
            family += leader.children(recursive=True)
        _signal_group(leader, force=True)
        ended_within(TERM_GRACE)
    _end(family)


def _signal_group(leader: psutil.Process, *, force: bool) -> None:
    with contextlib.suppress(OSError, psutil.Error):
        if sys.platform != "win32":
            os.killpg(leader.pid, signal.SIGKILL if force else signal.SIGTERM)
        elif force:
            leader.kill()
        else:
            leader.terminate()


def end_family(pid: int) -> None:
    """End a child of this process, which shares its group, and all that it started: SIGTERM, then SIGKILL."""
    with contextlib.suppress(psutil.Error):
        leader = psutil.Process(pid)
        _end([leader, *leader.children(recursive=True)])


def stop_descendants() -> None:
    """End whatever the peer left behind; on Linux its orphans have become children of this process."""
    with contextlib.suppress(psutil.Error):
        for again in range(_ROUNDS):
            if not _end(psutil.Process().children(recursive=True), gently=not again):
                return


def stop_marked(name: str, value: str) -> None:
    """End every process that was started with `name=value` in its environment, this one excepted."""
    for again in range(_ROUNDS):
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and process.environ().get(name) == value:
                    found.append(process)
        if not _end(found, gently=not again):
            return


def _end(processes: Sequence[psutil.Process], *, gently: bool = True) -> bool:
    """End those that still run, SIGKILL after a second or at once; False if none did."""
    left = [p for p in processes if p.is_running() and _status(p) != psutil.STATUS_ZOMBIE]
    alive = list(left)
    if gently:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, alive = psutil.wait_procs(left, timeout=1.0)
        for process in alive:  # one that outlived the first signal may start something: not any more
            with contextlib.suppress(psutil.Error):
                process.suspend()
        for process in tuple(alive):
            with contextlib.suppress(psutil.Error):
                alive += process.children(recursive=True)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=1.0)
    return bool(left)


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.Error:
        return str(psutil.STATUS_ZOMBIE)
