"""Which exchange wrote a line: its text is held against what each exchange added. Pure, no I/O.

A gap, never a guess. The rules, in their order; each one takes away a kind of error:

1. Only what an exchange added counts, less what it removed in the same exchange: moved is not written.
2. The exchange must have been answered when the commit was made that brought the line; it can make commits itself.
3. Lines that occur once in the file come first. In another file a line counts only with its neighbours.
4. From a line that is known the next one belongs to the same exchange if it added that next to it. So `}` is found.
5. Then lines that occur more than once, the one with most equal neighbours first; each added line is given once.
6. Of several exchanges with the same text none is picked: all are named. How many that are is the confidence.
7. A line that a formatter split or joined is found by the text of the whole.
8. What was gone since and came back is told only of a whole block: see `again`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import field
from typing import Final

from gitrelay.ground.value import dataclass
from gitrelay.provenance.lines.additions import EDGE, Row
from gitrelay.provenance.lines.evidence import Line, Match, Place, Source
from gitrelay.provenance.lines.reflow import reflowed

_WORD: Final = 4  # word characters; a line with fewer (`}`, `try:`) says nothing alone
_PLAIN: Final = 12  # word characters; of a line with fewer git may blame an older commit that had the same line
_TELLING: Final = 12  # word characters; a line with as many is known by itself in its own file
_ELSEWHERE: Final = 30  # word characters that lines next to each other must have together in another file
_CROWD: Final = 400  # places where a line was added; one that is everywhere is known by its neighbours alone


@dataclass()
class Search:
    """What is known while one file is searched."""

    lines: Sequence[Line]
    sources: Sequence[Source]
    paths: frozenset[bytes]
    words: dict[int, int] = field(default_factory=dict)
    places: dict[int, list[Place]] = field(default_factory=dict)
    beside: dict[tuple[int, bool, int], list[Place]] = field(default_factory=dict)
    given: set[Place] = field(default_factory=set)
    used: Counter[tuple[int, int]] = field(default_factory=Counter)
    found: dict[int, Match] = field(default_factory=dict)
    held: dict[int, tuple[Place, ...]] = field(default_factory=dict)

    def row(self, place: Place) -> Row:
        return self.sources[place.source].added.files[place.path][place.at]

    def is_free(self, place: Place) -> bool:
        """Whether an added line was given to no line yet, and its exchange wrote that many of it."""
        key = self.row(place).text.key
        limit = self.sources[place.source].added.limits.get(key)
        return place not in self.given and (limit is None or self.used[place.source, key] < limit)

    def has_twin(self, at: int, place: Place) -> bool:
        """Whether the line that may be meant as well is still there; only then it does not matter which one it is."""
        row = self.row(place)
        other = at + row.twin
        return not row.twin or (0 <= other < len(self.lines) and self.lines[other].text.key == row.text.key)

    def was_here(self, line: Line, place: Place) -> bool:
        """Whether what the exchange did came into this tree: it worked in it, or was applied."""
        source = self.sources[place.source]
        applied = source.applied
        return not source.aside or (applied is not None and (line.time is None or applied <= line.time))

    def is_beside(self, at: int, place: Place) -> bool:
        """Whether a neighbour of the added line is one of line `at` in the file as it is now."""
        row = self.row(place)
        before = self.lines[at - 1].text.key if at else EDGE
        behind = self.lines[at + 1].text.key if at + 1 < len(self.lines) else EDGE
        return row.before == before or row.behind == behind

    def is_in_time(self, line: Line, place: Place) -> bool:
        return line.time is None or self.sources[place.source].begin <= line.time

    def near(self, line: Line, place: Place) -> tuple[int, int]:
        """(how many of the two neighbours are equal, how many word characters those have)."""
        row = self.row(place)
        count = words = 0
        if line.before == row.before:
            count, words = 1, self.words.get(row.before, 0)
        if line.behind == row.behind:
            count, words = count + 1, words + self.words.get(row.behind, 0)
        return count, words

    def give(self, at: int, places: Sequence[Place], *, overlap: bool = False) -> None:
        """Line `at` was written by the exchanges of `places`."""
        for place in places:
            self.given.add(place)
            self.used[place.source, self.row(place).text.key] += 1
        self.held[at] = tuple(places)
        self.found[at] = Match(tuple(place.source for place in places), overlap)


def match(
    lines: Sequence[Line], sources: Sequence[Source], paths: frozenset[bytes], staying: Mapping[bytes, Set[int]]
) -> dict[int, Match]:
    """The place of a line in `lines` -> who may have written it; lines that no exchange wrote are missing."""
    return searched(lines, sources, paths, staying).found


def searched(
    lines: Sequence[Line], sources: Sequence[Source], paths: frozenset[bytes], staying: Mapping[bytes, Set[int]]
) -> Search:
    """Who may have written each line, and where it was added.

    `paths` are the paths that the file has had; `staying`: of other files the keys that they hold now.
    """
    search = Search(lines, sources, paths)
    keys = {line.text.key for line in lines}
    search.words = {line.text.key: line.text.words for line in lines} | {EDGE: 0}
    search.places = _places(sources, keys, paths, staying)
    search.beside = _beside(search)
    counts = Counter(line.text.key for line in lines)
    once = [i for i, line in enumerate(lines) if counts[line.text.key] == 1 and line.text.words >= _WORD]
    for i in once:
        places = _anchor(search, i)
        if places:
            _settle(search, i, places)
    for exact in (True, False):  # or `}` of one exchange is given to the one that wrote `    }` next to it
        for i in list(search.held):
            _run(search, i, exact=exact)
    _repeated(search, counts)
    _short(search)
    search.found |= reflowed(lines, sources, search.found, search.given, paths)
    return search


def _places(
    sources: Sequence[Source], keys: Set[int], paths: Set[bytes], staying: Mapping[bytes, Set[int]]
) -> dict[int, list[Place]]:
    """key -> where it was written, for the keys of the file; not what is still in another file."""
    places: defaultdict[int, list[Place]] = defaultdict(list)
    removed = _removed(sources, keys)
    for s, source in enumerate(sources):
        limits = source.added.limits
        for path, rows in source.added.files.items():
            if path not in paths and path not in staying:
                continue
            there = staying.get(path, frozenset())
            for at, row in enumerate(rows):
                key = row.text.key
                if key in keys and key not in there and limits.get(key, 1) > 0:
                    if removed.get(key, 0) > source.answered:
                        continue  # another exchange took it away: what is here now may be anybody's
                    places[key].append(Place(s, path, at))
    return places


def _removed(sources: Sequence[Source], keys: Set[int]) -> dict[int, int]:
    """Of the keys of the file those of short lines that were removed -> when the last exchange did so."""
    removed: dict[int, int] = {}
    for source in sources:
        if source.aside and source.applied is None:
            continue
        for key in source.added.gone & keys:
            removed[key] = max(removed.get(key, 0), source.answered)
    return removed


def _anchor(search: Search, at: int) -> list[Place]:
    """The places of a line that occurs once, the best of each exchange; only those of the best grade."""
    line = search.lines[at]
    best: dict[int, tuple[int, Place]] = {}
    there = search.places.get(line.text.key)
    if there is None:
        return []
    for place in there[:_CROWD]:
        if not search.is_in_time(line, place) or (line.text.words < _PLAIN and not search.was_here(line, place)):
            continue
        grade = _grade(search, at, place)
        if grade > best.get(place.source, (0, place))[0]:
            best[place.source] = (grade, place)
    top = max((grade for grade, _ in best.values()), default=0)
    return [place for grade, place in best.values() if grade == top]


def _grade(search: Search, at: int, place: Place) -> int:
    """3: in its own file with a neighbour; 2: in its own file, or elsewhere with enough around it; 0: says nothing."""
    line = search.lines[at]
    near, words = search.near(line, place)
    if place.path in search.paths:
        if words >= _WORD or near == 2:
            return 3
        return 2 if near or line.text.words >= _TELLING else 0
    if near and line.text.words + words >= _WORD and _around(search, at, place) >= _ELSEWHERE:
        return 2
    return 0


def _around(search: Search, at: int, place: Place) -> int:
    """The word characters of the lines around that were added next to each other in the same order; 0 for one line."""
    rows = search.sources[place.source].added.files[place.path]
    total, count = search.lines[at].text.words, 1
    for step in (-1, 1):
        i, r = at + step, place.at + step
        while 0 <= i < len(search.lines) and 0 <= r < len(rows) and count < 12:
            if rows[r].number != rows[r - step].number + step or rows[r].text.key != search.lines[i].text.key:
                break
            total, count = total + rows[r].text.words, count + 1
            i, r = i + step, r + step
    return total if count > 1 else 0


def _settle(search: Search, at: int, places: Sequence[Place]) -> None:
    """Name those of several exchanges with the same text that may have brought it here."""
    if len(places) == 1:
        search.give(at, places)
        return
    line = search.lines[at]
    sources = search.sources

    def was_applied(place: Place) -> bool:
        applied = sources[place.source].applied
        return applied is not None and (line.time is None or applied <= line.time)

    kept = [place for place in places if was_applied(place)] or list(places)
    kept = [p for p in kept if was_applied(p) or not sources[p.source].aside] or kept
    kept.sort(key=lambda place: (sources[place.source].answered, place.source))
    overlap = len(kept) > 1 and all(b.source in sources[a.source].shared for a in kept for b in kept if a != b)
    search.give(at, kept, overlap=overlap)


def _run(search: Search, start: int, *, exact: bool = False) -> None:
    """Give the lines around a known one to the same exchanges, as far as they added them next to each other.

    Short ones count only if they are equal in white space, too, or, if not `exact`, if others of the run are not.
    """
    for step in (-1, 1):
        at = start
        if at + step in search.found:
            continue
        shifted = not exact and _is_shifted(search, at)
        while 0 <= at + step < len(search.lines) and at + step not in search.found:
            held = _next_ones(search, at, step, shifted=shifted)
            if not held:
                break
            at += step
            search.give(at, held, overlap=len(held) > 1 and search.found[at - step].overlap)
            shifted = not exact and (shifted or _is_shifted(search, at))


def _next_ones(search: Search, known: int, step: int, *, shifted: bool) -> list[Place]:
    """The places of the line next to a known one, as far as its exchanges added it there."""
    line = search.lines[known + step]
    if line.text.words < _WORD and _is_newer(line, search.lines[known]):
        return []  # it was put there later, where the one that the exchange added had been
    found = []
    for one in search.held[known]:
        place = _next(search, one, step)
        if place is None:
            continue
        text = search.row(place).text
        short = line.text.words < _PLAIN
        if text.key != line.text.key or (short and not shifted and text.bytes != line.text.bytes):
            continue
        if not short and not search.is_in_time(line, place):
            continue
        if short and text.key in search.sources[place.source].added.limits:
            continue  # it removed one like it, too: which one is new cannot be told
        if line.text.words < _WORD and not _goes_on(search, known + step, place, step):
            continue  # what came there was changed before it was committed: this one may have been brought with that
        if search.is_free(place) and search.has_twin(known + step, place):
            found.append(place)
    return found


def _goes_on(search: Search, at: int, place: Place, step: int) -> bool:
    """Whether behind a line comes what its exchange added there, or what was put there later."""
    place_behind = _next(search, place, step)
    if place_behind is None:
        return True  # it added nothing more there
    if not 0 <= at + step < len(search.lines):
        return False
    behind = search.lines[at + step]
    return behind.text.key == search.row(place_behind).text.key or _is_newer(behind, search.lines[at])


def _is_shifted(search: Search, at: int) -> bool:
    """Whether a line that was given has other white space than it was added with."""
    return any(search.row(place).text.bytes != search.lines[at].text.bytes for place in search.held[at])


def _is_newer(line: Line, known: Line) -> bool:
    return known.time is not None and (line.time is None or line.time > known.time)


def _next(search: Search, place: Place, step: int) -> Place | None:
    """Where the same exchange added the line above or below."""
    rows = search.sources[place.source].added.files[place.path]
    at = place.at + step
    if 0 <= at < len(rows) and rows[at].number == rows[place.at].number + step:
        return Place(place.source, place.path, at)
    return None


def _beside(search: Search) -> dict[tuple[int, bool, int], list[Place]]:
    """(key, whether it is the line behind, key of that neighbour) -> where it was added so, in the file's own paths."""
    beside: defaultdict[tuple[int, bool, int], list[Place]] = defaultdict(list)
    for key, places in search.places.items():
        for place in places:
            if place.path in search.paths:
                row = search.row(place)
                beside[key, False, row.before].append(place)
                beside[key, True, row.behind].append(place)
    return beside


