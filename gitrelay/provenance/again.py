"""Lines that an exchange added, that were gone since and came back. Pure, no I/O.

If a commit holds such a line before the one that git names, then somebody has put it in again: the whole, as the revert
of a revert does, or something else that has a few lines in common with it. Only of a whole it is told who wrote it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from gitrelay.provenance.additions import EDGE, Row, brief
from gitrelay.provenance.evidence import Match, Place
from gitrelay.provenance.matching import Search

_WHOLE: Final = 0.75  # of the lines that the exchange added next to each other, in the same commit
_WORD: Final = 4  # word characters; shorter lines are not counted
At = tuple[str, bytes]  # a commit, and the path of a file in it


def to_look_at(search: Search, commits: Sequence[str], log: Sequence[tuple[int, str]]) -> dict[Place, At]:
    """Where an added line that was given may have been before: in the first commit after its exchange.

    `commits` are those that git names for the lines, '' for what is not committed; `log` are all that touched the file,
    (time, commit), the oldest first. Missing are those that came with that first commit.
    """
    times = [time for time, _ in log]
    found = {}
    for i, places in search.held.items():
        for place in places:
            first = bisect_left(times, search.sources[place.source].begin)
            if first < len(log) and log[first][1] != commits[i]:
                found[place] = log[first][1], place.path
    return found


def without_pieces(
    search: Search, commits: Sequence[str], earlier: Mapping[Place, At], versions: Mapping[At, Sequence[bytes]]
) -> dict[int, Match | None]:
    """The lines that are told in another way, None if nobody is named any more.

    `earlier` is what `to_look_at` gave, `versions` the lines of these files.
    """
    pairs = {at: _pairs(lines) for at, lines in versions.items()}
    given = {place: commits[i] for i, places in search.held.items() for place in places}
    whole: dict[tuple[Place, str], bool] = {}
    changed: dict[int, Match | None] = {}
    for i, places in search.held.items():
        left = []
        for place in places:
            row = search.row(place)
            there = pairs.get(earlier[place], frozenset()) if place in earlier else frozenset()
            was_there = (row.before, row.text.key) in there or (row.text.key, row.behind) in there
            if not was_there or _is_whole(search, place, commits[i], given, whole):
                left.append(place)
        if len(left) < len(places):
            match = search.found[i]
            sources = tuple(place.source for place in left)
            changed[i] = match._replace(sources=sources, overlap=match.overlap and len(left) > 1) if left else None
    return changed


def _pairs(lines: Sequence[bytes]) -> frozenset[tuple[int, int]]:
    """The keys of each two lines that follow each other."""
    some = lines[:-1] if lines and not lines[-1] else lines
    return frozenset(pairwise([EDGE, *(brief(line).key for line in some), EDGE]))


def _is_whole(
    search: Search,
    place: Place,
    commit: str,
    given: Mapping[Place, str],
    known: dict[tuple[Place, str], bool],
) -> bool:
    """Whether most of what was added next to a line came with the same commit."""
    rows = search.sources[place.source].added.files[place.path]
    first, last = _block(rows, place.at)
    key = place._replace(at=first), commit
    if key not in known:
        counted = [at for at in range(first, last + 1) if rows[at].text.words >= _WORD]
        same = sum(1 for at in counted if given.get(place._replace(at=at)) == commit)
        known[key] = same >= _WHOLE * len(counted)
    return known[key]


def _block(rows: Sequence[Row], at: int) -> tuple[int, int]:
    """The first and the last of the rows around `at` that are next to each other."""
    first = last = at
    while first > 0 and rows[first - 1].number + 1 == rows[first].number:
        first -= 1
    while last + 1 < len(rows) and rows[last].number + 1 == rows[last + 1].number:
        last += 1
    return first, last
