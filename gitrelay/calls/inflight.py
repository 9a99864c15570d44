"""Calls in flight: waiting for them, looking at them, stopping them.

A call whose supervisor has died is recorded at the doors: `wait`, `look` and `cancel` do it for the exchange they
are asked for, and verbs, the supervisor and the hook call `settle` or `settle_all` before they read. Nothing below
records anything by being read.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from gitrelay.calls import isolation
from gitrelay.errors import Busy, CannotRecord, Code, NobodyWorks, RelayError
from gitrelay.ground.text import quote_path
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.process import ending
from gitrelay.protocol.names import Address
from gitrelay.state.calls import Call, CallFolder, identity_of
from gitrelay.state.files import is_own_folder, make_folder, write_whole
from gitrelay.workspace.opening import repository

_CANCEL_LIMIT: Final = 30.0  # seconds for a cancelled peer to end and be recorded; TERM_GRACE and SIGKILL fit in
_NOBODY: Final = 5.0  # seconds without a supervisor before it is believed; one brings its folder back within 0.25 s
_FIRST_PAUSE: Final = 0.002  # seconds between two looks, at first
_PAUSE: Final = 0.1  # later, while somebody works on it and its end is not told
_MANUAL_PAUSE: Final = 0.5  # for an answer that a person records, and while the end of the supervisor is told


def wait(
    ledger: Ledger,
    address: Address,
    limit: float | None,
    *,
    meanwhile: Callable[[], None] | None = None,
    own: bool = False,
) -> Exchange:
    """The exchange once it is answered; still pending if `limit` seconds have passed.

    `meanwhile` is called between two looks, at most every tenth of a second and never before the first.
    A call whose supervisor died is recorded as lost by this look. A request that nobody here works on is not waited
    for: it is recorded as lost if the caller had started the call (`own`), else NobodyWorks is raised after a few
    seconds. Raises UsageError for an unknown address.
    """
    deadline = None if limit is None else time.monotonic() + limit
    idle_since: float | None = None  # when nobody was first seen to work on it
    pause = _FIRST_PAUSE
    while True:
        _follow(ledger)
        folder = ledger.state.call(address.session)
        supervisor = None
        if _is_running(folder, address):
            idle_since = None
            supervisor = folder.supervisor_pid()
        else:
            try:
                found = look(ledger, address)
            except (RelayError, OSError):
                if ledger.repo.common_dir.is_dir():
                    raise
                continue  # it was moved just now
            if found.response is not None:
                return found
            if not folder.is_alive() and not _is_for_a_person(ledger, address):
                now = time.monotonic()
                idle_since = idle_since or now
                if now - idle_since > _NOBODY:
                    if not own:
                        raise _nobody_works(address)
                    close_lost(ledger, found)
        if deadline is not None and time.monotonic() >= deadline:
            # answered or not, it goes on: the checks are part of the call
            return replace(exchanges.exchange(ledger, address), response=None, response_data=b"")
        if meanwhile is not None:
            meanwhile()
        left = _MANUAL_PAUSE if deadline is None else max(0.0, deadline - time.monotonic())
        ended = None
        if supervisor is not None:
            ended = ending.ended_within(supervisor, min(left, _MANUAL_PAUSE if meanwhile is None else _PAUSE))
        if ended is not False:  # the lock may be held by who looks after a supervisor that has died
            pause = _FIRST_PAUSE if ended else pause
            time.sleep(min(left, pause))
            pause = min(pause * 1.2, _PAUSE if idle_since is None else _MANUAL_PAUSE)


def _follow(ledger: Ledger) -> None:
    """Be where the repository is now, if it was moved with this process in it. Raises CannotRecord if it is gone."""
    if ledger.repo.common_dir.is_dir():
        return
    with contextlib.suppress(OSError, RelayError):
        here = repository(Path.cwd())
        if identity_of(here.common_dir) == ledger.identity:
            ledger.follow(here.common_dir)
            return
    raise CannotRecord(
        f"the repository is not at {quote_path(ledger.repo.common_dir)} any more",
        hint="if it was moved, the answer is recorded there: git relay ls",
        code=Code.NOT_A_REPOSITORY,
    )


def _is_for_a_person(ledger: Ledger, address: Address) -> bool:
    """Whether the request was made for a person, or a peer that is not started, to answer (`--no-invoke`)."""
    with contextlib.suppress(OSError):
        return _by_hand(ledger, address.session).read_text("utf-8") == address.id
    return False


def note_for_a_person(ledger: Ledger, address: Address) -> None:
    """Remember, on this machine only, that nobody was started for the request, so that `wait` waits for a person."""
    with contextlib.suppress(OSError):
        path = _by_hand(ledger, address.session)
        make_folder(path.parent)
        write_whole(path, address.id.encode())


def forget_person(ledger: Ledger, session: str) -> None:
    """The request is answered. Never fails."""
    with contextlib.suppress(OSError):
        path = _by_hand(ledger, session)
        if is_own_folder(path.parent):
            path.unlink(missing_ok=True)


def _by_hand(ledger: Ledger, session: str) -> Path:
    return ledger.state.root / "by-hand" / session


def _nobody_works(address: Address) -> NobodyWorks:
    return NobodyWorks(
        f"{address} is not answered, and nobody here works on it",
        hint=f"git relay cancel {address}, or git relay res --session {address.session} --re {address.id} ...",
    )


def close_lost(ledger: Ledger, found: Exchange) -> None:
    """Record a request that has lost its supervisor and all that was known of it."""
    from gitrelay.calls import recording

    recording.close_unanswered(
        ledger, found, "lost", "its supervisor is gone, and what was known of the call was deleted"
    )


def _is_running(folder: CallFolder, address: Address) -> bool:
    if not folder.is_alive():
        return False
    call = folder.load()
    return call is not None and call.id == address.id


def look(ledger: Ledger, address: Address) -> Exchange:
    """The exchange as it is now; a call that has died is recorded first.

    Raises CannotRecord if it has ended and cannot be recorded; what is known of it is kept for the next look.
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
            hint=f"fix that, then 'git relay wait {address}' records it",
            code=e.code,
        ) from e
    return exchanges.exchange(ledger, address)


