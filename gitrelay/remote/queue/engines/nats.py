"""The engine for fleets: jobs wait in a work queue of a NATS server, and workers are woken instead of polling.

The server may lose, repeat or reorder jobs: each job has a ref at the remote too, with its request, and what the server
has lost is announced again from there. Who answered is decided by the session's branch alone.

JetStream accepts the acknowledgement of a worker that lost its job, and the heartbeat too. So who holds a job is a
second message, the claim, which moves by compare-and-swap: only the worker whose claim still holds sends a heartbeat,
and a job is acknowledged only once its record has the answer.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from gitrelay.remote.queue.engines import natswords
from gitrelay.remote.queue.engines.git import GitQueue
from gitrelay.remote.queue.engines.natslink import Absent, Bell, Denied, Link, Reply
from gitrelay.remote.queue.engines.natsplace import Place
from gitrelay.remote.queue.engines.natsstore import Store
from gitrelay.remote.queue.engines.natswords import FREE, HELD, OVER, PRIORITIES, Claim, Strange, Waiting
from gitrelay.remote.queue.jobs import Job, Known, Lease, Unreachable, Update, Wanted
from gitrelay.remote.queue.wire import Wire

LEASE: Final = 60.0  # seconds, of a queue that is made without another wish
_LOOK: Final = 15.0  # seconds between two looks of a worker that nobody woke, at most
_RECONCILE: Final = (300.0, 600.0)  # seconds between two looks at the remote for jobs that the server lost
_PUT_OFF: Final = 2.0  # seconds that a job which one worker may not answer is kept from the next, for each time
_PUT_OFF_MAX: Final = 60.0
_TRIES: Final = 5
_MANY: Final = 1000  # jobs that one look passes over, of one peer and urgency
_NANO: Final = 1_000_000_000


class NatsQueue:
    """The queue of one remote on a NATS server, for one worker or submitter. `wire` leads to the remote."""

    def __init__(
        self,
        place: Place,
        wire: Wire,
        *,
        worker: str = "nobody",
        lease: float | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """`lease` is that of a queue which has to be made first; one that is there has its own."""
        self.place = place
        self.link = Link(place)
        self._store = Store(place, self.link)
        self.worker = worker
        self.lease = lease or LEASE
        self.strange = 0
        self._refs = GitQueue(wire)
        self._stopped = stopped
        self._ready: tuple[float, frozenset[str]] = (0.0, frozenset())
        self._reconcile_at = 0.0
        self._may_submit = True
        self._watched: dict[str, tuple[int, float]] = {}

    # -- the interface ----------------------------------------------------------------------------

    def submit(self, job: Job) -> bool:
        """As `Dispatch.submit`. A worker that took it before the server lost it gets half a lease to say so."""
        return self._store.add(Waiting(job, time.time(), True))

    def take(self, offers: Sequence[str], wait: float, wanted: Wanted | None = None) -> Lease | None:
        """As `Dispatch.take`. While there is time, a server that is away is waited for."""
        deadline = time.monotonic() + wait
        bell, first = None, ""
        with contextlib.ExitStack() as stack:
            while True:
                failed = None
                try:
                    if bell is None and wait > 0:
                        bell = stack.enter_context(self._bell(offers))
                    lease = self._looked(offers, wanted, first)
                    if lease is not None:
                        self._pass_on(bell, lease)
                        return lease
                except Unreachable as e:
                    failed = e
                left = deadline - time.monotonic()
                if left <= 0 or self._stopped():
                    if failed is not None:
                        raise failed
                    return None
                pause = min(left, random.uniform(0.5, 1) * min(_LOOK, self.lease / 3))
                first = (bell or Bell()).wait(pause if failed is None else min(pause, 1.0), self._stopped) or ""

    def renew(self, lease: Lease) -> Lease | None:
        """As `Dispatch.renew`, also after the lease is over if nobody has claimed the job: the claim decides."""
        after, reply = _parts(lease.token)
        sent = time.monotonic()
        mine = Claim(self.worker, lease.attempt, HELD, time.time(), says=lease.says)
        done = self._store.claim(lease.job, replace(mine, after=after, loose=not reply))
        if done is None:
            now = self._store.claim_of(lease.job.id)
            if now is not None and (now.worker, now.attempt, now.state) != (self.worker, lease.attempt, HELD):
                return None
            if now is None or now.loose:
                reply = ""  # the server has lost everything: what it hands out at that place now is another job
            after = 0 if now is None else now.after
            done = self._store.claim(lease.job, replace(mine, after=after, loose=not reply))
            if done is None:
                return None
        if reply:
            self.link.tell(reply, b"+WPI")
        return Lease(lease.job, lease.attempt, f"{done} {reply}", sent + self.lease)

    def settle(self, lease: Lease, done: bool = True) -> None:
        """As `Dispatch.settle`. What is left in the queue of a job that is over is taken out by who takes it next."""
        after, reply = _parts(lease.token)
        if not done:
            free = Claim(self.worker, lease.attempt, FREE, time.time(), after)
            if self._store.claim(lease.job, free) is not None and reply:
                self._acknowledge(lease, reply, b"-NAK")
                with contextlib.suppress(Denied):
                    self.link.tell(natswords.ring_subject(self.place.name, lease.job.peer))
            return
        there = self._store.stored(lease.job.id)
        if there is None or not reply or there[2] != natswords.delivery(reply)[1]:
            return  # it is gone, or was submitted again after the server had lost it
        self._acknowledge(lease, reply, b"+ACK")

    def _acknowledge(self, lease: Lease, reply: str, word: bytes) -> None:
        """Say it until the server has heard it; over a restart of the server one is lost now and then."""
        with contextlib.suppress(Absent):
            try:
                self.link.request(reply, word)
            except Unreachable:
                if self._store.stored(lease.job.id) is not None:
                    self.link.request(reply, word)

    def cancel(self, job: Job) -> bool:
        """As `Dispatch.cancel`."""
        claim = self._store.claim_of(job.id)
        if self._store.stored(job.id) is None or (claim is not None and claim.state != FREE):
            return False
        return self._store.claim(job, self._over(claim)) is not None

    def pending(self) -> list[str]:
        """As `Dispatch.pending`: what the server has."""
        return [id_ for _, _, id_ in self._store.all() if not self._is_over(id_)]

    def _is_over(self, id_: str) -> bool:
        claim = self._store.claim_of(id_)
        return claim is not None and claim.state == OVER

    def enrolment(self, job: Job) -> Update:
        """As `Dispatch.enrolment`."""
        return self._refs.enrolment(job)

    def announce(self, job: Job) -> None:
        """As `Dispatch.announce`."""
        self._store.add(Waiting(job, time.time(), False))

    def ending(self, job: Job) -> Update | None:
        """As `Dispatch.ending`."""
        return self._refs.ending(job)

    def withdraw(self, job: Job) -> None:
        """As `Dispatch.withdraw`: no worker's claim holds any more, so that the one that has the job stops."""
        for _ in range(_TRIES):
            claim = self._store.claim_of(job.id)
            over = claim is not None and claim.state == OVER
            if over or self._store.stored(job.id) is None or self._store.claim(job, self._over(claim)) is not None:
                return

    def _over(self, before: Claim | None) -> Claim:
        """The claim that ends a job, which its message outlives until it is handed out."""
        attempt, after = (0, 0) if before is None else (before.attempt, before.after)
        return Claim(self.worker, attempt, OVER, time.time(), after)

    def reconcile(self) -> int:
        """As `Dispatch.reconcile`. A user who may not submit leaves it to those who wait for answers."""
        if not self._may_submit:
            return 0
        there = {id_ for _, _, id_ in self._store.all()}
        lost = [entry for entry in self._refs.poll() if entry.state.job.id not in there and not entry.state.is_held]
        try:
            return sum(self.submit(entry.state.job) for entry in lost)
        except Denied:
            self._may_submit = False
            return 0

    def find(self, job: Job) -> Known | None:
        """As `Dispatch.find`."""
        there = self._store.stored(job.id)
        return None if there is None else self._known(there)

    def listed(self) -> list[Known]:
        """As `Dispatch.listed`: what the server has, and what it has lost and the remote has."""
        found, self.strange, self._store.strange = {}, 0, 0
        for _, _, id_ in self._store.all():
            there = self._store.stored(id_)
            known = None if there is None else self._known(there)
            if known is not None:
                found[id_] = known
        for entry in self._refs.poll():
            found.setdefault(entry.state.job.id, entry.known)
        self.strange += self._refs.strange + self._store.strange
        return sorted(found.values(), key=lambda one: (one.job.prio, one.job.id))

    def close(self) -> None:
        """As `Dispatch.close`: what this process holds is handed out again when its lease is over."""
        self.link.close()

    # -- making the queue -------------------------------------------------------------------------

    def make(self, peers: Sequence[str], lease: float | None = None) -> None:
        """Make the streams, and the consumers for `peers`; those that are there get this `lease` too."""
        self._store.make_streams()
        for peer in peers:
            for prio in PRIORITIES:
                self._store.make_consumer(peer, prio, lease or self.lease)

    def _prepare(self, peers: Sequence[str]) -> None:
        """Have a consumer for each of the peers, once for each connection: a server may come back without them."""
        since, there = self._ready
        if since == self.link.unbroken() and there >= set(peers):
            return
        for peer in peers:
            for prio in PRIORITIES:
                lease = self._store.lease_of(peer, prio)
                if lease is not None:
                    self.lease = lease
                    continue
                self._store.make_streams()
                self._store.make_consumer(peer, prio, self.lease)
                self._reconcile_at = 0.0  # a new queue, or one that has lost everything
        self._ready = (self.link.unbroken(), frozenset(peers))

    # -- taking -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _bell(self, peers: Sequence[str]) -> Iterator[Bell]:
        name = self.place.name
        subjects = [f"relay.{name}.job.{peer}.>" for peer in peers]
        subjects += [natswords.ring_subject(name, peer) for peer in peers]
        with self.link.bell(subjects, "idle") as bell:
            yield bell

    def _pass_on(self, bell: Bell | None, lease: Lease) -> None:
        """Who rang while this worker took a job may have meant another job: another idle worker is to look."""
        if bell is not None and bell.left():
            with contextlib.suppress(Unreachable, Denied):
                self.link.tell(natswords.ring_subject(self.place.name, lease.job.peer))

    def _looked(self, peers: Sequence[str], wanted: Wanted | None, first: str) -> Lease | None:
        """A lease of the most urgent job; of the one that rang at the subject `first`, if nothing waited before."""
        self._prepare(peers)
        if time.monotonic() >= self._reconcile_at:
            self.reconcile()
            self._reconcile_at = time.monotonic() + random.uniform(*_RECONCILE)
        order = [(prio, peer) for prio in PRIORITIES for peer in peers]
        with contextlib.suppress(Strange):
            peer, prio, _ = natswords.parse_subject(self.place.name, first)
            order.insert(0, (prio, peer))
        for prio, peer in order:
            for _ in range(_MANY):
                message = self._store.next(peer, prio)
                if message is None:
                    break
                lease = self._taken(message, wanted)
                if lease is not None:
                    return lease
        return None

    def _taken(self, message: Reply, wanted: Wanted | None) -> Lease | None:
        """The lease of the job that was handed out; None if it is not to be had, and then others get it."""
        try:
            waiting = natswords.parse_job(self.place.name, message.subject, message.data)
            handed, _ = natswords.delivery(message.reply)
        except Strange:
            self.strange += 1
            self._put_off(message, _PUT_OFF_MAX)
            return None
        job, begun = waiting.job, time.monotonic()
        # a new job has no claim; if it has one all the same, ours fails, and it is read the next time
        before = self._store.claim_of(job.id) if handed > 1 or waiting.again else None
        if before is not None and before.state == OVER:
            self.link.tell(message.reply, b"+ACK")
            return None
        lease, pause = None, self.lease / 2
        try:
            with self.link.telling(message.reply, b"+WPI", self.lease / 3):
                if not self._is_free(waiting, before, handed):
                    pass
                elif wanted is None or wanted(job):
                    lease = self._claimed(job, before, message.reply, begun)
                else:
                    pause = min(_PUT_OFF * handed, _PUT_OFF_MAX)
        finally:
            if lease is None:
                self._put_off(message, pause)
        return lease

    def _claimed(self, job: Job, before: Claim | None, reply: str, handed_at: float) -> Lease | None:
        """The lease, if no other worker claims the job at the same time; the server gave it to us at `handed_at`."""
        attempt, after = (1, 0) if before is None else (before.attempt + 1, before.after)
        sent = time.monotonic()
        number = self._store.claim(job, Claim(self.worker, attempt, HELD, time.time(), after))
        if number is None:
            return None
        if sent - handed_at > self.lease / 10:
            self.link.tell(reply, b"+WPI")
        return Lease(job, attempt, f"{number} {reply}", min(sent, handed_at) + self.lease)

    def _is_free(self, waiting: Waiting, claim: Claim | None, handed: int) -> bool:
        """Whether nobody works on a job that was handed out to us, for the time number `handed`.

        The server hands out a claimed job only once its lease is over. But if the connection, or the server, was away,
        or has lost the job meanwhile, the worker that has it could not renew: it gets half a lease more.
        """
        if claim is None:
            return handed > 1 or not waiting.again
        if not claim.is_held:
            return True
        now = time.monotonic()
        if not claim.loose and handed > 1 and now - self.link.unbroken() >= self.lease:
            return True
        after, since = self._watched.get(waiting.job.id, (0, now))
        if after != claim.after:
            self._watched[waiting.job.id] = (claim.after, now)
            return False
        return now - since >= self.lease / 2

    def _put_off(self, message: Reply, seconds: float) -> None:
        with contextlib.suppress(Unreachable):
            self.link.tell(message.reply, b"-NAK " + json.dumps({"delay": round(seconds * _NANO)}).encode())

    def _known(self, there: tuple[str, bytes, int]) -> Known | None:
        try:
            waiting = natswords.parse_job(self.place.name, there[0], there[1])
        except Strange:
            self.strange += 1
            return None
        job, at = waiting.job, waiting.time
        claim = self._store.claim_of(job.id)
        if claim is None:
            return Known(job, 0, "", at)
        if claim.state == OVER:
            return None
        return Known(job, claim.attempt, claim.worker if claim.is_held else "", max(at, claim.time), claim.says)


def _parts(token: str) -> tuple[int, str]:
    """(the number of the claim, where the job is acknowledged) of a lease."""
    number, _, reply = token.partition(" ")
    return int(number), reply
