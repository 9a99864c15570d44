"""Asking recorded requests again: one run after the other, each a session of its own. All state is git.

A run that has an answer is never made again, whatever ends this process; the plan's own session gets the report when
all are made. Nothing is brought into the user's tree: each run has a workspace without a past, which goes with it.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Final

from gitrelay.calls import ask, budget, checks, inflight, isolation, settings
from gitrelay.calls.order import Order
from gitrelay.calls.settings import Given
from gitrelay.errors import Busy, Interrupted, Reason, RelayError, UsageError
from gitrelay.ground.value import dataclass
from gitrelay.history import batch, exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger import closing
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.protocol import usage
from gitrelay.protocol.budget import CALL, UNITS, Amount, shown
from gitrelay.protocol.message import Response
from gitrelay.protocol.names import Address, turn_id
from gitrelay.protocol.record import ARCHIVE, BRANCHES, Trailer, name_of
from gitrelay.protocol.words import Access, Recorded
from gitrelay.provenance.replay import peeking, plan
from gitrelay.provenance.replay.plan import PEER, Plan, Task, Terms
from gitrelay.provenance.replay.report import AGAIN, ARMS, NEW, Facts, Report, Run, lines, report
from gitrelay.state.files import make_folder, write_whole

_LOST_TRIES: Final = 3
_ATTEMPTS: Final = 99
_LOCK_LIMIT: Final = 1.0
# what says nothing of a peer's work: the run is made again, once the cause is gone
_NO_RUN: Final = frozenset(
    {
        Reason.CANCELLED,
        Reason.LOST,
        Reason.UNAVAILABLE,
        Reason.AUTH,
        Reason.QUOTA,
        Reason.BUDGET,
        Reason.ACCESS,
        Reason.RECURSION,
    }
)
Key = tuple[int, str, int]  # the number of the exchange from 1 on, the arm, the number of the run from 1 on


def find(ledger: Ledger, terms: Terms) -> tuple[str, Plan | None]:
    """(the session of the replay that goes on or is to begin, the plan of the one that goes on)."""
    for number in range(1, 10_000):
        session = terms.session(number)
        if not any(ledger.tips([BRANCHES + session, ARCHIVE + session])):
            return session, None
        found = exchanges.exchanges(ledger, session, bodies=True)
        made = plan.parse(found[0].request_data) if found else None
        if made is not None and (made.session, made.terms) == (session, terms) and found[0].response is None:
            return session, made
    raise Busy("ten thousand replays of the same", hint="name other exchanges")


def still_passes(ledger: Ledger, task: Task, session: str) -> tuple[str, bool]:
    """(why a task cannot be used, '' if its checks pass on the recorded answer; whether they do before any work too).

    Nothing is recorded.
    """
    failed = _failed_check(ledger, task, task.answer, session)
    if failed:
        return f"its check does not pass on the recorded answer: {failed}", False
    return "", not _failed_check(ledger, task, task.alone.tree, session)


def _failed_check(ledger: Ledger, task: Task, tree: str, session: str) -> str:
    """How the first check ended that does not pass on a tree, and its command; '' if all pass."""
    limit = settings.check_limit(ledger.repo)
    with locked(ledger, session):
        here = isolation.prepared(ledger, session, isolation.FRESH, (), tree, alone=True)[0].repo
        assert here.top is not None
        try:
            for command in task.given.checks:
                log = ledger.state.log_path(Address(session, turn_id(1)), "check")
                trees = isolation.trees(here)
                result = checks.run(command, here.top, limit, log, ledger.redactor, lambda: None, trees=trees)
                if result.word != "pass":
                    return f"{result.word}: {command}"
        finally:
            isolation.done(ledger, session)
    return ""


def begin(folder: Path, ledger: Ledger, made: Plan) -> None:
    """Record the plan. Raises what `ask.ask` raises."""
    given = Given(access=Access.READ)
    ask.ask(folder, Order(made.text(), (PEER,), session=made.session, given=given, invoke=False))


@dataclass(frozen=True)
class Estimate:
    """What is still to be run, and what the record says that it may cost; None if the record says nothing."""

    runs: int
    recorded: Decimal | None
    again: Decimal | None
    new: Decimal | None
    seconds: float | None


def estimate(ledger: Ledger, tasks: Sequence[Task], terms: Terms, done: int = 0) -> Estimate:
    """From what these calls cost then, and from what calls to the other peer cost on average."""
    found = [one.found for one in tasks]
    every = batch.read(ledger).exchanges
    theirs = [e for e in every if e.to == terms.to and (terms.model is None or _model(e) == terms.model)]
    runs = len(tasks) * terms.runs

    def mean(calls: Sequence[Exchange]) -> Decimal | None:
        usd, told = plan.cost(calls)
        return None if usd is None else usd / told * runs

    times = [float(value) for e in found if (value := _seconds(e)) is not None]
    seconds = sum(times) / len(times) * runs * len(ARMS) if times else None
    return Estimate(len(ARMS) * runs - done, plan.cost(found)[0], mean(found), mean(theirs), seconds)


def _model(e: Exchange) -> str | None:
    return e.response.model if e.response else None


def _seconds(e: Exchange) -> Decimal | None:
    return usage.amount(e.response.duration) if e.response else None


class Replay:
    """A recorded plan and its runs. `tell` takes a line for the person who waits."""

    def __init__(self, folder: Path, ledger: Ledger, made: Plan, tasks: Sequence[Task], tell: Callable[[str], None]):
        self.folder, self.ledger, self.plan, self.tasks, self.tell = folder, ledger, made, tasks, tell
        self._answers: dict[Key, Exchange] = {}
        self._used: dict[Key, int] = {}  # how many sessions each run has
        self._signs = ledger.state.root / "replays" / f"{made.session}.json"
        self._load()

    @property
    def keys(self) -> Iterator[Key]:
        """Every run in its order: the arms take turns, so that neither has the better hours."""
        for run in range(1, self.plan.terms.runs + 1):
            for number in range(1, len(self.tasks) + 1):
                for arm in ARMS:
                    yield number, arm, run

    @property
    def done(self) -> int:
        return len(self._answers)

    def _load(self) -> None:
        """What is recorded of the runs; one whose answer says nothing of the peer is to be made again."""
        inflight.settle_all(self.ledger)
        patterns = [f"{below}{self.plan.session}-*" for below in (BRANCHES, ARCHIVE)]
        there = {name_of(ref) for (ref,) in self.ledger.repo.each_ref("%(refname)", *patterns)}
        found = batch.read(self.ledger, sorted(there)).sessions if there else {}
        for key in self.keys:
            for attempt in range(1, _ATTEMPTS):
                name = self.plan.run_session(*key, attempt)
                if name not in there:
                    break
                self._used[key] = attempt
                for e in found.get(name, ())[:1]:
                    if _counts(e) and not self.ledger.state.call(name).is_alive():
                        self._answers[key] = e

    # -- the runs -------------------------------------------------------------------------------------

    def run(self, cap: Amount) -> str:
        """Make every run that has no answer yet. '' at the end, else why it stopped. Raises Interrupted, Busy."""
        with self.ledger.state.lock(f".replay-{self.plan.session}") as lock:
            lock.acquire(_LOCK_LIMIT, what=f"the replay {self.plan.session}")
            self._load()
            for key in self.keys:
                why = "" if key in self._answers else self._made(key, cap)
                if why:
                    return why
        return ""

    def _made(self, key: Key, cap: Amount) -> str:
        """Make one run; '' if it has an answer now, else why the replay cannot go on."""
        for _ in range(_LOST_TRIES):
            left, why = self._left(cap)
            if why:
                return why
            found = self._asked(key, left)
            if _counts(found):
                self._answers[key] = found
                self.tell(f"{self.done}/{len(list(self.keys))} {found.address} {found.to}: {found.outcome}")
                return ""
            if found.reason != Reason.LOST:
                break
        return f"{found.address}: {found.to} did not answer: {found.reason}"

    def _asked(self, key: Key, left: Amount) -> Exchange:
        """The answer of the run that goes on, or of a new one."""
        number, arm, run = key
        task, attempt = self.tasks[number - 1], self._used.get(key, 0)
        session = self.plan.run_session(number, arm, run, max(attempt, 1))
        last = exchanges.exchanges(self.ledger, session)[:1] if attempt else []
        if last and (last[0].response is None or self.ledger.state.call(session).is_alive()):
            address = last[0].address
        else:
            self._used[key] = attempt + 1
            order = task.order(self.plan.terms, arm, self.plan.run_session(number, arm, run, attempt + 1), run)
            order = replace(order, given=replace(order.given, budget=self._budget(order.to[0], left)))
            address = ask.ask(self.folder, order)[1].address
        try:
            found = inflight.wait(self.ledger, address, None, own=True)
        except KeyboardInterrupt:
            self.tell("interrupted: cancelling this run")
            inflight.cancel(self.ledger, address, "Ctrl-C")
            raise Interrupted(
                f"interrupted: {self.done} of {len(list(self.keys))} runs are recorded", hint="the same command goes on"
            ) from None
        self._note_signs(found.address, task)
        return found

    def _budget(self, peer: str, left: Amount) -> tuple[str, ...]:
        """What a run may use: what is left, and no more than `relay.budget.call` lets any call; () for no limit."""
        if left.is_empty:
            return ()  # the configuration holds by itself
        own = [cap for scope, _, cap in budget.caps(self.ledger.repo, peer, ()) if scope == CALL]
        return tuple(word for cap in (left, *own) for word in cap.words())

    def _left(self, cap: Amount) -> tuple[Amount, str]:
        """(what is left of the budget, which of it is used up in words or '')."""
        if cap.is_empty:
            return cap, ""
        begun = exchanges.exchange(self.ledger, Address(self.plan.session, turn_id(1))).request.time
        every = budget.spent(self.ledger, float(begun) - 1)
        its = [one.used for one in every if one.address.startswith(f"{self.plan.session}-")]
        left: dict[str, Decimal | None] = {}
        for unit in UNITS:
            most, now = cap.of(unit), budget.total(its, unit) or Decimal(0)
            left[unit] = None if most is None else most - now
            if most is not None and most <= now:
                return cap, f"the budget is used up: {shown(unit, now)} of {shown(unit, most)}"
        return Amount(left["usd"], left["tok"], left["time"]), ""

    # -- what peers looked at -------------------------------------------------------------------------

    def _note_signs(self, address: Address, task: Task) -> None:
        """Search what the peer printed, as long as its log is there, and keep what was found on this machine."""
        printed = ""
        for kind in ("out", "err"):
            with contextlib.suppress(OSError):
                printed += self.ledger.state.log_path(address, kind).read_text("utf-8", "replace")
        repo = self.ledger.repo
        found = peeking.signs(printed, task.text, [str(repo.top), str(repo.common_dir)])
        with contextlib.suppress(OSError):
            make_folder(self._signs.parent)
            write_whole(self._signs, json.dumps({**self._known_signs(), str(address): found}).encode())

    def _known_signs(self) -> dict[str, list[str]]:
        with contextlib.suppress(OSError, ValueError):
            value = json.loads(self._signs.read_bytes())
            if isinstance(value, dict):
                return {str(key): [str(one) for one in said] for key, said in value.items() if isinstance(said, list)}
        return {}

    # -- the report -----------------------------------------------------------------------------------

    def report(self) -> Report:
        """What the runs came to so far."""
        known = self._known_signs()
        runs = [self._run(key, e, known) for key, e in self._answers.items()]
        return report(runs, self._labels())

    def _labels(self) -> dict[str, str]:
        terms, peers = self.plan.terms, list(dict.fromkeys(task.found.to for task in self.tasks))
        again = " and ".join(peers) if len(peers) < 3 else "the same peers"
        return {AGAIN: f"{again} again", NEW: f"{terms.to} {terms.model}" if terms.model else terms.to}

    def _run(self, key: Key, e: Exchange, known: dict[str, list[str]]) -> Run:
        assert e.response is not None
        words = {check.command: check.word for check in e.checks}
        wanted = self.tasks[key[0] - 1].given.checks
        passed: bool | None = None
        reason = e.reason or "peer-error"
        if e.status == "done":
            reason = "check-lost"
            if len(words) == len(set(wanted)) and "lost" not in words.values():
                passed, reason = set(words.values()) <= {"pass"}, ""
        seconds, spent = _seconds(e), usage.parse(e.response.usage or "")
        signs = known.get(str(e.address))
        return Run(
            str(self.tasks[key[0] - 1].address),
            key[1],
            str(e.address),
            passed,
            reason,
            None if seconds is None else float(seconds),
            spent.get("cost_usd"),
            e.response.model or "",
            None if signs is None else tuple(signs),
        )

    def facts(self, stopped: str = "") -> Facts:
        """What is told besides the runs."""
        found = [task.found for task in self.tasks]
        usd, told = plan.cost(found)
        times = [float(value) for e in found if (value := _seconds(e)) is not None]
        models = dict.fromkeys(model for e in found if (model := _model(e)))
        return Facts(
            exchanges=len(self.tasks),
            runs=self.plan.terms.runs,
            gaps=dict(Counter(gap for task in self.tasks for gap in task.gaps)),
            left_out=self.plan.left_out,
            lenient=self.plan.lenient,
            recorded_usd=usd,
            recorded_told=told,
            recorded_seconds=median(times) if times else None,
            recorded_models=tuple(models),
            stopped=stopped,
        )

    def close(self, found: Report) -> None:
        """Record the report as the answer to the plan."""
        body = "\n".join(["```", *lines(found, self.facts()), "```"])
        with locked(self.ledger, self.plan.session) as session:
            tip = session.tip()
            if tip is None or tip.pending is None:
                return
            asked = exchanges.exchange(self.ledger, Address(self.plan.session, tip.pending))
            response = Response(tip.pending, PEER, asked.from_, "done", "skip", body)
            session.append_response(tip, response, {Trailer.RECORDED: Recorded.PEER})
        inflight.forget_person(self.ledger, self.plan.session)
        with contextlib.suppress(RelayError, OSError):
            closing.close(self.ledger, [self.plan.session])


def _counts(e: Exchange) -> bool:
    """Whether the answer of a run says something of its peer."""
    return e.response is not None and not (e.status == "error" and e.reason in _NO_RUN)


def tasks_of(ledger: Ledger, made: Plan) -> list[Task]:
    """The tasks of a plan that goes on. Raises UsageError if one cannot be had any more."""
    found = {}
    for name in dict.fromkeys(address.partition("/")[0] for address in made.addresses):
        found.update({str(e.address): e for e in exchanges.exchanges(ledger, name, bodies=True)})
    tasks = []
    for address in made.addresses:
        e = found.get(address)
        one = plan.task(ledger, e, made.terms.checks) if e is not None else "it is gone"
        if isinstance(one, str):
            raise UsageError(
                f"{address}, which the replay {made.session} has begun with, cannot be asked again: {one}",
                hint=f"git relay cancel {made.session}/01, then begin another one",
            )
        tasks.append(one)
    return tasks
