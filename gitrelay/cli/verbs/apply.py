"""`git relay apply`: bring what a call changed into this working tree."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.protocol import names


@click.command("apply")
@json_option
@click.argument("address", metavar="ADDRESS", shell_complete=candidates.addresses)
def command(address: str, as_json: bool) -> int:
    """Bring what a call changed into this working tree.

    The changes between request and response are merged three ways with what is here. On a conflict
    nothing is changed, the files are named, and the exit code is 1. Only files are written, not the index;
    those of a submodule into its own working tree.
    """
    wanted = names.parse_address(address)

    from gitrelay.calls import within
    from gitrelay.cli import output
    from gitrelay.history import exchanges
    from gitrelay.ledger import applying
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.words import Access

    ledger = open_ledger(Path.cwd())
    within.require(ledger, Access.WRITE, "git relay apply")
    before, after = exchanges.trees(ledger, wanted)
    done = applying.apply(ledger.repo, before, after)
    if as_json:
        rows = [asdict(change) for change in done.changes]
        click.echo(output.envelope("apply", 0, {"address": str(wanted), "files": rows, "left_out": done.left}))
        return 0
    for line in done.left:
        output.say(f"not brought: {line}")
    for change in done.changes:
        click.echo(output.safe(f"{change.state} {change.path}"))
    if not done.changes and not done.left:
        output.say("nothing to change: what the call did is here already")
    return 0
