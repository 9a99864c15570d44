"""When a loop goes on, and when it stops: the next step of a loop, told from what is recorded of it. Pure.

A round that did not pass ends the loop if it changed nothing, else if the loop is stuck, else if it was the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gitrelay.errors import Reason
from gitrelay.history.rounds import Call, End, Round, Terms, open_findings, verdict

TRIES: Final = 2  # how often a peer that gives no answer is asked in one round
LOST_TRIES: Final = 20  # the same for calls that were killed: the peer is not to blame
BACK: Final = 2  # how often the same finding comes back until a person has to decide


@dataclass(frozen=True)
class Step:
    """What comes next: `build`, `check`, `review`, `wait`, `ask` (a person has to answer) or `end`."""

    kind: str
    round: int = 0
    attempt: int = 1
    call: Call | None = None
    end: End | None = None
    checks: tuple[str, ...] = ()


def next_step(terms: Terms, rounds: Sequence[Round]) -> Step:
    if not rounds:
        return Step("build", 1)
    last = rounds[-1]
    build = last.builds[-1] if last.builds else None
    if build is None:
        return Step("build", last.number)
    if build.status != "done":
        return _unanswered("build", last.number, last.builds)
    lost = tuple(c for c in terms.checks if build.checks.get(c, ("lost", ""))[0] == "lost")
    if lost and build.lost_checks < LOST_TRIES:
        return Step("check", last.number, call=build, checks=lost)
    if build.verify == "fail" or any(build.checks.get(c, ("lost", ""))[0] != "pass" for c in terms.checks):
        return _another(terms, rounds, build)
    if terms.review is None:
        return Step("end", last.number, call=build, end=End.PASSED)
    return _review(terms, rounds, build)


def _review(terms: Terms, rounds: Sequence[Round], build: Call) -> Step:
    last = rounds[-1]
    if not last.reviews:
        if build.after and build.after in {r.after for r in rounds[:-1] if verdict(r) is not None}:
            return Step("end", last.number, call=build, end=End.UNCHANGED)  # this tree has its verdict
        return Step("review", last.number)
    review = last.reviews[-1]
    if review.status != "done":
        return _unanswered("review", last.number, last.reviews)
    if review.verify == "skip" and not review.findings:
        none = [r for r in last.reviews if r.status == "done" and r.verify == "skip"]
        if len(none) >= TRIES:
            return Step("end", last.number, call=review, end=End.NO_ANSWER)
        return Step("review", last.number, len(last.reviews) + 1)
    if not open_findings(rounds):
        return Step("end", last.number, call=review, end=End.PASSED)
    return _another(terms, rounds, review)


def _unanswered(kind: str, number: int, calls: Sequence[Call]) -> Step:
    """After a call that is not answered, or not with what was asked for."""
    call = calls[-1]
    if call.status == "pending":
        return Step("wait", number, call=call)
    if call.asks:
        return Step("ask", number, call=call)
    if call.reason == Reason.BUDGET:
        return Step("end", number, call=call, end=End.BUDGET)
    failed = [one for one in calls if one.status == "error" and not one.asks]
    lost = [one for one in failed if one.reason == Reason.LOST]
    if call.reason == Reason.CANCELLED or len(failed) - len(lost) >= TRIES or len(lost) >= LOST_TRIES:
        return Step("end", number, call=call, end=End.NO_ANSWER)
    return Step(kind, number, len(calls) + 1)


def _another(terms: Terms, rounds: Sequence[Round], call: Call) -> Step:
    """After a round that did not pass: the next one, or the end."""
    last = rounds[-1]
    if last.before and last.before == last.after:
        return Step("end", last.number, call=call, end=End.UNCHANGED)
    if is_stuck(rounds):
        return Step("end", last.number, call=call, end=End.STUCK)
    if last.number >= terms.rounds:
        return Step("end", last.number, call=call, end=End.ROUNDS)
    return Step("build", last.number + 1)


def is_stuck(rounds: Sequence[Round]) -> bool:
    """Whether a check failed twice in a row with the same words, or a blocking finding has come back BACK times."""
    if len(rounds) > 1 and rounds[-1].builds and rounds[-2].builds:
        now, before = rounds[-1].builds[-1].checks, rounds[-2].builds[-1].checks
        for command, (word, output) in now.items():
            if output and word not in ("pass", "lost") and before.get(command, ("", ""))[1] == output:
                return True
    seen = [{f.id for f in review.findings} for one in rounds if (review := verdict(one)) is not None]
    return any(sum(f.id in ids for ids in seen) > BACK for f in open_findings(rounds))
