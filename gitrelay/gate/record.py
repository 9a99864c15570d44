"""The gate: whether a change may be pushed, answered from the record; `check` and the hook `pre-push` ask it alike.

`judge` reads the recorded reviews and decides by verdict.py.

A pass is noted in `<git common dir>/relay/passed/`, so that the shell of `hooks/pre-push` can find it with three
git processes and without python. A note says from which tips of which sessions, and from which policy, the
pass was read: it holds while these are the same, and whoever reads the record anew makes or removes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from gitrelay.calls import inflight
from gitrelay.errors import RelayError, UsageError
from gitrelay.gate import bypass, outgoing, review, verdict
from gitrelay.gate.notes import write_note
from gitrelay.gate.outgoing import Change
from gitrelay.gate.verdict import BYPASS, Review, Verdict
from gitrelay.history import exchanges as history
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.protocol.record import ARCHIVE, BRANCHES, Trailer

_CHAIN_MAX: Final = 50  # reviews of parts, one behind the other, that together may cover a change


# -- the question -------------------------------------------------------------------------------------


def judge(
    ledger: Ledger, change: Change, reviewer: str | None, *, remote: str = "", exceptions: bool = True
) -> Verdict:
    """What the record says of a change. No network; a review whose supervisor has died is recorded as lost first."""
    found = _judge(ledger, change, reviewer, exceptions)
    values = ledger.repo.config.get("relay.gatepeer")
    if exceptions and values and reviewer == values[-1][0]:
        write_note(ledger, change, reviewer, remote, found)
    return found


def _judge(ledger: Ledger, change: Change, reviewer: str | None, exceptions: bool) -> Verdict:
    if change.is_empty:
        return Verdict(verdict.PASSED, why="nothing is new")
    wanted = review.question(change, reviewer)
    of_branch = _of_session(ledger, change.session)
    verdicts = _verdict_on(ledger, wanted, of_branch, exceptions)
    if verdicts.lets_go or verdicts.state == verdict.FAILED:
        return verdicts
    return _in_steps(ledger, wanted, exceptions) or verdicts


def _verdict_on(ledger: Ledger, wanted: verdict.Question, of_branch: Sequence[Review], exceptions: bool) -> Verdict:
    def covers(found: Review) -> bool:
        """A review from further back has seen all of it; one of everything too."""
        if found.base == verdict.NONE or wanted.base is None:
            return found.base == verdict.NONE
        return outgoing.is_ancestor(ledger.repo, found.base, wanted.base)

    return verdict.judge(wanted, _of_tree(ledger, wanted.tree), of_branch, covers=covers, exceptions=exceptions)


def _in_steps(ledger: Ledger, wanted: verdict.Question, exceptions: bool) -> Verdict | None:
    """The verdict on a change that was reviewed in several parts, each from where the one before ended."""
    todo: list[tuple[verdict.Question, Verdict | None]] = [(wanted, None)]
    seen = {wanted.tree}
    while todo and len(seen) < _CHAIN_MAX:
        question, behind = todo.pop()
        reviews = _of_tree(ledger, question.tree)
        for found in reviews:
            part = verdict.Question(found.base, question.head, question.tree, wanted.policy, wanted.reviewer)
            own = verdict.judge(part, reviews, (), exceptions=exceptions)
            start = outgoing.tree_of(ledger.repo, found.base) if names.is_object_id(found.base) else None
            if not own.lets_go or start is None or start in seen:
                continue
            so_far = own if behind is None else verdict.joined(behind, own)
            rest = verdict.Question(wanted.base, found.base, start, wanted.policy, wanted.reviewer)
            before = _verdict_on(ledger, rest, (), exceptions)
            if before.lets_go:
                return verdict.joined(so_far, before)
            seen.add(start)
            todo.append((rest, so_far))
    return None


# -- the record ---------------------------------------------------------------------------------------


def _of_tree(ledger: Ledger, tree: str) -> list[Review]:
    """The reviews of a tree, in whichever session of the kind."""
    places = (f"{BRANCHES}review-", f"{ARCHIVE}review-")
    rows = ledger.repo.search(f"{verdict.TREE}: {tree}", "%S", places)
    sessions = {row[0].removeprefix(BRANCHES).removeprefix(ARCHIVE) for row in rows}
    found = (one for name in sorted(sessions) if names.is_session(name) for one in _of_session(ledger, name))
    return [one for one in found if one.tree == tree]


def _of_session(ledger: Ledger, session: str) -> list[Review]:
    """The reviews of a session, none where there is no such session."""
    inflight.settle(ledger, session)
    try:
        exchanges = history.exchanges(ledger, session)
    except UsageError:
        return []
    folder = ledger.state.call(session)
    running = folder.load() if folder.is_alive() else None
    found = (_of_exchange(e, running is not None and running.id == e.address.id) for e in exchanges)
    return [one for one in found if one is not None]


def _of_exchange(exchange: Exchange, runs: bool) -> Review | None:
    """The review that an exchange records; None for an exchange that is none, or whose two sides do not agree."""
    asked = exchange.request.trailers
    answer = exchange.response.trailers if exchange.response else None
    keys = (verdict.BASE, verdict.HEAD, verdict.TREE, verdict.POLICY)
    if any(not asked.get(key) or (answer is not None and answer.get(key) != asked[key]) for key in keys):
        return None
    reason = answer.get(BYPASS) if answer is not None else None
    if (exchange.from_ == bypass.GATE) != (reason is not None):
        return None  # an exception that was never signed off, or a reason on a reviewer's answer
    return Review(
        address=exchange.address,
        time=exchange.request.time,
        base=asked[verdict.BASE],
        head=asked[verdict.HEAD],
        tree=asked[verdict.TREE],
        policy=asked[verdict.POLICY],
        reviewer=exchange.to,
        status="pending" if runs else exchange.status,
        verify=exchange.verify,
        reason=exchange.reason,
        own=reason is not None or (answer is not None and Trailer.PEER in answer),
        failed_checks=tuple(check.command for check in exchange.failed_checks),
        bypass=reason,
    )


# -- notes of a pass ----------------------------------------------------------------------------------


def note(ledger: Ledger, branch: str) -> None:
    """Note what the record says now of what `branch` would push, so that the push finds it. Never fails."""
    with contextlib.suppress(RelayError, OSError):
        values = ledger.repo.config.get("relay.gatepeer")
        if values:
            change, remote = outgoing.of_words(ledger.repo, branch, None)
            judge(ledger, change, values[-1][0], remote=remote)
