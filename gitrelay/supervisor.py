"""The process that outlives the caller: runs the peer, enforces the limits, records the response.

It is started before the request is committed, so that its imports overlap with the caller's, in a process
session of its own, and forks once more so that no walk of the caller's process tree finds it. It then
waits on stdin for one line, the call's folder; a caller that dies before sending it leaves
nothing behind. From then on it holds `alive`, and whoever finds `alive` free and the request unanswered
may record the end (`heal`). It is also the only place that decides how a call ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gitrelay import environment, peers, probe, settings
from gitrelay.errors import IntegrityError, RelayError
from gitrelay.gitcmd import Repository
from gitrelay.ledger import Ledger, Session, is_own_append
from gitrelay.message import BadMessage, Response, decode, parse_response, request_file, response_file
from gitrelay.peers.base import Answer, Invocation, Transcript, reason_of_status
from gitrelay.state import Call, CallFolder
from gitrelay.worktree import SessionWorktree

if TYPE_CHECKING:
    from gitrelay.process import Ending

_ALIVE_LIMIT: Final = 10.0  # seconds to wait for `alive`, which only a passing look can hold
_STDERR_LINES: Final = 20

# what to do next, by reason; the body of every response that gitrelay has to write says it
_ADVICE: Final = {
    "timeout": "Give it more time (--timeout), or a smaller task.",
    "idle": "Give it a longer --idle-timeout, or look at the log for what it was waiting for.",
    "no-output": "Check that the peer works here ('git relay peers'), then call again.",
    "cancelled": "Call again when it is wanted.",
    "unavailable": "Make sure that the peer is installed and on PATH ('git relay peers' shows what was found) "
    "and that it can reach its service, then call again.",
    "auth": "Log in to the peer's own command line, or give it a key, then call again.",
    "quota": "Wait for the peer's limit to reset, or call another peer.",
    "bad-output": "Call again; the log has all that the peer said.",
    "peer-failed": "Read the log for the peer's own words, then call again.",
    "lost": "The call may have done part of its work: look at the working tree, then call again.",
}


@dataclass(frozen=True)
class Verdict:
    """How a call ended, ready to be recorded. `data` is the response file as the peer wrote it."""

    response: Response
    recorded: str  # peer | gitrelay
    trailers: dict[str, str] = field(default_factory=dict)
    data: bytes | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        r = self.response
        return {
            "re": r.re,
            "from": r.from_,
            "to": r.to,
            "status": r.status,
            "verify": r.verify,
            "body": r.body,
            "reason": r.reason,
            "recorded": self.recorded,
            "trailers": self.trailers,
            "data": None if self.data is None else self.data.decode(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Verdict:
        response = Response(
            re=value["re"],
            from_=value["from"],
            to=value["to"],
            status=value["status"],
            verify=value["verify"],
            body=value["body"],
            reason=value["reason"],
        )
        data = value["data"]
        return cls(
            response,
            value["recorded"],
            dict(value["trailers"]),
            None if data is None else data.encode(),
            tuple(value["notes"]),
        )


# -- the caller's side -----------------------------------------------------------------------------


class Launched:
    """A supervisor that waits for its order."""

    def __init__(self, folder: Path) -> None:
        # -P: python must not import from the folder it is started in, which is the working tree
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gitrelay.supervisor", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def hand_over(self, call_folder: Path) -> bool:
        """Send the order and wait until the supervisor holds `alive`; False where it died or refused."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(str(call_folder)).encode() + b"\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        self.close()
        return answer == b"ok\n"

    def close(self) -> None:
        """Without an order the supervisor ends by itself."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()


@contextlib.contextmanager
def launched(folder: Path) -> Iterator[Launched]:
    """A supervisor for the time of one request from `folder`; it ends unless it got its order."""
    supervisor = Launched(folder)
    try:
        yield supervisor
    finally:
        supervisor.close()


# -- the supervisor's own side ---------------------------------------------------------------------


def main() -> int:
    """Entry point of the process. Exit codes are for nobody: the end is a commit."""
    for name in ("SIGHUP", "SIGINT", "SIGPIPE"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(os, "fork") and os.fork():
        os._exit(0)
    # while the caller is still committing the request
    import gitrelay.process  # noqa: F401

    try:
        repo = Repository.open(Path(sys.argv[1]))
        _ = repo.config
    except RelayError:
        return 1  # the caller says why
    order = sys.stdin.buffer.readline()
    if not order.endswith(b"\n"):
        return 0
    ledger = Ledger(repo)
    folder = ledger.state.call(Path(json.loads(order)).name)
    os.chdir(repo.common_dir)
    with folder.alive() as alive:
        try:
            alive.acquire(_ALIVE_LIMIT)
        except (RelayError, OSError):
            return 1
        call = folder.load()
        if call is None or call.request_commit is None:
            return 1
        _detach_streams(folder)
        try:
            supervise(ledger, folder, call)
        except BaseException:
            traceback.print_exc()
            raise
    return 0


def _detach_streams(folder: CallFolder) -> None:
    """Say ok to the caller, then let go of everything that was inherited."""
    sys.stdout.buffer.write(b"ok\n")
    sys.stdout.buffer.flush()
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(folder.path / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (null, 1), (log, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(log)


def supervise(ledger: Ledger, folder: CallFolder, call: Call) -> None:
    """Run the peer of `call` to its end and record the response. The caller holds `alive`."""
    try:
        verdict = _run_peer(ledger, folder, call)
    except Exception as e:
        from gitrelay import process

        traceback.print_exc()
        process.stop_descendants()
        verdict = failed(call, "lost", f"its supervisor failed: {type(e).__name__}: {e}")
    with contextlib.suppress(OSError):
        folder.keep_answer(verdict.to_json())
    with ledger.session(call.session) as session:
        record(session, folder, call, verdict)


def _run_peer(ledger: Ledger, folder: CallFolder, call: Call) -> Verdict:
    from gitrelay import process

    repo = ledger.repo
    begin = time.monotonic()
    folder.reserve()
    request = repo.objects([f"{call.request_commit}:{request_file(call.id)}"])[0]
    if request is None:
        return failed(call, "lost", "the request cannot be read back from git")
    cancel_word: list[str] = []

    def terminated(*_: object) -> None:
        cancel_word.append("a signal to the supervisor")

    signal.signal(signal.SIGTERM, terminated)
    try:
        peer = peers.find(repo, call.to)
        extra = settings.peer_environment(repo, call.to)
        env = environment.for_peer(os.environ, extra | {"GITRELAY_ADDRESS": str(call.address)})
        invocation = Invocation(
            prompt=decode(request.data),
            cwd=Path(call.top),
            folder=folder.path,
            access=call.access,
            model=call.model,
            effort=call.effort,
        )
        command = peer.command(invocation)
        found = probe.find(command.argv[0], env)
        if found.path is None:
            return failed(call, "unavailable", f"the peer did not start: {probe.missing(command.argv[0])}")
        version = probe.version(ledger.state, found, peer.capabilities) if peer.capabilities.minimum else None
        if version is not None and not version.supported:
            return failed(call, "unavailable", version.complaint(peer))
    except RelayError as e:
        return failed(call, "unavailable", f"{e.message}. {e.hint}".rstrip(". "))
    except OSError as e:
        return failed(call, "unavailable", f"the call could not be prepared: {e}")
    reader = peer.reader(invocation)
    out_log = process.Log(folder.out_log)
    err_log = None if command.join else process.Log(folder.err_log)
    ending = process.run(
        (str(found.path), *command.argv[1:]),
        cwd=invocation.cwd,
        env=env | dict(command.env),
        stdin=command.stdin,
        limits=call.limits,
        listener=reader,
        out_log=out_log,
        err_log=err_log,
        cancelled=lambda: cancel_word[0] if cancel_word else folder.cancelled_by(),
        started=lambda pid, at: folder.save(replace(call, peer_pid=pid, peer_started=at)),
    )
    last_words = (err_log or out_log).last(8192).decode("utf-8", "replace")
    for log in (out_log, err_log):
        if log is not None:
            log.close()
    transcript = reader.transcript(ending.exit_code)
    if ending.stopped is not None and not reader.finished:
        # what it had said when it was stopped is no answer, unless its own final event came before
        transcript = replace(transcript, answer=None, terminal=False)
    trailers = {
        "Relay-Peer": f"{found.name} {transcript.version or (version.text if version else '')}".strip(),
        "Relay-Model": transcript.model or "",
        "Relay-Peer-Session": transcript.peer_session or "",
        "Relay-Duration": f"{time.monotonic() - begin:.1f}",
        "Relay-Usage": " ".join(f"{k}={v}" for k, v in transcript.usage.items()),
    }
    verdict = _judge(ledger, call, ending, transcript, found, last_words)
    return replace(verdict, trailers=trailers | verdict.trailers)


def _judge(
    ledger: Ledger, call: Call, ending: Ending, transcript: Transcript, found: probe.Program, last_words: str
) -> Verdict:
    """How the call ended. A valid reply file wins; then a structured answer after a terminal event; else a reason."""
    file_fault = ""
    if ending.stopped != "cancelled":
        verdict, file_fault = _reply_file(ledger, call)
        if verdict is not None:
            return verdict
        answer = transcript.answer
        if file_fault and answer is not None and answer.plain:
            answer = None  # "I wrote the reply", said beside a broken one, is not the answer
        if answer is not None and transcript.terminal and transcript.error is None:
            return _answered(call, answer)

    def no_answer(reason: str, what: str) -> Verdict:
        return failed(call, reason, what, exit_code=ending.exit_code, stderr=last_words, said=transcript.text)

    if ending.stopped is not None:
        trouble = transcript.error if ending.stopped in ("timeout", "idle", "no-output") else None
        return no_answer(ending.stopped, ending.detail + (f"; its last error: {trouble[1]}" if trouble else ""))
    if ending.exit_code is None:
        return failed(call, "unavailable", f"the peer did not start: {found.path}: {ending.error}")
    if file_fault:
        return no_answer("bad-output", f"the reply file is not valid: {file_fault}")
    if transcript.error is not None:
        reason, words = transcript.error
        return no_answer(reason, f"the peer reported an error: {words}")
    if transcript.fault:
        return no_answer("bad-output", f"the answer is not valid: {transcript.fault}")
    if ending.exit_code != 0:
        how = f"exit code {ending.exit_code}" if ending.exit_code > 0 else f"signal {-ending.exit_code}"
        reason = reason_of_status(None, last_words)
        return no_answer(reason, f"the peer ended with {how} and gave no answer")
    if not transcript.terminal and transcript.answer is not None:
        return no_answer("bad-output", "the peer ended without its final event")
    return no_answer("no-output", "the peer ended with exit code 0 and gave no answer")


def _answered(call: Call, answer: Answer) -> Verdict:
    response = Response(call.id, call.to, call.from_, answer.status, answer.verify, answer.body)
    data = answer.data
    if data is not None:
        parsed = parse_response(data)
        problem = _mismatch(call, parsed)
        if problem:
            return failed(call, "bad-output", f"the answer is not valid: {problem}", said=answer.body)
        response = parsed
    return Verdict(response, "peer", data=data)


def _reply_file(ledger: Ledger, call: Call) -> tuple[Verdict | None, str]:
    """The response that the peer wrote into the worktree, or what is wrong with it; neither where there is none."""
    worktree = SessionWorktree(ledger.repo, ledger.state, call.session)
    try:
        data = worktree.take(response_file(call.id))
        if data is None:
            return None, ""
        response = parse_response(data)
    except BadMessage as e:
        return None, str(e)
    problem = _mismatch(call, response)
    if not problem and not response.body.strip():
        problem = "the body is empty"
    if problem:
        return None, problem
    return Verdict(response, "peer", data=data if data.endswith(b"\n") else data + b"\n"), ""


def _mismatch(call: Call, response: Response) -> str:
    for key, wanted, given in (
        ("re", call.id, response.re),
        ("from", call.to, response.from_),
        ("to", call.from_, response.to),
    ):
        if wanted != given:
            return f"{key} is {given!r}, expected {wanted!r}"
    return ""


def failed(
    call: Call, reason: str, what: str, *, exit_code: int | None = None, stderr: str = "", said: str = ""
) -> Verdict:
    """The response that gitrelay writes where the peer gave none: what happened, the evidence, what to do next."""
    parts = [f"No answer from {call.to}: {what.rstrip('.')}."]
    if exit_code is not None:
        parts.append(f"Exit code: {exit_code}")
    lines = stderr.strip().splitlines()[-_STDERR_LINES:]
    if lines:
        parts.append("Last lines of its output:\n\n" + _fenced("\n".join(line[:500] for line in lines)))
    if said.strip():
        parts.append("What it said:\n\n" + _fenced(said.strip()))
    parts.append(_ADVICE.get(reason, "Call again."))
    body = "\n\n".join(parts).replace("\0", "\ufffd")
    return Verdict(Response(call.id, call.to, call.from_, "error", "skip", body, reason), "gitrelay")


def _fenced(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


# -- recording -------------------------------------------------------------------------------------


def record(session: Session, folder: CallFolder, call: Call, verdict: Verdict) -> None:
    """Append the response, whatever the peer did to the branch or the worktree meanwhile; then end the call.

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
            end(session, folder, call)  # the peer recorded its answer itself with `git relay res`
            return
        notes = [*verdict.notes, *session.put_back(before.commit)]
    else:
        notes = list(verdict.notes)
    if verdict.data is not None:
        session.worktree.discard(verdict.response.file, verdict.data)
    if not os.path.lexists(session.worktree.path):
        notes.append("the session's worktree had been deleted and was put back")
    notes += session.worktree.ensure(before.entries)
    trailers = {
        "Relay-Recorded": verdict.recorded,
        **verdict.trailers,
    }
    session.append_response(
        before, verdict.response, trailers, data=verdict.data, notes=notes, synchronise=not call.one_shot
    )
    end(session, folder, call)


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
            shutil.rmtree(folder.path, ignore_errors=True)
            return True
        if tip is not None and any(entry.name == response_file(call.id) for entry in tip.entries):
            end(session, folder, call)
            return True
        _stop_orphan(call)
        session = _where_it_ran(session, call)
        record(session, folder, call, _kept_verdict(folder) or _lost(session.ledger, folder, call))
    return True


