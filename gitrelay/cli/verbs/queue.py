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
    from gitrelay.remote import dispatch
    from gitrelay.remote.queuewire import Wire, url_of

    ledger = open_ledger(Path.cwd())
    wire = Wire(ledger.repo, url_of(ledger.repo, remote))
    try:
        found = dispatch.engine(ledger.repo, remote, wire)
        try:
            jobs = found.listed()
        finally:
            found.close()
    finally:
        wire.close()
    now = time.time()
    rows = [
        {
            "job": one.job.id,
            "session": one.job.session,
            "to": one.job.peer,
            "priority": one.job.prio,
            "state": "taken" if one.is_held else "waiting",
            "worker": one.worker or None,
            "attempt": one.attempt,
            "seen_s": round(max(0.0, now - one.seen), 1),
        }
        for one in jobs
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
        [*(str(row[key] or "-") for key in keys), render(max(0.0, now - one.seen))]
        for row, one in zip(rows, jobs, strict=True)
    ]
    click.echo(columns(["JOB", "SESSION", "PEER", "STATE", "WORKER", "ATTEMPT", "SEEN"], table))
    return 0
