"""Calls that another machine answers, for the verbs that wait for calls, show and end them.

Nothing of the queue is loaded if this clone has no such call.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitrelay.calls.ask import Asked
from gitrelay.calls.order import Order
from gitrelay.cli.output import say
from gitrelay.errors import RelayError
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.names import Address

if TYPE_CHECKING:
    from gitrelay.remote.submitting import Away


def refuse(to: tuple[str, ...], given: Mapping[str, object]) -> None:
    """Raise UsageError for what does not go with `--on`; `given` is option -> whether it is given."""
    for option, value in given.items():
        if value:
            raise click.UsageError(f"--on and {option} exclude each other: a worker is not told of it")
    if len(to) > 1:
        raise click.UsageError("--on takes one peer")


def ask(order: Order, remote: str) -> tuple[Ledger, Asked]:
    """Record the request and send it to the workers of `remote`. Raises what `submitting.submit` raises."""
    from gitrelay.remote import submitting

    ledger, asked, _ = submitting.submit(Path.cwd(), order, remote)
    return ledger, asked


def _away(ledger: Ledger, address: Address) -> Away | None:
    if not (ledger.state.root / "away" / address.session).exists():
        return None
    from gitrelay.remote import submitting

    found = submitting.of_session(ledger, address.session)
    return found if found is not None and found.address == address else None


def wait(ledger: Ledger, address: Address, limit: float | None) -> Exchange | None:
    """The exchange once a worker's answer is here, pending after `limit` seconds; None if no worker is to answer."""
    away = _away(ledger, address)
    if away is None:
        return None
    from gitrelay.remote.submitting import Remote

    remote = Remote(ledger, away.remote)
    try:
        return remote.wait(away, limit, say)
    finally:
        remote.close()


def cancel(ledger: Ledger, address: Address, by: str) -> Exchange | None:
    """End a call that is away, by this machine's own answer; None if it is not away.

    It is told to the remote later if that does not answer.
    """
    away = _away(ledger, address)
    if away is None:
        return None
    from gitrelay.remote.jobs import Unreachable
    from gitrelay.remote.submitting import Remote

    remote = Remote(ledger, away.remote)
    try:
        return remote.cancel(away, by)
    except Unreachable as e:
        say(f"{address} has ended here; the remote is not told yet: {e.message}; 'git relay status' does it later")
        return exchanges.exchange(ledger, address)
    finally:
        remote.close()


def seen(ledger: Ledger) -> list[tuple[Away, str]]:
    """Every call that is away, and what is known of it in words; answers that have come are taken."""
    if not (ledger.state.root / "away").is_dir():
        return []
    from gitrelay.remote import submitting

    found = []
    for away in submitting.all_away(ledger):
        try:
            remote = submitting.Remote(ledger, away.remote)
            try:
                exchange, words = remote.look(away)
            finally:
                remote.close()
        except RelayError as e:
            found.append((away, e.message))
            continue
        if exchange.response is None:
            found.append((away, words))
        else:
            say(f"{away.address}: {words}")
    return found
