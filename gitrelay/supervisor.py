"""The process that outlives the caller: runs the peer, enforces the limits, records the response.

It is started before the request is committed, so that its imports overlap with the caller's, in a process
session of its own, and forks once more so that no walk of the caller's process tree finds it. It then
waits on stdin for one line, the call's folder; a caller that dies before sending it leaves nothing behind.
From then on it holds `alive`, and whoever finds `alive` free and the request unanswered may record the end
(`recording.heal`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Final

from gitrelay.calls import recording
from gitrelay.calls.outcome import failed
from gitrelay.calls.turn import cancellation, run_turn
from gitrelay.errors import RelayError
from gitrelay.git.repository import Repository
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.process import kill
from gitrelay.state.calls import Call, CallFolder

_ALIVE_LIMIT: Final = 10.0  # seconds to wait for `alive`, which only a passing look can hold


def main() -> int:
    """Entry point of the process. Exit codes are for nobody: the end is a commit."""
    for name in ("SIGHUP", "SIGINT", "SIGPIPE"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(os, "fork") and os.fork():
        os._exit(0)
    try:  # while the caller is still committing the request
        repo = Repository.open(Path(sys.argv[1]))
        ledger = Ledger(repo)
        _ = ledger.redactor  # with the user's patterns as they are now
    except RelayError:
        return 1  # the caller says why
    order = sys.stdin.buffer.readline()
    if not order.endswith(b"\n"):
        return 0
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
            _print_traceback(ledger)
            return 1
    return 0


def _print_traceback(ledger: Ledger) -> None:
    """Into supervisor.log; an error may quote what the peer said."""
    sys.stderr.write(ledger.redactor.redact(traceback.format_exc()).text)
    sys.stderr.flush()


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
        outcome = run_turn(ledger, folder, call)
    except Exception as e:
        _print_traceback(ledger)
        kill.stop_descendants()
        outcome = failed(call.parties, "lost", f"its supervisor failed: {type(e).__name__}: {e}")
    if call.bound:
        from gitrelay.gate import review

        outcome = review.held(ledger, call, outcome)
    with contextlib.suppress(OSError):
        folder.keep_answer(outcome.redacted(ledger.redactor).to_json())
    with locked(ledger, call.session) as session:
        status = recording.record(session, call, outcome)
    if status == "done":
        recording.run_checks(ledger, folder, call, cancellation(folder))
    with locked(ledger, call.session) as session:
        recording.end(session, folder, call)
    if call.bound:
        from gitrelay.gate import notes

        notes.refresh(ledger, call.bound)


if __name__ == "__main__":
    # the module under its own name, so that its classes exist once
    from gitrelay.supervisor import main as run

    sys.exit(run())
