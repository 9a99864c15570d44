"""What a replay came to: runs -> rates, pairs, and what they can tell. Pure, no I/O.

The unit is the exchange, which has passed if most of its runs have; several runs of one task are not several tasks. A
run without an answer is neither passed nor failed: it is counted apart, and is in no rate. The recorded answers are no
side of the comparison: an exchange is here because its recorded answer passes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from statistics import median
from typing import Final, NamedTuple

from gitrelay.ground import duration
from gitrelay.ground.text import counted
from gitrelay.ground.value import dataclass
from gitrelay.history.statistics import ALPHA, Rate, mcnemar_exact, needed
from gitrelay.provenance.replay.peeking import SIGNS

AGAIN: Final = "again"  # the side of the peer that answered then
NEW: Final = "new"  # that of the one it is compared with
ARMS: Final = (AGAIN, NEW)
ALWAYS: Final = (
    "the time: models and services change behind a name",
    "the network, and what is found there",
    "the machine: programs, their versions, settings and services, and what agents remember of the user",
    "ignored files, but for those that relay.include names, as they are today; the files of submodules",
    "commits, branches and remotes: there is one commit",
)


class Run(NamedTuple):
    """One run. `passed` is None without an answer, and `reason` says why; `signs` is None if its log is gone."""

    exchange: str
    arm: str
    address: str
    passed: bool | None
    reason: str = ""
    seconds: float | None = None
    usd: Decimal | None = None
    model: str = ""
    signs: tuple[str, ...] | None = ()


@dataclass(frozen=True)
class Arm:
    """One side. `exchanges` are those that passed, of those that most runs decide; `runs` the same of its runs."""

    label: str
    exchanges: Rate
    runs: Rate
    errors: Mapping[str, int]
    usd: Decimal | None
    told: int  # how many runs say what they cost
    seconds: float | None  # the median
    models: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """The two sides, then the pairs: how many exchanges only one side passed, both did, neither did.

    `undecided` have no majority on one of the sides.
    """

    arms: Mapping[str, Arm]
    only: Mapping[str, int]
    both: int
    neither: int
    undecided: int
    runs: tuple[Run, ...]

    @property
    def p(self) -> float:
        return mcnemar_exact(self.only[AGAIN], self.only[NEW])

    @property
    def winner(self) -> str | None:
        """The arm that is told to be better, None if none is."""
        if self.p >= ALPHA:
            return None
        return NEW if self.only[NEW] > self.only[AGAIN] else AGAIN

    @property
    def pairs(self) -> int:
        return self.only[AGAIN] + self.only[NEW] + self.both + self.neither

    @property
    def more(self) -> tuple[int, int | None]:
        """(how many more pairs that go the way of the leader, how many exchanges that are at the rate so far)."""
        pairs = needed(self.only[AGAIN], self.only[NEW])
        lead = max(self.only[AGAIN], self.only[NEW])
        return pairs, math.ceil(pairs * self.pairs / lead) if lead else None


def report(runs: Sequence[Run], labels: Mapping[str, str]) -> Report:
    """The report of all runs; `labels` are the names of the arms."""
    exchanges = list(dict.fromkeys(run.exchange for run in runs))
    verdicts = {
        arm: {e: _majority([r for r in runs if (r.exchange, r.arm) == (e, arm)]) for e in exchanges} for arm in ARMS
    }
    pairs = [(verdicts[AGAIN][e], verdicts[NEW][e]) for e in exchanges]
    seen = Counter(pairs)
    arms = {arm: _arm(labels[arm], list(verdicts[arm].values()), [r for r in runs if r.arm == arm]) for arm in ARMS}
    return Report(
        arms,
        {AGAIN: seen[True, False], NEW: seen[False, True]},
        seen[True, True],
        seen[False, False],
        sum(None in pair for pair in pairs),
        tuple(runs),
    )


def _majority(runs: Sequence[Run]) -> bool | None:
    """Whether most of the answered runs passed; None for as many as not."""
    score = sum(1 if run.passed else -1 for run in runs if run.passed is not None)
    return None if score == 0 else score > 0


def _arm(label: str, verdicts: Sequence[bool | None], runs: Sequence[Run]) -> Arm:
    answered = [run for run in runs if run.passed is not None]
    costs = [run.usd for run in runs if run.usd is not None]
    times = [run.seconds for run in answered if run.seconds is not None]
    return Arm(
        label=label,
        exchanges=Rate(verdicts.count(True), len(verdicts) - verdicts.count(None)),
        runs=Rate(sum(bool(run.passed) for run in answered), len(answered)),
        errors=dict(Counter(run.reason for run in runs if run.passed is None).most_common()),
        usd=sum(costs, Decimal(0)) if costs else None,
        told=len(costs),
        seconds=median(times) if times else None,
        models=tuple(dict.fromkeys(run.model for run in runs if run.model)),
    )


# -- in words -----------------------------------------------------------------------------------------


class Facts(NamedTuple):
    """What is told besides the runs. `gaps`: what could not be brought back -> of how many exchanges."""

    exchanges: int
    runs: int
    gaps: Mapping[str, int]
    left_out: Mapping[str, str]
    lenient: Sequence[str] = ()
    recorded_usd: Decimal | None = None
    recorded_told: int = 0
    recorded_seconds: float | None = None
    recorded_models: tuple[str, ...] = ()
    stopped: str = ""  # why it is not over


def lines(found: Report, facts: Facts) -> list[str]:
    """The report for people: one line each, no wider than its names."""
    head = f"Replayed {counted(facts.exchanges, 'exchange')}, {counted(facts.runs, 'run')} each, on the recorded files."
    return [
        *([f"Not over: {facts.stopped}", ""] if facts.stopped else []),
        head,
        "",
        *_table(found, facts),
        "",
        *_verdict(found),
        *_apart(found, facts),
        "",
        *_gaps(facts),
    ]


def _table(found: Report, facts: Facts) -> list[str]:
    rows = [["", "passed", "95 %", "runs", "only it", "errors", "cost", "time"]]
    then = f"{facts.exchanges}/{facts.exchanges}"
    usd = _usd(facts.recorded_usd, facts.recorded_told, facts.exchanges)
    rows.append(["recorded then", then, "-", "-", "-", "-", usd, _time(facts.recorded_seconds)])
    for name in ARMS:
        arm = found.arms[name]
        total = arm.runs.of + sum(arm.errors.values())
        cells = [arm.exchanges.counts, arm.exchanges.shown, arm.runs.counts, str(found.only[name])]
        rows.append(
            [arm.label, *cells, str(sum(arm.errors.values())), _usd(arm.usd, arm.told, total), _time(arm.seconds)]
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _usd(usd: Decimal | None, told: int, of: int) -> str:
    return "-" if usd is None else f"${usd:.2f}{'+' if told < of else ''}"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else duration.render(seconds)


def _verdict(found: Report) -> list[str]:
    ours, theirs = (found.arms[arm].label for arm in (NEW, AGAIN))
    score = f"{found.only[NEW]} to {found.only[AGAIN]}"
    test = f"Paired by exchange, {ours} against {theirs}: {score}, exact McNemar p = {_p(found.p)}"
    if found.winner is not None:
        better = found.arms[found.winner].label
        worse = theirs if found.winner == NEW else ours
        return [f"{test}: {better} passes more of these exchanges than {worse}."]
    pairs, more = found.more
    ahead = found.only[NEW] - found.only[AGAIN]
    leader = ours if ahead > 0 else theirs if ahead < 0 else "one side"
    rate = f"; at this rate about {counted(more, 'more exchange')}" if more is not None else ""
    least = f"The least that could tell one: {counted(pairs, 'more exchange')} that only {leader} passes{rate}."
    return [f"{test}: no difference can be told.", least]


def _p(p: float) -> str:
    return f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def _apart(found: Report, facts: Facts) -> list[str]:
    """What is in no rate: errors, exchanges left out, runs that peeked."""
    said = []
    for arm in found.arms.values():
        if arm.errors:
            reasons = ", ".join(f"{reason} {count}" for reason, count in arm.errors.items())
            said.append(f"Without an answer, and in no rate: {arm.label}: {reasons}.")
    if found.undecided:
        said.append(f"Without a majority, and in no pair: {counted(found.undecided, 'exchange')}.")
    said += [f"Left out: {address}: {why}." for address, why in facts.left_out.items()]
    if facts.lenient:
        what = counted(len(facts.lenient), "exchange")
        which = ", ".join(facts.lenient[:5]) + " ..." * (len(facts.lenient) > 5)
        said.append(f"Checks that pass before any work tell only whether something was broken: {what}: {which}.")
    for sign, words in SIGNS.items():
        its = [run.address for run in found.runs if sign in (run.signs or ())]
        if its:
            said.append(
                f"To look at: {counted(len(its), 'run')} that {words}: {', '.join(its[:5])}{' ...' * (len(its) > 5)}"
            )
    gone = sum(run.signs is None for run in found.runs)
    if gone:
        said.append(f"Whether they looked for the answer cannot be told of {counted(gone, 'run')}: the log is gone.")
    now = found.arms[AGAIN].models
    if facts.recorded_models and now and set(now) != set(facts.recorded_models):
        said.append(f"Another model answered: then {', '.join(facts.recorded_models)}, now {', '.join(now)}.")
    return said


def _gaps(facts: Facts) -> list[str]:
    own = [f"- {words} ({counted(count, 'exchange')})" for words, count in facts.gaps.items()]
    return ["Not brought back:", *(f"- {words}" for words in ALWAYS), *own]
