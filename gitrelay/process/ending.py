"""Waiting for the end of a process that is nobody's child here."""

from __future__ import annotations

import os
import select
import sys


def ended_within(pid: int, seconds: float) -> bool | None:
    """Whether process `pid` ends within `seconds`, noticed at once; None, at once, if the system cannot tell.

    It cannot where there are no pidfds (Linux has them), and of a process that is gone or in another namespace. The
    number may be another process's by now: a caller that needs to know asks again.
    """
    if sys.platform != "linux":
        return None
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        watched = select.poll()
        watched.register(fd, select.POLLIN)
        return bool(watched.poll(seconds * 1000))
    finally:
        os.close(fd)
