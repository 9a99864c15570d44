"""Rows of a markdown table that have more cells than its head. Pure, no I/O.

Markdown drops the cells that are too many (GitHub Flavored Markdown, 4.10), and with them what an agent said. Agents
write `a || b` in a cell, and mean it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_PIPE = re.compile(r"(?<!\\)(?:\\\\)*\|")
_CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")


def whole(text: str, tables: Iterable[tuple[int, int, int]]) -> str:
    """`text` with rows that lose no cell. A table is (first line, line behind the last, columns), lines from 0."""
    lines = text.split("\n")
    for first, end, columns in tables:
        for at in range(first + 2, min(end, len(lines))):
            lines[at] = _row(lines[at], columns)
    return "\n".join(lines)


def _row(line: str, columns: int) -> str:
    """Bars within code are escaped first, then those of the last cells, until the rest are the bars of `columns`."""
    bars = [found.end() - 1 for found in _PIPE.finditer(line)]
    if bars and not line[: bars[0]].strip(" \t>"):  # behind the marks of quotes
        bars = bars[1:]
    if bars and bars[-1] == len(line.rstrip()) - 1:
        bars = bars[:-1]
    surplus = len(bars) - (columns - 1)
    if surplus <= 0:
        return line
    spans = [found.span() for found in _CODE.finditer(line)]
    inside = [at for at in bars if any(start < at < end for start, end in spans)]
    others = [at for at in bars if at not in inside]
    return _escaped(line, {*inside, *others[len(others) - max(0, surplus - len(inside)) :]})


def _escaped(line: str, places: set[int]) -> str:
    return "".join("\\" + char if at in places else char for at, char in enumerate(line))


def of_tokens(tokens: Sequence[object]) -> list[tuple[int, int, int]]:
    """The tables among the tokens of markdown-it, as `whole` takes them."""
    found = []
    lines: Sequence[int] | None = None
    columns = 0
    for token in tokens:
        kind = getattr(token, "type", "")
        if kind == "table_open":
            lines, columns = getattr(token, "map", None), 0
        elif kind == "th_open":
            columns += 1
        elif kind == "table_close" and lines:
            found.append((lines[0], lines[1], columns))
    return found
