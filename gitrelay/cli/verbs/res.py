"""`git relay res`: a peer, or a person, records its answer itself."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option, read_text
from gitrelay.protocol import names


@click.command("res")
@click.option("--session", metavar="S", shell_complete=candidates.open_sessions, help="Instead of ADDRESS, with --re.")
@click.option("--re", "re_", metavar="ID", shell_complete=candidates.turns, help="The request's id, as 02.")
@click.option(
    "--from",
    "from_",
    metavar="P",
    shell_complete=candidates.peers,
    help="Who answers. Default: the peer that was asked; another is refused.",
)
@click.option("--to", "to", metavar="C", help="Who asked. Default: as the request says; another is refused.")
@click.option("--status", type=click.Choice(["done", "error"]), default="done", help="Default: done.")
@click.option(
    "--verify", type=click.Choice(["pass", "fail", "skip"]), help="What you claim of it. Default, of an error: skip."
)
@json_option
@click.argument("words", nargs=-1, metavar="[ADDRESS] [BODY]", shell_complete=candidates.waiting)
def command(
    session: str | None,
    re_: str | None,
    from_: str | None,
    to: str | None,
    status: str,
    verify: str | None,
    as_json: bool,
    words: tuple[str, ...],
) -> int:
    """Record an answer to a request, as the peer or in its place.

    Without ADDRESS it is the latest request that has no answer. BODY '-', or none with piped stdin, is read
    from stdin. Prints the address of the exchange.

    \b
      git relay res auth-refactor/02 --verify pass "Fixed, 48 tests pass."
    """
    if (session is None) != (re_ is None):
        raise click.UsageError("--session and --re go together; or give the address, as auth-refactor/02")
    if verify is None and status == "done":
        raise click.UsageError("--verify is missing: pass, fail or skip")

    from gitrelay.calls import inflight, respond, within
    from gitrelay.calls.within import By
    from gitrelay.cli import addressing, output
    from gitrelay.history import exchanges
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.words import Access

    ledger = open_ledger(Path.cwd())
    if session is not None and re_ is not None:
        address, rest = names.parse_address(f"{names.check_session(session, '--session')}/{re_}"), words
    else:
        address, rest = addressing.unanswered(ledger, words)
    text = read_text(rest, "BODY")
    inflight.settle(ledger, address.session)
    by = By.here(ledger.repo, within.require(ledger, Access.WRITE, "git relay res"))
    asked = exchanges.exchange(ledger, address)
    found = respond.respond(
        ledger,
        address,
        from_=asked.to if from_ is None else from_,
        to=asked.from_ if to is None else to,
        status=status,
        verify=verify or "skip",
        body=text,
        by=by,
    )
    click.echo(output.envelope("res", 0, output.exchange_json(found)) if as_json else str(found.address))
    return 0
