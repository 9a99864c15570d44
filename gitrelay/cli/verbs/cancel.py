"""`git relay cancel`: stop a running call."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option

_BY: Final = "git relay cancel"


@click.command("cancel")
@json_option
@click.argument("address", required=False, metavar="[ADDRESS]", shell_complete=candidates.running)
def command(address: str | None, as_json: bool) -> int:
    """Stop a running call; it is recorded as cancelled.

    The peer's whole process group is ended. A request that waits for a person is closed. A call that a
    worker has is taken back: the worker's answer does not count any more. An exchange
    that is answered already stays as it is. With the session of a loop the loop ends, and its last
    exchange says so.
    """
    from gitrelay.calls import inflight, keeping
    from gitrelay.cli import addressing, faraway, output
    from gitrelay.cli.looping import named
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.loops import stopping

    ledger = open_ledger(Path.cwd())
    if address is not None and named(ledger, address) is not None:
        closing = stopping.stop(ledger, address, _BY).closing
        assert closing is not None
        found = closing
    else:
        meant = addressing.meant(ledger, address)
        found = faraway.cancel(ledger, meant, _BY) or inflight.cancel(ledger, meant, _BY)
        keeping.end(ledger, found.address.session, [found.to])
    how = f"{found.address}: {found.reason or f'{found.status}, verify {found.verify}'}"
    click.echo(output.envelope("cancel", 0, output.exchange_json(found)) if as_json else how)
    return 0
