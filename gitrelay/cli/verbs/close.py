"""`git relay close`: remove idle worktrees."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.ground import duration
from gitrelay.protocol import names


@click.command("close")
@click.option("--idle", metavar="D", help="Close every session that has been quiet for this long, as 2h or 7d.")
@json_option
@click.argument("sessions", nargs=-1, metavar="SESSION...", shell_complete=candidates.open_sessions)
def command(sessions: tuple[str, ...], idle: str | None, as_json: bool) -> int:
    """Remove the worktrees of idle sessions; the branches stay.

    The next turn brings the worktree back.
    """
    if bool(sessions) == (idle is not None):
        raise click.UsageError("name the sessions to close, or give --idle D")
    seconds = None if idle is None else duration.parse(idle, "--idle")

    from gitrelay.calls import inflight, keeping
    from gitrelay.cli import output
    from gitrelay.history.sessions import idle_sessions
    from gitrelay.ledger import closing
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    wanted = list(sessions) if seconds is None else idle_sessions(ledger, seconds)
    for name in wanted:
        inflight.settle(ledger, names.check_session(name))
    closed = closing.close(ledger, wanted)
    ended = [name for name in wanted if keeping.end(ledger, name)]
    closed += [name for name in ended if name not in closed]
    if as_json:
        click.echo(output.envelope("close", 0, {"closed": closed}))
    else:
        output.say(f"closed: {', '.join(closed)}" if closed else "nothing to close")
    return 0