def _candidates(search: Search, at: int) -> dict[Place, int]:
    """The places in the file's own paths with a neighbour that says something -> how many neighbours are equal."""
    line = search.lines[at]
    found: dict[Place, int] = {}
    for behind, key in ((False, line.before), (True, line.behind)):
        for place in search.beside.get((line.text.key, behind, key), ())[:_CROWD]:
            if not search.is_in_time(line, place) or not search.is_free(place):
                continue
            if search.was_here(line, place) and not search.row(place).twin and search.is_beside(at, place):
                found[place] = found.get(place, 0) + 1
    return {
        place: near
        for place, near in found.items()
        if search.near(line, place)[1] >= _WORD or (near == 2 and line.text.words >= _TELLING)
    }


def _repeated(search: Search, counts: Mapping[int, int]) -> None:
    """Lines that occur more than once, those with two equal neighbours first."""
    for wanted in (2, 1):
        left = [i for i, line in enumerate(search.lines) if i not in search.found and line.text.words >= _WORD]
        tops = {i: _tops(search, i, wanted) for i in left if counts[search.lines[i].text.key] > 1}
        asking = Counter(place for places in tops.values() for place in places)
        for i, places in tops.items():
            # as many lines of the file as lines that were added, or nobody can say which of them is meant
            free = [place for place in places if search.is_free(place)]
            if i in search.found or not free or any(asking[place] > _supply(search, places, place) for place in free):
                continue
            _settle(search, i, _one_each(free))
            _run(search, i)


