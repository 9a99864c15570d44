"""The record of a job on the remote: who has answered is decided here, whatever the engine did.

An answer is published by one atomic push: the session's branch from the request to the answer, the files' ref, and
what the lease adds (the git engine: the job's ref goes, if the claim is still the worker's own). So a worker that lost
its lease is refused, and no request ever has two answers.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

from gitrelay.ground.value import dataclass
from gitrelay.protocol.record import BRANCHES, CODE
from gitrelay.remote.queue import finished
from gitrelay.remote.queue.jobs import Dispatch, Job, Lease, Unreachable, Update
from gitrelay.remote.queue.wire import FILES_LIMIT, Outcome, Wire

_TRIES: Final = 8
_PAUSE: Final = 0.3  # seconds between two tries, at first


class Published(Enum):
    """What became of an answer: it is the record; the request has another one; the worker's lease is lost."""

    OURS = "ours"
    ANSWERED = "answered"
    LOST = "lost"


@dataclass(frozen=True)
class There:
    """Where a session is on the remote, '' for none; `code` is '' too if the files were not asked for.

    `archived`: it is among the finished ones, which have no refs of their own; a push that goes on from there makes
    them again.
    """

    session: str
    code: str
    archived: bool = False

    @property
    def refs(self) -> tuple[str, str]:
        """The same as values of refs: of the branch, and of the files."""
        return ("", "") if self.archived else (self.session, self.code)


def there(wire: Wire, session: str, *, files: bool = True) -> There:
    """Where the session is on the remote. Raises Unreachable. The objects are here afterwards."""
    seen = wire.look(BRANCHES + session, *([CODE + session] if files else []), limit=FILES_LIMIT)
    branch, code = seen.get(BRANCHES + session, ""), seen.get(CODE + session, "")
    ended = finished.read(wire).sessions.get(session) if not branch and not code else None
    if ended is None:
        return There(branch, code)
    wire.bring([ended.tip, *([ended.code] if files and ended.code else [])])
    return There(ended.tip, ended.code if files else "", archived=True)


def publish(wire: Wire, job: Job, answer: str, code: Update | None, joined: Sequence[Update]) -> Published:
    """Make `answer` the answer of the job's request; `joined` are the updates of the lease.

    Raises Unreachable if that is unknown, or if the remote refuses it again and again for reasons of its own; then
    publishing again is safe.
    """
    branch = BRANCHES + job.session
    updates = [Update(branch, job.request, answer), *([code] if code is not None else []), *joined]
    words = ""
    for again in range(_TRIES):
        swap = wire.swap(updates, limit=FILES_LIMIT)
        if swap.outcome == Outcome.WON:
            return Published.OURS
        if swap.outcome == Outcome.LOST:
            return Published.ANSWERED
        if any(swap.seen[update.ref] != update.old for update in joined):
            return Published.LOST
        words = swap.words
        time.sleep(random.uniform(0.5, 1) * _PAUSE * again)
    raise Unreachable(f"the remote refuses the answer of job {job.id}: {words}", hint="its log says why; try again")


def publish_for(wire: Wire, queue: Dispatch, lease: Lease, answer: str, code: Update | None) -> Published:
    """As `publish`, for what a worker holds. An engine whose leases move no ref refuses nobody: the first answers."""
    if lease.updates:
        return publish(wire, lease.job, answer, code, lease.updates)
    return answer_instead(wire, lease.job, answer, code, lambda: queue.ending(lease.job))


def answer_instead(
    wire: Wire, job: Job, answer: str, code: Update | None, holds: Callable[[], Update | None]
) -> Published:
    """The submitter's own answer (cancelled, expired), also if a worker has the job; `holds` finds the job's ref."""
    for _ in range(_TRIES):
        held = holds()
        done = publish(wire, job, answer, code, [] if held is None else [held])
        if done != Published.LOST:
            return done
    raise Unreachable(f"job {job.id} changes hands all the time", hint="try again")
