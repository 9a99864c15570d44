"""The caller's index for a workspace: the same entries, with the times and inodes of the copies.

Without that, the first `git status` of the peer would hash every file again. Only an entry that was clean in the
caller's tree gets the copy's data: what was changed there must look changed here. Format: gitformat-index(5).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Callable, Mapping
from typing import Final

_STAT: Final = struct.Struct(">10I")  # ctime s, ns, mtime s, ns, dev, ino, mode, uid, gid, size
_HEAD: Final = struct.Struct(">4sII")
_MODE: Final = 6
_EXTENDED: Final = 0x4000
_KEPT: Final = (b"TREE", b"REUC")
_WIDE: Final = 0xFFFFFFFF


class Unknown(ValueError):
    """An index in a form that is not rewritten here: version 4, split, sparse, or damaged."""


def restated(
    data: bytes,
    stats: Mapping[bytes, tuple[os.stat_result, os.stat_result]],
    object_format: str,
    written: float | None = None,
) -> bytes:
    """The index `data`, last written at `written` (seconds), with the stat data of the copies. Raises Unknown.

    `stats` are path -> (the caller's file, the copy). Without `written` every copy has the bytes that its entry names.
    """
    width = _width(object_format)

    def put(out: bytearray, at: int, name: bytes) -> None:
        found = stats.get(name)
        if found is None:
            return
        fields = _STAT.unpack_from(out, at)
        there, copy = found
        if written is None or (_same(fields, there) and fields[2] < int(written)):
            _STAT.pack_into(out, at, *_fields(copy, fields[_MODE]))
        else:
            _forget(out, at)

    return _rewritten(data, object_format, width, put)


def unsettled(data: bytes, object_format: str, second: int, most: int) -> bytes | None:
    """The index `data` in which git has to read every file again that was made in `second` or later.

    None if they are more than `most`. Raises Unknown.
    """
    width = _width(object_format)
    count = 0

    def put(out: bytearray, at: int, name: bytes) -> None:
        nonlocal count
        if int.from_bytes(out[at : at + 4], "big") >= second & _WIDE:
            count += 1
            _forget(out, at)

    out = _rewritten(data, object_format, width, put)
    return out if count <= most else None


def _width(object_format: str) -> int:
    return 20 if object_format == "sha1" else 32


def _forget(out: bytearray, at: int) -> None:
    """Let the entry say nothing of how its file was; git reads it then."""
    fields = _STAT.unpack_from(out, at)
    _STAT.pack_into(out, at, 0, 0, 0, 0, 0, 0, fields[_MODE], 0, 0, fields[9])


def _rewritten(data: bytes, object_format: str, width: int, put: Callable[[bytearray, int, bytes], None]) -> bytes:
    """The index `data` after `put(index, where an entry begins, its path)` for each entry. Raises Unknown."""
    if len(data) < _HEAD.size + width:
        raise Unknown("too short")
    signature, version, count = _HEAD.unpack_from(data)
    if signature != b"DIRC" or version not in (2, 3):
        raise Unknown(f"version {version}")
    out = bytearray(data[: len(data) - width])
    at = _HEAD.size
    try:
        for _ in range(count):
            (flags,) = struct.unpack_from(">H", out, at + _STAT.size + width)
            name_at = at + _STAT.size + width + (4 if flags & _EXTENDED else 2)
            end = out.index(b"\0", name_at)
            put(out, at, bytes(out[name_at:end]))
            at += ((end - at) // 8 + 1) * 8
    except (struct.error, ValueError) as e:
        raise Unknown(str(e)) from None
    body = out[:at] + _extensions(bytes(out[at:]))
    return bytes(body) + hashlib.new(object_format, body).digest()


def extent(data: bytes, object_format: str) -> tuple[int, int]:
    """(how many entries the index `data` has, how many bytes their files had when git last looked).

    Both are 0 for what is no index; the bytes are those of the entries that can be read.
    """
    width, size, at = _width(object_format), 0, _HEAD.size
    if len(data) < _HEAD.size or data[:4] != b"DIRC":
        return 0, 0
    _, version, count = _HEAD.unpack_from(data)
    with contextlib.suppress(struct.error, ValueError, IndexError):
        for _ in range(count):
            size += int.from_bytes(data[at + _STAT.size - 4 : at + _STAT.size], "big")
            name_at = at + _STAT.size + width + 2
            if data[name_at - 2] & _EXTENDED >> 8:
                name_at += 2
            if version == 4:  # the name begins with how much of the one before it is dropped
                while data[name_at] & 0x80:
                    name_at += 1
                at = data.index(b"\0", name_at + 1) + 1
            else:
                at += ((data.index(b"\0", name_at) - at) // 8 + 1) * 8
    return count, size


def _same(fields: tuple[int, ...], there: os.stat_result) -> bool:
    """Whether the entry was clean: its data is that of the caller's file, in whole seconds as git compares."""
    wanted = _fields(there, fields[_MODE])
    return all(fields[i] == wanted[i] for i in (0, 2, 4, 5, 7, 8, 9))


def _fields(s: os.stat_result, mode: int) -> tuple[int, ...]:
    second = 1_000_000_000
    return (
        (s.st_ctime_ns // second) & _WIDE,
        s.st_ctime_ns % second,
        (s.st_mtime_ns // second) & _WIDE,
        s.st_mtime_ns % second,
        s.st_dev & _WIDE,
        s.st_ino & _WIDE,
        mode,
        s.st_uid & _WIDE,
        s.st_gid & _WIDE,
        s.st_size & _WIDE,
    )


def _extensions(data: bytes) -> bytes:
    """The extensions that still hold in the copy. Raises Unknown for one that the entries cannot be read without."""
    kept = b""
    at = 0
    while at + 8 <= len(data):
        name = data[at : at + 4]
        (size,) = struct.unpack_from(">I", data, at + 4)
        if name[:1].islower():  # git itself refuses an index with an unknown one: link, sdir
            raise Unknown(f"extension {name!r}")
        if name in _KEPT:
            kept += data[at : at + 8 + size]
        at += 8 + size
    return kept
