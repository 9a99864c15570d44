"""Closing sessions: their worktrees go, their branches stay, and the next turn brings the worktree back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gitrelay.errors import Busy, UsageError
from gitrelay.history import exchanges
from gitrelay.ledger.session import Ledger
from gitrelay.ledger.worktree import folder_of
from gitrelay.protocol import names


def idle_sessions(ledger: Ledger, seconds: float) -> list[str]:
    """Sessions with a worktree here whose last commit is older than `seconds` and that wait for nothing."""
    now = time.time()
    return [
        s.name
        for s in exchanges.sessions(ledger)
        if not s.archived
        and s.status not in ("pending", exchanges.DAMAGED)
        and now - s.last >= seconds
        and folder_of(ledger.repo, s.name).exists()
    ]


def close(ledger: Ledger, sessions: Sequence[str]) -> list[str]:
    """Remove the worktrees of `sessions`; returns the names of those that had one.

    Raises UsageError for an unknown session and Busy for one with a turn in flight, before any is closed.
    """
    for name in sessions:
        names.check_session(name)
        tip = ledger.tip(name)
        if tip is None:
            raise UsageError(
                f"there is no session {names.quote(name)}",
                hint="'git relay ls' lists the sessions",
                code="unknown-session",
            )
        if tip.pending is not None:
            raise Busy(
                f"session {name} has a turn in flight: {names.Address(name, tip.pending)}",
                hint=f"git relay wait {names.Address(name, tip.pending)}",
            )
    closed = []
    for name in sessions:
        with ledger.session(name) as held:
            tip = held.tip()
            if tip is not None and tip.pending is None and held.worktree.is_sound():
                held.worktree.restore(tip.entries)
                held.worktree.remove()
                closed.append(name)
    return closed
