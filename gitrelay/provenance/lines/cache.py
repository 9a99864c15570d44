"""What each pair of trees differs in, kept in `.git/relay/added`: it never changes, and git needs a second for 500.

The file is one JSON value with a format version, and holds hashes and paths, no text. What cannot be read, or is of
another version, is computed again; the file may be deleted at any time.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gitrelay.provenance.lines.additions import Additions, Row, Text
from gitrelay.state.files import make_folder, write_whole

FILE: Final = "added"
_VERSION: Final = 2
_MOST: Final = 256 << 20  # bytes, unpacked; a larger file is none of ours
_OID: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
Pair = tuple[str, str]


def read(folder: Path) -> dict[Pair, Additions]:
    """What is kept in `folder`, the state's; nothing if that cannot be read. Never fails."""
    try:
        path = folder / FILE
        if path.is_symlink() or folder.is_symlink():
            return {}
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(path.read_bytes(), _MOST)
        value = json.loads(data) if unpacking.eof else None
        if not isinstance(value, dict) or value.get("version") != _VERSION:
            return {}
        return {_pair(key): _additions(one) for key, one in value["pairs"].items()}
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, zlib.error):
        return {}


def write(folder: Path, kept: Mapping[Pair, Additions]) -> None:
    """Keep this and nothing else. What cannot be written is not kept: the next time takes longer. Never fails."""
    value = {"version": _VERSION, "pairs": {" ".join(pair): _plain(one) for pair, one in kept.items()}}
    try:
        if folder.is_symlink():
            return
        make_folder(folder)
        write_whole(folder / FILE, zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1))
    except OSError:
        return


def _plain(one: Additions) -> list[object]:
    files = {
        path.decode("utf-8", "surrogateescape"): [[*row[:4], *row.text] for row in rows]
        for path, rows in one.files.items()
    }
    return [files, {str(key): limit for key, limit in one.limits.items()}, int(one.cut), sorted(one.gone)]


def _pair(key: str) -> Pair:
    before, _, after = key.partition(" ")
    if not (_OID.fullmatch(before) and _OID.fullmatch(after)):
        raise ValueError(key)
    return before, after


def _additions(value: list[object]) -> Additions:
    """Raises ValueError, TypeError or AttributeError for what `_plain` does not give."""
    files, limits, cut, gone = value
    if not isinstance(files, dict) or not isinstance(limits, dict):
        raise TypeError("not what was written")
    rows = {path.encode("utf-8", "surrogateescape"): [_row(*one) for one in found] for path, found in files.items()}
    if not isinstance(gone, list) or not all(type(number) is int for number in [*limits.values(), *gone]):
        raise TypeError("not a number")
    return Additions(rows, {int(key): limit for key, limit in limits.items()}, cut == 1, frozenset(gone))


def _row(
    number: int, before: int, behind: int, twin: int, key: int, whole: int, words: int, size: int, joined: int
) -> Row:
    for value in (number, before, behind, key, whole, words, size, joined):
        if type(value) is not int or value < 0:
            raise TypeError("not a number")
    if type(twin) is not int:
        raise TypeError("not a number")
    return Row(number, before, behind, twin, Text(key, whole, words, size, joined))
