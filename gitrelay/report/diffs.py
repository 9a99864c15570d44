"""The diff of a file as HTML: numbered lines, coloured, with the changed words marked and far context folded.

One text serves both layouts: the lines that were taken away and those that came for them are in one element `pair`,
which diffs.css lays out one below the other, or side by side if there is room.

The colours of a turn are bounded by COLOURED_MAX characters: a file for which there is no room is without. They are
most of what a diff costs: of 110 KiB of Python some 0.4 s of one core, of the worst text that we know 3 s (Pygments
2.21).
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby
from typing import Final

from markupsafe import Markup

from gitrelay.report import colours, edits
from gitrelay.report.changes import Changes, File
from gitrelay.report.colours import Span
from gitrelay.report.hunks import Row
from gitrelay.report.words import plain

COLOURED_MAX: Final = 128 * 1024  # characters of a turn; a line that is in both files counts once

_SIGNS: Final = {"add": "+", "del": "-", "same": " ", "more": " ", "note": "\\ "}
_NOTHING: Final[Mapping[int, AbstractSet[int]]] = {}


def drawn(changes: Changes, anchor: str = "", named: Mapping[int, AbstractSet[int]] = _NOTHING) -> list[Markup]:
    """The diff of each of `changes.files`, empty if it has no rows.

    `named` are the lines of the new file, by the file's place from 1, that get an id: `<anchor>-f1-12`.
    """
    room = COLOURED_MAX
    found = []
    for number, file in enumerate(changes.files, 1):
        size = sum(len(row.text) for row in file.rows)
        language = colours.language_of(file.path) if size <= room else ""
        if language:
            room -= size
        found.append(Markup("".join(_file(file, language, f"{anchor}-f{number}", named.get(number, frozenset())))))
    return found


def coloured(lines: Sequence[str], path: str) -> list[Markup]:
    """The lines of a whole file with their colours; without, if it has more than COLOURED_MAX characters."""
    texts = [plain(line).replace("\n", " ") for line in lines]
    language = colours.language_of(path) if sum(map(len, texts)) <= COLOURED_MAX else ""
    spans = colours.spans(texts, language) if language else [[] for _ in texts]
    return [Markup(_coloured(text, 0, len(text), some)) for text, some in zip(texts, spans, strict=True)]


def _file(file: File, language: str, anchor: str, named: AbstractSet[int]) -> Iterator[str]:
    """The pieces of a file's diff, hunk by hunk."""
    last = 0  # the last line of the new file that is in the page
    at = 0
    rows = file.rows
    while at < len(rows):
        end = at + 1
        while end < len(rows) and rows[end].kind != "hunk":
            end += 1
        if rows[at].kind == "hunk":
            yield from _between(rows[at], last)
            at += 1
        yield from _hunk(rows[at:end], language, anchor, named)
        last = max([last, *(row.new for row in rows[at:end])])
        at = end


def _between(hunk: Row, last: int) -> Iterator[str]:
    """What is told between two hunks: how many lines are not in the page, and git's heading of the next one."""
    gap = hunk.new - last - 1
    words = f"{gap:,} line{'' if gap == 1 else 's'} not shown" if gap > 0 else ""
    if words or hunk.text:
        yield f"<div class=hunk><span>{words}</span> {html.escape(hunk.text, quote=False)}</div>\n"


def _hunk(rows: Sequence[Row], language: str, anchor: str, named: AbstractSet[int]) -> Iterator[str]:
    pieces = _pieces(rows, language)
    at = 0
    for kind, group in groupby(rows, lambda row: {"add": "pair", "del": "pair"}.get(row.kind, row.kind)):
        some = list(group)
        lines = zip(some, pieces[at : at + len(some)], strict=True)
        at += len(some)
        if kind == "more":
            yield f"<details class=fold><summary>{len(some)} unchanged lines</summary>\n"
            yield from (_line(row, spans, (), anchor, named) for row, spans in lines)
            yield "</details>\n"
        elif kind == "pair":
            yield "<div class=pair>\n"
            yield from (
                _line(row, spans, marks, anchor, named) for (row, spans), marks in zip(lines, _marks(some), strict=True)
            )
            yield "</div>\n"
        else:
            yield from (_line(row, spans, (), anchor, named) for row, spans in lines)


def _pieces(rows: Sequence[Row], language: str) -> list[list[Span]]:
    """The coloured pieces of each row: a line that was taken away as it was in the old file, others as in the new."""
    found: list[list[Span]] = [[] for _ in rows]
    if not language:
        return found
    for other in ("add", "del"):  # those of the new file come last, and count for what is in both
        side = [at for at, row in enumerate(rows) if row.kind not in ("note", other)]
        if other == "del" or any(row.kind == "del" for row in rows):
            whole = bool(side) and (rows[side[0]].new or rows[side[0]].old) == 1
            for at, spans in zip(side, colours.spans([rows[i].text for i in side], language, whole=whole), strict=True):
                found[at] = spans
    return found


def _marks(rows: Sequence[Row]) -> list[Sequence[edits.Span]]:
    """The changed words of each row of a change: lines that were taken away, then lines that came."""
    old = [row.text for row in rows if row.kind == "del"]
    new = [row.text for row in rows if row.kind == "add"]
    if not old or not new:
        return [()] * len(rows)
    before, after = map(iter, edits.marks(old, new))
    return [next(before if row.kind == "del" else after) for row in rows]


def _line(row: Row, spans: Sequence[Span], marks: Sequence[edits.Span], anchor: str, named: AbstractSet[int]) -> str:
    kind = "same" if row.kind == "more" else row.kind
    numbers = (f" data-o={row.old}" if row.old else "") + (f" data-n={row.new}" if row.new else "")
    name = f' id="{html.escape(anchor)}-{row.new}"' if row.new in named and row.new else ""
    return f"<div class={kind}{numbers}{name}>{_SIGNS[row.kind]}{_text(row.text, spans, marks)}</div>\n"


def _text(text: str, spans: Sequence[Span], marks: Sequence[edits.Span]) -> str:
    """The text with its colours, and with the marks around them; a colour that goes over a mark's edge is cut there."""
    if not marks:
        return _coloured(text, 0, len(text), spans)
    pieces = []
    at = 0
    for start, end in marks:
        pieces += [_coloured(text, at, start, spans), f"<mark>{_coloured(text, start, end, spans)}</mark>"]
        at = end
    return "".join([*pieces, _coloured(text, at, len(text), spans)])


def _coloured(text: str, start: int, end: int, spans: Sequence[Span]) -> str:
    pieces = []
    at = start
    for begin, stop, class_ in spans:
        begin, stop = max(begin, start), min(stop, end)
        if begin < stop:
            pieces.append(html.escape(text[at:begin], quote=False))
            pieces.append(f"<i class={class_}>{html.escape(text[begin:stop], quote=False)}</i>")
            at = stop
    return "".join([*pieces, html.escape(text[at:end], quote=False)])
