"""`git relay archive`: move finished branches to refs/relay/archive/."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.ledger import closing
from gitrelay.protocol import names


@click.command("archive")
@click.option("--restore", is_flag=True, help="Bring archived sessions back.")
@json_option
@click.argument("sessions", nargs=-1, required=True, metavar="SESSION...", shell_complete=candidates.movable_sessions)
def command(sessions: tuple[str, ...], restore: bool, as_json: bool) -> int:
    """Move finished sessions out of 'git branch'; they stay readable.

    An archived session is the ref refs/relay/archive/SESSION; every verb still reads it.
    """
    for session in sessions:
        names.check_session(session)

    from gitrelay.calls import inflight, within
    from gitrelay.cli import output
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.words import Access

    ledger = open_ledger(Path.cwd())
    within.require(ledger, Access.WRITE, "git relay archive")
    for session in sessions:
        inflight.settle(ledger, session)
        closing.archive(ledger, session, restore=restore)
    if as_json:
        click.echo(output.envelope("archive", 0, {"restored" if restore else "archived": list(sessions)}))
    else:
        output.say(f"{'restored' if restore else 'archived'}: {', '.join(sessions)}")
    return 0
