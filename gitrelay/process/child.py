"""One child process: its own session and group, prompt on stdin and then closed, limits, logs, kill.

What it guarantees: the end of the peer is noticed although a grandchild holds its pipes; memory and disk
stay bounded however much is printed; nothing that the peer started is left behind where the system can
tell (Linux: everything, by making this process the reaper of orphans; elsewhere: the process group and
the descendants seen before the end).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

import psutil

from gitrelay.redact import OVERLAP, Redactor
from gitrelay.state.folder import Ending, Limits

CHUNK: Final = 64 * 1024
LOG_HEAD: Final = 4 * 1024 * 1024  # a log keeps its first and its last part, at most 4 MiB + 256 KiB
LOG_TAIL: Final = 256 * 1024
TERM_GRACE: Final = 5.0  # seconds between SIGTERM and SIGKILL; claude needs 1.6 s to end its tools
_DRAIN: Final = 1.0  # seconds to read what is left in the pipes once the peer has ended
_ROUNDS: Final = 5  # times to look again for a process that was started by one that is being ended
_TICK: Final = 0.2  # seconds between two looks for a cancellation


class Listener(Protocol):
    """Reads a peer's stdout as it comes. `feed` says whether it shows progress; `fatal` ends the peer early."""

    fatal: tuple[str, str] | None
    finished: bool

    def feed(self, data: bytes) -> bool: ...


class Log:
    """A file that keeps the first LOG_HEAD and the last LOG_TAIL bytes of a stream, redacted.

    A line stands in the file once it is whole, so that no secret gets there in two pieces. The tail is in memory
    until the end, as it came, with a little more before it: a secret may begin there.
    """

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self._file: IO[bytes] = path.open("wb", buffering=0)
        self._path = path
        self._redactor = redactor
        self._stream = redactor.stream()
        self._lock = threading.Lock()  # the end may come while a reader still waits for a grandchild's words
        self._room = LOG_HEAD
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._left_out = 0
        self._touched = 0.0

    def write(self, data: bytes) -> None:
        with self._lock:
            if self._room:
                data = self._to_file(self._stream.feed(data))
            if self._room and time.monotonic() - self._touched > 1:
                self._touch()
            if data and not self._room:
                self._tail.append(data)
                self._tail_size += len(data)
                while self._tail_size - len(self._tail[0]) >= LOG_TAIL + OVERLAP:
                    self._left_out += len(self._tail[0])
                    self._tail_size -= len(self._tail.popleft())
                if time.monotonic() - self._touched > 1:
                    self._touch()

    def _to_file(self, redacted: bytes) -> bytes:
        """Write what there is room for; what there is none for, and all that the stream holds back then."""
        with contextlib.suppress(OSError):  # a full disk must not end the call
            self._file.write(redacted[: self._room])
        rest = redacted[self._room :]
        self._room -= min(self._room, len(redacted))
        return rest + self._stream.close() if not self._room else b""

    def _touch(self) -> None:
        with contextlib.suppress(OSError):
            os.utime(self._path)  # `status` reads the time of the last output from here
        self._touched = time.monotonic()

    def last(self, limit: int) -> bytes:
        """The last bytes written, redacted, at most `limit`; only what is still in the tail or on disk."""
        with self._lock:
            tail = self._stream.held() if self._room else self._ending()[0]
            if len(tail) < limit and not self._left_out:
                with contextlib.suppress(OSError), self._path.open("rb") as f:
                    f.seek(max(0, LOG_HEAD - self._room - (limit - len(tail))))
                    tail = f.read() + tail
            return tail[-limit:]

    def _ending(self) -> tuple[bytes, int]:
        """(the tail as it is to be written, how many bytes of it are not)."""
        data = b"".join(self._tail)
        return self._redactor.ending(data, LOG_TAIL if self._left_out else LOG_TAIL + OVERLAP)

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._room:
                self._file.write(self._stream.close()[: self._room])
            else:
                tail, cut = self._ending()
                if self._left_out + cut:
                    self._file.write(b"\n[... %d bytes left out ...]\n" % (self._left_out + cut))
                self._file.write(tail[-LOG_TAIL - OVERLAP :])
            self._file.close()


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
) -> Ending:
    """Run `argv` to its end or to a limit; `err_log` None joins stderr to stdout. Never raises for the child's sake."""
    begin = time.monotonic()
    reap_orphans()
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
        with contextlib.suppress(psutil.Error, OSError):
            started(child.pid, psutil.Process(child.pid).create_time())
        assert child.stdin is not None and child.stdout is not None
        heard = _Heard()

        def on_out(data: bytes) -> None:
            out_log.write(data)
            if listener.feed(data):
                heard.at = time.monotonic()

        _thread(_feed, child.stdin, stdin)
        readers = [_thread(_read, child.stdout, on_out)]
        if child.stderr is not None and err_log is not None:
            readers.append(_thread(_read, child.stderr, err_log.write))
        ended = threading.Event()
        _thread(_wait, child, ended)
        stopped, detail = _watch(ended, heard, begin, limits, listener, cancelled)
    except BaseException:  # Ctrl-C, where it is run in the foreground
        stop(child.pid, lambda limit: _ended_within(child, limit))
        raise
    if stopped:
        stop(child.pid, lambda limit: _ended_within(child, limit))
    child.wait()
    seconds = time.monotonic() - begin
    stop_descendants()
    deadline = time.monotonic() + _DRAIN
    for reader in readers:
        reader.join(max(0.0, deadline - time.monotonic()))
    return Ending(child.returncode, seconds, stopped, detail)


