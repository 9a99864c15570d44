"""`git relay answer`: answer a question that a peer asked back."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option, read_text
from gitrelay.ground import duration


@click.command("answer")
@click.option("--option", "option", type=int, metavar="N", help="Answer with the Nth of the options, from 1 on.")
@click.option("--wait", "wait", metavar="D", help="Wait at most this long; then exit 8, and the call goes on.")
@click.option("-d", "--detach", is_flag=True, help="Do not wait: print the address.")
@json_option
@click.argument("words", nargs=-1, metavar="[ADDRESS] [TEXT]", shell_complete=candidates.questions)
def command(words: tuple[str, ...], option: int | None, wait: str | None, detach: bool, as_json: bool) -> int:
    """Answer a question that a peer asked back: the next turn of its session.

    Without ADDRESS it is the latest question that waits. The same peer is asked with the same access, model,
    effort and checks; where its own conversation can be continued, that is one model call. TEXT '-', or none
    with piped stdin, is read from stdin. A question is answered once: the same answer again prints what is
    recorded.

    \b
      git relay ls --questions
      git relay answer auth-refactor/02 "Use Postgres."
      git relay answer auth-refactor/02 --option 1
    """
    if detach and wait is not None:
        raise click.UsageError("--detach and --wait exclude each other")
    limit = None if wait is None else duration.parse(wait, "--wait")

    from gitrelay.calls import answering, inflight
    from gitrelay.cli import addressing, answers, asking, output
    from gitrelay.cli.waiting import cancelled_by_ctrl_c, until_answered
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.names import Address

    ledger = open_ledger(Path.cwd())
    address, rest = addressing.split(ledger, words)
    if option is not None and rest:
        raise click.UsageError("TEXT and --option exclude each other")
    text = read_text(rest, "TEXT") if option is None else None
    at = addressing.question(ledger, address)
    inflight.settle(ledger, at.session)
    addresses: list[Address] = []
    with cancelled_by_ctrl_c(addresses):
        asked = answering.answer(Path.cwd(), ledger, at, text=text, option=option)
        addresses.append(asked.address)
        output.note(asked.notes)
        if not detach:
            output.say(f"{asked.address}: recorded before, as the answer" if asked.replayed else str(asked.address))
            sys.stderr.flush()
            (found,) = until_answered(ledger, addresses, limit)
    if detach:
        row = {"address": str(asked.address), "file": None, "replayed": asked.replayed}
        click.echo(output.envelope("answer", 0, row) if as_json else str(asked.address))
        return 0
    replayed = {asked.address: asked.replayed}
    code = answers.print_exchanges("answer", [found], as_json=as_json, single=True, replayed=replayed, ledger=ledger)
    return code if as_json else asking.until_answered(ledger, found, code)
