"""Locks that a crash releases: flock on a file, taken without blocking first, then with a limit.

The file may be removed while somebody waits for it (`release` does, so that ten thousand one-shots
leave no ten thousand files); whoever gets the lock therefore checks that the file it holds is still
the one at the path, and tries again where it is not.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gitrelay.errors import Busy, Code

if sys.platform == "win32":  # pragma: no cover - kept working, not tested here
    import msvcrt

    def _try_lock(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Lock:
    """An exclusive lock on `path`. Not reentrant; released by `release` or by the end of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free. Raises OSError where the file cannot be made."""
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not _try_lock(fd):
                os.close(fd)
                return False
            try:
                still_there = os.path.samestat(os.fstat(fd), os.stat(self.path))
            except FileNotFoundError:
                still_there = False
            if still_there:
                self._fd = fd
                return True
            os.close(fd)

    def acquire(self, limit: float, *, waiting: Callable[[], None] | None = None, what: str = "") -> None:
        """Take the lock within `limit` seconds, else raise Busy. `waiting` is called once when it is not free."""
        deadline = time.monotonic() + limit
        pause = 0.001
        told = False
        while not self.try_acquire():
            if time.monotonic() >= deadline:
                raise Busy(
                    f"{what or self.path} is locked by another process for more than {limit:g} s",
                    hint="try again; 'git relay status' shows what runs",
                    code=Code.LOCKED,
                )
            if waiting and not told:
                waiting()
                told = True
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)

    def release(self, *, remove: bool = True) -> None:
        if self._fd is None:
            return
        if remove:
            with contextlib.suppress(OSError):
                self.path.unlink()
        os.close(self._fd)
        self._fd = None

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """Whether a live process holds the lock at `path`. The look itself takes nothing away from anybody."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(fd)
    finally:
        os.close(fd)
