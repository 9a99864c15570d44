"""What a search found, on a terminal: each exchange with its lines, the words that match painted. Safe to print."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from gitrelay.cli.screen.rows import standing
from gitrelay.cli.screen.style import paint
from gitrelay.cli.screen.table import ELLIPSIS, cells_of, clean, cut
from gitrelay.ground.duration import ago
from gitrelay.history.searching import Found, Line

SIGNS: Final = {"added": "+", "removed": "-", "same": " "}  # the kinds of lines of files


def lines(
    found: Sequence[Found], pattern: re.Pattern[str] | None, width: int, *, colours: bool, now: float
) -> Iterator[str]:
    for i, one in enumerate(found):
        if i:
            yield ""
        yield _head(one, width, colours, now)
        last, file = 0, ""
        for line in one.lines:
            if line.kind in SIGNS and line.file != file:
                file, last = line.file, 0
                yield paint("  " + cut(clean(file), width - 2, tail="/"), "name", colours)
            if last and line.hit and line.number != last + 1 and any(not other.hit for other in one.lines):
                yield paint("  --", "faint", colours)
            last = line.number
            yield _line(line, pattern, width, colours)


def _head(one: Found, width: int, colours: bool, now: float) -> str:
    e = one.exchange
    address, (outcome, look) = str(e.address), standing(e)
    facts = clean(f"  {e.from_} -> {e.to}, {ago(now - e.request.time)}, ")
    address = cut(clean(address), max(8, width - cells_of(facts) - cells_of(outcome)), tail="/")
    room = width - cells_of(address) - cells_of(outcome)
    return paint(address, "name", colours) + paint(cut(facts, room), "faint", colours) + paint(outcome, look, colours)


def _line(line: Line, pattern: re.Pattern[str] | None, width: int, colours: bool) -> str:
    mark = f"  {SIGNS.get(line.kind) or line.kind.ljust(5)} {line.number:>3} "
    text = clean(line.text)
    found = pattern.search(text) if pattern is not None and line.hit else None
    room = max(10, width - cells_of(mark))
    if found is not None and cells_of(text[: found.end()]) > room:  # the words that match stay in sight
        text = ELLIPSIS + text[max(0, found.start() - room // 3) :]
        found = pattern.search(text) if pattern is not None else None
    text = cut(text, room)
    if found is not None and found.end() > found.start() and found.end() <= len(text):
        a, b = found.span()
        shown = text[:a] + paint(text[a:b], "strong", colours) + text[b:]
    else:
        shown = text if line.hit else paint(text, "faint", colours)
    return paint(mark, "faint", colours) + shown
