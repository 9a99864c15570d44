"""Columns in the width of a terminal: the important ones stay, a long text is cut with an ellipsis. Pure.

Widths are counted in cells: a wide character takes two, a combining one none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size

from gitrelay.cli.output import safe
from gitrelay.cli.screen.style import paint

ELLIPSIS: Final = "…"
_GAP: Final = 2
_STUMP: Final = 9  # cells that each column keeps as long as all can: a `check-fai`
Cell = tuple[str, str]  # the text, and one of the looks of `style`


@dataclass(frozen=True)
class Column:
    """`rank` 0 is never left out; of the others the highest goes first. `least`: the cells it can be cut to, 0: uncut.

    `tail`: the text from the last of these on stays when it is cut: an address keeps its id, `a -> b` its b.
    """

    head: str
    rank: int = 0
    least: int = 0
    right: bool = False
    tail: str = ""


def cells_of(text: str) -> int:
    """The cells that `text`, which is safe to print, takes."""
    return len(text) if text.isascii() else cell_len(text)


def clean(text: str) -> str:
    """`text` as one line that is safe to print."""
    if text.isascii() and text.isprintable():
        return text
    return safe(text).replace("\n", " ").replace("\t", " ")


def cut(text: str, width: int, *, tail: str = "") -> str:
    """`text` in at most `width` cells, an ellipsis if something is missing."""
    if cells_of(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[:width]
    end = text[text.rfind(tail) :] if tail and tail in text else ""
    if end and cells_of(end) + 2 > width:
        end = ""
    return set_cell_size(text, width - 1 - cells_of(end)).rstrip() + ELLIPSIS + end


def widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The cells that each column gets out of `width`; 0 for one that is left out."""
    natural = [
        max(cells_of(column.head), *(cells_of(row[i]) for row in rows)) if rows else cells_of(column.head)
        for i, column in enumerate(columns)
    ]
    least = [min(n, c.least) if c.least else n for n, c in zip(natural, columns, strict=True)]
    kept = set(range(len(columns)))

    def total(sizes: Sequence[int]) -> int:
        return sum(sizes[i] for i in kept) + _GAP * (len(kept) - 1)

    while total(least) > width:
        most = max(kept, key=lambda i: (columns[i].rank, i))
        if not columns[most].rank:
            break
        kept.remove(most)
    sizes = [natural[i] if i in kept else 0 for i in range(len(columns))]
    # what is too much is taken from the last column first, of those that can be cut; of the others only in the end
    for floor in (least, [min(n, _STUMP) for n in least], [1] * len(columns)):
        for i in sorted(kept, reverse=True):
            over = total(sizes) - width
            if over > 0:
                sizes[i] = max(min(floor[i], sizes[i]), sizes[i] - over)
    return sizes


def lines(
    columns: Sequence[Column], rows: Iterable[Sequence[Cell]], width: int, *, colours: bool, head: bool = True
) -> Iterator[str]:
    """The table line by line, none of them wider than `width` cells."""
    cells = [[(clean(text), look) for text, look in row] for row in rows]
    sizes = widths(columns, [[text for text, _ in row] for row in cells], width)
    heads: list[Cell] = [(column.head, "faint") for column in columns]
    for row in [heads, *cells] if head else cells:
        yield _line(columns, row, sizes, colours)


def _line(columns: Sequence[Column], row: Sequence[Cell], sizes: Sequence[int], colours: bool) -> str:
    shown = [i for i, size in enumerate(sizes) if size]
    pieces = []
    for i in shown:
        text = cut(row[i][0], sizes[i], tail=columns[i].tail)
        blank = " " * (sizes[i] - cells_of(text))
        painted = paint(text, row[i][1], colours)
        if columns[i].right:
            pieces.append(blank + painted)
        else:
            pieces.append(painted + (blank if i != shown[-1] else ""))
    return (" " * _GAP).join(pieces).rstrip(" ")
