"""`git relay queue`: what waits at a remote for a worker; with --archive, what is finished there loses its refs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gitrelay.cli.options import json_option
from gitrelay.ground import duration

if TYPE_CHECKING:
    from gitrelay.ledger.ledger import Ledger
    from gitrelay.remote.queue.wire import Wire

_IDLE: Final = "7d"


@click.command("queue")
@click.option("--init", is_flag=True, help="Make the queue on the NATS server that relay.REMOTE.queue names.")
@click.option("--peers", metavar="P,...", help="With --init: the peers that have jobs there [all that are known here].")
@click.option("--lease", metavar="D", help="With --init: how long a silent worker keeps its job [60s].")
@click.option("--archive", is_flag=True, help="Take the refs of finished sessions off the remote; nothing is lost.")
@click.option("--idle", metavar="D", help=f"With --archive: sessions that have been quiet for this long [{_IDLE}].")
@click.option("--dry-run", is_flag=True, help="With --archive: only say which.")
@json_option
@click.argument("remote", default="origin", metavar="[REMOTE]")
def command(
    remote: str,
    init: bool,
    peers: str | None,
    lease: str | None,
    archive: bool,
    idle: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Show the calls that wait at a remote for a worker, and who has them.

    The most urgent come first. When a worker was last seen is what its own clock said. What is in the queue's
    place and is no job is counted, and left alone. REMOTE is origin unless it is named.

    Every claim downloads the names of all refs of the remote. --archive lists finished sessions in one place there and
    deletes their refs; 'git relay fetch' still brings them, and the next turn of one makes its refs again. Sessions
    that wait for an answer, or whose last answer is a question, are left alone.

    --init is for who may make streams on a NATS server; without users there, the first call makes the queue. Again, it
    adds peers, and sets the lease of all workers.

    \b
      git config relay.origin.queue nats://queue.example:4222/project
      git relay queue --init --peers codex,claude --lease 2m
    """
    if init and archive:
        raise click.UsageError("--init and --archive exclude each other")
    if not init and (peers is not None or lease is not None):
        raise click.UsageError("--peers and --lease go with --init")
    if not archive and (idle is not None or dry_run):
        raise click.UsageError("--idle and --dry-run go with --archive")
    seconds = duration.parse(idle or _IDLE, "--idle")

    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.remote.queue.wire import wire_of

    ledger = open_ledger(Path.cwd())
    wire = wire_of(ledger.repo, remote)
    try:
        if init:
            return _init(ledger, wire, remote, peers, lease, as_json)
        return _archive(ledger, wire, seconds, dry_run, as_json) if archive else _show(ledger, wire, remote, as_json)
    finally:
        wire.close()


def _init(ledger: Ledger, wire: Wire, remote: str, peers: str | None, lease: str | None, as_json: bool) -> int:
    from gitrelay.cli import output
    from gitrelay.peers import registry
    from gitrelay.protocol import names
    from gitrelay.remote.queue import dispatch

    known = sorted({*registry.BUILT_IN, *registry.configured(ledger.repo)})
    wanted = known if peers is None else [name.strip() for name in peers.split(",") if name.strip()]
    if not wanted:
        raise click.UsageError(f"--peers {peers!r} names no peer")
    for name in wanted:
        names.check_slug(name, "--peers")
    seconds = None if lease is None else duration.parse(lease, "--lease")
    made = dispatch.make(ledger.repo, remote, wire, wanted, seconds)
    if as_json:
        click.echo(output.envelope("queue", 0, {"made": made.place, "peers": wanted, "lease_s": made.lease}))
    else:
        click.echo(f"{made.place}: jobs for {', '.join(wanted)}; a silent worker keeps its job for {made.lease:g}s")
    return 0


def _archive(ledger: Ledger, wire: Wire, idle: float, dry: bool, as_json: bool) -> int:
    from gitrelay.calls import within
    from gitrelay.cli import output
    from gitrelay.ground.text import counted
    from gitrelay.protocol.words import Access
    from gitrelay.remote.queue import abilities, archiving

    within.require(ledger, Access.WRITE, "git relay queue --archive")
    abilities.require(ledger.state, wire)
    found = archiving.archive(ledger, wire, idle, dry=dry, tell=output.say)
    if as_json:
        data = {"archived": found.sessions, "left": found.left, "dry_run": dry}
        click.echo(output.envelope("queue", 0, data))
        return 0
    for line in archiving.lines_of(found.left):
        output.say(line)
    for name in found.sessions:
        click.echo(name)
    output.say(f"{counted(len(found.sessions), 'session')} {'would be archived' if dry else 'archived'}")
    return 0


def _show(ledger: Ledger, wire: Wire, remote: str, as_json: bool) -> int:
    from gitrelay.cli import output
    from gitrelay.cli.table import columns
    from gitrelay.remote.queue import dispatch

    found = dispatch.engine(ledger.repo, remote, wire)
    try:
        jobs = found.listed()
    finally:
        found.close()
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
        [*(str(row[key] or "-") for key in keys), duration.render(max(0.0, now - one.seen))]
        for row, one in zip(rows, jobs, strict=True)
    ]
    click.echo(columns(["JOB", "SESSION", "PEER", "STATE", "WORKER", "ATTEMPT", "SEEN"], table))
    return 0
