"""Whether a call gets a working tree of its own, and how that tree is seen.

A call is isolated if its caller says so, else as `relay.isolate` says. Everything that is recorded of its files is then
about the workspace (`workspace.workspace`), read with the caller's git directory.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gitrelay.calls import set_up, size
from gitrelay.calls.surroundings import Trees
from gitrelay.errors import CannotRecord, Code, Conflict, RelayError, UsageError
from gitrelay.git.elsewhere import Elsewhere
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.history.exchange import Exchange
from gitrelay.ledger import applying, snapshot
from gitrelay.ledger.ledger import Ledger, Tip
from gitrelay.ledger.snapshot import Snapshot
from gitrelay.ledger.worktree import FOLDER, SessionWorktree
from gitrelay.protocol import names
from gitrelay.protocol.words import Access
from gitrelay.state.calls import Call
from gitrelay.state.files import write_whole
from gitrelay.workspace import index, place, where, workspace
from gitrelay.workspace import keep as keeping
from gitrelay.workspace.place import Note, Stage

ISOLATED: Final = "isolated"
THEIRS: Final = "theirs"  # what was done in the workspace wins over what the caller changed since
FRESH: Final = "fresh"  # a new workspace
SHARED: Final = "shared"
_WHICH: Final = {"never": (), "read": (Access.READ,), "write": (Access.WRITE, Access.FULL), "always": tuple(Access)}
_DEFAULT: Final = "read"
_REREAD: Final = 2000  # files that git may have to read again at each look: about 50 ms
_TICK: Final = 0.02  # seconds that the times of files may be behind the clock


def wanted(repo: Repository, access: Access, given: bool | None, *, several: bool = False) -> tuple[bool, str]:
    """(whether a call with `access` is isolated, what of the repository is too much for the copy that it would get).

    `given` is what the command line says. Several peers that write at the same time are isolated, whatever the
    settings say. Raises UsageError.
    """
    values = repo.config.get("relay.isolate")
    word, file = values[-1] if values else (_DEFAULT, "")
    if word not in _WHICH:
        raise UsageError(
            f"relay.isolate {quote(word)} in {file}", hint=f"it is {', '.join(_WHICH)}", code=Code.BAD_CONFIG
        )
    size.limit(repo)
    where.folder(repo)
    if several and access != Access.READ:
        if given is False:
            raise cannot_share()
        return True, ""
    if given is not None or access not in _WHICH[word]:
        return bool(given), ""
    excess = size.excess(repo)
    return not excess, excess


def cannot_share() -> UsageError:
    return UsageError("several calls with write access cannot share your tree", hint="leave --shared out")


def told_once(ledger: Ledger, excess: str) -> list[str]:
    """What to tell a person whose call shares the tree because of `excess`, the first time."""
    if not excess:
        return []
    words = f"calls that relay.isolate names share your tree: it has {excess} (relay.isolateMax)"
    return [f"{words}; --isolate copies it"] if ledger.state.is_new(words) else []


def prepared(
    ledger: Ledger,
    session: str,
    keep: str | None = None,
    named: Sequence[str] = (),
    at: str = "",
    *,
    alone: bool = False,
) -> tuple[Ledger, bool, Snapshot | None, list[str]]:
    """(the ledger as a call in the session's workspace sees it, whether that is new, its files, what to tell).

    The files `named` in the request are in a new one even if git ignores them. The caller holds the session's lock.
    With `at` it is always a new one, of that commit; if it is `alone`, without a past (`workspace.alone`).

    A workspace in which nothing was changed is made again from the caller's files as they are now, and so is every one
    with `keep` FRESH. Another one goes on, with what the caller has changed since merged in. Raises CannotRecord,
    Conflict if that cannot be merged; with `keep` THEIRS it is left out then.
    """
    heal(ledger, but=session)
    repo, state = ledger.repo, ledger.state
    there = workspace.seen(repo, state, session)
    note = workspace.note_of(repo, state, session)
    if not at and there is not None and note is not None and note.base and keep != FRESH and note.top == str(repo.top):
        now = snapshot.take(there, session)
        if now is not None and now.tree != note.base:
            told = _brought(ledger, there, note, keep)
            return Ledger(there), False, snapshot.take(there, session), told
    made = workspace.make(repo, state, session, named, at, alone=alone)
    seen = workspace.seen_by(repo, state.root, made.note)
    set_up.run(ledger, made.note)
    first = snapshot.take(seen, session)
    if first is not None:
        place.write_note(state.root, replace(made.note, base=first.tree))
    told = [f"not in its workspace: {path} ({why})" for path, why in list(made.left_out.items())[:5]]
    return Ledger(seen), True, first, told


def _brought(ledger: Ledger, there: Repository, note: Note, keep: str | None) -> list[str]:
    """Merge what the caller has changed since the last turn into the workspace; what to tell."""
    callers = snapshot.here(ledger.repo)
    told = []
    if callers.tree != note.base:
        try:
            done = applying.apply(there, note.base, callers.tree)
            told = [f"not brought into its workspace: {line}" for line in done.left]
        except Conflict as e:
            if keep != THEIRS:
                paths = e.message.removeprefix("the changes do not apply here: ")
                raise Conflict(
                    f"your changes since the last turn of {note.session} conflict with its workspace: {paths}",
                    hint="add '--keep theirs' (go on without your changes) or '--fresh' (a new copy of your tree)",
                ) from e
            told = ["its workspace goes on without your changes since the last turn"]
        keeping.also(ledger.repo, note.session, callers.tree)
        place.write_note(ledger.state.root, replace(note, base=callers.tree))
    return told


def files_of(ledger: Ledger, call: Call) -> Repository:
    """The repository with the files that the call works on."""
    if not call.workspace:
        return ledger.repo
    found = workspace.seen(ledger.repo, ledger.state, call.session)
    if found is None:
        raise CannotRecord(
            f"the workspace of {call.address} is gone",
            hint="something has removed it; call again",
            code=Code.BAD_FOLDER,
        )
    return found


def files_of_exchange(ledger: Ledger, found: Exchange) -> Repository:
    """The same for an exchange that has ended: its workspace if that is still there, else the caller's tree."""
    isolated = found.request.workspace == ISOLATED
    seen = workspace.seen(ledger.repo, ledger.state, found.address.session) if isolated else None
    return ledger.repo if seen is None else seen


def trees(repo: Repository) -> Trees:
    """The caller's working tree and the workspace that `repo` is seen through, if it is."""
    origin = repo.origin if isinstance(repo, Elsewhere) else repo
    return Trees(str(origin.top), "" if origin is repo else str(repo.top))


def taken(ledger: Ledger, call: Call) -> Snapshot | None:
    """The files that the call works on as they are now; None if nothing can be told of them."""
    with contextlib.suppress(RelayError):
        return snapshot.take(files_of(ledger, call), call.session)
    return None


def replies(ledger: Ledger, call: Call) -> SessionWorktree | None:
    """Where the peer may put a response file; None if its workspace is gone."""
    with contextlib.suppress(RelayError):
        return SessionWorktree(files_of(ledger, call), ledger.state, call.session)
    return None


def lay_out(ledger: Ledger, call: Call) -> None:
    """Put the session's messages where the request names them: below `.relay/` in the workspace."""
    note = workspace.note_of(ledger.repo, ledger.state, call.session)
    if not call.workspace or note is None or call.request_commit is None:
        return
    place.put_files(note, FOLDER, {".gitignore": b"*\n"})
    place.put_files(note, f"{FOLDER}/{call.session}", _messages(ledger, call.request_commit))
    session, _, commit = call.earlier.partition(" ")
    if commit and names.is_session(session):
        place.put_files(note, f"{FOLDER}/{session}", _messages(ledger, commit))
    with contextlib.suppress(OSError):  # what a review is of, for a peer that cannot run git
        patch = f"{call.session}.diff"
        fd = os.open(os.path.join(note.top, FOLDER, patch), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as f:
            place.put_files(note, FOLDER, {patch: f.read()})


def _messages(ledger: Ledger, commit: str) -> dict[str, bytes]:
    """The files of a session as of one of its commits, by name."""
    tip: Tip | None = ledger.tips([commit])[0]
    entries = tip.entries if tip is not None else ()
    blobs = ledger.repo.objects([entry.oid for entry in entries])
    return {entry.name: blob.data for entry, blob in zip(entries, blobs, strict=True) if blob is not None}


def settle(ledger: Ledger, call: Call) -> None:
    """Make sure that no change of the peer's can hide in the second in which the workspace was made.

    git compares times in whole seconds: a file that is changed in that second and keeps its size and mtime would look
    unchanged afterwards. So git is to read the files of that second again; if they are too many, and may be written,
    the second is waited for.
    """
    note = place.read_note(ledger.state.root, call.session) if call.workspace else None
    for number in range(len(note.modules) + 1 if note is not None else 0):
        path = place.index_path(ledger.state.root, call.session, number)
        with contextlib.suppress(OSError):
            made = path.stat()
            end = int(made.st_mtime) + 1 + _TICK
            if time.time() >= end:
                continue
            try:
                data = index.unsettled(path.read_bytes(), ledger.repo.object_format, int(made.st_mtime), _REREAD)
            except index.Unknown:
                data = None
            if data is not None:
                write_whole(path, data)
                os.utime(path, ns=(made.st_atime_ns, made.st_mtime_ns))
            elif call.access != Access.READ:
                time.sleep(max(0.0, end - time.time()))


def word(call: Call) -> str:
    """What the trailer Relay-Workspace says."""
    return ISOLATED if call.workspace else SHARED


def heal(ledger: Ledger, *, but: str = "") -> None:
    """Remove the workspaces that nobody will come back to: half made, half removed, of calls that were never recorded.

    Never fails; one that is busy is left to the next command. An apply that was killed is finished too.
    """
    applying.finish(ledger.repo)
    notes = place.notes(ledger.state.root)
    if not but and ledger.repo.top is not None:  # not before a set-up
        own = (ledger.repo.top, place.FOLDER)
        for home, name in {own, *((note.home, os.path.dirname(note.name)) for note in notes)}:
            place.sweep(home, name)
    for note in notes:
        if note.session == but or ledger.state.call(note.session).is_alive():
            continue
        with contextlib.suppress(RelayError, OSError):
            lock = ledger.state.lock(note.session)
            if not lock.try_acquire():
                continue
            with lock:
                fresh = place.read_note(ledger.state.root, note.session)
                if fresh is not None and not _is_wanted_again(ledger, fresh):
                    workspace.remove(ledger.repo, ledger.state, note.session)


def _is_wanted_again(ledger: Ledger, note: Note) -> bool:
    if ledger.state.call(note.session).path.exists():
        return True  # a call runs in it, or has died and is recorded first
    tip = ledger.tip(note.session) if note.stage == Stage.READY else None
    return tip is not None and not (names.is_one_shot(note.session) and len(tip.ids) < 2 and tip.pending is None)


def swept(ledger: Ledger, session: str) -> None:
    """Remove what has given way to the session's workspace, if it has one. Never raises."""
    note = place.read_note(ledger.state.root, session)
    if note is not None:
        workspace.sweep(note)


def done(ledger: Ledger, session: str) -> None:
    """Remove the session's workspace, if there is one. Raises CannotRecord."""
    if place.read_note(ledger.state.root, session) is not None:
        workspace.remove(ledger.repo, ledger.state, session)
