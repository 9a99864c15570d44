"""`git relay cancel`: stop a running call."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.protocol import names


@click.command("cancel")
@json_option
@click.argument("address", metavar="ADDRESS", shell_complete=candidates.running)
def command(address: str, as_json: bool) -> int:
    """Stop a running call; it is recorded as cancelled.

    The peer's whole process group is ended. A request that waits for a person is closed. An exchange
    that is answered already stays as it is.
    """
    wanted = names.parse_address(address)

    from gitrelay.calls import inflight
    from gitrelay.cli import output
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    found = inflight.cancel(ledger, wanted, "git relay cancel")
    how = f"{found.address}: {found.reason or f'{found.status}, verify {found.verify}'}"
    click.echo(output.envelope("cancel", 0, output.exchange_json(found)) if as_json else how)
    return 0
