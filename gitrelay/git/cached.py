"""What git's index knows of files without reading them: the stat data and the object of each, gitformat-index(5).

Read here because a question to git would read and hash what may have changed, and would still have to be parsed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

_STAT: Final = struct.Struct(">4I4xI12xI")  # ctime, its ns, mtime, its ns, (dev), ino, (mode, uid, gid), size
_EXTENDED: Final = 0x4000  # a flag: two bytes of flags follow
_STAGE: Final = 0x3000
_LENGTH: Final = 0x0FFF
_FRESH: Final = 1  # seconds; a file as young as that when the index was written may have changed unseen
_SECOND: Final = 1_000_000_000  # ns
_BITS: Final = 0xFFFFFFFF  # of each number, as git keeps it


class Known(NamedTuple):
    """A file as it was when git last saw it hold the object `oid`: its ctime and mtime with their ns, inode, size."""

    stat: tuple[int, ...]
    oid: str

    def is_same(self, info: os.stat_result) -> bool:
        """Whether the file that `info` is of has not been touched since; False if that is not certain."""
        changed, changed_ns, modified, modified_ns, inode, size = self.stat
        at = info.st_ctime_ns
        if at % _SECOND != changed_ns or at // _SECOND & _BITS != changed:
            return False
        at = info.st_mtime_ns
        if at % _SECOND != modified_ns or at // _SECOND & _BITS != modified:
            return False
        return info.st_ino & _BITS == inode and info.st_size & _BITS == size


def read(index: Path, oid_size: int) -> Mapping[str, Known]:
    """The files of an index by name, `oid_size` bytes an object id; those that changed just before it was written are
    missing. Empty for an index that is not there, of another form (version 4), or damaged.
    """
    try:
        with index.open("rb") as f:
            written = int(os.fstat(f.fileno()).st_mtime)
            data = f.read()
        return _entries(data, oid_size, written)
    except (OSError, struct.error, IndexError, ValueError):
        return {}


def _entries(data: bytes, oid_size: int, written: int) -> dict[str, Known]:
    magic, version, count = struct.unpack_from(">4sII", data)
    if magic != b"DIRC" or version not in (2, 3):
        return {}
    found = {}
    stat_of, stat_size = _STAT.unpack_from, _STAT.size
    head = stat_size + oid_size + 2
    stale = written - _FRESH
    at = 12
    for _ in range(count):
        numbers = stat_of(data, at)
        flags = data[at + head - 2] << 8 | data[at + head - 1]
        begin = at + head + (2 if flags & _EXTENDED else 0)
        end = begin + (flags & _LENGTH)
        if flags & _LENGTH == _LENGTH:
            end = data.index(b"\0", begin)
        if not flags & (_STAGE | _EXTENDED) and numbers[0] < stale and numbers[2] < stale:
            name = data[begin:end].decode("utf-8", "surrogateescape")
            found[name] = Known(numbers, data[at + stat_size : at + head - 2].hex())
        at += (end - at + 8) // 8 * 8
    return found
