"""Objects, tree entries and worktrees, as git tells of them."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final, NamedTuple

from gitrelay.ground.value import dataclass

FILE_MODE: Final = "100644"
_FILE: Final = FILE_MODE.encode()


def split_tree(data: bytes, width: int) -> list[tuple[bytes, bytes]]:
    """A raw tree -> (name, raw entry) of each. Raises ValueError if it is not a tree."""
    found = []
    at = 0
    while at < len(data):
        nul = data.index(b"\0", at)
        name = data[data.index(b" ", at, nul) + 1 : nul]
        end = nul + 1 + width
        if end > len(data):
            raise ValueError("cut short")
        found.append((name, data[at:end]))
        at = end
    return found


@dataclass(frozen=True)
class Object:
    """One object out of the database: `kind` is blob, tree, commit or tag."""

    oid: str
    kind: str
    data: bytes


class TreeEntry(NamedTuple):  # a session of 2,000 turns has 4,000, and a call makes each twice
    mode: str
    name: str
    oid: str


@dataclass(frozen=True)
class Worktree:
    """A line of `git worktree list`. `branch` is a full ref name, None if HEAD is detached."""

    path: Path
    branch: str | None
    prunable: bool


@functools.cache
def _entry(width: int) -> re.Pattern[bytes]:
    return re.compile(rb"([0-7]+) ([^\0]+)\0(.{%d})" % width, re.DOTALL)


def tree_entries(data: bytes, width: int) -> list[TreeEntry]:
    """A raw tree object, whose object ids have `width` bytes -> its entries. Names are bytes to git; ours are ASCII.

    Raises ValueError if it is not a tree.
    """
    found = _entry(width).findall(data)
    if sum(len(mode) + len(name) for mode, name, _ in found) + len(found) * (width + 2) != len(data):
        raise ValueError("not a tree")
    return [
        TreeEntry(
            FILE_MODE if mode == _FILE else mode.decode(),
            name.decode("utf-8", "surrogateescape"),
            oid.hex(),
        )
        for mode, name, oid in found
    ]
