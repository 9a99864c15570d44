"""Jobs for workers on other machines, and what an engine has to promise that hands them out.

An engine is about liveness only: it may lose, repeat or reorder jobs. Who answered is decided by one compare-and-swap
of the session's branch, from the request to the answer (`queuerecord`).
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from gitrelay.errors import CannotRecord, Code
from gitrelay.ground.value import dataclass

ULID: Final = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")
PRIORITY: Final = 5  # of 0, which is taken first, to 9
_MOMENT: Final = 0.5  # seconds
_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"


class Unreachable(CannotRecord):
    """The remote gave no usable answer. What it did is unknown, which is not the same as 'no'."""

    code = Code.UNREACHABLE


@dataclass(frozen=True)
class Update:
    """A ref that moves from `old` to `new`: ids of objects, '' for a ref that does not exist."""

    ref: str
    old: str
    new: str


@dataclass(frozen=True)
class Job:
    """A request that waits for a worker: names and ids only, never content.

    `request` is the id of its commit. `prio` is 0 to 9; 0 is taken first.
    """

    id: str
    peer: str
    prio: int
    session: str
    request: str


@dataclass(frozen=True)
class Lease:
    """A job that a worker holds.

    `attempt` is 1 for the first worker that took the job. `token` is the engine's own. `until` is when it ends, in
    this machine's monotonic seconds. `updates` join the push of the answer, so that who lost the lease cannot publish.
    `beat`: seconds between two renewals, None for a third of its length.
    `says` is what the peer did last, in one line that may be read by all; a renewal passes it on if the engine can.
    """

    job: Job
    attempt: int
    token: str
    until: float
    updates: tuple[Update, ...] = ()
    beat: float | None = None
    says: str = ""


@dataclass(frozen=True)
class Known:
    """What is known of a job that is not over.

    `attempt` counts the workers that have taken it. `worker` is the one that holds it, '' for nobody. `seen` is when
    that was last said, by the clock of the machine that said it, in seconds since the epoch, and `says` what its peer
    did then, '' if that is not known: to be shown, never to be relied on.
    """

    job: Job
    attempt: int
    worker: str
    seen: float
    says: str = ""

    @property
    def is_held(self) -> bool:
        return bool(self.worker)


Wanted = Callable[[Job], bool]


class Dispatch(Protocol):
    """Hands jobs out. Each method may raise Unreachable; then the outcome is unknown, and calling again is safe.

    `worker` is the name that leases are taken in, `lease` their length in seconds. `strange` counts what the last look
    found in the queue's place that is no job.
    """

    worker: str
    lease: float
    strange: int

    def submit(self, job: Job) -> bool:
        """Put the job in the queue, for good once this returns; False if it is there already."""

    def take(self, offers: Sequence[str], wait: float, wanted: Wanted | None = None) -> Lease | None:
        """A job for one of the peers `offers`, the most urgent first; None if none comes within `wait` seconds.

        At most one lease of a job holds at a time, as far as the engine knows. Only jobs that are `wanted` are taken.
        """

    def renew(self, lease: Lease) -> Lease | None:
        """The lease with a new end; None if it is lost: another worker holds the job, or the job is over."""

    def settle(self, lease: Lease, done: bool = True) -> None:
        """The job is over and never handed out again or, if not `done`, free for the next worker at once.

        To be called after the answer was published. Nothing happens if the lease does not hold any more.
        """

    def cancel(self, job: Job) -> bool:
        """Take a job back that nobody holds; False if somebody does, or if it is gone."""

    def pending(self) -> Iterable[str]:
        """The ids of all jobs that are not over; it may be a little late."""

    # -- the job's ref at the remote, which every engine has, so that no job is lost with an engine ---------------

    def enrolment(self, job: Job) -> Update:
        """The ref that says at the remote that the job is open; it joins the push of its request."""

    def announce(self, job: Job) -> None:
        """The request and the enrolment are at the remote: workers may take the job."""

    def ending(self, job: Job) -> Update | None:
        """The end of the job's ref, also if it is held; it joins the push of an answer. None if the ref is gone."""

    def withdraw(self, job: Job) -> None:
        """The request is answered by its caller, and the job's ref is gone: no worker need take it any more."""

    def reconcile(self) -> int:
        """Announce the jobs that are open at the remote and that the engine has lost; how many these were."""

    # -- what it knows --------------------------------------------------------------------------------------------

    def find(self, job: Job) -> Known | None:
        """What is known of the job; None if the engine does not have it."""

    def listed(self) -> Sequence[Known]:
        """All jobs that are not over, the most urgent first and then the oldest."""

    def close(self) -> None:
        """Let go of what the engine itself holds on to; leases stay as they are."""


def pause(seconds: float, stopped: Callable[[], bool]) -> None:
    """Sleep; end within a moment once `stopped` says so, as a worker has to that is told to end."""
    until = time.monotonic() + seconds
    while not stopped() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _MOMENT))


def new_id() -> str:
    """A ULID in lower case: ids that are made later sort after those made before, by this machine's clock."""
    number = (int(time.time() * 1000) & (1 << 48) - 1) << 80 | secrets.randbits(80)
    return "".join(_DIGITS[number >> shift & 31] for shift in range(125, -1, -5))
