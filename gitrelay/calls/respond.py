"""An answer that a peer or a person records itself, with `git relay res`."""

from __future__ import annotations

import contextlib
import os

from gitrelay import environment
from gitrelay.calls import inflight
from gitrelay.calls.within import By
from gitrelay.errors import Busy, Code, UsageError
from gitrelay.ground.text import quote
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger import snapshot
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.protocol import frontmatter
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import Response
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import Trailer
from gitrelay.protocol.words import Recorded
from gitrelay.state.calls import CallFolder


def respond(
    ledger: Ledger, address: Address, *, from_: str, to: str, status: str, verify: str, body: str, by: By
) -> Exchange:
    """Record an answer that a peer or a person gives itself.

    Raises UsageError if it does not fit the request, Busy while the request's peer works on it and somebody else
    answers in its place, or nobody can because its answer is what it prints: under read access, or in a review.
    """
    session = address.session
    found = exchanges.exchange(ledger, address)
    for option, given, wanted in (("--from", from_, found.to), ("--to", to, found.from_)):
        if given != wanted:
            raise UsageError(
                f"{option} {quote(given)} does not fit: {address} is from {found.from_} to {found.to}",
                hint=f"use {option} {wanted}",
                code=Code.WRONG_PARTY,
            )
    if not body.strip():
        raise UsageError("the answer is empty", hint="say something, or pipe it in", code=Code.EMPTY_BODY)
    try:
        frontmatter.decode(body.encode())
    except (BadMessage, UnicodeEncodeError) as e:
        raise UsageError(f"the answer is not text: {e}", code=Code.BAD_BODY) from None
    with locked(ledger, session) as held:
        _refuse_running(ledger.state.call(session), address)
        tip = held.tip()
        if tip is None:
            raise UsageError(f"session {quote(session)} is archived", hint=f"git relay archive --restore {session}")
        response = Response(address.id, from_, to, status, verify, body)
        trailers = {Trailer.RECORDED: Recorded.PEER, **by.trailers}
        held.append_response(tip, response, trailers, files=snapshot.take(ledger.repo, session))
    inflight.forget_person(ledger, session)
    return exchanges.exchange(ledger, address)


def _refuse_running(folder: CallFolder, address: Address) -> None:
    """Raise Busy if the call still runs and this process is not part of it. Under the session's lock this holds."""
    call = folder.load() if folder.is_alive() else None
    if call is not None and call.id == address.id and call.prints_answer:
        raise Busy(
            f"{call.to} works on {address}, and its answer is what it prints: nobody answers for it",
            hint=f"git relay cancel {address}",
        )
    if call is None or call.id != address.id or os.environ.get(environment.CALL) == call.mark:
        return
    import psutil

    with contextlib.suppress(psutil.Error):  # agents clean the environment of the commands that they run
        if call.peer_pid in [process.pid for process in psutil.Process().parents()]:
            return
    raise Busy(
        f"{call.to} still works on {address}, and a request has one answer",
        hint=f"git relay wait {address}, or git relay cancel {address}",
    )
