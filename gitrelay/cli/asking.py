"""A question that a peer asks back, put to the person at the terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from gitrelay import environment
from gitrelay.cli import answers, output
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.names import Address
from gitrelay.protocol.question import Question
from gitrelay.protocol.record import Trailer


def until_answered(ledger: Ledger, found: Exchange, code: int) -> int:
    """Put the question of `found`, and each that follows, to the person; the exit code of the last answer.

    `code` is that of `found`. Nobody is asked if no person sits at the terminal, and nothing happens if the person
    gives no answer: the question stays open.
    """
    while True:
        asked = found.question
        if asked is None or Trailer.JOB in found.request.trailers or not _person_is_here():
            return code
        text = _put(asked)
        if text is None:
            return code
        found = _next_turn(ledger, found, text)
        code = answers.print_exchanges("req", [found], as_json=False, single=True, ledger=ledger)


def _next_turn(ledger: Ledger, found: Exchange, text: str) -> Exchange:
    from gitrelay.calls import answering
    from gitrelay.cli.waiting import cancelled_by_ctrl_c
    from gitrelay.cli.waiting import until_answered as wait

    addresses: list[Address] = []
    with cancelled_by_ctrl_c(addresses):
        asked = answering.answer(Path.cwd(), ledger, found.address, text=text)
        addresses.append(asked.address)
        output.note(asked.notes)
        output.say(str(asked.address))
        (answered,) = wait(ledger, addresses, None)
    return answered


def _person_is_here() -> bool:
    """Whether who called can be asked: an agent that has given its command a terminal is not a person."""
    terminal = sys.stdin.isatty() and sys.stderr.isatty()
    return terminal and environment.calling_agent(os.environ) is None and not environment.chain(os.environ)


def _put(asked: Question) -> str | None:
    """The person's answer, None for none: a blank line, or the end of the input."""
    for number, option in enumerate(asked.options, 1):
        output.say(f"  {number}. {option}")
    which = "a number, or words" if asked.options else "words"
    click.echo(f"Your answer ({which}; nothing leaves the question open): ", nl=False, err=True)
    words = sys.stdin.readline().strip()
    if words.isascii() and words.isdecimal() and 1 <= int(words) <= len(asked.options):
        return asked.options[int(words) - 1]
    return words or None
