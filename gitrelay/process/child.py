"""One child process: its own session and group, prompt on stdin and then closed, limits, logs, kill.

What it guarantees: the end of the peer is noticed although a grandchild holds its pipes; memory and disk
stay bounded however much is printed; nothing that the peer started is left behind where the system can
tell (Linux: everything, by making this process the reaper of orphans; elsewhere: the process group and
the descendants seen before the end).
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Protocol

from gitrelay.ground.value import dataclass
from gitrelay.process import own
from gitrelay.process.bell import Bell
from gitrelay.process.log import Log
from gitrelay.process.values import Ending, Limits

CHUNK: Final = 64 * 1024
POLITE: Final = 2.0  # seconds to end in for a peer that was told to, before it is stopped
LINGER: Final = 5.0  # seconds to end in for a peer that has finished
_DRAIN: Final = 1.0  # seconds to read what is left in the pipes once the peer has ended
_LINGERED: Final = "lingered"
_TICK: Final = 0.2  # seconds between two looks for a limit, and for a cancellation of which no signal tells


class Listener(Protocol):
    """Reads a peer's stdout as it comes. `feed` says whether it shows progress; `fatal` ends the peer early."""

    @property
    def fatal(self) -> tuple[str, str] | None: ...

    @property
    def finished(self) -> bool: ...

    def feed(self, data: bytes) -> bool: ...


class Talk(Protocol):
    """The other side of a protocol that is spoken over stdin and stdout; `send(None)` closes stdin."""

    def talk(self, send: Callable[[bytes | None], None]) -> None: ...

    def hang_up(self) -> None: ...


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes,
    limits: Limits,
    listener: Listener,
    out_log: Log,
    err_log: Log | None,
    cancelled: Callable[[], str | None],
    started: Callable[[int, float], None],
    talk: Talk | None = None,
) -> Ending:
    """Run `argv` to its end or to a limit; `err_log` None joins stderr to stdout. Never raises for the child's sake.

    With `talk`, stdin stays open until it is closed by that, and `stdin` is not used.
    """
    begin = time.monotonic()
    own.reap_orphans()
    try:
        child = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if err_log is None else subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) and e.strerror else str(e)
        return Ending(None, time.monotonic() - begin, error=reason)
    try:
        with contextlib.suppress(OSError):
            started(child.pid, own.created(child.pid))
        assert child.stdin is not None and child.stdout is not None
        heard = _Heard()

        def on_out(data: bytes) -> None:
            out_log.write(data)
            if listener.feed(data):
                heard.at = time.monotonic()

        if talk is None:
            _thread(_feed, child.stdin, stdin)
        else:
            sent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
            talk.talk(sent.put)
            _thread(_say, child.stdin, sent)
        readers = [_thread(_read, child.stdout, on_out)]
        if child.stderr is not None and err_log is not None:
            readers.append(_thread(_read, child.stderr, err_log.write))
        ended = threading.Event()
        stopped: str | None = None
        with Bell() as bell:
            waiting = _thread(_wait, child, ended, bell)
            try:
                stopped, detail = _watch(ended, bell, heard, begin, limits, listener, cancelled)
            finally:
                if not ended.is_set():
                    if talk is not None and stopped != _LINGERED:
                        talk.hang_up()
                        ended.wait(POLITE)
                    if not ended.is_set():
                        _stop(child)
                waiting.join()  # it rings the bell
        lingered = stopped == _LINGERED
    except BaseException:  # Ctrl-C, if it is run in the foreground
        if child.poll() is None:
            _stop(child)
        raise
    child.wait()
    seconds = time.monotonic() - begin
    _stop_descendants()
    deadline = time.monotonic() + _DRAIN
    for reader in readers:
        reader.join(max(0.0, deadline - time.monotonic()))
    return Ending(child.returncode, seconds, None if lingered else stopped, detail, lingered=lingered)


@dataclass()
class _Heard:
    """When the peer last showed progress, and when it was first seen to have finished; monotonic seconds or None."""

    at: float | None = None
    finished: float | None = None


def _watch(
    ended: threading.Event,
    bell: Bell,
    heard: _Heard,
    begin: float,
    limits: Limits,
    listener: Listener,
    cancelled: Callable[[], str | None],
) -> tuple[str | None, str]:
    """Wait for the end of the child or for a reason to stop it: (reason, detail)."""
    while not ended.is_set():
        bell.wait(_TICK)
        if ended.is_set():
            break
        now = time.monotonic()
        if limits.wall is not None and now - begin >= limits.wall:
            return "timeout", f"the wall limit of {limits.wall:g} s was reached"
        if heard.at is None and limits.first_output is not None and now - begin >= limits.first_output:
            return (
                "no-output",
                f"the peer said nothing within the first-output limit of {limits.first_output:g} s",
            )
        if limits.idle is not None and now - (heard.at or begin) >= limits.idle:
            return "idle", f"the peer said nothing for the idle limit of {limits.idle:g} s"
        heard.finished = (heard.finished or now) if listener.finished else None
        if heard.finished is not None and now - heard.finished >= LINGER:
            return _LINGERED, f"it did not end within {LINGER:g} s after its answer, and was ended"
        if listener.fatal is not None:
            return listener.fatal
        by = cancelled()
        if by is not None:
            return "cancelled", f"cancelled by {by}"
    return None, ""


def _stop(child: subprocess.Popen[bytes]) -> None:
    from gitrelay.process import kill

    kill.stop(child.pid, lambda limit: _ended_within(child, limit))


def _stop_descendants() -> None:
    """What the peer has left behind is a child of this process by now, or of one."""
    if own.has_children():
        from gitrelay.process import kill

        kill.stop_descendants()


def _ended_within(child: subprocess.Popen[bytes], limit: float) -> bool:
    try:
        child.wait(limit)
    except subprocess.TimeoutExpired:
        return False
    return True


def _thread(target: Callable[..., None], *args: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread


def _feed(pipe: IO[bytes], data: bytes) -> None:
    """The prompt, then the end of input: a peer that waits for more waits for ever."""
    with contextlib.suppress(OSError, ValueError):
        view = memoryview(data)
        while view:
            view = view[os.write(pipe.fileno(), view[:CHUNK]) :]
    with contextlib.suppress(OSError):
        pipe.close()


def _say(pipe: IO[bytes], sent: queue.SimpleQueue[bytes | None]) -> None:
    """What is sent, in its order, up to the None, in a thread of its own: a peer may read nothing for long."""
    with contextlib.suppress(OSError, ValueError):
        while (data := sent.get()) is not None:
            view = memoryview(data)
            while view:
                view = view[os.write(pipe.fileno(), view[:CHUNK]) :]
    with contextlib.suppress(OSError):
        pipe.close()


def _read(pipe: IO[bytes], take: Callable[[bytes], object]) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := os.read(pipe.fileno(), CHUNK):
            take(data)


def _wait(child: subprocess.Popen[bytes], ended: threading.Event, bell: Bell) -> None:
    child.wait()
    ended.set()
    bell.ring()
