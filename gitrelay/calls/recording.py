"""Recording the end of a call, by its supervisor or, where that died, by whoever looks next."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gitrelay import environment
from gitrelay.calls import checks
from gitrelay.calls.outcome import Outcome, failed, reply_file
from gitrelay.errors import IntegrityError, RelayError
from gitrelay.git.repository import Repository
from gitrelay.ledger import snapshot
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import Session, is_own_append, locked
from gitrelay.protocol.check import CheckResult
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import parse_response, response_file
from gitrelay.protocol.record import Trailer
from gitrelay.state.calls import Call, CallFolder


def record(session: Session, call: Call, outcome: Outcome) -> str:
    """Append the response, whatever the peer did to the branch or the worktree meanwhile; returns its status.

    The caller holds the session's lock and `alive`.
    """
    repo = session.ledger.repo
    assert call.request_commit is not None
    before, now = session.ledger.tips([call.request_commit, session.ref])
    if before is None:
        raise IntegrityError(
            f"the request of {call.address} is gone: {call.request_commit} is not in the repository",
            hint="run 'git fsck'; a damaged object store has to be mended first",
        )
    if now is None or now.commit != before.commit:
        if now is not None and is_own_append(repo, before, now):
            return _status(session, call)  # the peer recorded its answer itself with `git relay res`
        notes = [*outcome.notes, *session.put_back(before.commit)]
    else:
        notes = list(outcome.notes)
    if outcome.data is not None:
        session.worktree.discard(outcome.response.file, outcome.data)
    if not os.path.lexists(session.worktree.path):
        notes.append("the session's worktree had been deleted and was put back")
    notes += session.worktree.ensure(before.entries)
    trailers = {
        Trailer.RECORDED: outcome.recorded,
        **outcome.trailers,
    }
    session.append_response(
        before,
        outcome.response,
        trailers,
        data=outcome.data,
        notes=notes,
        files=snapshot.take(repo, call.session),
        synchronise=bool(call.checks) or not call.one_shot,
    )
    return outcome.response.status


def _status(session: Session, call: Call) -> str:
    """The status of the recorded response; `error` where it cannot be read."""
    data = session.ledger.repo.objects([f"{session.ref}:{response_file(call.id)}"])[0]
    with contextlib.suppress(BadMessage):
        return parse_response(data.data).status if data is not None else "error"
    return "error"


def run_checks(ledger: Ledger, folder: CallFolder, call: Call, cancelled: Callable[[], str | None]) -> None:
    """Run the checks that the caller asked for, one after the other, and record each. The caller holds `alive`."""
    for command in call.checks:
        env = {environment.CALL: call.mark}
        result = checks.run(
            command, Path(call.top), call.check_limit, folder.check_log, ledger.redactor, cancelled, env=env
        )
        with locked(ledger, call.session) as session:
            _record_check(session, call, result)


def _record_check(session: Session, call: Call, result: CheckResult) -> None:
    tip = session.tip()
    if tip is not None:
        session.append_check(tip, call.id, result, files=snapshot.take(session.ledger.repo, call.session))


def end(session: Session, folder: CallFolder, call: Call) -> None:
    if call.one_shot:
        with contextlib.suppress(RelayError, OSError):
            session.worktree.remove()
    folder.end(call.address)


def heal(session: Session, folder: CallFolder) -> bool:
    """Record the end of a call whose supervisor is gone; False while it lives. The caller holds the session's lock.

    What the supervisor had kept is recorded as it is; else the reason is `lost`, and a peer that still
    runs is ended first.
    """
    alive = folder.alive()
    try:
        if not alive.try_acquire():
            return False
    except FileNotFoundError:
        return True  # there is no call
    with alive:
        call = folder.load()
        tip = session.tip()
        if call is not None and call.request_commit is None and tip is not None and tip.pending == call.id:
            call = replace(call, request_commit=tip.commit)  # the caller died between the commit and the note of it
        if call is None or call.request_commit is None:
            if tip is not None and session.worktree.is_sound():
                session.worktree.restore(tip.entries)  # a request that was written and not committed
            shutil.rmtree(folder.path, ignore_errors=True)
            return True
        session = _where_it_ran(session, call)
        _stop_orphan(call)
        if tip is not None and any(entry.name == response_file(call.id) for entry in tip.entries):
            _lose_checks(session, call)
            end(session, folder, call)
            return True
        record(session, call, _kept_outcome(folder) or _lost(session.ledger, folder, call))
        _lose_checks(session, call)
        end(session, folder, call)
    return True


def _lose_checks(session: Session, call: Call) -> None:
    """Record the checks that the supervisor did not come to as lost, where there is an answer to check."""
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
    kill.stop_marked(environment.CALL, call.mark)


def _kept_outcome(folder: CallFolder) -> Outcome | None:
    kept = folder.kept_answer()
    if kept is not None:
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            return Outcome.from_json(kept)
    return None


def _lost(ledger: Ledger, folder: CallFolder, call: Call) -> Outcome:
    found, _ = reply_file(ledger, call)
    return found or failed(
        call.parties, "lost", "its supervisor died before the answer was recorded", stderr=_tail(folder.err_log)
    )


def _tail(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as f:
        f.seek(max(0, path.stat().st_size - 8192))
        return f.read().decode("utf-8", "replace")
    return ""
