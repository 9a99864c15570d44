"""`git relay wait`: wait for running calls."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.ground import duration
from gitrelay.protocol import names


@click.command("wait")
@click.option("--timeout", metavar="D", help="Wait at most this long; then exit 8, and the calls go on.")
@json_option
@click.argument("addresses", nargs=-1, metavar="[ADDRESS...]", shell_complete=candidates.running)
def command(addresses: tuple[str, ...], timeout: str | None, as_json: bool) -> int:
    """Wait for running calls and print their answers.

    With the name of a group, what is not asked of it yet is asked, and its answer printed. With the session
    of a loop, the loop is waited for, as 'git relay loop' does.

    The answer of another machine ('req --on') is held to its request, taken, and its checks are run here.

    Ctrl-C ends the waiting, not the calls. The exit code is the worst of the answers'.
    """
    limit = None if timeout is None else duration.parse(timeout, "--timeout")

    from gitrelay.calls import addresses as calls
    from gitrelay.cli import addressing, answers
    from gitrelay.cli.waiting import goes_on, until_answered
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    if len(addresses) == 1 and names.is_session(addresses[0].partition("/")[0]):
        from gitrelay.calls import group

        known = group.load(ledger, addresses[0].partition("/")[0])
        if known is not None:
            from gitrelay.cli import grouping

            return grouping.finish(ledger, known, "wait", limit=limit, as_json=as_json)
    if len(addresses) == 1 and names.is_slug(addresses[0]):
        from gitrelay.cli import looping

        if looping.named(ledger, addresses[0]) is not None:
            try:
                return looping.follow(ledger, addresses[0], limit, as_json, verb="wait")
            except KeyboardInterrupt:
                raise goes_on(addresses[0]) from None
    words = addresses or (None,)
    wanted = [calls.meant(ledger, word) for word in words]
    try:
        for address, word in zip(wanted, words, strict=True):  # told in here: who reads it may press Ctrl-C at once
            addressing.tell(address, word)
        found = until_answered(ledger, wanted, limit, own=False)
    except KeyboardInterrupt:
        raise goes_on(" ".join(map(str, wanted))) from None
    return answers.print_exchanges("wait", found, as_json=as_json, single=False, ledger=ledger)
