"""One job of a worker: its session brought here, the peer run as in any call, the answer published.

The call is recorded on this machine's branch first, by the code that records every call, and then published. If the
lease was lost meanwhile, the answer stays here, below `refs/relay/aside/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from typing import Final

from gitrelay.calls import answering, budget, inflight, isolation, plan, recording
from gitrelay.calls.launch import launched
from gitrelay.calls.order import Order
from gitrelay.calls.peerlog import Follower
from gitrelay.calls.settings import Given
from gitrelay.errors import Busy, Reason, RelayError
from gitrelay.git.faults import GitError
from gitrelay.history import exchanges
from gitrelay.ledger.ledger import Ledger, Tip
from gitrelay.ledger.session import locked
from gitrelay.protocol.budget import CALL, Held
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import ARCHIVE, ASIDE, BRANCHES, CODE, Trailer, parse_raw
from gitrelay.protocol.words import Recorded
from gitrelay.remote.away import travelling
from gitrelay.remote.queue import record, trust
from gitrelay.remote.queue.jobs import Dispatch, Lease, Unreachable, Update
from gitrelay.remote.queue.record import Published
from gitrelay.remote.queue.trust import Found
from gitrelay.remote.queue.wire import FILES_LIMIT, Wire
from gitrelay.remote.worker.daily import Day
from gitrelay.state.calls import Call, identity_of

ATTEMPTS: Final = 3  # how often a job is begun; then the failure is its answer
_RETRY: Final = 10  # leases that an answer waits for a remote that does not answer; then others are taken
_LEAST: Final = Decimal("0.001")  # of a budget: nothing at all cannot be written as one
_PAUSE: Final = 5.0
_LINES: Final = 200  # of the peer's last ones, which are redacted together


class End(Enum):
    """What became of a job: our answer is the record; it had one; it was lost to another worker, or given back."""

    PUBLISHED = "answered"
    ANSWERED = "was answered already"
    LOST = "lost"
    GIVEN_BACK = "given back"


class Run:
    """One lease of one job. `tell` takes a line for the person who runs the worker."""

    def __init__(
        self,
        ledger: Ledger,
        wire: Wire,
        queue: Dispatch,
        lease: Lease,
        found: Found,
        day: Day,
        tell: Callable[[str], None],
    ) -> None:
        self.ledger = ledger
        self.wire = wire
        self.queue = queue
        self.lease = lease
        self.found = found
        self.day = day
        self.tell = tell
        self.job = lease.job
        self.address = Address(lease.job.session, found.request.id)
        self._own = lease  # the last that was confirmed
        self._lost = False

    def to_end(self) -> End:
        """Answer the job. Raises Unreachable if the remote does not answer for long; the answer is kept here then."""
        if self.found.answered:
            self.queue.settle(self.lease)
            return End.ANSWERED
        try:
            self.day.settle()  # what a call used is told by the branch, which may be moved now
            if self._goes_on():
                self.tell(f"{self.address}: what this machine had begun goes on")
                self._wait()
            elif self._bring():
                self.tell(f"{self.address}: this machine had answered it; it is not asked again")
            elif self.found.expired:
                self._fail(Reason.EXPIRED, "no worker took it before its time was over")
            elif self.lease.attempt > ATTEMPTS:
                self._fail(Reason.LOST, f"{ATTEMPTS} workers took it, and none of them answered")
            else:
                self._call()
        except RelayError as e:
            self.tell(f"{self.address}: {e.message}; given back")
            self.queue.settle(self._own, done=False)
            return End.GIVEN_BACK
        except KeyboardInterrupt:
            inflight.cancel(self.ledger, self.address, "Ctrl-C in its worker")
            self.queue.settle(self._own, done=False)
            raise
        self._account()
        return self._publish()

    def _account(self) -> None:
        """Note what the call used; if it cannot be noted now, the next job does it."""
        try:
            self.day.settle()
        except RelayError as e:
            self.tell(f"{self.address}: what it used is not noted yet: {e.message}")

    # -- its session ------------------------------------------------------------------------------

    def _goes_on(self) -> bool:
        """Whether a worker that was started here before has died, and its call for this job still runs."""
        folder = self.ledger.state.call(self.job.session)
        call = folder.load() if folder.is_alive() else None
        return call is not None and call.request_commit == self.job.request and call.served.startswith(self.job.id)

    def _bring(self) -> bool:
        """Make this machine's branch and files those of the request; True if a peer has answered it here already.

        Raises Busy if the session is in use here.
        """
        ledger, name, request = self.ledger, self.job.session, self.job.request
        repo = ledger.repo
        ledger.prepare()
        with locked(ledger, name) as held:
            if not recording.heal(held, ledger.state.call(name)):
                raise Busy(f"session {name} has a call on this machine")
            now, wanted, archived = ledger.tips([BRANCHES + name, request, ARCHIVE + name])
            if wanted is None or wanted.pending != self.found.request.id:
                raise Busy(f"the request of session {name} is answered, or not the last")
            if archived is not None:
                raise Busy(f"a session {name} is archived on this machine")
            if now is not None and self._has_answered(now):
                return True
            code = repo.ref(CODE + name) or repo.no_object
            moves = [(CODE + name, self.found.there.code, code)] if code != self.found.there.code else []
            if now is None:
                moves.append((BRANCHES + name, request, repo.no_object))
            elif now.commit != request:
                if self._root(now.commit) != self._root(request):
                    raise Busy(f"another session called {name} is on this machine")
                if self._is_behind(now.commit):
                    moves.append((BRANCHES + name, request, now.commit))
                else:
                    self._put_aside(now.commit, moves, code)
            if moves:
                repo.move_refs(moves, f"job {self.job.id}")
        return False

    def _has_answered(self, now: Tip) -> bool:
        """Whether this machine's last word in the session is a peer's answer for this job that was not published."""
        said = parse_raw(now.commit, now.data)
        ours = said.trailers.get(Trailer.JOB) == self.job.id and said.recorded == Recorded.PEER
        return ours and said.kind == "res" and self.ledger.repo.ref(f"{now.commit}^") == self.job.request

    def _put_aside(self, tip: str, moves: list[tuple[str, str, str]], code: str) -> None:
        """Add the moves that keep what this machine has of the session, and go back to the request."""
        repo, name = self.ledger.repo, self.job.session
        kept = f"{ASIDE}{name}/{tip[:12]}"
        moves.append((BRANCHES + name, self.job.request, tip))
        for ref, oid in ((kept, tip), (f"{kept}-files", code)):
            if oid != repo.no_object and repo.ref(ref) is None:
                moves.append((ref, oid, repo.no_object))
        self.tell(f"{self.address}: what this machine had of it is kept at {kept}")

    def _root(self, commit: str) -> str:
        return self.ledger.repo.run("rev-list", "--max-parents=0", commit).decode().strip()

    def _is_behind(self, commit: str) -> bool:
        try:
            self.ledger.repo.run("merge-base", "--is-ancestor", commit, self.job.request)
        except GitError:
            return False
        return True

    # -- its call ---------------------------------------------------------------------------------

    def _call(self) -> None:
        """Run the peer in a workspace that holds the files of the request, and wait for the record."""
        ledger, repo, name = self.ledger, self.ledger.repo, self.job.session
        commit = self.found.commit
        below = travelling.folder(commit)
        if below is None:
            self._fail(Reason.UNAVAILABLE, "the folder that the request names is none of its files")
            return
        request = self.found.request
        # this machine's own budgets hold too, and what is left of its day: what is asked for may only be less
        left = self.day.left(_LEAST)
        own = [*budget.caps(repo, self.job.peer, ()), *([] if left.is_empty else [(CALL, "", left)])]
        held_by = Held.from_trailer(commit.trailers.get(Trailer.BUDGET, "")).and_by(own)
        given = Given(
            access=commit.access,
            model=commit.trailers.get(Trailer.ASKED_MODEL),
            effort=commit.trailers.get(Trailer.ASKED_EFFORT),
            budget=answering.budget_of(commit.trailers.get(Trailer.BUDGET, "")),
            isolate=True,
        )
        order = Order(request.task, (self.job.peer,), request.from_, session=name, given=given)
        (wanted,) = plan.make(repo, order)
        place = repo.top or repo.place
        with launched(place) as waiting, locked(ledger, name) as held:
            at = self._change() or self.found.there.code
            here, _, _, told = isolation.prepared(ledger, name, isolation.FRESH, (), at)
            for line in told:
                self.tell(f"{self.address}: {line}")
            call = Call(
                session=name,
                id=request.id,
                from_=request.from_,
                to=self.job.peer,
                top=str(repo.top),
                access=wanted.chosen.access,
                started=time.time(),
                limits=travelling.limits(commit, wanted.chosen.limits),
                one_shot=True,  # its worktree goes with it
                model=wanted.chosen.model,
                effort=wanted.chosen.effort,
                request_commit=self.job.request,
                budget=held_by.to_trailer(),
                workspace=str(here.repo.top),
                worker_checks=trust.checks_of(commit) or (),
                passing=True,
                home=identity_of(repo.common_dir),
                below=below,
                depth=travelling.depth(commit),
                served=f"{self.job.id} {self.lease.attempt} {self.queue.worker}",
            )
            self.day.begin(self.job, self.address)
            folder = ledger.state.call(name)
            folder.create(call)
            if not waiting.hand_over(ledger, call):
                recording.never_started(held, folder, call)
        self._wait()

    def _change(self) -> str:
        """The commit that is to be reviewed, brought here; '' if nothing is. Raises Unreachable, Busy."""
        head, ref = travelling.change(self.found.commit), travelling.CHANGES + self.job.session
        if head and self.wire.look(ref, limit=FILES_LIMIT).get(ref) != head:
            raise Busy("the commits that are to be reviewed are not on the remote")
        return head

    def _wait(self) -> None:
        """Wait for the record of the call, and renew the lease meanwhile; a call whose job was lost is cancelled."""
        follower, says = Follower(self.ledger, self.address, self.job.peer), ""
        while True:
            found = inflight.wait(self.ledger, self.address, self._own.beat or self.queue.lease / 3, own=True)
            if found.response is not None:
                return
            try:
                lines = self.ledger.redactor.redact("\n".join(follower.lines()[-_LINES:])).text.splitlines()
                says = next((line for line in reversed(lines) if line.strip()), says)
                renewed = self.queue.renew(replace(self._own, says=says))
            except Unreachable as e:
                self.tell(f"{self.address}: {e.message}; going on")
                continue
            if renewed is None:
                self._lost = True
                self.tell(f"{self.address}: the job was taken away; its call is cancelled")
                inflight.cancel(self.ledger, self.address, "its worker, which lost the job")
                return
            self._own = renewed

    def _fail(self, reason: Reason, what: str) -> None:
        found = exchanges.exchange(self.ledger, self.address)
        words = (self.job.id, str(self.lease.attempt), self.queue.worker)
        trailers = dict(zip((Trailer.JOB, Trailer.EPOCH, Trailer.WORKER), words, strict=True))
        recording.close_unanswered(self.ledger, found, reason, what, files=False, trailers=trailers)

    # -- its answer -------------------------------------------------------------------------------

    def _publish(self) -> End:
        repo, name = self.ledger.repo, self.job.session
        answer, files = repo.ref(BRANCHES + name) or "", repo.ref(CODE + name) or ""
        before = self.found.there.code
        code = Update(CODE + name, before, files) if files != before else None
        done = self._tried(answer, code)
        if not self._own.updates and done != Published.LOST:
            self._over()
        if done == Published.OURS:
            return End.PUBLISHED
        with locked(self.ledger, name):
            moves: list[tuple[str, str, str]] = []
            self._put_aside(answer, moves, files or repo.no_object)
            repo.move_refs(moves, f"job {self.job.id} was lost")
        return End.ANSWERED if done == Published.ANSWERED and not self._lost else End.LOST

    def _over(self) -> None:
        """Tell an engine that has not seen it by the push that the job is over; the next to take it says it too."""
        try:
            self.queue.settle(self._own)
        except Unreachable as e:
            self.tell(f"{self.address}: {e.message}; the next worker that takes it sees the answer")

    def _tried(self, answer: str, code: Update | None) -> Published:
        """What became of the answer; a remote that does not answer is asked again for a while."""
        if self._lost:
            return Published.LOST
        deadline = time.monotonic() + _RETRY * self.queue.lease
        while True:
            try:
                return record.publish_for(self.wire, self.queue, self._own, answer, code)
            except Unreachable as e:
                if time.monotonic() >= deadline:
                    raise
                self.tell(f"{self.address}: {e.message}; trying again")
                time.sleep(_PAUSE)
