"""A worker: takes jobs of one remote, one after the other, and answers them."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gitrelay.errors import UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger
from gitrelay.peers import probe, registry
from gitrelay.protocol import names
from gitrelay.protocol.names import Address
from gitrelay.protocol.words import Access
from gitrelay.remote import dispatch, queueprobe, queuerecord, queuetrust
from gitrelay.remote.dispatch import PAUSES
from gitrelay.remote.jobs import Job, Unreachable
from gitrelay.remote.queuetrust import Found, NotForUs, Terms
from gitrelay.remote.queuewire import Wire, url_of
from gitrelay.remote.workerjob import End, Run

_STEP: Final = 30.0  # seconds of one wait for a job
_TRY_AGAIN: Final = 15.0  # seconds until a remote that gave no answer is asked again


@dataclass(frozen=True)
class Wish:
    """What the person who starts a worker wants: how many jobs, None for no end; whether it ends when none waits.

    `job` is the id of the only job that is taken. `lease` is None for what the engine says.
    """

    remote: str
    jobs: int | None = None
    once: bool = False
    job: str = ""
    lease: float | None = None
    pauses: tuple[float, float] = PAUSES


def name_here() -> str:
    """A name for this process, which others can tell from all other workers'."""
    return f"{names.slugify(socket.gethostname(), default='worker', limit=40)}-{secrets.token_hex(3)}"


class Worker:
    """Answers jobs as its `terms` say. `left_alone` is job -> why it is not taken."""

    def __init__(self, ledger: Ledger, wish: Wish, terms: Terms, tell: Callable[[str], None]) -> None:
        """Raises UsageError if the remote cannot hold a queue, Unreachable if it does not answer."""
        self.ledger = ledger
        self.wish = wish
        self.terms = terms
        self.tell = tell
        self.left_alone: dict[str, str] = {}
        self._found: dict[str, Found] = {}
        self._stopped = False
        repo = ledger.repo
        if repo.top is None:
            raise repo.has_no_tree("a worker needs a working tree", hint="start it in a clone")
        self.wire = Wire(repo, url_of(repo, wish.remote))
        queueprobe.require(ledger.state, self.wire)
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
        try:
            while not self._stopped and (self.wish.jobs is None or len(done) < self.wish.jobs):
                one = self._next()
                if one is not None:
                    done.append(one)
                elif self.wish.once:
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

    def _next(self) -> tuple[Job, End] | None:
        try:
            lease = self.queue.take(self.terms.peers, 0.0 if self.wish.once else _STEP, self._wanted)
        except Unreachable as e:
            if self.wish.once:
                raise
            self.tell(e.message)
            time.sleep(_TRY_AGAIN)
            return None
        if lease is None:
            return None
        found = self._found.pop(lease.job.id)
        address = Address(lease.job.session, found.request.id)
        self.tell(f"{address}: taken, attempt {lease.attempt}: {found.commit.subject}")
        end = Run(self.ledger, self.wire, self.queue, lease, found, self.tell).to_end()
        self.tell(f"{address}: {end.value}")
        if end == End.GIVEN_BACK:
            self.left_alone[lease.job.id] = "it was given back"
        return lease.job, end

    def _wanted(self, job: Job) -> bool:
        """Whether the job is to be taken; its request is read and checked before anything is claimed."""
        if self.wish.job and job.id != self.wish.job:
            return False
        if job.id in self.left_alone:
            return False
        try:
            # its files are not fetched before it is known who asks
            there = queuerecord.there(self.wire, job.session, files=False)
            found = queuetrust.judge(self.ledger.repo, self.terms, job, there)
            if not found.answered:
                found = queuetrust.with_files(self.ledger.repo, found, queuerecord.there(self.wire, job.session))
            self._found[job.id] = found
        except NotForUs as e:
            self.left_alone[job.id] = str(e)
            self.tell(f"{job.session} (job {job.id}) is left alone: {e}")
            return False
        return True


def offered(repo: Repository, given: tuple[str, ...]) -> tuple[str, ...]:
    """The peers that a worker offers: those that it is told, which must be here. Raises UsageError."""
    for name in given:
        peer = registry.find(repo, names.check_slug(name, "--peers"))
        found = probe.find(peer.capabilities.program_for(Access.READ), os.environ)
        if found.path is None:
            raise UsageError(f"--peers {name}: {probe.missing(peer.capabilities.program_for(Access.READ))}")
    return given


def terms_of(
    repo: Repository, peers: tuple[str, ...], access: tuple[str, ...], signers: Path | None, revoked: Path | None
) -> Terms:
    """What a worker answers. Raises UsageError."""
    levels = tuple(Access(word) for word in access)
    terms = Terms(offered(repo, peers), levels, signers, revoked, queuetrust.repository_id(repo))
    queuetrust.check_files(terms)
    return terms
