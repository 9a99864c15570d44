"""What `doctor` found: a mark and a line for each check, its cure on a line of its own. Safe to print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gitrelay.cli.screen.style import paint
from gitrelay.cli.screen.table import cells_of, clean, cut
from gitrelay.setup.finding import Finding

_MARKS: Final = {"ok": ("ok", "good"), "warn": ("!", "waiting"), "fail": ("FAIL", "bad"), "absent": ("-", "faint")}


def lines(rows: Sequence[Finding], width: int | None, *, colours: bool) -> Iterator[str]:
    """`width`: the cells of the terminal, None for a pipe, where nothing is cut. A cure is never cut."""
    shown = [row for row in rows if row.state != "absent"]
    absent = [row.check.removeprefix("peer ") for row in rows if row.state == "absent"]
    if absent:
        at = max((i for i, row in enumerate(shown) if row.check.startswith("peer ")), default=0) + 1
        shown.insert(at, Finding("other agents", "absent", f"not installed: {', '.join(absent)}"))
    column = max(cells_of(clean(row.check)) for row in shown)
    for row in shown:
        mark, look = _MARKS[row.state]
        head = f"{mark:<4}  {clean(row.check):<{column}}  "
        text = clean(row.found)
        if width is not None:
            text = cut(text, max(10, width - cells_of(head)))
        yield paint(head[:4], look, colours) + head[4:] + text
        if row.fix and row.state != "ok":
            yield " " * 6 + paint(clean(row.fix), "name", colours)
