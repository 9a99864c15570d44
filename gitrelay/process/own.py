"""What is asked of processes in every call, without psutil on Linux: to load it takes 20 ms of processor time."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path


def created(pid: int) -> float:
    """When process `pid` was created, seconds since the epoch, as psutil tells it. Raises OSError if it is gone."""
    if sys.platform == "linux":
        with contextlib.suppress(ValueError, IndexError, StopIteration):
            # the name in brackets may hold anything; starttime is field 22 of proc(5)
            ticks = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
            lines = Path("/proc/stat").read_bytes().splitlines()
            booted = next(int(line.split()[1]) for line in lines if line.startswith(b"btime "))
            return booted + ticks / os.sysconf("SC_CLK_TCK")
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.Error as e:
        raise ProcessLookupError(str(e)) from e


def has_children() -> bool:
    """Whether this process has a child; True too if the system does not tell."""
    if sys.platform != "linux":
        return True
    try:
        for thread in os.listdir("/proc/self/task"):
            try:
                if Path(f"/proc/self/task/{thread}/children").read_bytes().strip():
                    return True
            except FileNotFoundError:
                if thread == str(os.getpid()):  # a kernel that was built without; else the thread has ended
                    return True
    except OSError:
        return True
    return False


def reap_orphans(take: bool = True) -> None:
    """Linux: orphaned descendants become children of this process, or not (prctl PR_SET_CHILD_SUBREAPER = 36)."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, int(take), 0, 0, 0)