@dataclass
class _Heard:
    """When the peer last showed progress (monotonic seconds), None before it ever did."""

    at: float | None = None


def _watch(
    ended: threading.Event,
    heard: _Heard,
    begin: float,
    limits: Limits,
    listener: Listener,
    cancelled: Callable[[], str | None],
) -> tuple[str | None, str]:
    """Wait for the end of the child or for a reason to stop it: (reason, detail)."""
    while not ended.wait(_TICK):
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
        if listener.fatal is not None:
            return listener.fatal
        by = cancelled()
        if by is not None:
            return "cancelled", f"cancelled by {by}"
    return None, ""


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


def _read(pipe: IO[bytes], take: Callable[[bytes], object]) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := os.read(pipe.fileno(), CHUNK):
            take(data)


def _wait(child: subprocess.Popen[bytes], ended: threading.Event) -> None:
    child.wait()
    ended.set()


# -- killing ---------------------------------------------------------------------------------------


def identity_matches(pid: int, created: float) -> bool:
    """Whether process `pid` is still the one that was created at `created` (seconds since the epoch)."""
    try:
        process = psutil.Process(pid)
        # create_time is derived from the boot time, which moves a little with the clock
        return abs(process.create_time() - created) < 2.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def stop(pid: int, ended_within: Callable[[float], bool] | None = None) -> None:
    """End the process group of `pid`, then its descendants: SIGTERM, wait, SIGKILL.

    The group first and alone: SIGKILL on all of codex's descendants at once leaves folders in the
    repository, and gemini ignores SIGTERM to its pid. Tools run in sessions of their own, so what is
    still there afterwards is ended one by one; each is addressed by pid and start time.
    `ended_within` waits for a child of this process (psutil's own wait would take its exit code away).
    """
    try:
        leader = psutil.Process(pid)
        family = leader.children(recursive=True)
    except psutil.Error:
        return
    if ended_within is None:
        family.append(leader)

        def ended_within(limit: float) -> bool:
            return not psutil.wait_procs([leader], timeout=limit)[1]

    _signal_group(leader, force=False)
    if not ended_within(TERM_GRACE):
        with contextlib.suppress(psutil.Error):
            family += leader.children(recursive=True)
        _signal_group(leader, force=True)
        ended_within(TERM_GRACE)
    _end(family)


def _signal_group(leader: psutil.Process, *, force: bool) -> None:
    with contextlib.suppress(OSError, psutil.Error):
        if sys.platform != "win32":
            os.killpg(leader.pid, signal.SIGKILL if force else signal.SIGTERM)
        elif force:
            leader.kill()
        else:
            leader.terminate()


def stop_descendants() -> None:
    """End whatever the peer left behind; on Linux its orphans have become children of this process."""
    with contextlib.suppress(psutil.Error):
        for again in range(_ROUNDS):
            if not _end(psutil.Process().children(recursive=True), gently=not again):
                return


def stop_marked(name: str, value: str) -> None:
    """End every process that was started with `name=value` in its environment, this one excepted."""
    for again in range(_ROUNDS):
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and process.environ().get(name) == value:
                    found.append(process)
        if not _end(found, gently=not again):
            return


def _end(processes: Sequence[psutil.Process], *, gently: bool = True) -> bool:
    """End those that still run, SIGKILL after a second or at once; False where none did."""
    alive = left = [p for p in processes if p.is_running() and _status(p) != psutil.STATUS_ZOMBIE]
    if gently:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, alive = psutil.wait_procs(left, timeout=1.0)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=1.0)
    return bool(left)


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.Error:
        return str(psutil.STATUS_ZOMBIE)


def reap_orphans() -> None:
    """Linux: orphaned descendants become children of this process (prctl PR_SET_CHILD_SUBREAPER = 36)."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
