"""`git relay log`: the exchanges, one line each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option


@click.command("log")
@json_option
@click.argument("session", required=False, shell_complete=candidates.sessions)
def command(session: str | None, as_json: bool) -> int:
    """List the exchanges of a session, or of all sessions.

    One line each, in the order they were asked.
    """
    from gitrelay.cli import output
    from gitrelay.cli.table import columns
    from gitrelay.errors import INTEGRITY, OK, RelayError
    from gitrelay.history import batch, exchanges
    from gitrelay.history.outcome import shown
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    damaged: Mapping[str, RelayError] = {}
    if session is not None:
        found = exchanges.exchanges(ledger, session)
    else:
        all_ = batch.read(ledger)
        found, damaged = all_.exchanges, all_.damaged
    code, errors = INTEGRITY if damaged else OK, output.damaged_errors(damaged)
    if as_json:
        click.echo(output.envelope("log", code, [output.exchange_json(e) for e in found], errors))
        return code
    for error in errors:
        output.say(output.one_line(error["message"], error["hint"]))
    if not found:
        output.say("no exchanges")
        return code
    if output.is_drawn():
        from gitrelay.cli.screen import rows as seen
        from gitrelay.cli.screen import terminal

        now = time.time()
        terminal.show_table(ledger.repo, seen.EXCHANGES, (seen.of_exchange(e, now) for e in found))
        return code
    table = [
        [
            str(e.address),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(e.request.time)),
            f"{e.from_} -> {e.to}",
            shown(e.outcome, e.checked),
            e.request.subject.partition(": ")[2],
        ]
        for e in found
    ]
    click.echo(columns(["ADDRESS", "ASKED", "WHO", "OUTCOME", "TASK"], table))
    return code
