"""Ending a loop as a whole: the call that runs, and what would come after it."""

from __future__ import annotations

import time
from typing import Final

from gitrelay.calls import inflight
from gitrelay.errors import Busy, Code, Reason, UsageError
from gitrelay.history import loops
from gitrelay.history.loops import Loop
from gitrelay.history.rounds import Call, End
from gitrelay.ledger.ledger import Ledger
from gitrelay.loops import driving
from gitrelay.protocol import names

_LIMIT: Final = 120.0  # seconds; a check that gitrelay runs again is not interrupted
_PAUSE: Final = 0.1


def stop(ledger: Ledger, session: str, by: str) -> Loop:
    """End the loop of a session as cancelled; one that has ended stays as it is.

    Raises UsageError if there is no loop, Busy if it does not end.
    """
    loop = _read(ledger, session)
    if loop.end is not None:
        return loop
    sessions = {session, loops.review_session(session, loop.terms)}
    deadline = time.monotonic() + _LIMIT
    with driving.lock_of(ledger, session) as lock:
        while not lock.try_acquire():  # its process ends the loop when one of its calls is cancelled
            for call, _ in inflight.running(ledger):
                if call.session in sessions:
                    inflight.cancel(ledger, call.address, by)
            if time.monotonic() >= deadline:
                raise Busy(
                    f"the loop of {session} did not end within {_LIMIT:g} s of being cancelled",
                    hint=f"git relay wait {session}",
                    code=Code.BUSY,
                )
            time.sleep(_PAUSE)
        _close(ledger, session, by)
    return _read(ledger, session)


def _close(ledger: Ledger, session: str, by: str) -> None:
    """End a loop that no process drives: it waits for a person, or its process was killed."""
    inflight.settle_all(ledger)
    loop = _read(ledger, session)
    if loop.end is not None:
        return
    for address, e in loop.exchanges.items():
        if e.response is None:
            inflight.cancel(ledger, names.parse_address(address), by)
    loop = _read(ledger, session)
    cancelled = Call("", "error", reason=Reason.CANCELLED)
    driving.Driver(ledger.repo.place, session).close(loop, End.NO_ANSWER, cancelled, f"cancelled by {by}")


def _read(ledger: Ledger, session: str) -> Loop:
    loop = loops.read(ledger, session)
    if loop is None:
        raise UsageError(f"there is no loop in session {session}", hint=f"git relay log {session}")
    return loop
