"""What keeps a repository light, done by the supervisor when its call is over and nobody waits for it.

- Loose objects beyond git's own threshold are packed by `git gc --auto`, loose refs by `git pack-refs`, with a
  commit graph. While another call runs nothing is pruned.
- Worktrees of sessions that have been quiet for `relay.closeAfter` are removed, as `git relay close --idle` does. What
  isolated calls worked in stays: it may hold what nobody has applied.

A look costs a millisecond; what it finds is done in a process of its own, with the lowest priority. It may be killed
at any time, and never fails a call.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final

from gitrelay.calls.settings import close_after
from gitrelay.errors import RelayError
from gitrelay.git import packing
from gitrelay.git.repository import Repository
from gitrelay.history.sessions import idle_sessions
from gitrelay.ledger import closing
from gitrelay.ledger.ledger import Ledger
from gitrelay.process import detached
from gitrelay.state.calls import mtime
from gitrelay.state.files import write_whole

LOOSE_REFS: Final = 250  # of sessions; so many take `git branch` some 2 ms
_HOUR: Final = 3600.0  # between two looks for idle worktrees
_DAY: Final = 86400.0  # until what could not be packed is tried again
_TITLE: Final = "gitrelay.upkeep"


def packs(repo: Repository) -> bool:
    """Whether gitrelay packs here, `relay.pack`; by default it does, if git itself would (`gc.auto`)."""
    return repo.flag("relay.pack") is not False and packing.threshold(repo) > 0


def begin(ledger: Ledger) -> None:
    """Do what is due, in a fork of this process if that is safe. The caller holds no lock."""
    try:
        ledger.state.make_folders()  # refuses a link in their place: the peer may have left one
        upkeep = _Upkeep(ledger)
        if not upkeep.is_due() or (detached.can_fork() and os.fork()):
            return
        detached.name_process((_TITLE, str(ledger.repo.common_dir)))
        with contextlib.suppress(OSError):
            os.nice(19)
        upkeep.run()
    except (RelayError, OSError):
        pass  # the next call tries again


class _Upkeep:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._root = ledger.state.root

    def is_due(self) -> bool:
        return self._is_loose() or self._has_loose_refs() or self._may_close()

    def run(self) -> None:
        ledger = self._ledger
        with ledger.state.lock(".upkeep") as lock:
            if not lock.try_acquire():
                return
            if self._has_loose_refs():
                packing.pack_refs(ledger.repo)
                packing.write_graph(ledger.repo)  # or what looks at all refs opens a commit for each
            if self._is_loose():
                packing.pack_objects(ledger.repo, prune=not any(call.is_alive() for call in ledger.state.calls()))
                left = packing.loose_objects(ledger.repo)
                write_whole(self._left, str(left).encode())
            if self._may_close():
                write_whole(self._looked, b"")
                self._close()

    # -- packing ----------------------------------------------------------------------------------

    @property
    def _left(self) -> Path:
        """A file with the number of loose objects that the last packing left: unreachable ones, too young to go."""
        return self._root / "packed"

    def _is_loose(self) -> bool:
        repo = self._ledger.repo
        if not packs(repo):
            return False
        limit = packing.threshold(repo)
        found = packing.loose_objects(repo, limit)
        return found > limit and found > limit + self._left_over()

    def _left_over(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            if time.time() - mtime(self._left) < _DAY:
                return int(self._left.read_bytes()[:20])
        return 0

    def _has_loose_refs(self) -> bool:
        repo = self._ledger.repo
        return packs(repo) and packing.packs_refs(repo) and packing.loose_refs(repo) > LOOSE_REFS

    # -- worktrees --------------------------------------------------------------------------------

    @property
    def _looked(self) -> Path:
        """A file that is as old as the last look for idle worktrees."""
        return self._root / "closed"

    def _may_close(self) -> bool:
        if close_after(self._ledger.repo) is None:
            return False
        if not self._looked.exists():
            write_whole(self._looked, b"")  # the first look comes an hour after the first call
        return time.time() - mtime(self._looked) > _HOUR

    def _close(self) -> None:
        seconds = close_after(self._ledger.repo)
        for name in idle_sessions(self._ledger, seconds) if seconds is not None else []:
            with contextlib.suppress(RelayError, OSError):  # a call has begun in it
                closing.close(self._ledger, [name], workspaces=False)
