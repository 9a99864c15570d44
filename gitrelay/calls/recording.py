"""Recording the end of a call, by its supervisor or, if that died, by who looks next."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gitrelay import environment
from gitrelay.calls import checks, isolation
from gitrelay.calls.outcome import Outcome, failed, reply_file
from gitrelay.calls.surroundings import Trees
from gitrelay.calls.watching import Overlap
from gitrelay.errors import Busy, Code, IntegrityError, RelayError
from gitrelay.git.repository import Repository
from gitrelay.history.exchange import Exchange
from gitrelay.ledger import growth, snapshot
from gitrelay.ledger.entry import Moved
from gitrelay.ledger.ledger import Ledger, Tip
from gitrelay.ledger.session import Session, locked
from gitrelay.ledger.snapshot import Snapshot
from gitrelay.protocol.check import CheckResult
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import Parties, parse_response, response_file
from gitrelay.protocol.record import ARCHIVE, Trailer
from gitrelay.protocol.words import Recorded
from gitrelay.state import writers
from gitrelay.state.calls import Call, CallFolder
from gitrelay.state.files import write_whole

_TRIES: Final = 40
_PAUSE: Final = 0.25  # seconds between two tries to record: 10 s in all for who holds a lock of git's


@contextlib.contextmanager
def held(ledger: Ledger, name: str) -> Iterator[Session]:
    """The session under its lock or, if that cannot be had, without it: an answer is recorded all the same.

    The branch moves by compare-and-swap, so nothing can be lost; what waits for the lock is nicer to the worktree.
    """
    with contextlib.ExitStack() as stack:
        try:
            session = stack.enter_context(locked(ledger, name))
        except (RelayError, OSError):
            session = Session(ledger, name)
        yield session


def record(session: Session, call: Call, outcome: Outcome, files: Snapshot | None = None) -> str:
    """Append the response, whatever was done to the branch or the worktree meanwhile; returns the recorded status.

    A request that is answered already keeps its answer; one that comes later is kept aside. The caller holds `alive`
    and, if it can be had, the session's lock. `files` are those of the answer, if they were taken before.
    """
    for left in reversed(range(_TRIES)):
        try:
            return _record(session, call, outcome, files)
        except Busy as e:
            if not left or not (isinstance(e, Moved) or e.code == Code.GIT_LOCKED):
                raise
            time.sleep(_PAUSE)  # another process moves the branch just now
    raise AssertionError("unreachable")


def _record(session: Session, call: Call, outcome: Outcome, files: Snapshot | None) -> str:
    assert call.request_commit is not None
    ledger = session.ledger
    before, now, archived = ledger.tips([call.request_commit, session.ref, ARCHIVE + session.name])
    if before is None:
        raise IntegrityError(
            f"the request of {call.address} is gone: {call.request_commit} is not in the repository",
            hint="run 'git fsck'; a damaged object store has to be repaired first",
        )
    places = (now.commit if now else None, archived.commit if archived else None)
    tip = growth.grown(ledger, before, now or archived, answers=not call.prints_answer)
    if _has_answer(tip, call):
        if now is not None and now.commit != tip.commit:
            session.notes += session.put_back(tip, *places)
        return _late(session, call, outcome, tip)
    notes = [*outcome.notes, *session.put_back(tip, *places)]
    if outcome.data is not None:
        session.worktree.discard(outcome.response.file, outcome.data)
    there = os.path.lexists(session.worktree.path)
    placed, told = session.place(tip)
    if not there and placed and not call.served:  # a worker makes it for this one answer
        notes.append("the session's worktree had been deleted and was put back")
    session.append_response(
        tip,
        outcome.response,
        {
            Trailer.RECORDED: outcome.recorded,
            Trailer.WORKSPACE: isolation.word(call),
            **outcome.trailers,
            **call.of_worker,
        },
        data=outcome.data,
        notes=[*notes, *told] if placed else notes,
        files=files or isolation.taken(ledger, call),
        synchronise=bool(call.checks) or not call.one_shot,
    )
    return outcome.response.status


def _has_answer(tip: Tip, call: Call) -> bool:
    return any(entry.name == response_file(call.id) for entry in tip.entries)


def _late(session: Session, call: Call, outcome: Outcome, tip: Tip) -> str:
    """The status that is recorded already. An answer of the peer's that came too late for the branch is kept aside."""
    repo, name = session.ledger.repo, response_file(call.id)
    data = repo.objects([f"{tip.commit}:{name}"])[0]
    words = f"--format=%(trailers:key={Trailer.RECORDED},valueonly)"
    recorded = repo.run("log", "-1", words, tip.commit, "--", name).decode().strip()
    if outcome.recorded == Recorded.PEER and recorded == Recorded.GITRELAY:
        with contextlib.suppress(RelayError, OSError):
            clean = outcome.redacted(session.ledger.redactor)
            kept = session.ledger.state.aside(session.name) / name
            write_whole(kept, clean.data if clean.data is not None else clean.response.render())
    with contextlib.suppress(BadMessage):
        return parse_response(data.data).status if data is not None else "error"
    return "error"


