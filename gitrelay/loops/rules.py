"""When a loop goes on, and when it stops: the next step of a loop, told from what is recorded of it. Pure.

A round that did not pass ends the loop if it changed nothing, else if the loop is stuck, else if it was the last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gitrelay.errors import Reason
from gitrelay.loops.findings import Changed, Finding, blocking

DEFAULT_ROUNDS: Final = 3
MOST_ROUNDS: Final = 50
TRIES: Final = 2  # how often a peer that gives no answer is asked in one round
LOST_TRIES: Final = 20  # the same for calls that were killed: the peer is not to blame
BACK: Final = 2  # how often the same finding comes back until a person has to decide


class End(StrEnum):
    """How a loop ended."""

    PASSED = "passed"
    ROUNDS = "rounds"
    BUDGET = "budget"
    UNCHANGED = "unchanged"
    STUCK = "stuck"
    NO_ANSWER = "no-answer"


@dataclass(frozen=True)
class Terms:
    """What a loop was asked for; the trailer `Relay-Loop` of its first request."""

    build: str
    checks: tuple[str, ...] = ()
    review: str | None = None
    rounds: int = DEFAULT_ROUNDS
    budget: tuple[str, ...] = ()
    isolate: bool | None = None
    model: str | None = None
    timeout: str | None = None
    questions: bool = True

    def to_json(self) -> str:
        value = {
            "build": self.build,
            "checks": list(self.checks),
            "review": self.review,
            "rounds": self.rounds,
            "budget": list(self.budget),
            "isolate": self.isolate,
            "model": self.model,
            "timeout": self.timeout,
            "questions": None if self.questions else False,
        }
        return json.dumps({key: one for key, one in value.items() if one not in (None, [])}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Terms | None:
        """What `to_json` gave, None if `text` is something else."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict) or not isinstance(value.get("build"), str):
            return None
        rounds = value.get("rounds", DEFAULT_ROUNDS)

        def word(key: str) -> str | None:
            return value[key] if isinstance(value.get(key), str) else None

        def words(key: str) -> tuple[str, ...]:
            given = value.get(key, [])
            return tuple(one for one in given if isinstance(one, str)) if isinstance(given, list) else ()

        isolate = value.get("isolate")
        return cls(
            value["build"],
            words("checks"),
            word("review"),
            rounds if isinstance(rounds, int) and 1 <= rounds <= MOST_ROUNDS else DEFAULT_ROUNDS,
            words("budget"),
            isolate if isinstance(isolate, bool) else None,
            word("model"),
            word("timeout"),
            value.get("questions") is not False,
        )


@dataclass(frozen=True)
class Call:
    """One call of a loop. `reason` is '' unless it ended with an error; `asks`: its answer is a question."""

    address: str
    status: str  # pending, done, error
    verify: str = "skip"
    reason: str = ""
    asks: bool = False
    before: str = ""  # the tree of the files before it, and after it; '' if it is not known
    after: str = ""
    checks: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # command -> (word, output, normalised)
    lost_checks: int = 0  # how many runs of checks were lost
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Round:
    number: int
    builds: tuple[Call, ...] = ()
    reviews: tuple[Call, ...] = ()
    changed: Changed | None = None  # what it changed; None in the first round, and if it is not known

    @property
    def before(self) -> str:
        return self.builds[0].before if self.builds else ""

    @property
    def after(self) -> str:
        return self.builds[-1].after if self.builds else ""


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
        if build.after and build.after in {r.after for r in rounds[:-1] if _verdict(r) is not None}:
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


def _verdict(one: Round) -> Call | None:
    """The review of a round that says something."""
    return next((r for r in one.reviews if r.status == "done" and (r.verify != "skip" or r.findings)), None)


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


def open_findings(rounds: Sequence[Round]) -> tuple[Finding, ...]:
    """The findings of the last round's review that block."""
    earlier: list[str] = []
    found: tuple[Finding, ...] = ()
    for one in rounds:
        review = _verdict(one)
        if review is not None:
            found = blocking(review.findings, earlier, one.changed if one.number > 1 else None)
            earlier += [f.id for f in found]
        else:
            found = ()
    return found


def is_stuck(rounds: Sequence[Round]) -> bool:
    """Whether a check failed twice in a row with the same words, or a blocking finding has come back BACK times."""
    if len(rounds) > 1 and rounds[-1].builds and rounds[-2].builds:
        now, before = rounds[-1].builds[-1].checks, rounds[-2].builds[-1].checks
        for command, (word, output) in now.items():
            if output and word not in ("pass", "lost") and before.get(command, ("", ""))[1] == output:
                return True
    seen = [{f.id for f in review.findings} for one in rounds if (review := _verdict(one)) is not None]
    return any(sum(f.id in ids for ids in seen) > BACK for f in open_findings(rounds))
