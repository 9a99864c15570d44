"""The engine that needs nothing but the remote: one ref a job, moved by compare-and-swap.

A lease has no wall clock. A worker that watches notes when it first saw a tip, by its own monotonic clock; the lease is
over if a poll that began later than that by the length of the lease shows the same tip. If polls failed, or were too
far apart, the clocks of the watcher begin again: after an outage the owner could not renew either.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from gitrelay.ground.value import dataclass
from gitrelay.protocol.record import Identity
from gitrelay.remote.queue import jobs, text
from gitrelay.remote.queue.jobs import Job, Known, Lease, Unreachable, Update, Wanted
from gitrelay.remote.queue.text import CLAIM, OPEN, QUEUE, RELEASE, RENEW, State, Strange
from gitrelay.remote.queue.wire import Outcome, Wire

LEASE: Final = 60.0  # seconds
PAUSES: Final = (5.0, 60.0)  # seconds between two polls: at first, and at most, while nothing is to be done
_FEW: Final = 3  # jobs of equal urgency of which one is taken at random, or workers take it from one another
_TRIES: Final = 5
_AUTHOR: Final = Identity("gitrelay", "gitrelay@gitrelay.invalid")


@dataclass(frozen=True)
class Entry:
    """A job as a poll showed it: where its ref is, and what that says."""

    ref: str
    tip: str
    state: State

    @property
    def known(self) -> Known:
        worker = self.state.worker if self.state.is_held else ""
        return Known(self.state.job, self.state.epoch, worker, float(self.state.time), self.state.says)


@dataclass(frozen=True)
class _Watched:
    """A tip, and in monotonic seconds since when it is known, and begin and end of the last poll that showed it."""

    tip: str
    since: float
    begun: float
    ended: float


class GitQueue:
    """The queue of one remote, for one worker or submitter. `strange` counts refs that are not of the queue's form."""

    def __init__(
        self,
        wire: Wire,
        *,
        worker: str = "nobody",
        lease: float = LEASE,
        pauses: tuple[float, float] = PAUSES,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """`stopped`: no job is waited for any more."""
        self.wire = wire
        self.worker = worker
        self.lease = lease
        self.strange = 0
        self._pauses = pauses
        self._pause = pauses[0]
        self._stopped = stopped
        self._watched: dict[str, _Watched] = {}
        self._states: dict[tuple[str, str], State | None] = {}

    # -- the interface ----------------------------------------------------------------------------

    def submit(self, job: Job) -> bool:
        """As `Dispatch.submit`."""
        done = self._swapped(lambda: self.enrolment(job))
        if done == Outcome.REFUSED:
            raise Unreachable(f"the remote did not take job {job.id}", hint="try again")
        return done == Outcome.WON

    def take(self, offers: Sequence[str], wait: float, wanted: Wanted | None = None) -> Lease | None:
        """As `Dispatch.take`."""
        deadline = time.monotonic() + wait
        while True:
            entries = self.poll(offers)
            entry = _one_of([entry for entry in entries if self._is_free(entry)], wanted)
            if entry is not None:
                self._pause = self._pauses[0]
                lease, outcome = self._claimed(entry)
                if lease is not None:
                    return lease
                if outcome == Outcome.LOST and time.monotonic() < deadline:
                    continue  # another worker was first; there may be more
            left = deadline - time.monotonic()
            if left <= 0 or self._stopped():
                return None
            held = [entry.state.lease for entry in entries if entry.state.is_held]
            # while somebody holds a job, polls are close enough together to notice that it is silent
            jobs.pause(min(left, self._pause, *(lease / 3 for lease in held)), self._stopped)
            self._pause = min(self._pause * 1.5, self._pauses[1])

    def renew(self, lease: Lease) -> Lease | None:
        """As `Dispatch.renew`, also after the lease is over if nobody has taken the job: the ref decides."""
        sent = time.monotonic()
        state = State(RENEW, lease.job, self.worker, lease.attempt, self.lease, says=lease.says)
        new = self._write(state, [lease.token])
        ref = text.ref_of(lease.job)
        swap = self.wire.swap([Update(ref, lease.token, new)])
        if swap.outcome == Outcome.REFUSED:
            raise Unreachable(f"the remote did not take the renewal of job {lease.job.id}: {swap.words}")
        return self._lease(lease.job, lease.attempt, new, sent) if swap.outcome == Outcome.WON else None

    def settle(self, lease: Lease, done: bool = True) -> None:
        """As `Dispatch.settle`."""
        ref = text.ref_of(lease.job)
        new = ""
        if not done:
            new = self._write(State(RELEASE, lease.job, self.worker, lease.attempt, self.lease), [lease.token])
        if self._swapped(lambda: Update(ref, lease.token, new)) == Outcome.REFUSED:
            raise Unreachable(f"the remote did not take the end of job {lease.job.id}")

    def cancel(self, job: Job) -> bool:
        """As `Dispatch.cancel`."""
        ref = text.ref_of(job)
        for _ in range(_TRIES):
            entry = self.entry(job)
            if entry is None or entry.state.is_held:
                return False
            if self.wire.swap([Update(ref, entry.tip, "")]).outcome == Outcome.WON:
                return True
        raise Unreachable(f"job {job.id} could not be taken back", hint="try again")

    def pending(self) -> Iterable[str]:
        """As `Dispatch.pending`."""
        return [entry.state.job.id for entry in self.poll()]

    def enrolment(self, job: Job) -> Update:
        """As `Dispatch.enrolment`: the ref is the queue."""
        return Update(text.ref_of(job), "", self._write(State(OPEN, job), []))

    def announce(self, job: Job) -> None:
        """As `Dispatch.announce`: workers see the ref at their next poll."""

    def ending(self, job: Job) -> Update | None:
        """As `Dispatch.ending`."""
        entry = self.entry(job)
        return None if entry is None else Update(entry.ref, entry.tip, "")

    def withdraw(self, job: Job) -> None:
        """As `Dispatch.withdraw`: the ref was all."""

    def reconcile(self) -> int:
        """As `Dispatch.reconcile`: nothing can be lost besides the refs."""
        return 0

    def find(self, job: Job) -> Known | None:
        """As `Dispatch.find`."""
        entry = self.entry(job)
        return None if entry is None else entry.known

    def listed(self) -> list[Known]:
        """As `Dispatch.listed`."""
        return [entry.known for entry in self.poll()]

    def close(self) -> None:
        """As `Dispatch.close`: the wire is closed by who made it."""

    # -- what it sees -----------------------------------------------------------------------------

    def entry(self, job: Job) -> Entry | None:
        """The job's ref as it is now; None if it is not there."""
        ref = text.ref_of(job)
        tip = self.wire.look(f"{ref}*").get(ref)
        return next(self._entries({ref: tip}), None) if tip is not None else None

    def poll(self, offers: Sequence[str] | None = None) -> list[Entry]:
        """The jobs for the peers `offers`, None for all, the most urgent first and then the oldest."""
        patterns = [f"{QUEUE}*"] if offers is None else [f"{QUEUE}{peer}/*" for peer in offers]
        begun = time.monotonic()
        try:
            seen = self.wire.look(*patterns) if patterns else {}
        except Unreachable:
            self._watched.clear()
            raise
        now = time.monotonic()
        entries = sorted(self._entries(seen), key=lambda entry: (entry.state.job.prio, entry.state.job.id))
        watched = {}
        for entry in entries:
            before = self._watched.get(entry.ref)
            if before is None or before.tip != entry.tip or begun - before.ended > entry.state.lease / 2:
                watched[entry.ref] = _Watched(entry.tip, now, now, now)
            else:
                watched[entry.ref] = _Watched(entry.tip, before.since, begun, now)
        self._watched = watched
        self._states = {(entry.ref, entry.tip): entry.state for entry in entries}
        return entries

    def _entries(self, seen: dict[str, str]) -> Iterator[Entry]:
        """The jobs at those refs; what is not of their form is counted and left alone."""
        repo = self.wire.repo
        new = [key for key in seen.items() if key not in self._states]
        for key, found in zip(new, repo.objects([tip for _, tip in new]), strict=True):
            self._states[key] = None
            with contextlib.suppress(Strange):
                if found is not None and found.kind == "commit":
                    self._states[key] = text.parse(key[0], found.data, repo.empty_tree)
        self.strange = 0
        for ref, tip in seen.items():
            state = self._states[ref, tip]
            if state is None:
                self.strange += 1
            else:
                yield Entry(ref, tip, state)

    def _is_free(self, entry: Entry) -> bool:
        if not entry.state.is_held:
            return True
        watched = self._watched[entry.ref]
        return watched.begun - watched.since > entry.state.lease

    # -- moving it --------------------------------------------------------------------------------

    def _claimed(self, entry: Entry) -> tuple[Lease | None, Outcome]:
        job, epoch = entry.state.job, entry.state.epoch + 1
        sent = time.monotonic()
        new = self._write(State(CLAIM, job, self.worker, epoch, self.lease), [entry.tip])
        outcome = self.wire.swap([Update(entry.ref, entry.tip, new)]).outcome
        return (self._lease(job, epoch, new, sent) if outcome == Outcome.WON else None), outcome

    def _lease(self, job: Job, epoch: int, tip: str, sent: float) -> Lease:
        return Lease(job, epoch, tip, sent + self.lease, (Update(text.ref_of(job), tip, ""),))

    def _swapped(self, update: Callable[[], Update]) -> Outcome:
        """The outcome of moving one ref; if the remote refuses it without a reason, it is tried a few times more."""
        for again in range(_TRIES):
            outcome = self.wire.swap([update()]).outcome
            if outcome != Outcome.REFUSED:
                break
            time.sleep(random.uniform(0, 0.1) * again)
        return outcome

    def _write(self, state: State, parents: Sequence[str]) -> str:
        repo = self.wire.repo
        return repo.commit(repo.empty_tree, parents, text.render(state), _AUTHOR, sign=False)


def _one_of(free: list[Entry], wanted: Wanted | None) -> Entry | None:
    """One of the first few of the most urgent jobs that are wanted; whether one is, is asked as seldom as can be."""
    while free:
        first = free[0].state.job.prio
        one = random.choice([entry for entry in free[:_FEW] if entry.state.job.prio == first])
        if wanted is None or wanted(one.state.job):
            return one
        free.remove(one)
    return None