def _where_it_ran(session: Session, call: Call) -> Session:
    """The same session seen from the working tree that the call ran in: its worktree, and a reply in it, are there."""
    with contextlib.suppress(RelayError):
        repo = Repository.open(Path(call.top))
        if repo.common_dir == session.ledger.repo.common_dir and repo.top != session.ledger.repo.top:
            return Session(Ledger(repo), session.name)
    return session


def _stop_orphan(call: Call) -> None:
    """End a peer that outlived its supervisor, if that process is still the same one."""
    if call.peer_pid is not None and call.peer_started is not None:
        from gitrelay import process

        if process.identity_matches(call.peer_pid, call.peer_started):
            process.stop(call.peer_pid)


def _kept_verdict(folder: CallFolder) -> Verdict | None:
    kept = folder.kept_answer()
    if kept is not None:
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            return Verdict.from_json(kept)
    return None


def _lost(ledger: Ledger, folder: CallFolder, call: Call) -> Verdict:
    found, _ = _reply_file(ledger, call)
    return found or failed(
        call, "lost", "its supervisor died before the answer was recorded", stderr=_tail(folder.err_log)
    )


def _tail(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as f:
        f.seek(max(0, path.stat().st_size - 8192))
        return f.read().decode("utf-8", "replace")
    return ""


if __name__ == "__main__":
    # the module under its own name, so that its classes exist once
    from gitrelay.supervisor import main as run

    sys.exit(run())
