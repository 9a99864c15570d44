"""What calls came to, in figures: a sequence of exchanges -> counts, percentiles, sums. Pure, no I/O.

What is not recorded is not known, and is never counted as nothing: every sum and percentile says of how
many calls it is known.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from gitrelay.history.exchange import Exchange
from gitrelay.history.outcome import ERROR, NO_REASON, PASS, WORDS
from gitrelay.history.statistics import Rate
from gitrelay.protocol import usage
from gitrelay.protocol.message import VERDICTS

TOKENS: Final = ("input", "cached", "output")


@dataclass(frozen=True)
class Checks:
    """What peers claimed, and what gitrelay saw.

    `checked` answered calls have a check. Of these, `agreed` claimed what the check came to, `no_claim` said `skip`,
    and of `unknown` the check did not end. An exchange's check is the first run of each of its commands, those
    that were made on the answer itself; it fails if one of them failed or timed out.
    """

    checked: int
    agreed: int
    claimed_pass_failed: int
    claimed_fail_passed: int
    no_claim: int
    unknown: int


@dataclass(frozen=True)
class Spread:
    """Seconds that calls took, over the `known` ones; the rest is None if none is known.

    A percentile is the nearest rank: the smallest of the values that so many per cent of them do not exceed.
    """

    known: int
    total: float | None = None
    min: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    max: float | None = None


@dataclass(frozen=True)
class Amount:
    """A sum over the `known` calls that reported it; `total` is None if none did."""

    known: int
    total: Decimal | None


@dataclass(frozen=True)
class Figures:
    """The figures of a group of calls. `group` is None for calls of which it is not known, and for all together.

    `calls` are `pending`, `done` and `error`; `reasons` are those of the errors, `verify` what the done ones claim.
    `outcomes` counts every call once, by its outcome, the errors together; `checked_pass` is how many of the passes
    gitrelay's own checks saw.
    `seen` are the answers that gitrelay's checks passed, of those that they passed or failed; `claimed` are those that
    the peer calls a pass, of those that it calls a pass or a fail.
    `redacted` is how many secrets were taken out of what was recorded.
    """

    group: str | None
    calls: int
    pending: int
    done: int
    error: int
    reasons: Mapping[str, int]
    verify: Mapping[str, int]
    outcomes: Mapping[str, int]
    checked_pass: int
    checks: Checks
    seen: Rate
    claimed: Rate
    duration: Spread
    tokens: Mapping[str, Amount]
    cost: Amount
    redacted: int

    @property
    def answered(self) -> int:
        return self.done + self.error


def day_of(exchange: Exchange) -> str:
    """The local day on which an exchange was asked, as `2026-03-01`."""
    return time.strftime("%Y-%m-%d", time.localtime(exchange.request.time))


def model_of(exchange: Exchange) -> str | None:
    """The model that answered, as the peer reported it."""
    return exchange.response.model if exchange.response else None


def _peer_and_model(exchange: Exchange) -> str | None:
    """`codex,gpt-5`; of an unknown model `codex,(unknown)`."""
    return f"{exchange.to},{model_of(exchange) or '(unknown)'}" if exchange.to else None


# by what calls can be grouped, and how the group of an exchange is told
GROUPS: Final[Mapping[str, Callable[[Exchange], str | None]]] = {
    "peer": lambda e: e.to or None,
    "model": model_of,
    "peer,model": _peer_and_model,
    "session": lambda e: e.address.session,
    "day": day_of,
}


def grouped(exchanges: Sequence[Exchange], by: str) -> list[Figures]:
    """The figures of each group; days in their order, the others by the number of calls, the unknown one last."""
    group_of = GROUPS[by]
    groups: dict[str | None, list[Exchange]] = {}
    for exchange in exchanges:
        groups.setdefault(group_of(exchange), []).append(exchange)
    found = [figures(members, group) for group, members in groups.items()]
    if by == "day":
        return sorted(found, key=lambda f: f.group or "")
    return sorted(found, key=lambda f: (f.group is None, -f.calls, f.group or ""))


def figures(exchanges: Sequence[Exchange], group: str | None = None) -> Figures:
    """The figures of all `exchanges` together."""
    answers = [(e, e.response) for e in exchanges if e.response is not None]
    done = [e for e, _ in answers if e.status == "done"]
    claims = Counter(e.verify for e in done)
    ended = Counter("error" if e.outcome.startswith(ERROR) else e.outcome for e in exchanges)
    outcomes = {word: ended[word] for word in (*WORDS, "error")}
    spent = [usage.parse(response.usage or "") for _, response in answers]
    seconds = [usage.amount(response.duration) for _, response in answers]
    results = Counter(_first_result(e) for e, _ in answers if e.checks)
    return Figures(
        group=group,
        calls=len(exchanges),
        pending=len(exchanges) - len(answers),
        done=len(done),
        error=len(answers) - len(done),
        reasons=dict(Counter(e.reason or NO_REASON for e, _ in answers if e.status != "done").most_common()),
        verify={verdict: claims[verdict] for verdict in VERDICTS},
        outcomes=outcomes,
        checked_pass=sum(e.checked and e.outcome == PASS for e in done),
        checks=_checks([e for e, _ in answers if e.checks]),
        seen=Rate(results["pass"], results["pass"] + results["fail"]),
        claimed=Rate(claims["pass"], claims["pass"] + claims["fail"]),
        duration=_spread([float(value) for value in seconds if value is not None]),
        tokens={name: _amount(spent, name) for name in TOKENS},
        cost=_amount(spent, "cost_usd"),
        redacted=sum(_redacted(e) for e in exchanges),
    )


def _checks(checked: Sequence[Exchange]) -> Checks:
    seen = Counter((e.verify, _first_result(e)) for e in checked)
    unknown = sum(count for (_, result), count in seen.items() if result is None)
    agreed = seen["pass", "pass"] + seen["fail", "fail"]
    lied, doubted = seen["pass", "fail"], seen["fail", "pass"]
    rest = len(checked) - agreed - lied - doubted - unknown
    return Checks(len(checked), agreed, lied, doubted, rest, unknown)


def _first_result(exchange: Exchange) -> str | None:
    """`pass` or `fail`: what the first run of each check came to; None if one did not end and none failed."""
    first: dict[str, str] = {}
    for check in exchange.checks:
        first.setdefault(check.command, check.word)
    words = set(first.values())
    if words == {"pass"}:
        return "pass"
    return "fail" if words - {"pass", "lost"} else None


def _spread(values: Sequence[float]) -> Spread:
    if not values:
        return Spread(0)
    ordered = sorted(values)

    def rank(percent: int) -> float:
        return ordered[-(-percent * len(ordered) // 100) - 1]

    return Spread(len(ordered), math.fsum(ordered), ordered[0], rank(50), rank(90), rank(99), ordered[-1])


def _amount(spent: Sequence[Mapping[str, Decimal]], name: str) -> Amount:
    known = [used[name] for used in spent if name in used]
    return Amount(len(known), sum(known, Decimal(0)) if known else None)


def _redacted(exchange: Exchange) -> int:
    commits = (exchange.request, exchange.response, *(check.commit for check in exchange.checks))
    counts = [usage.amount(c.redacted) for c in commits if c is not None]
    return sum(int(count) for count in counts if count is not None)
