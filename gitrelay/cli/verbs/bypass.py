"""`git relay bypass`: let a change through without a verdict, and say why."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli.options import json_option


@click.command("bypass")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept in the record with your sign-off.")
@click.option(
    "--base",
    metavar="REF",
    help="Where the change begins: commits that REF has are no part of it. Default: the remotes' default branches.",
)
@click.option("--from", "from_", metavar="NAME", help="Who lets it through. Default: as for 'req'.")
@json_option
@click.argument("change", required=False, metavar="[RANGE|BRANCH]")
def command(change: str | None, reason: str, base: str | None, from_: str | None, as_json: bool) -> int:
    """Let a change through without a verdict, and say why.

    The change is named as for 'review'; the exception holds for its base and tree only, and is recorded
    in the session review-BRANCH as an exchange between 'gate' and you. GITRELAY_SKIP="TEXT" before
    'git push' does the same for one push. Prints the address.
    """
    from gitrelay.calls import inflight, within
    from gitrelay.cli import output
    from gitrelay.gate import bypass, scope, settings
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.words import Access

    ledger = open_ledger(Path.cwd())
    within.require(ledger, Access.WRITE, "git relay bypass")
    inflight.settle_all(ledger)
    wanted, _ = scope.of_words(ledger, change, base, settings.settings(ledger.repo), tell=output.say)
    address = bypass.record(Path.cwd(), ledger.repo, wanted, reason, from_=from_)
    row = {"address": str(address), "base": wanted.base, "head": wanted.head, "tree": wanted.tree}
    click.echo(output.envelope("bypass", 0, row) if as_json else str(address))
    return 0
