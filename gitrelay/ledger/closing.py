"""Closing and archiving sessions: worktrees and branches go out of the way, nothing recorded is lost."""

from __future__ import annotations

from collections.abc import Sequence

from gitrelay.errors import Busy, Code, IntegrityError, UsageError
from gitrelay.git.faults import GitError
from gitrelay.ground.text import quote
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.protocol import names
from gitrelay.protocol.record import ARCHIVE, BRANCHES
from gitrelay.workspace import place, workspace


def close(ledger: Ledger, sessions: Sequence[str], *, workspaces: bool = True) -> list[str]:
    """Remove the worktrees of `sessions`, and their `workspaces`; returns the names of those that had one.

    Raises UsageError for an unknown session and Busy for one with a turn in flight, or whose supervisor lives, before
    any is closed.
    """
    for name in sessions:
        names.check_session(name)
        tip = ledger.tip(name)
        if tip is None:
            raise UsageError(
                f"there is no session {quote(name)}",
                hint="'git relay ls' lists the sessions",
                code=Code.UNKNOWN_SESSION,
            )
        if tip.pending is not None:
            raise Busy(
                f"session {name} has a turn in flight: {names.Address(name, tip.pending)}",
                hint=f"git relay wait {names.Address(name, tip.pending)}",
            )
        _refuse_running(ledger, name)
    closed = []
    for name in sessions:
        with locked(ledger, name) as held:
            _refuse_running(ledger, name)
            tip = held.tip()
            if tip is None or tip.pending is not None:
                continue
            had = workspaces and _remove_workspace(ledger, name)
            if held.worktree.is_sound():
                held.worktree.restore(tip.entries)
                held.worktree.remove()
                had = True
            if had:
                closed.append(name)
    return closed


def _remove_workspace(ledger: Ledger, session: str) -> bool:
    """Remove what the session's isolated calls worked in; False if there is none."""
    if place.read_note(ledger.state.root, session) is None:
        return False
    workspace.remove(ledger.repo, ledger.state, session)
    return True


def archive(ledger: Ledger, session: str, *, restore: bool = False) -> None:
    """Move a session's branch to `refs/relay/archive/`, or back. Raises UsageError; Busy while a call runs in it."""
    source, target = (ARCHIVE, BRANCHES) if restore else (BRANCHES, ARCHIVE)
    with locked(ledger, session) as held:
        _refuse_running(ledger, session)
        tip = ledger.tip(session, archived=restore)
        if tip is None:
            raise UsageError(
                f"there is no {'archived ' if restore else ''}session {quote(session)}",
                hint="'git relay ls' lists the sessions",
                code=Code.UNKNOWN_SESSION,
            )
        if tip.pending and not restore:
            address = names.Address(session, tip.pending)
            raise Busy(f"session {session} has a turn in flight: {address}", hint=f"git relay cancel {address}")
        _remove_workspace(ledger, session)
        if not restore and held.worktree.is_sound():
            held.worktree.restore(tip.entries)
            held.worktree.remove()
        try:
            ledger.repo.move_refs(
                [
                    (target + session, tip.commit, ledger.repo.no_object),
                    (source + session, ledger.repo.no_object, tip.commit),
                ],
                f"{'restore' if restore else 'archive'} {session}",
            )
        except GitError as e:
            raise IntegrityError(f"{target}{session} exists already", hint="compare the two and delete one") from e


def _refuse_running(ledger: Ledger, session: str) -> None:
    """Raise Busy while the supervisor of a call lives: it records an answer, or checks, whatever the branch says now.

    Under the session's lock this cannot change: a supervisor is started by who holds it.
    """
    folder = ledger.state.call(session)
    if folder.is_alive():
        call = folder.load()
        address = call.address if call is not None else session
        raise Busy(
            f"session {session} has a call that still runs: {address}",
            hint=f"git relay wait {address}, or git relay cancel {address}",
        )
