"""Calls in flight: waiting for them, looking at them, stopping them.

Every look heals: a call whose supervisor has died is recorded before anything is said about it. What records is
imported when there is something to record: 'show' and 'status' look first.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gitrelay.errors import Busy, CannotRecord
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.protocol.message import Parties
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import Trailer
from gitrelay.protocol.words import Recorded
from gitrelay.state.calls import Call, CallFolder

_CANCEL_LIMIT: Final = 30.0  # seconds for a cancelled peer to end and be recorded; TERM_GRACE and SIGKILL fit in
_MANUAL_PAUSE: Final = 0.5  # seconds between two looks for an answer that a person records


def wait(
    ledger: Ledger, address: Address, limit: float | None, *, meanwhile: Callable[[], None] | None = None
) -> Exchange:
    """The exchange once it is answered; still pending where `limit` seconds have passed.

    `meanwhile` is called between two looks, at most every tenth of a second and never before the first.
    A call whose supervisor died is recorded as lost by this look. Raises UsageError for an unknown address.
    """
    deadline = None if limit is None else time.monotonic() + limit
    folder = ledger.state.call(address.session)
    pause = 0.002
    while True:
        if not _is_running(folder, address):
            found = look(ledger, address)
            if found.response is not None:
                return found
            if not folder.is_alive():
                pause = _MANUAL_PAUSE
        if deadline is not None and time.monotonic() >= deadline:
            # answered or not, it goes on: the checks are part of the call
            return replace(exchanges.exchange(ledger, address), response=None, response_data=b"")
        if meanwhile is not None:
            meanwhile()
        time.sleep(pause if deadline is None else min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.2, 0.1) if pause < _MANUAL_PAUSE else pause


def _is_running(folder: CallFolder, address: Address) -> bool:
    if not folder.is_alive():
        return False
    call = folder.load()
    return call is not None and call.id == address.id


def look(ledger: Ledger, address: Address) -> Exchange:
    """The exchange as it stands; a call that has died is recorded first.

    Raises CannotRecord where it has ended and cannot be recorded; what is known of it is kept for the next look.
    """
    found = exchanges.exchange(ledger, address)
    folder = ledger.state.call(address.session)
    if not folder.path.exists():
        return found
    from gitrelay.calls import recording

    try:
        with locked(ledger, address.session) as held:
            recording.heal(held, folder)
    except CannotRecord as e:
        raise CannotRecord(
            f"{address} has ended but cannot be recorded: {e.message}",
            hint=f"mend that, then 'git relay wait {address}' records it",
            code=e.code,
        ) from e
    return exchanges.exchange(ledger, address)


def cancel(ledger: Ledger, address: Address, by: str) -> Exchange:
    """Stop the peer and return the exchange once that is recorded. A request nobody runs is closed as cancelled.

    An exchange that is answered already is returned as it is. Raises Busy where the peer would not end.
    """
    found = look(ledger, address)
    if found.response is not None:
        return found
    folder = ledger.state.call(address.session)
    if _is_running(folder, address):
        with contextlib.suppress(FileNotFoundError):
            folder.request_cancel(by)
        found = wait(ledger, address, _CANCEL_LIMIT)
        if found.response is None:
            raise Busy(
                f"{address} did not end within {_CANCEL_LIMIT:g} s of being cancelled",
                hint="look again later",
            )
        return found
    from gitrelay.calls.outcome import failed
    from gitrelay.ledger import snapshot

    with locked(ledger, address.session) as held:
        tip = held.tip()
        if tip is not None and tip.pending == address.id:
            parties = Parties(address.id, found.from_, found.to)
            outcome = failed(parties, "cancelled", f"cancelled by {by}; no peer was running")
            files = snapshot.take(ledger.repo, address.session)
            held.append_response(tip, outcome.response, {Trailer.RECORDED: Recorded.GITRELAY}, files=files)
    return exchanges.exchange(ledger, address)


def settle(ledger: Ledger, session: str) -> None:
    """Record the end of the session's call if it has died; where that cannot be done now, nothing happens."""
    folder = ledger.state.call(session)
    if folder.path.exists() and not folder.is_alive():
        from gitrelay.calls import recording

        with contextlib.suppress(CannotRecord, Busy), locked(ledger, session, limit=1.0) as held:
            recording.heal(held, folder)


def settle_all(ledger: Ledger) -> None:
    """Record the end of every call that has died: once, by whoever comes in at a door."""
    for folder in ledger.state.calls():
        settle(ledger, folder.session)


def running(ledger: Ledger) -> list[tuple[Call, CallFolder]]:
    """The calls that run now, the oldest first; calls that have died are recorded by this look."""
    found = []
    for folder in ledger.state.calls():
        settle(ledger, folder.session)
        call = folder.load()
        if call is not None and folder.is_alive():
            found.append((call, folder))
    return found
