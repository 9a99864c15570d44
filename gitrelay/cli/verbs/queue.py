"""`git relay queue`: what waits at a remote for a worker."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gitrelay.cli.options import json_option


@click.command("queue")
@json_option
@click.argument("remote", default="origin", metavar="[REMOTE]")
def command(remote: str, as_json: bool) -> int:
    """Show the calls that wait at a remote for a worker, and who has them.

    The most urgent come first. When a worker was last seen is what its own clock said. What is in the queue's
    place and is no job is counted, and left alone. REMOTE is origin unless it is named.
    """
    from gitrelay.cli import output
    from gitrelay.cli.table import columns
    from gitrelay.ground.duration import render
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.remote.engines.git import GitQueue
    from gitrelay.remote.queuewire import Wire, url_of

    ledger = open_ledger(Path.cwd())
    wire = Wire(ledger.repo, url_of(ledger.repo, remote))
    try:
        found = GitQueue(wire)
        entries = found.poll()
    finally:
        wire.close()
    now = time.time()
    rows = [
        {
            "job": entry.state.job.id,
            "session": entry.state.job.session,
            "to": entry.state.job.peer,
            "priority": entry.state.job.prio,
            "state": "taken" if entry.state.is_held else "waiting",
            "worker": entry.state.worker if entry.state.is_held else None,
            "attempt": entry.state.epoch,
            "seen_s": round(max(0.0, now - entry.state.time), 1),
        }
        for entry in entries
    ]
    if as_json:
        click.echo(output.envelope("queue", 0, {"jobs": rows, "strange": found.strange}))
        return 0
    if found.strange:
        output.say(f"{found.strange} refs there are no jobs")
    if not rows:
        output.say("nothing waits")
        return 0
    keys = ("job", "session", "to", "state", "worker", "attempt")
    table = [
        [*(str(row[key] or "-") for key in keys), render(max(0.0, now - entry.state.time))]
        for row, entry in zip(rows, entries, strict=True)
    ]
    click.echo(columns(["JOB", "SESSION", "PEER", "STATE", "WORKER", "ATTEMPT", "SEEN"], table))
    return 0
