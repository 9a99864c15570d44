"""`git relay wait`: wait for running calls."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay import duration
from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.protocol import names


@click.command("wait")
@click.option("--timeout", metavar="D", help="Wait at most this long; then exit 8, and the calls go on.")
@json_option
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...", shell_complete=candidates.running)
def command(addresses: tuple[str, ...], timeout: str | None, as_json: bool) -> int:
    """Wait for running calls and print their answers.

    Ctrl-C ends the waiting, not the calls. The exit code is the worst of the answers'.
    """
    limit = None if timeout is None else duration.parse(timeout, "--timeout")
    wanted = [names.parse_address(a) for a in addresses]

    from gitrelay.cli import output
    from gitrelay.cli.waiting import until_answered
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    found = until_answered(ledger, wanted, limit, own=False)
    return output.print_exchanges("wait", found, as_json=as_json, single=False)
