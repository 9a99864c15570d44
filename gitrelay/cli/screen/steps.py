"""What a peer says it did, one line a step: how long after its start, the kind, what, how it ended."""

from __future__ import annotations

from collections.abc import Iterator

from gitrelay.cli.screen.style import paint
from gitrelay.cli.screen.table import cells_of, clean, cut
from gitrelay.protocol.names import Address
from gitrelay.protocol.steps import Step, Steps


def lines(address: Address, steps: Steps, width: int | None, *, colours: bool = False) -> Iterator[str]:
    """`width` is the terminal's, in cells; None for a pipe: then nothing is cut."""
    count = len(steps.steps) + steps.left_out
    head = f"{address}: {count} step{'' if count == 1 else 's'}, as {steps.from_}'s own events tell"
    yield paint(head if width is None else cut(head, width), "strong", colours)
    for step in steps.steps:
        yield _line(step, width, colours)
    if steps.left_out:
        yield f"{steps.left_out} more in the middle are not recorded"


def _line(step: Step, width: int | None, colours: bool) -> str:
    begin = f"{step.at:8.1f}s  {step.kind:<6}  "
    end = f"  {step.end}" if step.end else ""
    what = clean(step.what)
    if width is not None:
        what = cut(what, max(1, width - cells_of(begin) - cells_of(end)))
    look = "good" if step.exit == 0 else "bad"
    return f"{paint(begin, 'faint', colours)}{what}{paint(end, look, colours) if end else ''}".rstrip()
