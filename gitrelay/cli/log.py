"""`git relay log`: the exchanges, one line each."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gitrelay.cli.options import json_option


@click.command("log")
@json_option
@click.argument("session", required=False)
def command(session: str | None, as_json: bool) -> int:
    """List the exchanges of a session, or of all sessions.

    One line each, in the order they were asked.
    """
    from gitrelay import call, history
    from gitrelay.cli import output
    from gitrelay.cli.table import columns, outcome

    ledger = call.open_ledger(Path.cwd())
    wanted = [session] if session is not None else [s.name for s in history.sessions(ledger)]
    found = [e for name in wanted for e in history.exchanges(ledger, name)]
    found.sort(key=lambda e: e.request.time)
    if as_json:
        click.echo(output.envelope("log", 0, [output.exchange_json(e) for e in found]))
        return 0
    if not found:
        output.say("no exchanges")
        return 0
    table = [
        [
            str(e.address),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(e.request.time)),
            f"{e.from_} -> {e.to}",
            outcome(e.status, e.verify, e.reason),
            e.request.subject.partition(": ")[2],
        ]
        for e in found
    ]
    click.echo(columns(["ADDRESS", "ASKED", "WHO", "OUTCOME", "TASK"], table))
    return 0
