"""A worker: takes jobs of one remote, one after the other, and answers them."""

from __future__ import annotations

import math
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground import duration
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger
from gitrelay.peers import probe, registry
from gitrelay.protocol import names
from gitrelay.protocol.names import Address
from gitrelay.protocol.words import Access
from gitrelay.remote.queue import abilities, dispatch, jobs, record, trust
from gitrelay.remote.queue.dispatch import PAUSES
from gitrelay.remote.queue.jobs import Job, Unreachable
from gitrelay.remote.queue.trust import Found, NotForUs, Terms
from gitrelay.remote.queue.wire import wire_of
from gitrelay.remote.worker import daily
from gitrelay.remote.worker.daily import Day
from gitrelay.remote.worker.job import End, Run
from gitrelay.remote.worker.settings import Offer

_STEP: Final = 30.0  # seconds of one wait for a job
_AGAIN: Final = 10  # leases until a job is taken again that was given back: its session may be in use no more
_TRY_AGAIN: Final = 15.0  # seconds until a remote that gave no answer is asked again


@dataclass(frozen=True)
class Wish:
    """What the person who starts a worker wants: how many jobs, None for no end; whether it ends when none waits.

    `job` is the id of the only job that is taken. `idle` is after how many seconds without a job the worker ends.
    `lease` is None for what the engine says.
    """

    remote: str
    jobs: int | None = None
    once: bool = False
    job: str = ""
    idle: float | None = None
    lease: float | None = None
    pauses: tuple[float, float] = PAUSES


def name_here() -> str:
    """A name for this process, which others can tell from all other workers'."""
    return f"{names.slugify(socket.gethostname(), default='worker', limit=40)}-{secrets.token_hex(3)}"


class Worker:
    """Answers jobs as its `terms` say. `left_alone` is job -> why it is not taken."""

    def __init__(self, ledger: Ledger, wish: Wish, terms: Terms, day: Day, tell: Callable[[str], None]) -> None:
        """Raises UsageError if the remote cannot hold a queue, Unreachable if it does not answer."""
        self.ledger = ledger
        self.wish = wish
        self.terms = terms
        self.day = day
        self.tell = tell
        self.left_alone: dict[str, str] = {}
        self._found: dict[str, Found] = {}
        self._again: dict[str, float] = {}  # job that was given back -> when it may be taken again, monotonic
        self._stopped = False
        self._paused = ""
        repo = ledger.repo
        if repo.top is None:
            raise repo.has_no_tree("a worker needs a working tree", hint="start it in a clone")
        self.wire = wire_of(repo, wish.remote)
        abilities.require(ledger.state, self.wire)
        self.queue = dispatch.engine(
            repo,
            wish.remote,
            self.wire,
            worker=name_here(),
            lease=wish.lease,
            pauses=wish.pauses,
            stopped=lambda: self._stopped,
        )

    def run(self) -> list[tuple[Job, End]]:
        """Answer jobs until enough are; SIGTERM ends it after the job that it works on. Raises Unreachable."""
        before = signal.signal(signal.SIGTERM, lambda *_: self.stop())
        done: list[tuple[Job, End]] = []
        wish, last = self.wish, time.monotonic()
        try:
            while not self._stopped and (wish.jobs is None or _answered(done) < wish.jobs):
                left = _STEP if wish.idle is None else last + wish.idle - time.monotonic()
                if left <= 0:
                    self.tell(f"no job for {duration.render(wish.idle or 0)}: this worker ends")
                    break
                one = self._next(min(left, _STEP))
                if one is not None:
                    done.append(one)
                    last = time.monotonic()
                elif wish.once:
                    break
        finally:
            signal.signal(signal.SIGTERM, before)
            self.close()
        return done

    def stop(self) -> None:
        """Take no more jobs."""
        self._stopped = True

    def close(self) -> None:
        self.queue.close()
        self.wire.close()

    def _next(self, wait: float) -> tuple[Job, End] | None:
        """Answer the next job; None if none is to be had within `wait` seconds, or if the day's money is used up."""
        if self._is_paused():
            if not self.wish.once:
                jobs.pause(min(wait, daily.seconds_left()), lambda: self._stopped)
            return None
        try:
            lease = self.queue.take(self.terms.peers, 0.0 if self.wish.once else wait, self._wanted)
        except Unreachable as e:
            if self.wish.once:
                raise
            self.tell(e.message)
            jobs.pause(min(wait, _TRY_AGAIN, self.wish.pauses[1]), lambda: self._stopped)
            return None
        if lease is None:
            return None
        found = self._found.pop(lease.job.id)
        address = Address(lease.job.session, found.request.id)
        self.tell(f"{address}: taken, attempt {lease.attempt}: {found.commit.subject}")
        try:
            end = Run(self.ledger, self.wire, self.queue, lease, found, self.day, self.tell).to_end()
        except Unreachable as e:
            if self.wish.once:
                raise
            self.tell(f"{address}: {e.message}; what was done is kept here, and goes on if the job is still free then")
            return None
        self.tell(f"{address}: {end.value}")
        if end == End.GIVEN_BACK:
            self.left_alone[lease.job.id] = "it was given back"
            self._again[lease.job.id] = time.monotonic() + _AGAIN * self.queue.lease
        return lease.job, end

    def _is_paused(self) -> bool:
        """Whether no job is taken before tomorrow; it is told once a day."""
        why = self.day.over()
        if why and why != self._paused:
            self.tell(why)
        self._paused = why
        return bool(why)

    def _wanted(self, job: Job) -> bool:
        """Whether the job is to be taken; its request is read and checked before anything is claimed."""
        if self.wish.job and job.id != self.wish.job:
            return False
        if time.monotonic() >= self._again.get(job.id, math.inf):
            self._again.pop(job.id)
            self.left_alone.pop(job.id, None)
        if job.id in self.left_alone:
            return False
        try:
            # its files are not fetched before it is known who asks
            there = record.there(self.wire, job.session, files=False)
            found = trust.judge(self.ledger.repo, self.terms, job, there)
            if not found.answered:
                found = trust.with_files(self.ledger.repo, found, record.there(self.wire, job.session))
            self._found[job.id] = found
        except NotForUs as e:
            self.left_alone[job.id] = str(e)
            self.tell(f"{job.session} (job {job.id}) is left alone: {e}")
            return False
        return True


def _answered(done: Sequence[tuple[Job, End]]) -> int:
    """How many jobs count for --jobs: one that was given back is still to be answered."""
    return sum(end != End.GIVEN_BACK for _, end in done)


def missing(repo: Repository, peers: tuple[str, ...]) -> list[str]:
    """What is wrong with the peers that a worker offers: those that are not known, or not on this machine."""
    found = []
    for name in peers:
        try:
            program = registry.find(repo, name).capabilities.program_for(Access.READ)
        except UsageError as e:
            found.append(f"--peers {name}: {e.message}")
            continue
        if probe.find(program, os.environ).path is None:
            found.append(f"--peers {name}: {probe.missing(program)}")
    return found


def terms_of(repo: Repository, offer: Offer) -> Terms:
    """What a worker answers. Raises UsageError for a peer that is not there and a file that cannot be read."""
    for fault in missing(repo, offer.peers):
        raise UsageError(fault, hint="git relay peers", code=Code.UNKNOWN_PEER)
    terms = Terms(offer.peers, offer.access, offer.signers, offer.revoked, trust.repository_id(repo), offer.checks)
    trust.check_files(terms)
    return terms
