"""The process that keeps an agent for the next turn: the agent's parent, which lends its pipes to one turn at a time.

    python -P -m gitrelay.process.keeper SESSION PEER

It reads one line of JSON, a `kept.Agent`, from stdin, starts the agent, and listens on a socket in a folder that only
this user can reach. It ends, with the agent and all that this has started, when it has been idle for as long as it was
told, when it is told to end, when the agent ends, and when a turn's connection breaks off. Nothing depends on it.

A connection begins with one line of JSON, `do` and more; `turn` goes on with the bytes for the agent's stdin, and gets
frames (kind, length, bytes) of what the agent prints. Lines whose method is `gitrelay/...` are for the keeper.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any, Final, NoReturn

import psutil

from gitrelay.process import kept, own

OUT, ERR, CODE = b"o", b"e", b"c"
_CHUNK: Final = 64 * 1024
_HELLO_MAX: Final = 64 * 1024
_STATE_MAX: Final = 64 * 1024
_BETWEEN_MAX: Final = 4 * 1024 * 1024  # bytes that an agent may print between two turns
_TERM_GRACE: Final = 2.0  # seconds; the bridge waits for less than the supervisor does for the bridge
_SLOW: Final = 10.0  # seconds for a client to take or say something
_DEATH: Final = 1  # PR_SET_PDEATHSIG
_OURS: Final = b'{"jsonrpc": "2.0", "method": "gitrelay/'


class Keeper:
    """One agent and the turn that it works for, if any. Single-threaded."""

    def __init__(self, agent: kept.Agent, listening: socket.socket) -> None:
        self._agent, self._listening = agent, listening
        libc = ctypes.CDLL(None)
        self._child = subprocess.Popen(
            agent.argv,
            cwd=agent.cwd,
            env=agent.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
            # this process has one thread
            preexec_fn=lambda: libc.prctl(_DEATH, signal.SIGTERM, 0, 0, 0),
        )
        assert self._child.stdin and self._child.stdout and self._child.stderr
        self._stdin, self._stdout, self._stderr = (
            one.fileno() for one in (self._child.stdin, self._child.stdout, self._child.stderr)
        )
        for fd in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(fd, False)
        self._died = os.pidfd_open(self._child.pid)
        self._state: dict[str, Any] | None = None
        self._turn: socket.socket | None = None
        self._line = b""
        self._to_agent = b""
        self._closing = False
        self._family: frozenset[tuple[int, float]] | None = None  # what was there when the prompt was sent
        self._between = 0
        self._until = time.monotonic() + agent.keep

    def serve(self) -> NoReturn:
        while True:
            poll = select.poll()
            for fd in (self._listening.fileno(), self._stdout, self._stderr, self._died):
                if fd >= 0:
                    poll.register(fd, select.POLLIN)
            if self._turn is not None:
                poll.register(self._turn.fileno(), 0 if self._closing else select.POLLIN)
            if self._to_agent:
                poll.register(self._stdin, select.POLLOUT)
            left = None if self._turn is not None else max(0.0, self._until - time.monotonic()) * 1000
            ready = dict(poll.poll(left))
            if not ready and self._turn is None:
                self.end()
            self._look(ready)

    def _look(self, ready: dict[int, int]) -> None:
        if self._stdin in ready and self._to_agent:
            self._feed()
        for fd, kind in ((self._stdout, OUT), (self._stderr, ERR)):
            if fd in ready:
                self._pass_on(fd, kind)
        if self._died in ready:
            self._agent_ended()
        if self._turn is not None and (events := ready.get(self._turn.fileno())):
            self._hear(events)
        if self._listening.fileno() in ready:
            self._accept()

    # -- the agent ---------------------------------------------------------------------------------

    def _pass_on(self, fd: int, kind: bytes) -> bool:
        """Give the turn what the agent has printed; False if there is nothing now. Between turns it is dropped."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            if fd == self._stdout:
                self._stdout = -1
            else:
                self._stderr = -1
            return False
        if self._turn is not None:
            self._frame(kind, data)
        else:
            self._between += len(data)
            if self._between > _BETWEEN_MAX:
                self.end()
        return True

    def _drain(self) -> None:
        while self._stdout >= 0 and self._pass_on(self._stdout, OUT):
            pass
        while self._stderr >= 0 and self._pass_on(self._stderr, ERR):
            pass

    def _feed(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                self._to_agent = self._to_agent[os.write(self._stdin, self._to_agent[:_CHUNK]) :]
            except BrokenPipeError:
                self._to_agent = b""
        if not self._to_agent and self._closing:
            with contextlib.suppress(OSError):
                assert self._child.stdin is not None
                self._child.stdin.close()

    def _agent_ended(self) -> NoReturn:
        code = self._child.wait()
        self._stop_all()
        self._drain()
        if self._turn is not None:
            self._frame(CODE, struct.pack(">i", code))
        self.end()

    # -- a turn ------------------------------------------------------------------------------------

    def _frame(self, kind: bytes, data: bytes) -> None:
        assert self._turn is not None
        try:
            self._turn.sendall(struct.pack(">cI", kind, len(data)) + data)
        except OSError:
            self.end()

    def _hear(self, events: int) -> None:
        if events & (select.POLLHUP | select.POLLERR):
            self.end()  # the process that had the turn is gone, and has not said that it is over
        assert self._turn is not None
        try:
            data = self._turn.recv(_CHUNK)
        except OSError:
            self.end()
        if not data:
            self._closing = True  # the turn is to end: the agent is told as in any other call
            self._feed()
            return
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            if line.startswith(_OURS):
                self._own_line(json.loads(line))
                if self._turn is None:
                    return
            else:
                self._to_agent += line + b"\n"
        self._feed()

    def _own_line(self, message: dict[str, Any]) -> None:
        if message["method"] == "gitrelay/prompting":
            if self._family is None:
                self._family = self._descendants()
        elif message["method"] == "gitrelay/keep" and len(json.dumps(message["params"])) <= _STATE_MAX:
            self._state = message["params"]
            self._end_of_turn()

    def _end_of_turn(self) -> None:
        """Nothing that the turn has started goes on, but the agent itself and what it needed before the prompt."""
        self._drain()
        new = self._descendants() - (self._family or frozenset())
        _end([pid for pid, _ in new if pid != self._child.pid])
        self._drain()
        self._frame(CODE, struct.pack(">i", 0))
        assert self._turn is not None
        self._turn.close()
        self._turn, self._line, self._family, self._between = None, b"", None, 0
        self._until = time.monotonic() + self._agent.keep

    def _descendants(self) -> frozenset[tuple[int, float]]:
        found = []
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                found.append((process.pid, process.create_time()))
        return frozenset(found)

    # -- who comes ---------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            client, _ = self._listening.accept()
        except OSError:
            return
        if not kept.is_mine(client):
            client.close()
            return
        client.settimeout(_SLOW)
        try:
            hello = kept.read_line(client, _HELLO_MAX)
            wanted = json.loads(hello)
            self._answer(client, wanted if isinstance(wanted, dict) else {})
        except (OSError, ValueError):
            client.close()

    def _answer(self, client: socket.socket, wanted: dict[str, Any]) -> None:
        free, fits = self._turn is None, wanted.get("key") == self._agent.key
        if wanted.get("do") == "end" or (free and wanted.get("do") == "ask" and not self._fits(wanted)):
            self.end(client)
        if wanted.get("do") == "ask" and free:
            self._until = max(self._until, time.monotonic() + _SLOW)
            client.sendall(json.dumps({"fits": True, "pid": os.getpid()}).encode() + b"\n")
            client.close()
        elif wanted.get("do") == "turn" and free and fits:
            client.sendall(json.dumps({"kept": self._state}).encode() + b"\n")
            self._turn, self._state, self._line = client, None, b""
        else:
            client.close()

    def _fits(self, wanted: dict[str, Any]) -> bool:
        """Whether the turn that asks wants this agent, in this conversation."""
        session = self._state.get("session") if self._state is not None else None
        return wanted.get("key") == self._agent.key and session is not None and wanted.get("session") == session

    # -- the end -----------------------------------------------------------------------------------

    def _stop_all(self) -> None:
        for _ in range(5):
            if not _end([pid for pid, _ in self._descendants()], group=self._child.pid):
                return

    def end(self, client: socket.socket | None = None) -> NoReturn:
        """End the agent and all that it has started, then this process; `client` is told when that is done."""
        with contextlib.suppress(OSError):
            os.unlink(self._agent.socket)
        self._listening.close()
        if self._child.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self._child.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(_TERM_GRACE)
        self._stop_all()
        if client is not None:
            with contextlib.suppress(OSError):
                client.sendall(b'{"ended": true}\n')
        os._exit(0)


def _end(pids: list[int], group: int | None = None) -> bool:
    """SIGTERM, a moment, SIGKILL, for each of them; False if there was none."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                process.terminate()
                found.append(process)
    _, alive = psutil.wait_procs(found, timeout=0.5)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=0.5)
    return bool(found)


def main() -> int:
    agent = kept.Agent.from_json(json.loads(sys.stdin.buffer.readline()))
    if os.fork():
        os._exit(0)
    for name in ("SIGHUP", "SIGINT", "SIGPIPE"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    os.umask(0o077)
    listening = kept.listen(agent.socket)
    if listening is None:
        return 1
    own.reap_orphans()
    keeper = Keeper(agent, listening)
    signal.signal(signal.SIGTERM, lambda number, _: keeper.end())
    null = os.open(os.devnull, os.O_RDWR)
    os.write(1, json.dumps({"pid": os.getpid()}).encode() + b"\n")
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    keeper.serve()


if __name__ == "__main__":
    sys.exit(main())
