"""Lines that were split or joined since an exchange added them: the text of the whole is equal. Pure, no I/O.

Only hashes are known, so the lines of both sides are joined by hash: H(a + b) = H(a) * 256^len(b) + H(b).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final

from gitrelay.provenance.lines.additions import MODULUS, Row, Text, text_of
from gitrelay.provenance.lines.evidence import Line, Match, Place, Source

_JOINED: Final = 12  # characters without white space and commas; shorter ones are equal by chance
_ADDED_MOST: Final = 12  # lines that were added, joined
_FILE_MOST: Final = 40  # lines of the file, joined
_SIZE_MOST: Final = 4000  # characters of the whole
_POWERS: Final = list(itertools.accumulate(range(_SIZE_MOST), lambda power, _: power * 256 % MODULUS, initial=1))


def reflowed(
    lines: Sequence[Line],
    sources: Sequence[Source],
    found: Mapping[int, Match],
    given: Set[Place],
    paths: frozenset[bytes],
) -> dict[int, Match]:
    """The lines, of those not `found`, that are parts of what was added, or wholes; `given` lines are not used again.

    A whole that more than one exchange added is of all of them.
    """
    earliest = min((source.begin for source in sources), default=0)
    gaps = list(_gaps(lines, found, earliest))
    if not gaps:
        return {}
    wholes = _wholes(sources, given, paths)
    result: dict[int, Match] = {}
    for gap in gaps:
        texts = [text_of(lines[i].data) for i in gap]
        at = 0
        while at < len(gap):
            end = at + _FILE_MOST
            count, writers = _longest(lines, gap[at:end], texts[at:end], sources, wholes)
            for i in gap[at : at + count]:
                result[i] = Match(writers, reflowed=True)
            at += count or 1
    return result


def _gaps(lines: Sequence[Line], found: Mapping[int, Match], earliest: int) -> Iterator[list[int]]:
    """Lines that are not found and not too old, in stretches of at most some hundred."""
    gap: list[int] = []
    for i, line in enumerate(lines):
        if i in found or (line.time is not None and line.time < earliest):
            if gap:
                yield gap
            gap = []
        else:
            gap.append(i)
    if gap:
        yield gap


def _joined(texts: Sequence[Text], most: int) -> Iterator[tuple[int, int, int]]:
    """(how many of the first texts, the length of the whole, its hash), one after the other."""
    size, value = 0, 0
    for count, text in enumerate(texts[:most], 1):
        size += text.size
        if size > _SIZE_MOST:
            return
        value = (value * _POWERS[text.size] + text.joined) % MODULUS
        yield count, size, value


def _wholes(
    sources: Sequence[Source], given: Set[Place], paths: frozenset[bytes]
) -> dict[tuple[int, int], dict[int, int]]:
    """(length, hash) of lines that were added next to each other -> {exchange: how many lines}."""
    wholes: dict[tuple[int, int], dict[int, int]] = {}
    for s, source in enumerate(sources):
        for path, rows in source.added.files.items():
            if path not in paths:
                continue
            for at, row in enumerate(rows):
                if Place(s, path, at) in given or not row.text.size or source.added.limits.get(row.text.key, 1) <= 0:
                    continue
                stretch = [one.text for one in _stretch(rows, at)]
                for count, size, value in _joined(stretch, _ADDED_MOST):
                    if size >= _JOINED and stretch[count - 1].size:
                        wholes.setdefault((size, value), {}).setdefault(s, count)
    return wholes


def _stretch(rows: Sequence[Row], at: int) -> list[Row]:
    """The rows from `at` on that are next to each other."""
    end = at + 1
    while end < len(rows) and end < at + _ADDED_MOST and rows[end].number == rows[end - 1].number + 1:
        end += 1
    return list(rows[at:end])


def _longest(
    lines: Sequence[Line],
    gap: Sequence[int],
    texts: Sequence[Text],
    sources: Sequence[Source],
    wholes: Mapping[tuple[int, int], Mapping[int, int]],
) -> tuple[int, tuple[int, ...]]:
    """(how many lines from the first of the gap on are one whole, its exchanges); (0, ()) if none."""
    best: tuple[int, tuple[int, ...]] = (0, ())
    if not texts[0].size:
        return best
    for count, size, value in _joined(texts, _FILE_MOST):
        writers = tuple(
            s
            for s, added in wholes.get((size, value), {}).items()
            if count != added and all(_fits(lines[i], sources[s]) for i in gap[:count])
        )
        if writers and texts[count - 1].size:
            best = (count, writers)
    return best


def _fits(line: Line, source: Source) -> bool:
    return line.time is None or source.begin <= line.time
