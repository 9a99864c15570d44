"""A request as it would be sent, and nothing recorded: what `git relay template` shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from gitrelay.calls import plan
from gitrelay.calls.order import Order
from gitrelay.ledger.ledger import open_ledger
from gitrelay.ledger.redaction import redacted_request
from gitrelay.protocol import names
from gitrelay.protocol.message import Request

ANY_PEER = "peer"  # stands for the peer if none is named


def draft(folder: Path, order: Order) -> bytes:
    """The request file that `order` would record now for its one peer. Raises what `ask.ask` raises for wrong words."""
    ledger = open_ledger(folder)
    to = order.to or (ledger.repo.setting("relay.to") or ANY_PEER,)
    (wanted,) = plan.make(ledger.repo, replace(order, to=to, invoke=False))
    if wanted.session is None:
        session = id_ = names.one_shot_id(wanted.name, datetime.now())
    else:
        session, tip = wanted.session, ledger.tip(wanted.session)
        id_ = names.turn_id(1) if tip is None else tip.next_id
    request = Request(id_, wanted.from_, wanted.to, wanted.task, session, wanted.form)
    return redacted_request(ledger.redactor, request)[1]
