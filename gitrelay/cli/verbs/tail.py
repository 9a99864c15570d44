"""`git relay tail`: the peer's live events, as readable lines."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.ground import duration


@click.command("tail")
@click.option("--timeout", metavar="D", help="Follow at most this long; then exit 8, and the call goes on.")
@click.option("--no-follow", is_flag=True, help="Print what there is, and end.")
@json_option
@click.argument("address", required=False, metavar="[ADDRESS]", shell_complete=candidates.addresses)
def command(address: str | None, timeout: str | None, no_follow: bool, as_json: bool) -> int:
    """Follow a peer's events as readable lines.

    Tools, files, messages, retries, as they come, until the call ends; what was printed before is marked
    [earlier]. Of an ended call the log is shown while it is kept. Of a call that another machine answers it is
    what its worker says, a line each time it renews its lease. With --json the lines so far, without following.
    """
    limit = None if timeout is None else duration.parse(timeout, "--timeout")

    from gitrelay.calls import inflight
    from gitrelay.calls.peerlog import Follower
    from gitrelay.cli import addressing, faraway, output
    from gitrelay.cli.screen import progress
    from gitrelay.history import exchanges
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    wanted = addressing.meant(ledger, address)
    exchange = exchanges.exchange(ledger, wanted)
    away = faraway.told(ledger, wanted) if as_json or no_follow else None
    if as_json:
        lines = Follower(ledger, wanted, exchange.to).lines() if away is None else [away]
        click.echo(output.envelope("tail", 0, {"address": str(wanted), "status": exchange.status, "lines": lines}))
        return 0
    look = progress.watching(ledger, [wanted], lambda line: click.echo(output.safe(line)))
    look()
    if no_follow and away is not None:
        click.echo(output.safe(f"{wanted}: {away}"))
    if no_follow or exchange.response is not None:
        return 0
    found = faraway.wait(ledger, wanted, limit, lambda line: click.echo(output.safe(line)), progress=True)
    found = found or inflight.wait(ledger, wanted, limit, meanwhile=look)
    look()
    if found.response is not None:
        output.say(f"{found.address}: {found.reason or f'{found.status}, verify {found.verify}'}")
    return found.exit_code
