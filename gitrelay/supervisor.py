"""The process that outlives the caller: runs the peer, enforces the limits, records the response.

It is a fork of the caller, made when the request is committed (`serve`), or a second interpreter (`main`) that is
started before that, waits on stdin for one line, the call, and forks once more. Neither is found by a walk of the
caller's process tree, and a caller that dies before it hands over leaves nothing behind.
From then on it holds `alive`, and who finds `alive` free and the request unanswered may record the end
(`recording.heal`).

Its working folder is the repository's git folder, so that it finds the repository again when that is moved.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gitrelay import environment
from gitrelay.calls import isolation, recording
from gitrelay.calls.outcome import Outcome, failed
from gitrelay.calls.turn import cancellation, run_turn
from gitrelay.errors import RelayError
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger, open_ledger
from gitrelay.state.calls import Call, CallFolder, identity_of, supervisor_note
from gitrelay.state.lock import Lock

_ALIVE_LIMIT: Final = 10.0  # seconds to wait for `alive`, which only a passing look can hold
_BEAT: Final = 0.25  # seconds between two looks whether the call's folder is still in its place


def main() -> int:
    """Entry point of the process. Exit codes are for nobody: the end is a commit."""
    for name in ("SIGHUP", "SIGINT", "SIGPIPE"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(os, "fork") and os.fork():
        os._exit(0)
    try:  # while the caller is still committing the request
        ledger = open_ledger(Path(sys.argv[1]))
        _ = ledger.redactor  # with the user's patterns as they are now
    except RelayError:
        return 1  # the caller says why
    order = sys.stdin.buffer.readline()
    if not order.endswith(b"\n"):
        return 0
    call = Call.from_json(json.loads(order))
    if call is None or call.request_commit is None:
        return 1
    return serve(ledger, call, 1)


def serve(ledger: Ledger, call: Call, told: int) -> int:
    """Take over `call` in this process; the descriptor `told` gets a line as soon as `alive` is held."""
    environment.scrub()  # the repository that the caller was given by name is no matter of this process
    os.chdir(ledger.repo.common_dir)
    folder = ledger.state.call(call.session)
    with folder.alive() as alive:
        if not _taken(folder, call, alive):
            return 1
        _detach_streams(folder, told)
        try:
            supervise(_Post(ledger, folder, call, alive))
        except BaseException:
            _print_traceback(ledger)
            return 1
    from gitrelay.calls import upkeep

    upkeep.begin(ledger)
    return 0


def _taken(folder: CallFolder, call: Call, alive: Lock) -> bool:
    """Whether `alive` is held now; a folder that was deleted since the caller made it is made again."""
    for _ in range(3):
        try:
            alive.acquire(_ALIVE_LIMIT)
            alive.note(supervisor_note())
            return True
        except FileNotFoundError:
            with contextlib.suppress(RelayError):
                folder.create(call)
        except (RelayError, OSError):
            break
    return False


@dataclass(frozen=True)
class _Post:
    """A running call and its place, which may be deleted or moved under it."""

    ledger: Ledger
    folder: CallFolder
    call: Call
    alive: Lock

    def look_after(self) -> None:
        """Follow the repository if it was moved; bring the call's folder back if it was deleted. Never fails."""
        with contextlib.suppress(OSError, RelayError):
            if identity_of(self.folder.common_dir) == self.call.home:
                self.folder.keep_alive(self.call, self.alive)
                return
            here = Path.cwd()  # the git folder, whatever its name is now
            if identity_of(here) == self.call.home:
                self.folder.moved_to(here)
                self.ledger.follow(here)

    @contextlib.contextmanager
    def looked_after(self) -> Iterator[None]:
        """`look_after` every _BEAT seconds, in a thread of its own: nothing that the call waits for holds it up."""
        over = threading.Event()

        def beat() -> None:
            if not over.wait(_BEAT):  # what `serve` ends with, while there is time: who waits sees the process end
                from gitrelay.calls import upkeep  # noqa: F401
            while not over.wait(_BEAT):
                self.look_after()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _print_traceback(ledger: Ledger) -> None:
    """Into supervisor.log; an error may quote what the peer said."""
    sys.stderr.write(ledger.redactor.redact(traceback.format_exc()).text)
    sys.stderr.flush()


def _detach_streams(folder: CallFolder, told: int) -> None:
    """Say ok to the caller, then let go of everything that was inherited."""
    os.write(told, b"ok\n")
    null = os.open(os.devnull, os.O_RDWR)
    log = null
    with contextlib.suppress(OSError):
        log = os.open(folder.path / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (null, 1), (log, 2)):
        os.dup2(source, target)
    for fd in {null, log, told} - {0, 1, 2}:
        os.close(fd)


def supervise(post: _Post) -> None:
    """Run the peer of the call to its end and record the response. The caller holds `alive`."""
    ledger, folder, call = post.ledger, post.folder, post.call
    with post.looked_after():
        try:
            outcome = run_turn(ledger, folder, call)
        except Exception as e:
            _print_traceback(ledger)
            from gitrelay.process import kill

            kill.stop_descendants()
            outcome = failed(call.parties, "lost", f"its supervisor failed: {type(e).__name__}: {e}")
    post.look_after()
    files = isolation.taken(ledger, call) if call.worker_checks else None  # without what a check leaves behind
    if call.worker_checks:
        outcome = _checked_for_another(post, outcome)
    if call.bound:
        from gitrelay.gate import review

        outcome = review.held(ledger, call, outcome)
    with contextlib.suppress(OSError):
        folder.keep_answer(outcome.redacted(ledger.redactor).to_json())
    with post.looked_after():
        with recording.held(ledger, call.session) as session:
            status = recording.record(session, call, outcome, files)
        if outcome.steps is not None:
            from gitrelay.calls import stepping

            stepping.record(ledger, call, outcome.steps)
        if status == "done":
            recording.run_checks(ledger, folder, call, cancellation(folder))
    with recording.held(ledger, call.session) as session:
        recording.end(session, folder, call)
    if call.bound:
        from gitrelay.gate import notes

        notes.refresh(ledger, call.bound)


def _checked_for_another(post: _Post, outcome: Outcome) -> Outcome:
    """The outcome with the checks that another machine asked for; the answer is kept before they run."""
    from gitrelay.calls import workerchecks

    ledger, folder, call = post.ledger, post.folder, post.call
    with contextlib.suppress(OSError):
        folder.keep_answer(outcome.redacted(ledger.redactor).to_json())
    with post.looked_after():
        return workerchecks.told(ledger, folder, call, outcome, cancellation(folder))


if __name__ == "__main__":
    # the module under its own name, so that its classes exist once
    from gitrelay.supervisor import main as run

    sys.exit(run())
