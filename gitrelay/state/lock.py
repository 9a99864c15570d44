"""Locks that a crash releases: flock on a file, taken without blocking first, then with a limit.

The file may be removed while somebody waits for it (`release` does, so that ten thousand one-shots
leave no ten thousand files). So who gets the lock checks that the file it holds is still the one at the
path, and tries again if it is not.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gitrelay.errors import Busy, CannotRecord, Code
from gitrelay.ground.text import quote_path
from gitrelay.state.files import share_as_parent

# what a file system without flock says
_NO_LOCKS: Final = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}

if sys.platform == "win32":  # pragma: no cover - kept working, not tested here
    import msvcrt

    def _flock(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _flock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _try_lock(fd: int, path: Path) -> bool:
    try:
        return _flock(fd)
    except OSError as e:
        if e.errno not in _NO_LOCKS:
            raise
        raise CannotRecord(
            f"{quote_path(path)} cannot be locked: {e.strerror}",
            hint="this file system has no flock: put the repository on a local disk, or mount it with locks",
            code=Code.NO_LOCKS,
        ) from None


class Lock:
    """An exclusive lock on `path`. Not reentrant; released by `release` or by the end of the process.

    `make` makes the folder of `path` again if somebody has deleted it.
    """

    def __init__(self, path: Path, make: Callable[[], None] | None = None) -> None:
        self.path = path
        self._make = make
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free. Raises OSError if the file cannot be made, CannotRecord without flock."""
        while True:
            fd = self._open()
            try:
                taken = _try_lock(fd, self.path)
                still_there = taken and self._is_at_path(fd)
            except BaseException:
                os.close(fd)
                raise
            if still_there:
                self._fd = fd
                return True
            os.close(fd)
            if not taken:
                return False

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        try:
            fd = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            if self._make is None:
                raise
            self._make()
            fd = os.open(self.path, flags, 0o600)
        share_as_parent(self.path)
        return fd

    def _is_at_path(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.lstat(self.path))
        except FileNotFoundError:
            return False

    @property
    def is_lost(self) -> bool:
        """Whether the file of a lock that is held is gone from its path, so that others could take it."""
        return self._fd is not None and not self._is_at_path(self._fd)

    def acquire(self, limit: float, what: str = "") -> None:
        """Take the lock within `limit` seconds. Raises Busy, whose message names `what`."""
        deadline = time.monotonic() + limit
        pause = 0.001
        while not self.try_acquire():
            if time.monotonic() >= deadline:
                raise Busy(
                    f"{what or self.path} is locked by another process for more than {limit:g} s",
                    hint="try again; 'git relay status' shows what runs",
                    code=Code.LOCKED,
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)

    def note(self, text: str) -> None:
        """Write `text` into the file of a lock that is held."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text.encode(), 0)

    def replace(self, other: Lock, path: Path) -> None:
        """Hold what `other` holds in place of a file that was deleted; it has been renamed to `path`."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self.path = other._fd, path
        other._fd = None

    def release(self, *, remove: bool = True) -> None:
        if self._fd is None:
            return
        if remove and self._is_at_path(self._fd):
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
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:
        return True  # another user's; only its owner can tell
    try:
        return not _try_lock(fd, path)
    finally:
        os.close(fd)


def excludes(folder: Path) -> bool:
    """Whether a lock in `folder` keeps a second one out; some file systems grant both."""
    path = folder / f".probe.{os.getpid()}"
    with Lock(path) as lock:
        return lock.try_acquire() and is_held(path)
