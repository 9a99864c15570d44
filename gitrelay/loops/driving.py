"""Driving a loop: take the next step that git asks for, until it has ended. All state is git; a kill loses nothing.

`python -m gitrelay.loops.driving FOLDER SESSION` is the background process of a loop. It holds the lock `.loop-SESSION`
while it lives, makes ordinary calls, and ends when the loop has ended or a person has to answer.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final

from gitrelay.calls import ask, budget, checks, inflight, settings, within
from gitrelay.calls.order import Order
from gitrelay.calls.settings import Given
from gitrelay.calls.within import By
from gitrelay.errors import REASONS, Busy, Code, Reason, RelayError, UsageError
from gitrelay.history import exchanges, loops
from gitrelay.history.loops import CLOSER, Loop, key_of
from gitrelay.history.rounds import Call, End, Terms
from gitrelay.ledger import snapshot
from gitrelay.ledger.ledger import Ledger, Tip, open_ledger
from gitrelay.ledger.session import Session, locked
from gitrelay.ledger.snapshot import Snapshot
from gitrelay.loops import rules, tasks
from gitrelay.loops.rules import Step
from gitrelay.protocol import names
from gitrelay.protocol.budget import UNITS, Amount, parse, shown
from gitrelay.protocol.message import Parties, Request, Response
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import Trailer
from gitrelay.protocol.words import Access, Recorded
from gitrelay.state.lock import Lock, is_held

_SHOWN_DIFF: Final = 200_000  # bytes of a diff that a reviewer is given
_BUSY_TRIES: Final = 600  # times a busy session is tried again, a tenth of a second apart


def begin(
    folder: Path,
    ledger: Ledger,
    session: str,
    terms: Terms,
    task: str,
    from_: str | None,
    context: tuple[str, ...] = (),
) -> Address:
    """Record the first request of a loop. Raises UsageError, and what `ask.ask` raises; then nothing was begun.

    `context` are the addresses of earlier exchanges that are handed to the peer that works, in each round.
    """
    if not terms.checks and terms.review is None:
        raise UsageError(
            "a loop needs something that says whether a round passed", hint="--check CMD, or --review PEER, or both"
        )
    names.check_slug(session, "--session")
    names.check_slug(loops.review_session(session, terms), "--session, with '-review' behind it,")
    if ledger.redactor.redact(terms.to_json()).total:
        raise UsageError(
            "what the loop is asked for looks like a secret, and it is recorded",
            hint="put the secret into a script that the check runs",
            code=Code.BAD_CHECK,
        )
    budget_ = parse(terms.budget, "--budget")
    with contextlib.suppress(UsageError):
        before = loops.read(ledger, session)
        if before is not None and before.end is None:
            raise Busy(f"a loop of session {session} is not over", hint=f"git relay loop --resume {session}")
    tip = ledger.tip(session)
    first = Address(session, tip.next_id if tip is not None else names.turn_id(1))
    if terms.review is not None:
        _check_reviewer(folder, ledger, session, terms)
    order = _build_order(terms, session, task, from_, first, 1, 1, budget_)
    return ask.ask(folder, replace(order, context=context))[1].address


def _check_reviewer(folder: Path, ledger: Ledger, session: str, terms: Terms) -> None:
    """Raise UsageError now for a reviewer that could not be asked later."""
    from gitrelay.calls import plan

    assert terms.review is not None
    given = Given(access=Access.READ, timeout=terms.timeout)
    plan.make(ledger.repo, Order("Review.", (terms.review,), session=session, given=given))


def _build_order(
    terms: Terms, session: str, task: str, from_: str | None, first: Address, round_: int, attempt: int, left: Amount
) -> Order:
    trailers = {Trailer.ROUND: str(round_)}
    if round_ == 1 and attempt == 1:
        trailers[Trailer.LOOP] = terms.to_json()
    given = Given(
        access=Access.WRITE,
        model=terms.model,
        timeout=terms.timeout,
        checks=terms.checks,
        isolate=terms.isolate,
        budget=tuple(left.words()),
    )
    return Order(
        task,
        (terms.build,),
        from_=from_,
        session=session,
        given=given,
        key=key_of(first, round_, "build", attempt),
        questions=terms.questions,
        binding=trailers,
    )


def spent(ledger: Ledger, loop: Loop) -> Amount:
    """What the calls of a loop have used so far, with what was called inside them; time since its first request."""
    since = float(loop.first.request.time)
    every = budget.spent(ledger, since - 1)
    its = [one.used for one in every if one.address in loop.exchanges or set(one.within) & loop.exchanges.keys()]
    return Amount(budget.total(its, "usd"), budget.total(its, "tok"), budget.seconds_since(since))


def _left(cap: Amount, used: Amount) -> tuple[Amount, str]:
    """(what is left of the budget of a loop, which of it is used up in words or '')."""
    left: dict[str, Decimal | None] = {}
    for unit in UNITS:
        most, now = cap.of(unit), used.of(unit) or Decimal(0)
        left[unit] = None if most is None else most - now
        if most is not None and most <= now:
            return cap, f"the budget of the loop is used up: {shown(unit, now)} of {shown(unit, most)}"
    return Amount(left["usd"], left["tok"], left["time"]), ""


class Driver:
    """One loop and what it takes to drive it from `folder`, the working tree that it was begun in."""

    def __init__(self, folder: Path, session: str) -> None:
        self.folder, self.session = folder, session
        self.ledger = open_ledger(folder)

    def run(self) -> None:
        """Take steps until the loop has ended, or a person has to answer. Raises what a step raises."""
        while True:
            inflight.settle_all(self.ledger)
            loop = loops.read(self.ledger, self.session)
            if loop is None or loop.end is not None:
                return
            step = rules.next_step(loop.terms, loop.rounds)
            if step.kind == "ask":
                return
            self._take(loop, step)

    def _take(self, loop: Loop, step: Step) -> None:
        if step.kind == "end":
            assert step.end is not None
            self.close(loop, step.end, step.call)
        elif step.kind == "wait":
            assert step.call is not None
            inflight.wait(self.ledger, names.parse_address(step.call.address), None, own=True)
        elif step.kind == "check":
            assert step.call is not None
            limit = settings.check_limit(self.ledger.repo)
            by = By.here(self.ledger.repo, within.enclosing(self.ledger))
            checks.again(self.ledger, names.parse_address(step.call.address), step.checks, limit, by)
        else:
            self._call(loop, step)

    def _call(self, loop: Loop, step: Step) -> None:
        left, why = _left(parse(loop.terms.budget, "--budget"), spent(self.ledger, loop))
        if why and loop.terms.budget:
            self.close(loop, End.BUDGET, None, why)
            return
        terms, first = loop.terms, loop.first.address
        if step.kind == "build":
            before = [one for one in loop.rounds if one.number < step.round]
            task = tasks.build(terms, loop.task, str(first), before)
            from_ = loop.first.from_
            order = _build_order(terms, self.session, task, from_, first, step.round, step.attempt, left)
            handed = loop.first.request.context or ""  # its task names them
            order = replace(order, binding={**order.binding, Trailer.CONTEXT: handed})
        else:
            order = self._review_order(loop, step, left)
        address = self._asked(order)
        inflight.wait(self.ledger, address, None, own=True)

    def _asked(self, order: Order) -> Address:
        """Ask, and try again while somebody else has a turn in the session."""
        for again in reversed(range(_BUSY_TRIES)):
            try:
                return ask.ask(self.folder, order)[1].address
            except Busy:
                if not again:
                    raise
                time.sleep(0.1)
        raise AssertionError("unreachable")

    def _review_order(self, loop: Loop, step: Step, left: Amount) -> Order:
        terms, last = loop.terms, loop.rounds[-1]
        assert terms.review is not None
        diff, cut = loops.diff(self.ledger, loop.rounds[0].before, last.after, limit=_SHOWN_DIFF)
        return Order(
            tasks.review(terms, loop.task, str(loop.first.address), loop.rounds, diff, cut),
            (terms.review,),
            from_=loop.first.from_,
            session=loops.review_session(self.session, terms),
            given=Given(access=Access.READ, timeout=terms.timeout, isolate=terms.isolate, budget=tuple(left.words())),
            key=key_of(loop.first.address, step.round, "review", step.attempt),
            questions=False,
            binding={Trailer.ROUND: str(step.round)},
        )

    def close(self, loop: Loop, end: End, call: Call | None, why: str = "") -> None:
        """Record how the loop ended: an exchange with `loop`, whose answer has the rounds."""
        body = tasks.report(loop.terms, loop.rounds, end) + (f"\n\n{why[:1].upper()}{why[1:]}." if why else "")
        with locked(self.ledger, self.session) as session:
            files = snapshot.take(self.ledger.repo, self.session)
            tip, parties = self._closing_request(session, loop, files)
            response, recorded = _closing(parties, end, call, body)
            trailers: Mapping[str, str] = {
                Trailer.RECORDED: recorded,
                Trailer.LOOP: end,
                Trailer.ROUND: str(len(loop.rounds)),
            }
            session.append_response(tip, response, trailers, files=files)

    def _closing_request(self, session: Session, loop: Loop, files: Snapshot | None) -> tuple[Tip, Parties]:
        """The last request of the loop, recorded now or by a process that was killed before it wrote the answer."""
        tip, caller = session.tip(), loop.first.from_
        if tip is not None and tip.pending is None:
            task = f"How did the loop that began in {loop.first.address} end?"
            request = Request(tip.next_id, caller, CLOSER, task, self.session)
            tip = session.append_request(tip, request, {Trailer.ACCESS: Access.READ}, files=files)
            return tip, Parties(request.id, caller, CLOSER)
        pending = tip.pending if tip is not None else None
        if tip is not None and pending is not None:
            open_ = exchanges.exchange(self.ledger, Address(self.session, pending))
            if open_.to == CLOSER:
                return tip, Parties(pending, open_.from_, CLOSER)
        raise Busy(f"session {self.session} has a turn in flight", hint=f"git relay loop --resume {self.session}")


def _closing(parties: Parties, end: End, call: Call | None, body: str) -> tuple[Response, str]:
    """The last response of a loop, and who wrote it: an error with the call's reason if that ended the loop."""
    if end in (End.BUDGET, End.NO_ANSWER):
        reason = Reason.BUDGET if end == End.BUDGET else call.reason if call is not None else ""
        reason = reason if reason in REASONS and reason != Reason.NEEDS_INPUT else Reason.BAD_OUTPUT
        return Response(parties.id, CLOSER, parties.from_, "error", "skip", body, reason), Recorded.GITRELAY
    verify = "pass" if end == End.PASSED else "fail"
    return Response(parties.id, CLOSER, parties.from_, "done", verify, body), Recorded.PEER


