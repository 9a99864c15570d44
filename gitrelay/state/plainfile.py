"""Reading a message file that somebody else wrote: a plain file or nothing. It may be anything."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gitrelay.protocol.frontmatter import MAX_BYTES, BadMessage


def read(path: Path, what: str = "the reply") -> bytes | None:
    """The bytes of a plain file of at most MAX_BYTES, None if there is nothing.

    Links are not followed, FIFOs and devices not opened, a file that others have a name for not read. Raises
    BadMessage, which says what is there instead; `what` is the file's name in those words.
    """
    try:
        info = path.lstat()
        if not stat.S_ISREG(info.st_mode):
            raise BadMessage(1, f"{_kind(info.st_mode)} is where {what} belongs")
        if info.st_nlink != 1:
            raise BadMessage(1, f"a hard link is where {what} belongs")
        if info.st_size > MAX_BYTES:
            raise BadMessage(1, f"{what} has {info.st_size} bytes; a message has at most {MAX_BYTES}")
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(fd, "rb") as f:
            if not os.path.samestat(os.fstat(fd), info):
                raise BadMessage(1, f"{what} was replaced while it was being read")
            return f.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        raise BadMessage(1, f"{what} cannot be read: {e.strerror}") from e


def _kind(mode: int) -> str:
    for test, word in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return word
    return "a device"
