"""Answers as verbs that wait for them print them: raw on a pipe, drawn on a terminal, and the worst exit code."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence

import click

from gitrelay.cli.output import envelope, exchange_errors, exchange_json, number, one_line, say, write
from gitrelay.errors import OK
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.names import Address


def print_exchanges(
    command: str,
    found: Sequence[Exchange],
    *,
    as_json: bool,
    single: bool,
    replayed: Mapping[Address, bool] | None = None,
    ledger: Ledger | None = None,
) -> int:
    """Answers on stdout, one line a failure on stderr; returns the worst exit code.

    On a terminal an answer is drawn, and with `ledger` a line says how the call ended. `replayed` says of each
    exchange whether it was recorded before, under the key that was given.
    """
    code = worst([e.exit_code for e in found])
    errors = [error for e in found for error in exchange_errors(e)]
    if as_json:
        rows = [exchange_json(e) for e in found]
        if replayed is not None:
            rows = [row | {"replayed": replayed.get(e.address, False)} for row, e in zip(rows, found, strict=True)]
        click.echo(envelope(command, code, rows[0] if single else rows, errors))
        return code
    for e in found:
        if len(found) > 1:
            say(f"{e.address}: {e.to}")
        if e.response is not None:
            _answer(e, ledger)
        denied = number(e.response.denied or "") if e.response else 0
        if denied:
            say(f"1 tool call of {e.to} was refused" if denied == 1 else f"{denied} tool calls of {e.to} were refused")
        for check in e.checks:
            if check.word == "pass":
                say(f"check pass: {check.command}")
        for command, word in e.worker_checks:
            say(f"the worker says: check {word}: {command}")
    for error in errors:
        if error["code"] != "verify-failed":
            click.echo(one_line(error["message"], error["hint"]), err=True)
    return code


def _answer(e: Exchange, ledger: Ledger | None) -> None:
    """The response: its bytes on a pipe, drawn on a terminal."""
    if not sys.stdout.isatty():
        write(e.response_data)
        return
    from gitrelay.cli.screen import conversation, ending, terminal

    with terminal.opened(ledger.repo if ledger else None, paged=False) as seen:
        seen.print(conversation.lines(e, seen.width, colours=seen.colours, only="res", now=time.time()))
        if ledger is not None:
            seen.print(["", *ending.lines(ledger, e, seen.width, colours=seen.colours)])


def worst(codes: Sequence[int]) -> int:
    """The exit code of several: the one that a caller must not miss."""
    order = (7, 4, 5, 3, 6, 8, 1, 0)
    return min(codes, key=lambda c: order.index(c) if c in order else -1, default=OK)
