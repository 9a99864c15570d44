"""Lines that an exchange added, that were gone since and came back. Pure, no I/O.

If a commit holds such a line before the one that git names, then somebody has put it in again: the whole, as the revert
of a revert does, or something else that has a few lines in common with it. Only of a whole it is told who wrote it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence, Set
from itertools import pairwise
from typing import Final

from gitrelay.provenance.lines.additions import EDGE, Row, brief
from gitrelay.provenance.lines.evidence import Match, Place
from gitrelay.provenance.lines.matching import Search

_WHOLE: Final = 0.75  # of the lines that the exchange added next to each other
_WORD: Final = 4  # word characters; shorter lines are not counted
At = tuple[str, bytes]  # a commit, and the path of a file in it


def to_look_at(search: Search, commits: Sequence[str], log: Sequence[tuple[int, str]]) -> dict[Place, tuple[At, At]]:
    """Where an added line that was given may have been before, and where it is: to be compared.

    That is the first commit after its exchange, and the one that git names for the line, of `commits`: '' for what is
    not committed. `log` are all that touched the file, (time, commit), the oldest first. Missing are the lines that
    came with that first commit.
    """
    times = [time for time, _ in log]
    found = {}
    for i, places in search.held.items():
        for place in places:
            first = bisect_left(times, search.sources[place.source].begin)
            if first < len(log) and log[first][1] != commits[i]:
                found[place] = (log[first][1], place.path), (commits[i], search.lines[i].path)
    return found


def without_pieces(
    search: Search, compared: Mapping[Place, tuple[At, At]], versions: Mapping[At, Sequence[bytes]]
) -> dict[int, Match | None]:
    """The lines that are told in another way, None if nobody is named any more.

    `compared` is what `to_look_at` gave, `versions` the lines of these files; one that is missing was not read.
    """
    keys = {at: [brief(line).key for line in _ended(lines)] for at, lines in versions.items()}
    pairs = {at: frozenset(pairwise([EDGE, *some, EDGE])) for at, some in keys.items()}
    all_ = {at: frozenset(some) for at, some in keys.items()}
    now = frozenset(line.text.key for line in search.lines)
    whole: dict[tuple[Place, At], bool] = {}
    changed: dict[int, Match | None] = {}
    for i, places in search.held.items():
        left = []
        for place in places:
            if place not in compared:
                left.append(place)
                continue
            before, at = compared[place]
            was_there = _is_in(search.row(place), pairs.get(before, frozenset()))
            if not was_there or _is_whole(search, place, at, all_.get(at, now), whole):
                left.append(place)
        if len(left) < len(places):
            match = search.found[i]
            sources = tuple(place.source for place in left)
            changed[i] = match._replace(sources=sources, overlap=match.overlap and len(left) > 1) if left else None
    return changed


def _ended(lines: Sequence[bytes]) -> Sequence[bytes]:
    return lines[:-1] if lines and not lines[-1] else lines


def _is_in(row: Row, pairs: frozenset[tuple[int, int]]) -> bool:
    """Whether an added line is in a file next to a line that it was added next to."""
    return (row.before, row.text.key) in pairs or (row.text.key, row.behind) in pairs


def _is_whole(search: Search, place: Place, at: At, keys: Set[int], known: dict[tuple[Place, At], bool]) -> bool:
    """Whether most of what was added next to a line is in the file `at`, too, which has these `keys`."""
    rows = search.sources[place.source].added.files[place.path]
    first, last = _block(rows, place.at)
    key = place._replace(at=first), at
    if key not in known:
        counted = [row for row in rows[first : last + 1] if row.text.words >= _WORD]
        known[key] = sum(row.text.key in keys for row in counted) >= _WHOLE * len(counted)
    return known[key]


def _block(rows: Sequence[Row], at: int) -> tuple[int, int]:
    """The first and the last of the rows around `at` that are next to each other."""
    first = last = at
    while first > 0 and rows[first - 1].number + 1 == rows[first].number:
        first -= 1
    while last + 1 < len(rows) and rows[last].number + 1 == rows[last + 1].number:
        last += 1
    return first, last
