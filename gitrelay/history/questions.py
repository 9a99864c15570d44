"""The questions that wait for an answer: sessions whose last word is a peer's question."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from gitrelay.errors import RelayError
from gitrelay.history import exchanges, sessions
from gitrelay.history.exchange import Exchange
from gitrelay.history.sessions import SessionSummary
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.question import NEEDS_INPUT


def waiting(ledger: Ledger) -> list[Exchange]:
    """The exchanges whose answer is a question that nobody has answered, with bodies, the latest first.

    A session that cannot be read is left out, and so is an archived one.
    """
    return among(ledger, sessions.sessions(ledger))


def among(ledger: Ledger, summaries: Iterable[SessionSummary]) -> list[Exchange]:
    """The questions that wait in these sessions, in their order."""
    found = []
    for summary in summaries:
        if summary.reason == NEEDS_INPUT and summary.status == "error" and not summary.archived:
            with contextlib.suppress(RelayError):
                last = exchanges.exchanges(ledger, summary.name, bodies=True)[-1]
                if last.question is not None:
                    found.append(last)
    return found
