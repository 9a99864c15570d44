"""Letting a change through without a verdict: an exception that a person signs off, recorded like any exchange.

`gate` asks the person whether the change may go, and the person answers with the reason: two commits that keep every
rule of a session, so that a reader of the reviews finds the exceptions between them. The answer's `verify`
is `skip`, because nothing was verified, and its trailers are the reason and a sign-off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gitrelay.calls import ask, inflight
from gitrelay.calls.order import Order
from gitrelay.calls.settings import Given, caller
from gitrelay.errors import Busy, Code, UsageError
from gitrelay.gate import record as records
from gitrelay.gate.outgoing import Change
from gitrelay.gate.verdict import BYPASS
from gitrelay.git.repository import Repository
from gitrelay.ground.text import plain, quote
from gitrelay.ledger import snapshot
from gitrelay.ledger.session import locked
from gitrelay.protocol.message import Response
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import Trailer
from gitrelay.protocol.words import Access, Recorded, Status, Verify

_REASON_MAX: Final = 500  # characters; it is kept in a trailer
_SWITCHES: Final = ("true", "yes", "yep", "on", "ok", "okay", "skip", "false", "no", "off", "none", "null")


def record(folder: Path, repo: Repository, change: Change, reason: str, *, from_: str | None = None) -> Address:
    """Record the exception and return its address.

    Raises UsageError for a reason that is none, Busy while the branch is reviewed, CannotRecord: then there is none.
    """
    reason = checked(reason)
    person = caller(repo, from_)
    try:
        order = Order(
            task=f"May {change.head[:12]} of branch {quote(change.branch)} be pushed without a verdict?",
            to=(person,),
            from_=records.GATE,
            session=change.session,
            given=Given(access=Access.READ),
            invoke=False,
            binding=records.question(change, None).binding,
        )
        ledger, asked = ask.ask(folder, order)
    except Busy as e:
        hint = "'git relay status' shows what runs; 'git relay cancel ADDRESS' stops a review"
        raise Busy(f"the exception cannot be recorded now: {e.message}", hint=hint) from e
    signed = f"{repo.identity.name} <{repo.identity.email}>"
    body = f"It may, without a verdict.\n\nReason: {reason}\n\nSigned-off-by: {signed}"
    response = Response(asked.address.id, person, records.GATE, Status.DONE, Verify.SKIP, body)
    trailers = {Trailer.RECORDED: Recorded.PEER, BYPASS: reason, "Signed-off-by": signed}
    try:
        with locked(ledger, change.session) as held:
            tip = held.tip()
            if tip is None:
                raise UsageError(f"session {change.session} is gone", hint="try again", code=Code.UNKNOWN_SESSION)
            held.append_response(tip, response, trailers, files=snapshot.take(repo, change.session))
    except BaseException:
        inflight.cancel(ledger, asked.address, "an exception that could not be recorded")
        raise
    return asked.address


def checked(reason: str) -> str:
    """The reason as one line. Raises UsageError if it says nothing (`1`, `true`), or is too long for a trailer."""
    text = plain(reason, _REASON_MAX + 1)
    if not text:
        raise UsageError("the reason is empty", hint="say why, for those who read the record", code=Code.NO_REASON)
    letters = [c for c in text if c.isalpha()]
    if len(letters) < 2 or text.casefold().strip(" .!") in _SWITCHES:
        raise UsageError(
            f"{quote(text)} is no reason", hint='say why: GITRELAY_SKIP="the reviewer is down"', code=Code.NO_REASON
        )
    if len(text) > _REASON_MAX:
        raise UsageError(
            f"the reason has more than {_REASON_MAX} characters", hint="say it shorter", code=Code.BAD_REASON
        )
    return text
