"""A transcript in markdown, to read in an editor or to paste into a review.

What agents wrote is in quotes, line by line, so that no message can pass for another turn.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from gitrelay.ground import duration
from gitrelay.history.outcome import shown
from gitrelay.protocol.usage import amount
from gitrelay.report.turns import Conversation, Turn
from gitrelay.report.words import one_line, plain


def markdown(conversations: Sequence[Conversation]) -> str:
    """The sessions, one after another."""
    return "\n".join(line for conversation in conversations for line in _session(conversation)).rstrip("\n") + "\n"


def _session(c: Conversation) -> Iterator[str]:
    yield from (f"# Session {c.name}", "")
    if c.fault:
        yield from (f"It cannot be read: {one_line(c.fault)}", "")
    else:
        yield from (f"{len(c.turns)} turn{'' if len(c.turns) == 1 else 's'}; `git log {c.ref}`", "")
    for turn in c.turns:
        yield from _turn(turn)


def _turn(turn: Turn) -> Iterator[str]:
    e = turn.exchange
    yield from (f"## {turn.id} {one_line(e.from_)} -> {one_line(e.to)}: {_outcome(turn)}", "")
    yield f"- asked {_time(e.request.time)}, `git show {e.request.oid[:12]}`"
    if e.response is not None:
        seconds = amount(e.response.duration)
        took = f" after {duration.render(float(seconds))}" if seconds is not None else ""
        yield f"- answered {_time(e.response.time)}{took}, `git show {e.response.oid[:12]}`"
    for run in turn.checks:
        yield f"- check {run.word}: {_code(run.command)}, `git show {run.commit[:12]}`"
    for command, word in e.worker_checks:
        yield f"- the worker says, and nobody here saw: check {one_line(word)}: {_code(command)}"
    if turn.changes is not None and turn.changes.count:
        c = turn.changes
        files = f"{c.count} changed file{'' if c.count == 1 else 's'}"
        yield f"- {files}, +{c.added} -{c.deleted}: `git relay diff {turn.address}`"
    if turn.fault:
        yield f"- what is recorded is not a message, and is shown as it is: {one_line(turn.fault)}"
    yield from ("", f"### {turn.id} request", "", *_quoted(turn.task), "")
    if e.response is not None:
        yield from (f"### {turn.id} response", "", *_quoted(turn.body), "")


def _outcome(turn: Turn) -> str:
    e = turn.exchange
    return one_line(shown(e.outcome, e.checked)) + (", claimed pass" if turn.contradicted else "")


def _quoted(text: str) -> Iterator[str]:
    for line in plain(text).split("\n"):
        yield f"> {line}".rstrip()


def _code(command: str) -> str:
    """A command in backticks that it cannot end."""
    text = one_line(command, 200)
    fence = "`"
    while fence in text:
        fence += "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
