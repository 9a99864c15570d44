"""Which engine hands out the jobs of a remote: `relay.<remote>.queue`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.remote.engines import ci, git
from gitrelay.remote.jobs import Dispatch
from gitrelay.remote.queuewire import Wire

PAUSES: Final = git.PAUSES
CI: Final = "ci"  # the forge's own runners


def setting(repo: Repository, remote: str) -> tuple[str, str] | None:
    """`relay.<remote>.queue` and the file that says so, None if the remote itself is the queue."""
    values = repo.config.get(f"relay.{remote}.queue")
    return values[-1] if values else None


def engine(
    repo: Repository,
    remote: str,
    wire: Wire,
    *,
    worker: str = "nobody",
    lease: float | None = None,
    pauses: tuple[float, float] = PAUSES,
    stopped: Callable[[], bool] = lambda: False,
) -> Dispatch:
    """The engine of the remote called `remote`, which `wire` leads to.

    `lease` and `pauses` are in seconds; a `lease` of None is the engine's own. `stopped`: no job is waited for any
    more. Raises UsageError for a setting that names no engine.
    """
    found = setting(repo, remote)
    if found is None:
        return git.GitQueue(wire, worker=worker, lease=lease or git.LEASE, pauses=pauses, stopped=stopped)
    value, where = found
    if value == CI:
        return ci.CiQueue(wire, worker=worker, lease=lease or ci.LEASE, pauses=pauses, stopped=stopped)
    raise UsageError(
        f"relay.{remote}.queue {quote(value)} in {where}",
        hint=f"git config --unset relay.{remote}.queue; the remote itself is the queue then",
        code=Code.BAD_CONFIG,
    )