def lock_of(ledger: Ledger, session: str) -> Lock:
    return ledger.state.lock(f".loop-{session}")


def is_driven(ledger: Ledger, session: str) -> bool:
    """Whether a process drives the loop of a session now."""
    return is_held(ledger.state.root / "locks" / f".loop-{session}.lock")


def is_open(ledger: Ledger, session: str) -> bool:
    """Whether the loop of a session has not ended."""
    found = loops.read(ledger, session)
    return found is not None and found.end is None


def start(folder: Path, session: str) -> None:
    """Start the background process of a loop; it ends at once if there is one."""
    subprocess.Popen(
        [sys.executable, "-P", "-m", "gitrelay.loops.driving", str(folder), session],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ).communicate(timeout=60)


def main() -> int:
    """Entry point of the background process. Says ok on stdout once it holds the lock, or that another does."""
    for name in ("SIGHUP", "SIGINT", "SIGPIPE"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if os.fork():
        os._exit(0)
    folder, session = Path(sys.argv[1]), sys.argv[2]
    os.chdir(folder)
    ledger = open_ledger(folder)
    ledger.state.prepare()
    lock = lock_of(ledger, session)
    if not lock.try_acquire():
        return 0
    with lock:
        null = os.open(os.devnull, os.O_RDWR)
        log = os.open(ledger.state.root / "logs" / f"{session}.loop", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.dup2(log, 2)
        try:
            Driver(folder, session).run()
        except RelayError as e:
            line = ledger.redactor.redact(f"{e.message}; {e.hint}").text
            sys.stderr.write(line + "\n")
            return 1
    return 0


def failure(ledger: Ledger, session: str) -> str:
    """Why the last process of a loop gave up, '' if it said nothing."""
    with contextlib.suppress(OSError):
        lines = (ledger.state.root / "logs" / f"{session}.loop").read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""
    return ""


if __name__ == "__main__":
    from gitrelay.loops.driving import main as run

    sys.exit(run())
