"""Exchanges as a conversation: who says what to whom, how it ended, what gitrelay itself saw. Lines, safe to print."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from gitrelay.cli.screen import markdown
from gitrelay.cli.screen.rows import standing, took
from gitrelay.cli.screen.style import paint
from gitrelay.cli.screen.table import cells_of, clean, cut
from gitrelay.errors import IntegrityError
from gitrelay.ground.duration import ago
from gitrelay.history.exchange import Check, Exchange
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import task_of

READABLE: Final = 100  # cells; longer lines of prose are hard to follow


def lines(e: Exchange, width: int, *, colours: bool, only: str | None = None, now: float) -> Iterator[str]:
    """One exchange; `only` is `req` or `res`, None for both. A message that cannot be read is shown as it is."""
    width = min(width, READABLE)
    if only != "res":
        yield from _request(e, width, colours, now)
    if only != "req" and e.response is not None:
        if only is None:
            yield ""
        yield from _response(e, width, colours, now)
    if only is None:
        yield from [""] if e.checks else []
        for check in e.checks:
            yield from _check(check, e, width, colours)
        for command, word in e.worker_checks:
            yield cut(f"the worker says: check {clean(word)}: {clean(command)} (not seen here)", width)


def _request(e: Exchange, width: int, colours: bool, now: float) -> Iterator[str]:
    access = e.request.access
    facts = [_when(e.request.time, now), f"access {access}" if access else "", f"commit {e.request.oid[:12]}"]
    yield _rule(f"request {e.address}", f"{e.from_} -> {e.to}", ("", ""), width, colours)
    yield from _facts(facts, width, colours)
    yield ""
    try:
        body = task_of(e.request_data)
    except BadMessage:
        body = e.request_data.decode("utf-8", "replace")
    yield from markdown.lines(body, width, colours=colours)


def _response(e: Exchange, width: int, colours: bool, now: float) -> Iterator[str]:
    assert e.response is not None
    facts = [
        _when(e.response.time, now),
        f"took {took(e)}" if took(e) else "",
        "written by gitrelay" if e.recorded == "gitrelay" else "",
        e.response.peer or "",
        e.response.model or "",
        f"sandbox {e.response.sandbox}" if e.response.sandbox else "",
        "in a workspace" if e.response.workspace == "isolated" else "",
        f"{e.response.denied} tool calls refused" if e.response.denied else "",
        f"commit {e.response.oid[:12]}",
    ]
    yield _rule(f"response {e.address}", f"{e.to} -> {e.from_}", standing(e), width, colours)
    yield from _facts(facts, width, colours)
    yield ""
    try:
        body = e.answer.body if e.answer else ""
    except IntegrityError:
        body = e.response_data.decode("utf-8", "replace")
    yield from markdown.lines(body, width, colours=colours)


def _check(check: Check, e: Exchange, width: int, colours: bool) -> Iterator[str]:
    look = "good" if check.word == "pass" else "bad"
    said = paint(f"check {clean(check.word)}", look, colours)
    room = width - cells_of(f"check {check.word}: ")
    yield f"{said}: {cut(clean(check.command), room)}"
    if check.word != "pass" and e.verify == "pass":
        yield f"  {clean(e.to)} claimed verify pass"


def _rule(kind: str, who: str, outcome: tuple[str, str], width: int, colours: bool) -> str:
    """`── request s/01  claude -> codex ───`, and at the right end its state."""
    end = clean(outcome[0])
    room = width - (cells_of(end) + 2 if end else 0)
    title = cut(f"{clean(kind)}  {clean(who)}", room - 4)
    line = "─" * max(0, room - cells_of(title) - 4)
    shown = f"{paint('──', 'faint', colours)} {paint(title, 'strong', colours)} {paint(line, 'faint', colours)}"
    return shown + (f" {paint(end, outcome[1] or 'strong', colours)}" if end else "")


def _facts(facts: list[str], width: int, colours: bool) -> Iterator[str]:
    """Short facts side by side, in as many lines as they need."""
    line = ""
    for fact in (clean(fact) for fact in facts if fact):
        longer = f"{line}, {fact}" if line else fact
        if line and cells_of(longer) >= width:
            yield paint(line + ",", "faint", colours)
            longer = fact
        line = cut(longer, width - 1)  # room for a comma
    yield paint(line, "faint", colours)


def _when(seconds: int, now: float) -> str:
    return f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(seconds))} ({ago(now - seconds)})"
