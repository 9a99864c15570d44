"""`git relay log`: the exchanges, one line each."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.ground import duration


@click.command("log")
@click.option("-n", "most", type=click.IntRange(1), metavar="N", help="Only the newest N.")
@click.option("--since", metavar="D", help="Only what was asked since then: 2h, 7d, yesterday or 2026-11-20.")
@click.option("--peer", metavar="P", shell_complete=candidates.peers, help="Only what was asked of, or by, this one.")
@click.option("--failed", is_flag=True, help="Only what failed: verify fail, a check, or no answer.")
@click.option("--grep", "pattern", metavar="PATTERN", help="Only tasks whose first words match; see 'git relay grep'.")
@click.option("--reverse", is_flag=True, help="The one that was asked first comes first.")
@json_option
@click.argument("session", required=False, shell_complete=candidates.sessions)
def command(
    session: str | None,
    most: int | None,
    since: str | None,
    peer: str | None,
    failed: bool,
    pattern: str | None,
    reverse: bool,
    as_json: bool,
) -> int:
    """List the exchanges of a session, or of all sessions.

    One line each; the one that was asked last comes first.

    \b
      git relay log -n 20
      git relay log --failed --since 7d --peer codex
    """
    now = time.time()
    begin = None if since is None else duration.since(since, "--since", now)
    expression = None if pattern is None else _expression(pattern)

    from gitrelay.calls import addresses
    from gitrelay.cli import output
    from gitrelay.cli.table import columns
    from gitrelay.errors import INTEGRITY, OK, RelayError
    from gitrelay.history import batch, exchanges
    from gitrelay.history.outcome import has_failed, shown
    from gitrelay.history.tasks import task_shown
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.record import remote_of

    ledger = open_ledger(Path.cwd())
    damaged: Mapping[str, RelayError] = {}
    if session is not None:
        found = exchanges.exchanges(ledger, addresses.plain(session))
    else:
        all_ = batch.read(ledger)
        found, damaged = all_.exchanges, all_.damaged
    found = [
        e
        for e in reversed(found)
        if (begin is None or e.request.time >= begin)
        and (peer is None or peer in (e.to, e.from_))
        and (not failed or has_failed(e.outcome))
        and (expression is None or expression.search(task_shown(e)))
    ][:most]
    if reverse:
        found.reverse()
    code, errors = INTEGRITY if damaged else OK, output.damaged_errors(damaged)
    if as_json:
        click.echo(output.envelope("log", code, [output.exchange_json(e) for e in found], errors))
        return code
    for error in errors:
        output.say(output.one_line(error["message"], error["hint"]))
    if not found:
        output.say("no exchanges")
        return code
    output.from_remotes(remote_of(e.rev) for e in found)
    if output.is_drawn():
        from gitrelay.cli.screen import rows as seen
        from gitrelay.cli.screen import terminal

        terminal.show_table(ledger.repo, seen.EXCHANGES, (seen.of_exchange(e, now) for e in found))
        return code
    table = [
        [
            str(e.address),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(e.request.time)),
            f"{e.from_} -> {e.to}",
            shown(e.outcome, e.checked),
            task_shown(e),
        ]
        for e in found
    ]
    click.echo(columns(["ADDRESS", "ASKED", "WHO", "OUTCOME", "TASK"], table))
    return code


def _expression(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except (re.error, OverflowError) as e:
        raise click.UsageError(f"--grep {pattern!r}: {e}") from None
