"""`git relay show`: a message, an exchange, a whole transcript; from git, never from the worktree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.errors import Code
from gitrelay.protocol import names

if TYPE_CHECKING:
    from gitrelay.history.exchange import Exchange
    from gitrelay.ledger.ledger import Ledger


@click.command("show")
@click.option("--req", "only", flag_value="req", help="Only the request.")
@click.option("--res", "only", flag_value="res", help="Only the response.")
@click.option("--steps", "only", flag_value="steps", help="What the peer says it did, one line a step.")
@click.option("--raw", is_flag=True, help="The files as they are recorded, without headings.")
@json_option
@click.argument("what", required=False, metavar="[ADDRESS|SESSION]", shell_complete=candidates.anything)
def command(what: str | None, only: str | None, raw: bool, as_json: bool) -> int:
    """Print a message, an exchange or a whole session.

    ADDRESS is SESSION/ID, or a one-shot's id; without one it is the last call. The text comes from git.

    --steps shows what peers did, as their own events tell it: how long after the peer's start, the kind (run, edit,
    read, search, tool or retry), what, how it ended. It is recorded if relay.steps is true.
    """
    from gitrelay.calls import addresses, inflight
    from gitrelay.cli import addressing, output
    from gitrelay.errors import PENDING, UsageError
    from gitrelay.history import exchanges
    from gitrelay.history.outcome import shown
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.record import remote_of

    ledger = open_ledger(Path.cwd())
    session = addresses.plain(what or "")
    if not names.is_session(session):
        address = addressing.meant(ledger, what)
        inflight.settle(ledger, address.session)
        found = [exchanges.exchange(ledger, address)]
    else:
        inflight.settle(ledger, session)
        found = exchanges.exchanges(ledger, session, bodies=True)
    if as_json:
        rows = [output.exchange_json(e, request=True) for e in found]
        if only == "steps":
            from gitrelay.ledger import stepsref

            known = stepsref.read(ledger, [e.address for e in found])
            for row, e in zip(rows, found, strict=True):
                row |= output.steps_json(known.get(e.address))
        click.echo(output.envelope("show", 0, rows))
        return 0
    if only == "res" and found and all(e.response is None for e in found):
        raise UsageError(
            f"{found[-1].address} is not answered yet",
            hint=f"git relay wait {found[-1].address}",
            code=Code.NOT_ANSWERED,
        )
    if not found:
        output.say(f"session {session} has no exchanges yet")
        return 0
    if only == "steps":
        return _show_steps(ledger, found)
    output.from_remotes(remote_of(e.rev) for e in found)
    for e in found:
        for line in exchanges.left_out(ledger, e):
            output.say(f"{e.address}: not in its trees: {line}")
    if output.is_drawn() and not raw:
        import time

        from gitrelay.cli.screen import conversation, ending, terminal

        with terminal.opened(ledger.repo) as seen:
            now = time.time()
            for i, e in enumerate(found):
                seen.print([""] if i else [])
                seen.print(conversation.lines(e, seen.width, colours=seen.colours, only=only, now=now))
                if len(found) == 1 and only != "req":
                    seen.print(["", *ending.lines(ledger, e, seen.width, colours=seen.colours)])
                if e.response is None and only is None:
                    seen.print(["", f"{e.address} is not answered yet"])
        return 0
    for e in found:
        parts = []
        if only != "res":
            parts.append((e.request, e.request_data))
        if only != "req" and e.response is not None:
            parts.append((e.response, e.response_data))
        for commit, data in parts:
            if not raw and only is None:
                output.write(f"==> {commit.oid[:12]} {commit.subject}\n".encode())
            output.write(data)
            if not raw and only is None:
                output.write(b"\n")
        if only is None and not raw:
            output.write(f"==> {e.address}: {shown(e.outcome, e.checked)}\n".encode())
            for command, word in e.worker_checks:
                output.write(f"==> {e.address}: the worker says: check {word}: {command}\n".encode())
        if e.response is None and only is None and not raw:
            output.say(f"{e.address}: not answered yet (exit code {PENDING} of 'git relay wait')")
    return 0


def _show_steps(ledger: Ledger, found: Sequence[Exchange]) -> int:
    from gitrelay.cli import output
    from gitrelay.cli.screen import steps, terminal
    from gitrelay.ledger import stepsref

    known = stepsref.read(ledger, [e.address for e in found])
    for e in found:
        if e.address not in known:
            output.say(f"{e.address}: no steps are recorded; 'git config relay.steps true' is for calls from now on")
    there = [(e.address, known[e.address]) for e in found if e.address in known]
    if output.is_drawn():
        with terminal.opened(ledger.repo) as seen:
            for address, one in there:
                seen.print(steps.lines(address, one, seen.width, colours=seen.colours))
    else:
        for address, one in there:
            click.echo("\n".join(steps.lines(address, one, None)))
    return 0
