"""Which words changed within lines: a line that was taken away beside the one that came for it. Pure.

Two lines belong together if enough of their words are the same. The words of a pair are compared by their longest
common subsequence, which costs the product of their numbers: between what both lines begin and end with, at most WORK.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

Span = tuple[int, int]  # from, to: characters of a line

WORK: Final = 2500
ALIKE: Final = 0.4  # of the characters of the longer line
REACH: Final = 5  # lines further on where the other one is looked for
_WORD: Final = re.compile(r"\w+|\s+|.", re.DOTALL)


def marks(old: Sequence[str], new: Sequence[str]) -> tuple[list[list[Span]], list[list[Span]]]:
    """What changed within the lines of one change: spans for each old line, and for each new one."""
    before, after = [_WORD.findall(line) for line in old], [_WORD.findall(line) for line in new]
    of_old: list[list[Span]] = [[] for _ in old]
    of_new: list[list[Span]] = [[] for _ in new]
    at = 0
    for i, words in enumerate(before):
        for j in range(at, min(at + REACH, len(after))):
            if _alike(words, after[j]):
                of_old[i], of_new[j] = _changed(words, after[j])
                at = j + 1
                break
    return of_old, of_new


def _alike(a: Sequence[str], b: Sequence[str]) -> bool:
    """Whether enough is the same: whole words anywhere, or letters from both ends."""
    one, other = ("".join(word for word in words if not word.isspace()) for words in (a, b))
    size = max(len(one), len(other))
    common = Counter(word for word in a if not word.isspace()) & Counter(word for word in b if not word.isspace())
    if sum(len(word) * count for word, count in common.items()) >= ALIKE * size:
        return size > 0
    begin = _same_start(one, other)
    return begin + _same_start(one[begin:][::-1], other[begin:][::-1]) >= ALIKE * size


def _same_start(a: Sequence[str], b: Sequence[str]) -> int:
    """How many items both begin with."""
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _changed(a: Sequence[str], b: Sequence[str]) -> tuple[list[Span], list[Span]]:
    first = _same_start(a, b)
    last = _same_start(a[first:][::-1], b[first:][::-1])
    inner_a, inner_b = a[first : len(a) - last], b[first : len(b) - last]
    same_a, same_b = _common(inner_a, inner_b) if len(inner_a) * len(inner_b) <= WORK else (set[int](), set[int]())
    start = sum(map(len, a[:first]))
    return _spans(inner_a, same_a, start), _spans(inner_b, same_b, start)


def _common(a: Sequence[str], b: Sequence[str]) -> tuple[set[int], set[int]]:
    """The places of the words of a longest common subsequence, in `a` and in `b`; a word counts more than a blank."""
    lengths = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        row, below = lengths[i], lengths[i + 1]
        for j in range(len(b) - 1, -1, -1):
            weight = 1 if a[i].isspace() else 3
            row[j] = below[j + 1] + weight if a[i] == b[j] else max(below[j], row[j + 1])
    of_a: set[int] = set()
    of_b: set[int] = set()
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j] and lengths[i][j] > max(lengths[i + 1][j], lengths[i][j + 1]):
            of_a.add(i)
            of_b.add(j)
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return of_a, of_b


def _spans(words: Sequence[str], same: set[int], start: int) -> list[Span]:
    """The words that are not the same; blanks between two of them belong to both."""
    found: list[Span] = []
    blank = 0
    for at, word in enumerate(words):
        end = start + len(word)
        if at not in same:
            if found and found[-1][1] + blank == start:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
            blank = 0
        else:
            blank = blank + len(word) if word.isspace() else -1 << 20
        start = end
    return found
