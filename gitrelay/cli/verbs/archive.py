"""`git relay archive`: move finished branches to refs/relay/archive/."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.errors import RelayError
from gitrelay.ground import duration
from gitrelay.ledger import closing
from gitrelay.protocol import names


@click.command("archive")
@click.option("--restore", is_flag=True, help="Bring archived sessions back.")
@click.option("--idle", metavar="D", help="Every session that has been quiet for this long, as 12h or 30d.")
@click.option("--done", is_flag=True, help="Every session whose last answer is 'done'; with --idle both must hold.")
@json_option
@click.argument("sessions", nargs=-1, metavar="SESSION...", shell_complete=candidates.movable_sessions)
def command(sessions: tuple[str, ...], restore: bool, idle: str | None, done: bool, as_json: bool) -> int:
    """Move finished sessions out of 'git branch'; they stay readable.

    An archived session is the ref refs/relay/archive/SESSION; every verb still reads it. By --idle or --done no
    session is archived that waits for an answer.
    """
    chosen = done or idle is not None
    if bool(sessions) == chosen:
        raise click.UsageError("name the sessions to archive, or give --idle D or --done")
    if chosen and restore:
        raise click.UsageError("--restore takes the names of sessions, not --idle or --done")
    seconds = 0.0 if idle is None else duration.parse(idle, "--idle")
    for session in sessions:
        names.check_session(session)

    from gitrelay.calls import inflight, within
    from gitrelay.cli import output
    from gitrelay.history.sessions import finished_sessions
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.words import Access

    ledger = open_ledger(Path.cwd())
    within.require(ledger, Access.WRITE, "git relay archive")
    if chosen:
        inflight.settle_all(ledger)
    moved = []
    for session in finished_sessions(ledger, seconds, done=done) if chosen else sessions:
        inflight.settle(ledger, session)
        try:
            closing.archive(ledger, session, restore=restore)
            moved.append(session)
        except RelayError as e:
            if not chosen:
                raise
            output.say(f"not archived: {e.message}")
    if as_json:
        click.echo(output.envelope("archive", 0, {"restored" if restore else "archived": moved}))
    else:
        output.say(f"{'restored' if restore else 'archived'}: {', '.join(moved)}" if moved else "nothing to archive")
    return 0
