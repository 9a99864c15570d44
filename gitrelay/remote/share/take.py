"""The refs of one session move as a remote has them: forward, or to the remote's line with ours kept under a name."""

from __future__ import annotations

import os

from gitrelay.errors import Busy, Code, RelayError, UsageError
from gitrelay.git.faults import GitError
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import Session, locked
from gitrelay.protocol import names
from gitrelay.protocol.record import ARCHIVE, BRANCHES, CODE
from gitrelay.remote.address import Remote
from gitrelay.remote.share import coderef
from gitrelay.remote.share.compare import Compared, IsAncestor

_Moves = list[tuple[str, str, str]]


def follow(ledger: Ledger, remote: Remote, one: Compared, code: str | None, is_ancestor: IsAncestor) -> None:
    """The session goes on to what the remote has. Raises Busy while a call runs in it, or if it moved meanwhile."""
    assert one.there is not None
    repo = ledger.repo
    branch, archived = BRANCHES + one.session, ARCHIVE + one.session
    with locked(ledger, one.session) as held:
        _refuse_running(ledger, one.session)
        now = (repo.ref(branch), repo.ref(archived))
        if one.here is None:
            moves = [(archived if one.archived_there else branch, one.there, repo.no_object)]
        elif now[0] is not None:
            moves = [(branch, one.there, one.here)]
        else:  # it was archived here, and went on there
            moves = (
                [(archived, one.there, one.here)]
                if one.archived_there
                else [
                    (branch, one.there, repo.no_object),
                    (archived, repo.no_object, one.here),
                ]
            )
        _move(ledger, one.session, moves, remote)
        _worktree(held)
    if code is not None:
        follow_code(ledger, remote, one.session, code, is_ancestor)


def follow_code(ledger: Ledger, remote: Remote, session: str, code: str, is_ancestor: IsAncestor) -> None:
    """The session's code ref keeps what `code`, the remote's, keeps, and what it kept already."""
    repo, ref = ledger.repo, CODE + session
    ours = repo.ref(ref)
    if ours is not None and is_ancestor(code, ours):
        return
    new = code if ours is None or is_ancestor(ours, code) else coderef.joined(repo, code, ours)
    _move(ledger, session, [(ref, new, ours or repo.no_object)], remote)


def take(ledger: Ledger, remote: Remote, one: Compared, code: str | None) -> str | None:
    """The session becomes the remote's; ours goes on as a session of its own, whose name is returned.

    None if there is nothing of ours to keep. Raises Busy while a call runs in it, or if it moved meanwhile.
    """
    assert one.there is not None
    repo, kept = ledger.repo, None
    branch, archived = BRANCHES + one.session, ARCHIVE + one.session
    with locked(ledger, one.session) as held:
        _refuse_running(ledger, one.session)
        moves: _Moves = []
        if one.here is not None:
            here = branch if repo.ref(branch) is not None else archived
            theirs = archived if one.archived_there else branch
            kept = _free_name(ledger, one.session)
            moves = [(here.removesuffix(one.session) + kept, one.here, repo.no_object)]
            moves += (
                [(here, one.there, one.here)]
                if here == theirs
                else [
                    (here, repo.no_object, one.here),
                    (theirs, one.there, repo.no_object),
                ]
            )
            moves += _code_moves(ledger, one, kept, code)
        else:
            moves = [(archived if one.archived_there else branch, one.there, repo.no_object)]
        _move(ledger, one.session, moves, remote)
        _worktree(held)
    return kept


def told(remote: Remote, one: Compared, kept: str | None) -> str:
    """What a person has to know after `take`."""
    if kept is None:
        return f"session {one.session} is now what {remote.name} has"
    return (
        f"session {one.session} is now what {remote.name} has; yours is session {kept}, all of it: "
        f"{one.session}/02 of before is {kept}/02; git relay show {kept}"
    )


def _code_moves(ledger: Ledger, one: Compared, kept: str, code: str | None) -> _Moves:
    """Our files stay with our line; the session has the remote's, or those of ours that its messages name."""
    repo, ref = ledger.repo, CODE + one.session
    ours = repo.ref(ref)
    moves: _Moves = [(CODE + kept, ours, repo.no_object)] if ours is not None else []
    if code is None and ours is not None:
        words = ("log", "--format=%(trailers:key=Relay-Tree,valueonly)", "--end-of-options", str(one.there), "--")
        code = coderef.only(repo, ours, frozenset(repo.run(*words).decode("utf-8", "replace").split()))
    if code != ours:
        moves.append((ref, code or repo.no_object, ours or repo.no_object))
    return moves


def _free_name(ledger: Ledger, session: str) -> str:
    taken = ledger.taken("")
    for again in range(1, 1000):
        name = names.kept_name(session, again)
        if name not in taken and ledger.repo.ref(CODE + name) is None:
            return name
    raise UsageError(f"session {session} was kept too often", hint="git relay ls", code=Code.EXISTS)


def _refuse_running(ledger: Ledger, session: str) -> None:
    folder = ledger.state.call(session)
    if folder.is_alive():
        call = folder.load()
        address = call.address if call is not None else session
        raise Busy(f"session {session} has a call that runs: {address}", hint=f"git relay wait {address}")


def _move(ledger: Ledger, session: str, moves: _Moves, remote: Remote) -> None:
    try:
        ledger.repo.move_refs(moves, f"session {session} from {remote.name}", by="fetch")
    except GitError as e:
        ledger.names_taken_by_user()
        raise Busy(f"session {session} was changed by another process just now", hint="try again") from e


def _worktree(held: Session) -> None:
    """The session's worktree, if it has one here, holds what the branch does; what was edited in it is kept aside."""
    tip = held.tip()
    if not os.path.lexists(held.worktree.path):
        return
    try:
        if tip is None:
            held.worktree.remove()
        else:
            held.place(tip)
    except (RelayError, OSError):
        return  # the branch is the record; the next turn puts the worktree in order
