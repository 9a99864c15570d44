"""A loop as a table of its rounds, for a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from gitrelay.errors import RelayError
from gitrelay.history import loops
from gitrelay.history.exchange import Exchange
from gitrelay.history.findings import Finding
from gitrelay.history.loops import Loop
from gitrelay.history.rounds import End, Round, open_findings, verdict
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import usage
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import parse_response
from gitrelay.protocol.names import Address

_ENDS: Final = {
    End.PASSED: "the last round passed",
    End.ROUNDS: "the last round that was allowed did not pass",
    End.BUDGET: "its budget was used up",
    End.UNCHANGED: "a round changed nothing, so the next one would end the same",
    End.STUCK: "the same check failed twice with the same words, or the same finding came back again",
    End.NO_ANSWER: "a call gave no answer that counts",
}


@dataclass(frozen=True)
class Leg:
    """One call of a round, as its reader finds it."""

    exchange: Exchange
    review: bool

    @property
    def address(self) -> Address:
        return self.exchange.address


@dataclass(frozen=True)
class Line:
    """One round. `closed` are findings that were open before and are not now; both are None without a review.

    `seconds`, `tokens` and `cost` (US dollars) are sums over its calls, None if none of them tells.
    """

    number: int
    legs: tuple[Leg, ...]
    checks: tuple[tuple[str, str], ...]  # (command, word) of the last build
    open: tuple[Finding, ...] | None
    closed: tuple[Finding, ...] | None
    seconds: float | None
    tokens: float | None
    cost: float | None


@dataclass(frozen=True)
class Rounds:
    """A loop. `end` is how it ended, one of `End`, '' if it has not; `why` says it in words."""

    first: Address
    closing: Address | None
    lines: tuple[Line, ...]
    allowed: int
    end: str
    why: str

    @property
    def passed(self) -> bool:
        return self.end == End.PASSED


def among(ledger: Ledger, turns: Sequence[Exchange]) -> tuple[Rounds, ...]:
    """The loops of a session with these `turns`, which have their bodies; a few git processes for each loop.

    None if one of its messages cannot be read, which its own turn says.
    """
    try:
        return tuple(_drawn(loop) for loop in loops.among(ledger, turns))
    except RelayError:
        return ()


def _drawn(loop: Loop) -> Rounds:
    lines: list[Line] = []
    before: dict[str, Finding] = {}  # what was open after the last round that was reviewed
    for at, one in enumerate(loop.rounds, 1):
        found: tuple[Finding, ...] | None = None
        closed: tuple[Finding, ...] | None = None
        if any(verdict(one) is call for call in one.reviews):
            found = open_findings(loop.rounds[:at])
            still = {f.id for f in found}
            closed = tuple(f for id_, f in before.items() if id_ not in still)
            before = {f.id: f for f in found}
        lines.append(_line(loop, one, found, closed))
    closing = loop.closing.address if loop.closing is not None else None
    return Rounds(loop.first.address, closing, tuple(lines), loop.terms.rounds, loop.end or "", _why(loop))


def _line(loop: Loop, one: Round, found: tuple[Finding, ...] | None, closed: tuple[Finding, ...] | None) -> Line:
    legs = [Leg(loop.exchanges[call.address], call in one.reviews) for call in (*one.builds, *one.reviews)]
    build = one.builds[-1] if one.builds else None
    checks = tuple((command, word) for command, (word, _) in build.checks.items()) if build is not None else ()
    responses = [leg.exchange.response for leg in legs if leg.exchange.response is not None]
    used = [usage.parse(response.usage or "") for response in responses]
    return Line(
        one.number,
        tuple(legs),
        checks,
        found,
        closed,
        _sum(usage.amount(response.duration) for response in responses),
        _sum(figures.get(name) for figures in used for name in ("input", "output")),
        _sum(figures.get("cost_usd") for figures in used),
    )


def _why(loop: Loop) -> str:
    if loop.end is None:
        last = loop.rounds[-1] if loop.rounds else None
        call = (last.reviews or last.builds or (None,))[-1] if last is not None else None
        if call is not None and call.asks:
            return f"not ended: {call.address} asks a question"
        return f"not ended: {call.address} is pending" if call is not None and call.status == "pending" else "not ended"
    told = _told(loop) if loop.end in (End.BUDGET, End.NO_ANSWER) else ""
    return f"{_ENDS[loop.end]}{': ' if told else ''}{told}"


def _told(loop: Loop) -> str:
    """What the closing answer adds: its last line, if that is a sentence; else the reason of its error."""
    if loop.closing is None:
        return ""
    try:
        lines = parse_response(loop.closing.response_data).body.strip().splitlines()
    except BadMessage:
        lines = []
    if len(lines) > 1 and lines[-1][:1] not in ("", "|", "-"):
        return lines[-1].rstrip(".")
    return loop.closing.reason if loop.closing.reason not in (None, loop.end) else ""


def _sum(amounts: Iterable[Decimal | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return float(sum(known)) if known else None