def cancel(ledger: Ledger, address: Address, by: str) -> Exchange:
    """Stop the peer and return the exchange once that is recorded. A request nobody runs is closed as cancelled.

    An exchange that is answered already is returned as it is. Raises Busy if the peer does not end.
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
    from gitrelay.calls import recording

    recording.close_unanswered(ledger, found, "cancelled", f"cancelled by {by}; no peer was running")
    forget_person(ledger, address.session)
    return exchanges.exchange(ledger, address)


def settle(ledger: Ledger, session: str) -> str:
    """Record the end of the session's call if it has died: the door of verbs, the supervisor and the hook.

    If that cannot be done now nothing happens; returns the reason then, else an empty string.
    """
    folder = ledger.state.call(session)
    try:
        if folder.path.exists() and not folder.is_alive():
            from gitrelay.calls import recording

            with locked(ledger, session, limit=1.0) as held:
                recording.heal(held, folder)
    except (RelayError, OSError) as e:
        return f"{session}: {e.message if isinstance(e, RelayError) else e}"
    return ""


def settle_all(ledger: Ledger) -> list[str]:
    """`settle` for every session with a call; returns why some could not be recorded: one is no matter of others."""
    told = [why for folder in ledger.state.calls() if (why := settle(ledger, folder.session))]
    isolation.heal(ledger)
    return told


def running(ledger: Ledger) -> list[tuple[Call, CallFolder]]:
    """The calls that run now, the oldest first. Nothing is recorded: `settle_all` comes before it."""
    found = []
    for folder in ledger.state.calls():
        with contextlib.suppress(RelayError, OSError):
            call = folder.load()
            if call is not None and folder.is_alive():
                found.append((call, folder))
    return found
