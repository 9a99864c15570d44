"""Plain columns: the same on a terminal and on a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from gitrelay.cli.output import safe


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart, no trailing blanks."""
    table = [list(head), *([safe(cell).replace("\n", " ") for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table)