def _supply(search: Search, places: Sequence[Place], wanted: Place) -> int:
    return sum(1 for place in places if place.source == wanted.source)


def _one_each(places: Sequence[Place]) -> list[Place]:
    """The first place of each exchange."""
    first: dict[int, Place] = {}
    for place in places:
        first.setdefault(place.source, place)
    return list(first.values())


def _tops(search: Search, at: int, wanted: int) -> list[Place]:
    """The places with so many equal neighbours, unless both neighbours in the file are known to be of others.

    A line that many write the same, or with one equal neighbour, must be next to one that is known to be of it.
    """
    beside = [search.found[i].sources for i in (at - 1, at + 1) if i in search.found]
    alone = wanted == 2 and len(beside) < 2 and search.lines[at].text.words >= _PLAIN
    tops = [place for place, near in _candidates(search, at).items() if near == wanted]
    return [place for place in tops if alone or any(place.source in sources for sources in beside)]


def _short(search: Search) -> None:
    """Lines with next to no words: both neighbours must be equal, and one of them must say something."""
    for i, line in enumerate(search.lines):
        if i in search.found or line.text.words >= _WORD:
            continue
        places = _tops(search, i, 2)
        if places and any(j in search.found for j in (i - 1, i + 1)):
            _settle(search, i, _one_each(places))
            _run(search, i)