def close_unanswered(
    ledger: Ledger,
    exchange: Exchange,
    reason: str,
    what: str,
    *,
    files: bool = True,
    trailers: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Record the answer that nobody gives to `exchange` any more: `reason`, and `what` happened in words.

    Nothing happens if it is answered already. `files`: with the working files as they are now. Raises Busy if the
    session's lock cannot be had.
    """
    address = exchange.address
    outcome = failed(Parties(address.id, exchange.from_, exchange.to), reason, what)
    with locked(ledger, address.session) as session:
        tip = session.tip()
        if tip is not None and tip.pending == address.id:
            taken = snapshot.take(ledger.repo, address.session) if files else None
            own = {Trailer.RECORDED: outcome.recorded, **trailers}
            session.append_response(tip, outcome.response, own, files=taken)


def _status(session: Session, call: Call) -> str:
    """The status of the recorded response; `error` if it cannot be read."""
    data = session.ledger.repo.objects([f"{session.ref}:{response_file(call.id)}"])[0]
    with contextlib.suppress(BadMessage):
        return parse_response(data.data).status if data is not None else "error"
    return "error"


def run_checks(ledger: Ledger, folder: CallFolder, call: Call, cancelled: Callable[[], str | None]) -> None:
    """Run the checks that the caller asked for, one after the other, and record each. The caller holds `alive`."""
    for command in call.checks:
        trees = Trees(call.top, call.workspace)
        place = Path(call.place) if call.workspace or os.path.isdir(call.top) else ledger.repo.place
        overlap = Overlap(ledger.state, call.address, call.place)
        where = (place, call.check_limit, folder.check_log, ledger.redactor, cancelled)
        result = checks.run(command, *where, mark=call.check_mark, trees=trees)
        shared = overlap.trailer()
        with held(ledger, call.session) as session:
            _record_check(session, call, result, shared)


def _record_check(session: Session, call: Call, result: CheckResult, shared: str = "") -> None:
    tip = session.tip()
    if tip is not None:
        files = isolation.taken(session.ledger, call)
        session.append_check(tip, call.id, result, {Trailer.SHARED: shared}, files=files)


def end(session: Session, folder: CallFolder, call: Call, ended: float | None = None) -> None:
    """The call is over; `ended` is when, seconds since the epoch, None for now."""
    if call.one_shot:
        with contextlib.suppress(RelayError, OSError):
            session.worktree.remove()
    if call.passing:
        with contextlib.suppress(RelayError):
            isolation.done(session.ledger, call.session)
    elif call.workspace:
        isolation.swept(session.ledger, call.session)
    writers.note_end(session.ledger.state, call, time.time() if ended is None else ended)
    folder.end(call.address)


def heal(session: Session, folder: CallFolder) -> bool:
    """Record the end of a call whose supervisor is gone; False while it lives. The caller holds the session's lock.

    What the supervisor had kept is recorded as it is; else the reason is `lost`, and a peer that still
    runs is ended first. Of a call that a copy of its repository brought along, nothing is ended.
    """
    if folder.is_alive():
        return False
    alive = folder.alive()
    try:
        if not alive.try_acquire():
            return False
    except (FileNotFoundError, NotADirectoryError):
        return True  # there is no call
    with alive:
        call = folder.load()
        tip = session.tip()
        if call is not None and call.request_commit is None and tip is not None and tip.pending == call.id:
            call = replace(call, request_commit=tip.commit)  # the caller died between the commit and the note of it
        if call is None or call.request_commit is None:
            if tip is not None and session.worktree.is_sound():
                session.worktree.restore(tip.entries)  # a request that was written and not committed
            folder.remove()
            return True
        ended = writers.last_sign(folder, call)
        if folder.owns(call):
            session = _where_it_ran(session, call)
            _stop_orphan(call)
        if tip is not None and _has_answer(tip, call):
            _lose_checks(session, call)
            end(session, folder, call, ended)
            return True
        record(session, call, _kept_outcome(folder) or _lost(session.ledger, folder, call))
        _lose_checks(session, call)
        end(session, folder, call, ended)
    return True


def never_started(session: Session, folder: CallFolder, call: Call) -> None:
    """Record the end of a call whose supervisor did not take its order. The caller holds the session's lock."""
    if heal(session, folder):
        tip = session.tip()
        if tip is not None and tip.pending == call.id:  # its folder was deleted
            record(session, call, failed(call.parties, "lost", "its supervisor did not start"))


def _lose_checks(session: Session, call: Call) -> None:
    """Record the checks that the supervisor did not come to as lost, if there is an answer to check."""
    tip = session.tip()
    if tip is None or not call.checks or _status(session, call) != "done":
        return
    for command in call.checks[tip.checks(call.id) :]:
        _record_check(session, call, CheckResult(command, "lost", output="its supervisor died before it had ended"))


def _where_it_ran(session: Session, call: Call) -> Session:
    """The same session seen from the working tree that the call ran in: its worktree, and a reply in it, are there."""
    with contextlib.suppress(RelayError):
        repo = Repository.open(Path(call.top))
        if repo.common_dir == session.ledger.repo.common_dir and repo.top != session.ledger.repo.top:
            return Session(Ledger(repo), session.name)
    return session


def _stop_orphan(call: Call) -> None:
    """End a peer or a check that outlived the supervisor, and all that it started.

    The supervisor may have died before it noted the peer's pid, and tools outlive the peer in sessions
    of their own; they are told by the call's mark.
    """
    from gitrelay.process import kill

    if (
        call.peer_pid is not None
        and call.peer_started is not None
        and kill.identity_matches(call.peer_pid, call.peer_started)
    ):
        kill.stop(call.peer_pid)
    for mark in (call.mark, call.check_mark):
        kill.stop_marked(environment.CALL, mark)


def _kept_outcome(folder: CallFolder) -> Outcome | None:
    kept = folder.kept_answer()
    if kept is not None:
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            return Outcome.from_json(kept)
    return None


def _lost(ledger: Ledger, folder: CallFolder, call: Call) -> Outcome:
    found, _ = reply_file(ledger, call)
    what = "its supervisor died before the answer was recorded"
    if not folder.owns(call):
        what = "this is a copy of the repository that it ran in; the answer, if there is one, is recorded there"
    return found or failed(call.parties, "lost", what, stderr=_tail(folder.err_log))


def _tail(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as f:
        f.seek(max(0, path.stat().st_size - 8192))
        return f.read().decode("utf-8", "replace")
    return ""
