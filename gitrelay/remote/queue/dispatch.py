"""Which engine hands out the jobs of a remote: `relay.<remote>.queue`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.remote.queue.engines import ci, git, natsplace
from gitrelay.remote.queue.jobs import Dispatch
from gitrelay.remote.queue.text import LEASE_MAX
from gitrelay.remote.queue.wire import Wire

if TYPE_CHECKING:
    from gitrelay.remote.queue.engines.nats import NatsQueue

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
NOBODY: Final = "nobody"  # who takes no jobs
PAUSES: Final = git.PAUSES
CI: Final = "ci"  # the forge's own runners
NATS: Final = ("nats", "tls")  # schemes of addresses


def setting(repo: Repository, remote: str) -> tuple[str, str] | None:
    """`relay.<remote>.queue` and the file that says so, None if the remote itself is the queue."""
    values = repo.config.get(f"relay.{remote}.queue")
    return values[-1] if values else None


def engine(
    repo: Repository,
    remote: str,
    wire: Wire,
    *,
    worker: str = NOBODY,
    lease: float | None = None,
    pauses: tuple[float, float] = PAUSES,
    stopped: Callable[[], bool] = lambda: False,
) -> Dispatch:
    """The engine of the remote called `remote`, which `wire` leads to.

    `lease` and `pauses` are in seconds; a `lease` of None is the engine's own. `stopped`: no job is waited for any
    more. Raises UsageError for a setting that names no engine, or whose engine is not installed.
    """
    found = setting(repo, remote)
    if found is None:
        return git.GitQueue(wire, worker=worker, lease=lease or git.LEASE, pauses=pauses, stopped=stopped)
    value, where = found
    if value == CI:
        return ci.CiQueue(wire, worker=worker, lease=lease or ci.LEASE, pauses=pauses, stopped=stopped)
    if value.partition("://")[0].lower() in NATS:
        return _nats(repo, remote, wire, worker=worker, lease=lease, stopped=stopped)
    raise _unknown(remote, value, where)


def _unknown(remote: str, value: str, where: str) -> UsageError:
    return UsageError(
        f"relay.{remote}.queue {quote(natsplace.shown(value))} in {where}",
        hint="nats://HOST:PORT/NAME or ci; the remote itself is the queue if it is not set",
        code=Code.BAD_CONFIG,
    )


@dataclass(frozen=True)
class Told:
    """What is to be said of a remote's engine, and the command that fixes what is wrong with it, '' for none."""

    words: str
    fix: str = ""


def described(repo: Repository, remote: str) -> Told | None:
    """What a remote's setting says, None if the remote is its own queue; no server is asked. As `engine`, it raises."""
    found = setting(repo, remote)
    if found is None or found[0] == CI:
        return None
    if found[0].partition("://")[0].lower() not in NATS:
        raise _unknown(remote, *found)
    place = natsplace.of_setting(repo, remote)
    if importlib.util.find_spec("nats") is None:
        return Told(f"on {place.shown}, and nats-py is not installed", "pip install 'gitrelay-cli[nats]'")
    if not place.tls and place.host not in LOOPBACK and (place.who.password or place.who.token):
        return Told(f"on {place.shown}: a password goes there in the open", f"tls://{place.host}:{place.port}")
    return Told(f"its jobs are on {place.shown}")


@dataclass(frozen=True)
class Made:
    """A queue that was made: where, as it may be shown, and the length of its leases in seconds."""

    place: str
    lease: float


def make(repo: Repository, remote: str, wire: Wire, peers: Sequence[str], lease: float | None) -> Made:
    """Make the queue of a remote on its server, or what is missing of it.

    Raises UsageError if the remote is its own queue, or for a lease out of range; and what the server refuses.
    """
    found = setting(repo, remote)
    if found is None or found[0].partition("://")[0].lower() not in NATS:
        raise UsageError(
            f"nothing is to be made: {remote} is its own queue",
            hint=f"git config relay.{remote}.queue nats://HOST:PORT/NAME, for one on a NATS server",
        )
    if lease is not None and not 0 < lease <= LEASE_MAX:
        raise UsageError(f"--lease {lease:g}s is out of range", hint=f"up to {LEASE_MAX:g}s")
    queue = _nats(repo, remote, wire, worker=NOBODY, lease=lease, stopped=lambda: False)
    try:
        queue.make(peers, lease)
        return Made(queue.place.shown, queue.lease)
    finally:
        queue.close()


def _nats(
    repo: Repository, remote: str, wire: Wire, *, worker: str, lease: float | None, stopped: Callable[[], bool]
) -> NatsQueue:
    try:
        from gitrelay.remote.queue.engines.nats import NatsQueue
    except ModuleNotFoundError as e:
        if (e.name or "").partition(".")[0] != "nats":
            raise
        raise UsageError(
            f"relay.{remote}.queue is on a NATS server, and the package nats-py is not installed",
            hint="pip install 'gitrelay-cli[nats]'",
            code=Code.BROKEN,
        ) from e
    place = natsplace.of_setting(repo, remote)
    if worker != NOBODY:
        natsplace.forget_secrets()  # no peer that is started here is to have them
    return NatsQueue(place, wire, worker=worker, lease=lease, stopped=stopped)
