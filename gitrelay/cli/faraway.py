"""Calls that another machine answers, for the verbs that wait for calls, show and end them.

Nothing of the queue is loaded if this clone has no such call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gitrelay.calls import group as groups
from gitrelay.calls.ask import Asked
from gitrelay.calls.order import Order
from gitrelay.cli.output import say
from gitrelay.errors import Code, RelayError, UsageError
from gitrelay.ground.text import quote
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.names import Address

if TYPE_CHECKING:
    from gitrelay.state.away import Away


_WHY_NOT: Final = {
    "--shared": "a worker has its own tree, and not yours",
    "--keep": "a worker begins with your files each time",
    "--fresh": "a worker begins with your files each time",
    "--hand-back": "a worker ends a call that has used up its budget",
    "--no-invoke": "it is there to be answered",
    "--context": "a worker has this session alone; put what matters into the task",
}


def refuse(given: Mapping[str, object]) -> None:
    """Raise UsageError for what does not go with `--on`; `given` is a key of _WHY_NOT -> whether it is given."""
    for option, value in given.items():
        if value:
            raise click.UsageError(f"--on and {option} exclude each other: {_WHY_NOT[option]}")


def require_known_workers(ledger: Ledger, remote: str) -> None:
    """Raise UsageError unless the answers of that remote count only if a known worker has signed them."""
    if not ledger.repo.config.get(f"relay.{remote}.workers"):
        raise UsageError(
            f"anybody who can push to {quote(remote)} could let the change pass: no worker is known by its key",
            hint=f"git config relay.{remote}.workers FILE, in the form of ssh-keygen's ALLOWED SIGNERS",
            code=Code.BAD_REVIEWER,
        )


def ask(order: Order, remote: str, expires: str | None, checks: tuple[str, ...] = ()) -> tuple[Ledger, list[Asked]]:
    """Record the requests and send them to the workers of `remote`. Raises what `asking.submit` raises."""
    from gitrelay.remote.away import asking

    return asking.submit(Path.cwd(), order, remote, expires=expires, checks=checks)


def require_remote(ledger: Ledger, remote: str) -> None:
    """Raise UsageError for a remote that is not there, or is known to be unable to hold a queue."""
    from gitrelay.remote.away import sending

    sending.Remote(ledger, remote).close()


_PAUSE: Final = 2.0  # seconds between two looks at one attempt


class Attempts:
    """Attempts of a group that workers of a remote answer, a job each; their checks run here."""

    most = groups.MOST

    def __init__(self, ledger: Ledger, remote: str) -> None:
        self._ledger = ledger
        self._remote = remote
        self._due: dict[Address, float] = {}  # when its remote is asked again

    def ask(self, order: Order) -> Asked:
        _, (asked,) = ask(order, self._remote, None)
        return asked

    def look(self, address: Address) -> Exchange | None:
        if time.monotonic() < self._due.get(address, 0.0):
            return None
        self._due[address] = time.monotonic() + _PAUSE
        found = wait(self._ledger, address, 0.0, lambda line: None) or exchanges.exchange(self._ledger, address)
        return found if found.response is not None else None

    def cancel(self, address: Address, by: str) -> Exchange:
        return cancel(self._ledger, address, by) or exchanges.exchange(self._ledger, address)


def _away(ledger: Ledger, address: Address) -> Away | None:
    if not (ledger.state.root / "away" / address.session).exists():
        return None
    from gitrelay.remote.away import sending

    found = sending.of_session(ledger, address.session)
    return found if found is not None and found.address == address else None


def wait(
    ledger: Ledger,
    address: Address,
    limit: float | None,
    tell: Callable[[str], None] = say,
    *,
    progress: bool = False,
) -> Exchange | None:
    """The exchange once a worker's answer is here, pending after `limit` seconds; None if no worker is to answer.

    `tell` takes what is new: whether a worker has it and, with `progress`, what that says of its peer.
    """
    away = _away(ledger, address)
    if away is None:
        return None
    from gitrelay.remote.away.sending import Remote

    remote = Remote(ledger, away.remote)
    try:
        return remote.wait(away, limit, tell, progress=progress)
    finally:
        remote.close()


def told(ledger: Ledger, address: Address) -> str | None:
    """What is known of a call that is away, in words; None if it is not."""
    away = _away(ledger, address)
    return next((words for one, words in _seen(ledger, [away])), None) if away is not None else None


def cancel(ledger: Ledger, address: Address, by: str) -> Exchange | None:
    """End a call that is away, by this machine's own answer; None if it is not away.

    It is told to the remote later if that does not answer.
    """
    away = _away(ledger, address)
    if away is None:
        return None
    from gitrelay.remote.away import sending
    from gitrelay.remote.queue.jobs import Unreachable

    try:
        remote = sending.Remote(ledger, away.remote)
    except UsageError as e:
        say(f"{address}: {e.message}, and is not told")
        return sending.end_here(ledger, away, by)
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
    from gitrelay.state import away as aways

    return list(_seen(ledger, aways.everything(ledger.state.root)))


def _seen(ledger: Ledger, calls: Sequence[Away]) -> Iterator[tuple[Away, str]]:
    from gitrelay.remote.away import sending

    for away in calls:
        try:
            remote = sending.Remote(ledger, away.remote)
            try:
                exchange, words = remote.look(away)
            finally:
                remote.close()
        except RelayError as e:
            yield away, e.message
            continue
        if exchange.response is None:
            yield away, words
        else:
            say(f"{away.address}: {words}")
