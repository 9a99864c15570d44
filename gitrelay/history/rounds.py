"""A loop as values: what it was asked for, its rounds and their calls, and which findings are open. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gitrelay.history.findings import Changed, Finding, blocking

DEFAULT_ROUNDS: Final = 3
MOST_ROUNDS: Final = 50


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


def verdict(one: Round) -> Call | None:
    """The review of a round that says something."""
    return next((r for r in one.reviews if r.status == "done" and (r.verify != "skip" or r.findings)), None)


def open_findings(rounds: Sequence[Round]) -> tuple[Finding, ...]:
    """The findings of the last round's review that block."""
    earlier: list[str] = []
    found: tuple[Finding, ...] = ()
    for one in rounds:
        review = verdict(one)
        if review is not None:
            found = blocking(review.findings, earlier, one.changed if one.number > 1 else None)
            earlier += [f.id for f in found]
        else:
            found = ()
    return found
