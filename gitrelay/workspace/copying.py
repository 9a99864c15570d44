"""The caller's files, copied byte for byte: modes, links, times kept; no filter run; no link followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import field
from pathlib import Path
from typing import Final

from gitrelay.ground.value import dataclass

_CHUNK: Final = 64 * 1024 * 1024
# what copy_file_range answers if the two file systems, or this kernel, cannot do it
_CANNOT: Final = (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


@dataclass()
class Copied:
    """What was copied: for each path the caller's `lstat` and the copy's. `folders` hold a repository of their own."""

    stats: dict[bytes, tuple[os.stat_result, os.stat_result]] = field(default_factory=dict)
    folders: list[bytes] = field(default_factory=list)
    left_out: dict[bytes, str] = field(default_factory=dict)


def copy(names: Iterable[bytes], top: Path, place: Path) -> Copied:
    """Copy `names` (relative to `top`, as git lists them) to `place`, which holds none of them. Raises OSError.

    What is no file, link or folder (a socket, a device) is left out and named, and so is a file that cannot be read. A
    full disk is an error.
    """
    copied = Copied()
    parents = _Parents(os.fsencode(top), os.fsencode(place))
    for name in names:
        if name.endswith(b"/"):  # git lists an untracked repository so
            copied.folders.append(name.rstrip(b"/"))
            continue
        if not parents.ready(name):
            continue  # the path leads through a link or a file now: the tracked file is gone
        source, target = parents.top + b"/" + name, parents.place + b"/" + name
        try:
            there = os.lstat(source)
        except OSError:
            continue  # deleted in the working tree
        if stat.S_ISDIR(there.st_mode):
            copied.folders.append(name)
        elif stat.S_ISLNK(there.st_mode):
            os.symlink(os.readlink(source), target)
            os.utime(target, ns=(there.st_atime_ns, there.st_mtime_ns), follow_symlinks=False)
            copied.stats[name] = there, os.lstat(target)
        elif stat.S_ISREG(there.st_mode):
            _copy_file(name, source, target, copied)
        else:
            copied.left_out[name] = "it is no file"
    return copied


class _Parents:
    """Makes the folders of the copies, and knows which of the caller's are real ones."""

    def __init__(self, top: bytes, place: bytes) -> None:
        self.top = top
        self.place = place
        self._known: dict[bytes, bool] = {b"": True}

    def ready(self, name: bytes) -> bool:
        """Whether every folder of `name` is a real folder of the caller's; then the copy has it too."""
        return self._folder(name.rpartition(b"/")[0])

    def _folder(self, name: bytes) -> bool:
        known = self._known.get(name)
        if known is None:
            known = self._folder(name.rpartition(b"/")[0])
            if known:
                try:
                    there = os.lstat(self.top + b"/" + name)
                    known = stat.S_ISDIR(there.st_mode)
                except OSError:
                    known = False
                if known:
                    known = _made(self.place + b"/" + name, stat.S_IMODE(there.st_mode) | stat.S_IRWXU)
            self._known[name] = known
        return known


def _made(folder: bytes, mode: int) -> bool:
    """Whether the copy has the folder now; a file or a link of its own may have the name."""
    try:
        os.mkdir(folder, mode)
    except FileExistsError:
        return stat.S_ISDIR(os.lstat(folder).st_mode)
    return True


def _copy_file(name: bytes, source: bytes, target: bytes, copied: Copied) -> None:
    try:
        fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        if e.errno != errno.ENOENT:
            copied.left_out[name] = os.strerror(e.errno or 0)
        return
    try:
        there = os.fstat(fd)
        if not stat.S_ISREG(there.st_mode):
            copied.left_out[name] = "it is no file"
            return
        out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _bytes(fd, out)
            os.fchmod(out, stat.S_IMODE(there.st_mode) & 0o777)
            os.utime(out, ns=(there.st_atime_ns, there.st_mtime_ns))
            copied.stats[name] = there, os.fstat(out)
        finally:
            os.close(out)
    finally:
        os.close(fd)


def _bytes(source: int, target: int) -> None:
    """Copy a file's bytes. `copy_file_range` makes a reflink by itself if the file system has them."""
    try:
        while os.copy_file_range(source, target, _CHUNK):
            pass
        return
    except AttributeError:
        pass  # not on this system
    except OSError as e:
        if e.errno not in _CANNOT:
            raise
        os.lseek(source, 0, os.SEEK_SET)
        os.lseek(target, 0, os.SEEK_SET)
        os.ftruncate(target, 0)
    while data := os.read(source, 1 << 20):
        view = memoryview(data)
        while view:
            view = view[os.write(target, view) :]
