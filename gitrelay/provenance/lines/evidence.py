"""The values that the matcher takes and gives: exchanges, lines, who may have written one. No I/O."""

from __future__ import annotations

from typing import NamedTuple

from gitrelay.ground.value import dataclass
from gitrelay.provenance.lines.additions import Additions, Text


@dataclass(frozen=True)
class Source:
    """An exchange as the matcher sees it. Times are seconds since the epoch.

    What it added can be in a commit from `begin` on. `applied` is when it was first applied, None if it never was;
    `aside`: it worked in a tree of its own. `shared` are the places, in the list of sources, of those that could
    write in the same tree.
    """

    begin: int
    answered: int
    added: Additions
    applied: int | None = None
    aside: bool = False
    shared: frozenset[int] = frozenset()


class Line(NamedTuple):
    """A line of the file; its `text` has no length and no hash.

    `before` and `behind` are keys of the lines around it, in its commit if that is known. `time` is that of its
    commit, None if it is not committed; `path` is its path there.
    """

    text: Text
    data: bytes
    time: int | None
    path: bytes
    before: int
    behind: int


class Match(NamedTuple):
    """The exchanges that may have written a line, by their places in the list of sources: one, or several.

    Of several that `overlap` in time in one tree the first is the one that was answered first. `reflowed`: the line
    was split or joined since.
    """

    sources: tuple[int, ...]
    overlap: bool = False
    reflowed: bool = False


class Place(NamedTuple):
    """Where a line was added: by which source, to which file, and the row there."""

    source: int
    path: bytes
    at: int
