"""What one commit of a session records, as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitrelay.errors import Busy
from gitrelay.ground.value import dataclass
from gitrelay.ledger.snapshot import Snapshot


@dataclass(frozen=True)
class Entry:
    """One file and what its commit says of it.

    `redacted` counts the secrets that were taken out of `data`; the other words are redacted when it is written.
    `needs_worktree`: it is not recorded if the session's worktree cannot be made; without `places` none is made for it.
    """

    name: str
    data: bytes
    subject: str
    trailers: Mapping[str, str]
    author: str
    redacted: int = 0
    notes: Sequence[str] = ()
    files: Snapshot | None = None
    synchronise: bool = True
    needs_worktree: bool = False
    places: bool = True


class Moved(Busy):
    """The branch was moved by another process since its tip was read; nothing was recorded."""
