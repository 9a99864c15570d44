"""Questions: those that wait for an answer, which are the last word of their session, and who answered the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from gitrelay.errors import RelayError
from gitrelay.history import exchanges, sessions
from gitrelay.history.exchange import Exchange
from gitrelay.history.sessions import SessionSummary
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.names import Address
from gitrelay.protocol.question import NEEDS_INPUT


def waiting(ledger: Ledger) -> list[Exchange]:
    """The exchanges whose answer is a question that nobody has answered, with bodies, the latest first.

    A session that cannot be read is left out, and so is an archived one.
    """
    return among(ledger, [s for s in sessions.sessions(ledger) if not s.remote])


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


def answer_key(address: Address) -> str:
    """The key of the turn that answers the question at `address`."""
    return f"answer {address}"


def answers(turns: Sequence[Exchange]) -> dict[Address, Exchange]:
    """The turn that came after each question among the `turns` of a session.

    It is the first one with the key of an answer, else the next turn, with which somebody went on without an answer.
    """
    keyed = {e.request.key: e for e in reversed(turns) if e.request.key}
    found = {}
    for at, e in enumerate(turns):
        later = keyed.get(answer_key(e.address)) or (turns[at + 1] if at + 1 < len(turns) else None)
        if e.asks_back and later is not None:
            found[e.address] = later
    return found
