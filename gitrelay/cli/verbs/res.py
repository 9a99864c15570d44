"""`git relay res`: a peer, or a person, records its answer itself."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option, read_text
from gitrelay.protocol import names


@click.command("res")
@click.option(
    "--session", required=True, metavar="S", shell_complete=candidates.open_sessions, help="The request's session."
)
@click.option(
    "--re", "re_", required=True, metavar="ID", shell_complete=candidates.turns, help="The request's id, as 02."
)
@click.option(
    "--from",
    "from_",
    required=True,
    metavar="P",
    shell_complete=candidates.peers,
    help="Who answers: the peer that was asked.",
)
@click.option("--to", "to", required=True, metavar="C", help="Who asked.")
@click.option("--status", required=True, type=click.Choice(["done", "error"]))
@click.option("--verify", required=True, type=click.Choice(["pass", "fail", "skip"]))
@json_option
@click.argument("body", nargs=-1)
def command(
    session: str,
    re_: str,
    from_: str,
    to: str,
    status: str,
    verify: str,
    as_json: bool,
    body: tuple[str, ...],
) -> int:
    """Record an answer to a request, as the peer or in its place.

    BODY '-', or none with piped stdin, is read from stdin. Prints the address of the exchange.
    """
    text = read_text(body, "BODY")

    from gitrelay.calls import inflight, respond, within
    from gitrelay.calls.within import By
    from gitrelay.cli import output
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.words import Access

    ledger = open_ledger(Path.cwd())
    inflight.settle(ledger, names.check_session(session, "--session"))
    outer = within.require(ledger, Access.WRITE, "git relay res")
    by = By.here(ledger.repo, outer)
    found = respond.respond(
        ledger, session=session, re=re_, from_=from_, to=to, status=status, verify=verify, body=text, by=by
    )
    click.echo(output.envelope("res", 0, output.exchange_json(found)) if as_json else str(found.address))
    return 0
