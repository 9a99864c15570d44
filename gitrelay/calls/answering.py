"""Answering a question that a peer asked back: the next turn of its session, with what the call was made with.

The turn has a key made from the question's address, so that a question is answered once: the first answer counts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from gitrelay.calls import ask
from gitrelay.calls.ask import Asked
from gitrelay.calls.isolation import ISOLATED
from gitrelay.calls.order import Order
from gitrelay.calls.settings import Given
from gitrelay.errors import Code, UsageError
from gitrelay.ground.text import quote
from gitrelay.history import exchanges, questions
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.budget import CALL, Held
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import Trailer
from gitrelay.protocol.words import Recorded

_FRAME: Final = "{text}\n\n(This answers your question in {id}; go on with that task.)"


def answer(
    folder: Path, ledger: Ledger, address: Address, *, text: str | None = None, option: int | None = None
) -> Asked:
    """Ask the next turn of the session of the question at `address`, with what the call was made with.

    That is peer, access, model, effort, checks and budget. The task is `text`, or the option with that number, from 1
    on. Raises UsageError if nothing is asked at `address`, if it is answered already, or if there is no such option;
    else what `ask.ask` raises.
    """
    found = exchanges.exchange(ledger, address)
    asked = found.question
    if asked is None:
        raise UsageError(
            f"{address} asks nothing", hint="'git relay ls --questions' lists what waits", code=Code.NO_QUESTION
        )
    if option is not None:
        if not 1 <= option <= len(asked.options):
            have = f"it has {len(asked.options)}" if asked.options else "it has none"
            raise UsageError(
                f"--option {option} of {address}: {have}", hint=f"git relay show {address}", code=Code.NO_OPTION
            )
        text = asked.options[option - 1]
    if Trailer.JOB in found.request.trailers:
        raise UsageError(
            f"{address} was answered on another machine, and its session goes on there",
            hint=f"git relay req --on REMOTE --to {found.to} --session {address.session} TEXT",
            code=Code.NO_QUESTION,
        )
    order = order_of(found, text or "")
    _refuse_answered(ledger, found, order)
    try:
        return ask.ask(folder, order)[1]
    except UsageError as e:
        if e.code != Code.BAD_KEY:
            raise
        raise UsageError(
            f"the question in {address} is answered already, with other words",
            hint=f"git relay log {address.session}",
            code=Code.ANSWERED,
        ) from None


def order_of(found: Exchange, text: str) -> Order:
    """The order for the turn that answers the question of `found` with `text`. Raises UsageError for an empty one."""
    if not text.strip():
        raise UsageError("the answer is empty", hint="say something, or pipe it in", code=Code.EMPTY_BODY)
    request, address = found.request, found.address
    given = Given(
        access=request.access,
        model=request.trailers.get(Trailer.ASKED_MODEL),
        effort=request.trailers.get(Trailer.ASKED_EFFORT),
        checks=tuple(_checks(request.trailers.get(Trailer.ASKED_CHECKS, ""))),
        budget=budget_of(request.trailers.get(Trailer.BUDGET, "")),
        isolate=None if request.workspace is None else request.workspace == ISOLATED,
    )
    task = _FRAME.format(text=text, id=address.id)
    return Order(task, (found.to,), session=address.session, given=given, key=questions.answer_key(address))


def _refuse_answered(ledger: Ledger, found: Exchange, order: Order) -> None:
    """Raise UsageError if the session has gone on since the question; a turn that gave no answer changes nothing."""
    turns = exchanges.exchanges(ledger, found.address.session)
    at = next((i for i, turn in enumerate(turns) if turn.address == found.address), 0)
    for later in turns[at + 1 :]:
        if later.request.key != order.key and later.recorded != Recorded.GITRELAY:
            raise UsageError(
                f"the session has gone on since the question in {found.address}: {later.address}",
                hint=f"git relay show {later.address}",
                code=Code.ANSWERED,
            )


def budget_of(text: str) -> tuple[str, ...]:
    """The call's own budget as it was given; that of the session and the day come from the configuration."""
    own = Held.from_trailer(text).cap(CALL)
    return () if own is None else tuple(own.words())


def _checks(text: str) -> list[str]:
    """The checks that were asked for, as JSON; those that were redacted cannot be run again. Raises UsageError."""
    try:
        checks = json.loads(text) if text else []
    except ValueError:
        return []
    found = [check for check in checks if isinstance(check, str)] if isinstance(checks, list) else []
    for check in found:
        if "[redacted:" in check:
            raise UsageError(
                f"check {quote(check)} of the call was redacted and cannot be run again",
                hint="ask the next turn with 'git relay req --session S --to PEER --check CMD TEXT'",
                code=Code.REDACTED,
            )
    return found
