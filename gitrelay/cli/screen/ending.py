"""How a call ended, in one line for a person: outcome, time, tokens, cost, files, and the command for the diff."""

from __future__ import annotations

from collections.abc import Iterator

from gitrelay.calls import candidates
from gitrelay.calls.candidates import Candidate
from gitrelay.cli.screen.rows import standing, took
from gitrelay.cli.screen.style import paint
from gitrelay.cli.screen.table import cells_of, clean, cut
from gitrelay.errors import RelayError
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger


def lines(ledger: Ledger, e: Exchange, width: int, *, colours: bool) -> Iterator[str]:
    """One line; the command has a second one if the terminal is too narrow. Nothing while the call runs."""
    if e.response is None:
        return
    try:
        (one,) = candidates.read(ledger, [e.address])
    except RelayError:  # a damaged tree is no reason to hide the answer
        one = None
    word, look = standing(e)
    word = clean(word)
    facts = [fact for fact in (took(e), *(_used(one) if one else ())) if fact]
    command = f"git relay diff {e.address}" if one is not None and one.files else ""
    files = _files(one) if one is not None else ""
    room = width if width >= 70 else width + cells_of(command) + 2  # then the command has a line of its own
    while facts and cells_of("  ".join([word, *facts, files, command])) > room:
        facts.pop()
    rest = "".join(f"  {fact}" for fact in (*facts, files) if fact)
    fits = cells_of(word + rest) + 2 + cells_of(command) <= width
    yield (
        paint(word, look or "strong", colours)
        + cut(rest, width - cells_of(word))
        + (f"  {paint(command, 'name', colours)}" if command and fits else "")
    )
    if command and not fits:
        yield paint(command, "name", colours)


def _used(one: Candidate) -> Iterator[str]:
    if one.tokens is not None:
        tokens = one.tokens
        yield f"{tokens} tokens" if tokens < 1000 else f"{tokens / 1000:.1f}k tokens"
    if one.cost is not None:
        yield f"${one.cost:.2f}"


def _files(one: Candidate) -> str:
    if one.files is None:
        return ""
    if not one.files:
        return "no file changed"
    return f"{one.files} file{'s' if one.files > 1 else ''} changed +{one.added} -{one.deleted}"
