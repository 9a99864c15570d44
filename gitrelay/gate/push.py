"""A push and its gate: what git's hook `pre-push` is answered.

The record decides (record.py). If it says nothing the change is reviewed now, within a budget: git has opened its
connection before it runs the hook, and hosts close one that is idle for some six minutes. Past the budget the
review goes on in its supervisor, and the push has to be tried again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gitrelay import environment
from gitrelay.calls import ask, inflight, recording
from gitrelay.calls.order import Order
from gitrelay.calls.settings import Given
from gitrelay.errors import Busy, RelayError
from gitrelay.gate import bypass, notes, record, review, scope, verdict
from gitrelay.gate.outgoing import Change
from gitrelay.gate.record import Reviews
from gitrelay.gate.settings import Settings
from gitrelay.gate.updates import Update
from gitrelay.gate.verdict import Verdict
from gitrelay.ground import duration
from gitrelay.ground.text import quote
from gitrelay.history import exchanges
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.names import Address
from gitrelay.protocol.words import Access
from gitrelay.state.calls import Call

SKIP: Final = "GITRELAY_SKIP"
_RETRIED: Final = (
    "cancelled",
    "lost",
    "sandbox",
)  # reasons after which a review is asked for again without a person's word


@dataclass(frozen=True)
class Decision:
    """What becomes of one change in a push."""

    change: Change
    verdict: Verdict
    stops: bool


def decide(
    folder: Path,
    ledger: Ledger,
    chosen: Settings,
    updates: Sequence[Update],
    remote: str,
    environ: Mapping[str, str],
    tell: Callable[[str], None],
    meanwhile: Callable[[Address], Callable[[], None] | None] = lambda address: None,
) -> list[Decision]:
    """Decide on what git is about to push; a change without a verdict is reviewed now, within the budget.

    `tell` is given lines for the person who waits; `meanwhile(address)` what to call while a review runs. Inside a
    call of gitrelay nothing is reviewed: the record decides. Raises UsageError if a reason to skip is none or cannot be
    recorded.
    """
    repo = ledger.repo
    changes = scope.of_push(ledger, updates, remote, chosen, tell)
    reason = environ.get(SKIP)
    if reason is not None:
        reason = bypass.checked(reason)
    deadline = None if chosen.budget is None else time.monotonic() + chosen.budget
    decisions = []
    for change in changes:
        found = record.judge(Reviews(ledger), change, chosen.reviewer)
        if not found.lets_go and reason is not None:
            bypass.record(folder, repo, change, reason)
            found = record.judge(Reviews(ledger), replace(change, cut=False), chosen.reviewer)
        elif _is_asked_for(found):
            waits = _Waits(folder, ledger, change, chosen, deadline, tell, meanwhile)
            found = waits.inside_a_call(found) if _is_inside_a_call(environ) else waits.review(found)
        notes.write(ledger, change, remote, chosen.reviewer, found)
        blocks = chosen.blocks_unevaluated if found.state == verdict.UNEVALUATED else chosen.blocks
        decisions.append(Decision(change, found, blocks and not found.lets_go))
    return decisions


def _is_inside_a_call(environ: Mapping[str, str]) -> bool:
    """Whether a peer, or a check, pushes: a review from there would be a call within a call, or wait for itself."""
    return environment.depth(environ) > 0 or environment.CALL in environ


def _is_asked_for(found: Verdict) -> bool:
    """Whether a review should be had now. One that ended without a verdict is not repeated at every push."""
    if found.state == verdict.UNEVALUATED:
        return found.review is not None and found.review.reason in _RETRIED
    return found.state in (verdict.MISSING, verdict.STALE, verdict.REFUSED, verdict.RUNNING)


@dataclass(frozen=True)
class _Waits:
    """A change that a push waits for."""

    folder: Path
    ledger: Ledger
    change: Change
    chosen: Settings
    deadline: float | None
    tell: Callable[[str], None]
    meanwhile: Callable[[Address], Callable[[], None] | None]

    def inside_a_call(self, found: Verdict) -> Verdict:
        self.tell("inside a call of gitrelay no review is started; who called you can: git relay review")
        return found

    def review(self, found: Verdict) -> Verdict:
        """Have it reviewed, or join the review that runs, until it ends or the budget does."""
        reviewer = self.chosen.reviewer
        if reviewer is None:
            return Verdict(verdict.UNEVALUATED, why="there is no reviewer: git config relay.gatePeer PEER")
        if self._left() == 0:
            return found
        try:
            address = self._running(found) or self._ask(reviewer)
        except Busy as e:
            return Verdict(verdict.RUNNING, why=e.message)
        except RelayError as e:
            return self._not_asked(reviewer, e)
        self.tell(
            f"{reviewer} reviews {quote(self.change.branch)} ({address})"
            + (f"; here for at most {duration.render(self._left() or 0)}, then on its own" if self.deadline else "")
        )
        self._wait(address)
        return record.judge(Reviews(self.ledger), self.change, reviewer)

    def _running(self, found: Verdict) -> Address | None:
        return found.review.address if found.state == verdict.RUNNING and found.review is not None else None

    def _ask(self, reviewer: str) -> Address:
        """Start the review, after what runs in the session. Raises Busy if that goes on too long."""
        while True:
            other = self._in_flight()
            if other is not None:
                self.tell(f"{other.address} runs in this session")
                self._wait(other.address)
                found = record.judge(Reviews(self.ledger), self.change, reviewer)
                if found.review is not None and (found.state == verdict.RUNNING or not _is_asked_for(found)):
                    return found.review.address  # it was for this change: another push had asked for it
            try:
                return review.ask(self.folder, self.ledger.repo, self._left_to_review(reviewer), reviewer)[1].address
            except Busy:
                if self._left() == 0 or self._in_flight() is None:
                    raise

    def _left_to_review(self, reviewer: str) -> Change:
        return record.left(Reviews(self.ledger), self.change, reviewer)

    def _in_flight(self) -> Call | None:
        """The call that runs in the session, of this change or another."""
        inflight.settle(self.ledger, self.change.session)
        folder = self.ledger.state.call(self.change.session)
        return folder.load() if folder.is_alive() else None

    def _left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def _wait(self, address: Address) -> None:
        inflight.wait(self.ledger, address, self._left(), meanwhile=self.meanwhile(address))

    def _not_asked(self, reviewer: str, error: RelayError) -> Verdict:
        """The review could not be asked for: recorded as a call without an answer, if that can be done."""
        why = f"{reviewer} could not be asked: {error.message}"
        change = self._left_to_review(reviewer)
        with contextlib.suppress(RelayError):
            order = Order(
                task=review.task(self.ledger.repo, change, None),
                to=(reviewer,),
                session=self.change.session,
                given=Given(access=Access.READ),
                invoke=False,
                binding=record.question(change, reviewer).binding,
            )
            ledger, asked = ask.ask(self.folder, order)
            exchange = exchanges.exchange(ledger, asked.address)
            what = f"{error.message}. {error.hint}".rstrip(". ")
            recording.close_unanswered(ledger, exchange, "unavailable", what, files=False)
            return Verdict(verdict.UNEVALUATED, why=f"{why} ({asked.address})")
        return Verdict(verdict.UNEVALUATED, why=f"{why}; this could not be recorded")
