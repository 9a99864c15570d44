"""The engine for a forge's own runners: the jobs are refs as in the git engine, and a branch rings for each.

Forges start a pipeline when a branch is pushed, never for a ref elsewhere, and read it from the pushed commit. So the
branch `relay-run/<job>` is made at the remote's own default branch, and the workflow there (docs/ci) starts a worker
for that one job. The lease is as long as a run may take: nothing renews it, which would cost a push each time.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Final

from gitrelay.remote.queue import text
from gitrelay.remote.queue.engines.git import GitQueue
from gitrelay.remote.queue.jobs import Job, Lease, Unreachable, Update

RUNS: Final = "refs/heads/relay-run/"
LEASE: Final = 4200.0  # seconds; the workflows end a run after 60 minutes
_BEAT: Final = 60.0  # seconds between two looks at whether the job was cancelled
_HEAD: Final = "refs/HEAD"  # what `Wire.look` calls the remote's HEAD


class CiQueue(GitQueue):
    """The queue of one remote whose forge runs the workers; any other worker may take its jobs too."""

    def submit(self, job: Job) -> bool:
        """As `Dispatch.submit`; it rings again."""
        new = super().submit(job)
        self.announce(job)
        return new

    def announce(self, job: Job) -> None:
        """As `Dispatch.announce`: push the branch that starts the run, if it is not there."""
        ref = RUNS + job.id
        seen = self.wire.look("HEAD", ref)
        if ref in seen:
            return
        if _HEAD not in seen:
            raise Unreachable(
                "the remote has no default branch, so no workflow to start",
                hint="push the workflow there first: docs/ci/worker-*.yml",
            )
        swap = self.wire.swap([Update(ref, "", seen[_HEAD])])
        if not swap.seen.get(ref):
            raise Unreachable(
                f"the remote does not take {ref}, which starts the run: {swap.words}",
                hint="allow relay-run/* in its branch rules, or start a worker by hand: git relay worker",
            )

    def renew(self, lease: Lease) -> Lease | None:
        """As `Dispatch.renew`, by a look: the claim is good for the whole run, and nothing is pushed."""
        ref = text.ref_of(lease.job)
        return lease if self.wire.look(f"{ref}*").get(ref) == lease.token else None

    def _lease(self, job: Job, epoch: int, tip: str, sent: float) -> Lease:
        return replace(super()._lease(job, epoch, tip, sent), beat=_BEAT)

    def settle(self, lease: Lease, done: bool = True) -> None:
        """As `Dispatch.settle`; the run's branch goes too."""
        super().settle(lease, done)
        if done:
            self.withdraw(lease.job)

    def withdraw(self, job: Job) -> None:
        """As `Dispatch.withdraw`: a run that has not begun finds nothing to do."""
        ref = RUNS + job.id
        at = self.wire.look(ref).get(ref)
        if at is not None:
            with contextlib.suppress(Unreachable):  # the workflow deletes it as well
                self.wire.swap([Update(ref, at, "")])

    def reconcile(self) -> int:
        """As `Dispatch.reconcile`: ring for the jobs that nobody has, and whose branch is gone."""
        known = [one for one in self.listed() if not one.is_held]
        seen = self.wire.look(f"{RUNS}*") if known else {}
        lost = [one.job for one in known if RUNS + one.job.id not in seen]
        for job in lost:
            self.announce(job)
        return len(lost)
