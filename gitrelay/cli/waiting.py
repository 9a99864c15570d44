"""Waiting at the terminal: Ctrl-C cancels the calls that are waited for, anything else only ends the waiting."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gitrelay.calls import inflight
from gitrelay.cli import faraway
from gitrelay.cli.output import say
from gitrelay.errors import Interrupted
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger, open_ledger
from gitrelay.protocol.names import Address


def until_answered(
    ledger: Ledger, addresses: Sequence[Address], limit: float | None, *, own: bool = True
) -> list[Exchange]:
    """The exchanges once all are answered, or as they are after `limit` seconds.

    `own`: the calls were started here, so on a terminal the peers' events are shown meanwhile.
    """
    deadline = None if limit is None else time.monotonic() + limit
    meanwhile = None
    if own and sys.stderr.isatty():
        from gitrelay.cli.screen.progress import watching

        meanwhile = watching(ledger, addresses)
    found = []
    for address in addresses:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        away = faraway.wait(ledger, address, left)
        found.append(away or inflight.wait(ledger, address, left, meanwhile=meanwhile, own=own))
    return found


@contextlib.contextmanager
def cancelled_by_ctrl_c(addresses: Sequence[Address]) -> Iterator[None]:
    """Ctrl-C in this block cancels the calls and is reported as Interrupted; `addresses` may grow in it."""
    try:
        yield
    except KeyboardInterrupt:
        if not addresses:
            raise
        say("interrupted: cancelling; press Ctrl-C again to leave it running")
        try:
            ledger = open_ledger(Path.cwd())
            found = [
                faraway.cancel(ledger, address, "Ctrl-C") or inflight.cancel(ledger, address, "Ctrl-C")
                for address in addresses
            ]
        except KeyboardInterrupt:
            raise Interrupted("interrupted", hint=f"git relay status; git relay cancel {addresses[0]}") from None
        states = ", ".join(f"{e.address} is recorded as {e.reason or e.status}" for e in found)
        raise Interrupted(f"interrupted: {states}", hint=f"git relay show {addresses[0]}") from None


def goes_on(what: str) -> Interrupted:
    """For Ctrl-C in who only waits: nothing was stopped."""
    return Interrupted(
        f"interrupted: {what} still goes on", hint=f"git relay wait {what}, or git relay cancel {what.split()[0]}"
    )
