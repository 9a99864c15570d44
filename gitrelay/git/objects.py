"""Objects, tree entries and worktrees, as git tells of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from gitrelay.ground.value import dataclass

FILE_MODE: Final = "100644"


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


def tree_entries(data: bytes, width: int) -> list[TreeEntry]:
    """A raw tree object, whose object ids have `width` bytes -> its entries. Names are bytes to git; ours are ASCII."""
    entries = []
    at = 0
    while at < len(data):
        space = data.index(b" ", at)
        nul = data.index(b"\0", space)
        oid = data[nul + 1 : nul + 1 + width].hex()
        name = data[space + 1 : nul].decode("utf-8", "surrogateescape")
        entries.append(TreeEntry(data[at:space].decode(), name, oid))
        at = nul + 1 + width
    return entries
