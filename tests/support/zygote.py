"""Commands without a start of python: a process that has the whole program loaded, and forks for each of them.

An interpreter and the imports take 0.2 s of CPU, ten times what most verbs do afterwards, and the tests give thousands
of commands. A command that is forked runs the same `main()` to the same end of the interpreter, as a process of its
own with the arguments, environment, folder and pipes that it was given. What it does not have is a start: the tests of
start-up, of signals and of kills start real ones, and so does everything that a peer or a shell calls.

The process is made at the first command of a pytest worker, and ends with that worker.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import functools
import os
import pickle
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_SIZE = struct.Struct("!I")
_LANG = "C.UTF-8"  # of the process, and so of each of its forks
_SHOWN = "x" * 400  # room for the name that a fork gives itself: it has the length of this command line
_MARK = "GITRELAY_TEST_MARK"  # by which a test finds its processes: what /proc shows is written over in a fork
_MARK_SIZE = 32  # uuid4().hex


def can_run(env: Mapping[str, str]) -> bool:
    """Whether a fork is what a new process with `env` would be.

    It is not if python itself, or its C library, would read the environment at its start.
    """
    read = "TZ" in env or any(name.startswith(("PYTHON", "LC_", "LD_")) for name in env)
    marked = len(env.get(_MARK, "x" * _MARK_SIZE)) == _MARK_SIZE
    return sys.platform == "linux" and not read and marked and env.get("LANG") == _LANG


def run(
    words: Sequence[str], env: Mapping[str, str], cwd: Path, stdin: bytes, limit: float, *, columns: int = 0
) -> subprocess.CompletedProcess[bytes]:
    """Run `git relay WORDS` to its end, and until nobody holds its stdout and stderr any more.

    With `columns` its stdout is a terminal of that width. Raises TimeoutExpired after `limit` seconds; the command is
    killed then.
    """
    order = pickle.dumps((list(map(os.fsencode, words)), dict(env), os.fspath(cwd)))
    to, out, err = os.pipe(), os.openpty() if columns else os.pipe(), os.pipe()
    if columns:
        fcntl.ioctl(out[1], termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(_started())
        socket.send_fds(line, [_SIZE.pack(len(order))], [to[0], out[1], err[1]])
        for fd in (to[0], out[1], err[1]):
            os.close(fd)
        line.sendall(order)
        (pid,) = _SIZE.unpack(_exactly(line, _SIZE.size))
        try:
            got = _communicate(line, to[1], stdin, {"out": out[0], "err": err[0]}, limit)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(["git", "relay", *words], limit) from None
    (status,) = _SIZE.unpack(got["code"])
    return subprocess.CompletedProcess(words, os.waitstatus_to_exitcode(status), got["out"], got["err"])


def _communicate(line: socket.socket, to: int, stdin: bytes, ends: dict[str, int], limit: float) -> dict[str, bytes]:
    """What comes out of each of `ends`, and of `line` as `code`, until all are at their end; `stdin` is written."""
    until = time.monotonic() + limit
    got = dict.fromkeys([*ends, "code"], b"")
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ, "code")
        for name, fd in ends.items():
            selector.register(fd, selectors.EVENT_READ, name)
        os.set_blocking(to, False)
        selector.register(to, selectors.EVENT_WRITE, "stdin")
        try:
            while selector.get_map():
                ready = selector.select(max(0.0, until - time.monotonic()))
                if not ready:
                    raise TimeoutError
                for key, _ in ready:
                    if key.data == "stdin":
                        stdin, over = _written(key.fd, stdin)
                    else:
                        data = _read(key.fd)
                        got[key.data] += data
                        over = not data
                    if over:
                        selector.unregister(key.fileobj)
                        if key.data != "code":
                            os.close(key.fd)
        finally:
            for key in selector.get_map().values():
                if key.data != "code":
                    os.close(key.fd)
    return got


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except OSError:  # a terminal whose last writer has gone
        return b""


def _written(fd: int, data: bytes) -> tuple[bytes, bool]:
    """Write some of `data`; what is left of it, and whether it is all written or nobody reads it."""
    try:
        left = data[os.write(fd, data) :] if data else b""
    except BlockingIOError:
        return data, False
    except BrokenPipeError:
        return b"", True
    return left, not left


def _exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = line.recv(count - len(data))
        if not more:
            raise EOFError("the process that forks has ended")
        data += more
    return data


@functools.cache
def _started() -> str:
    """The path of the socket of this worker's process, which is started."""
    folder = tempfile.mkdtemp(prefix="relay-zygote-", dir="/tmp")  # a socket's path has room for 107 bytes
    atexit.register(shutil.rmtree, folder, True)
    path = f"{folder}/socket"
    process = subprocess.Popen(
        [sys.executable, "-P", __file__, path, _SHOWN],
        env={"HOME": folder, "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": _LANG, _MARK: "x" * _MARK_SIZE},
        cwd="/",
        stdin=subprocess.PIPE,  # closed when this process ends, however it does
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n", "the process that forks did not start"
    atexit.register(process.communicate)
    return path


def _load() -> None:
    """Import all that any command may import."""
    import importlib
    import pkgutil

    import gitrelay

    for found in pkgutil.walk_packages(gitrelay.__path__, "gitrelay."):
        importlib.import_module(found.name)


def _serve(path: str) -> bool:
    """Fork for each that connects, and tell it the process and how it ended; returns True in the fork, ready to run."""
    door = socket.socket(socket.AF_UNIX)
    door.bind(path)
    door.listen(64)
    lines: dict[int, socket.socket] = {}  # by process
    selector = selectors.DefaultSelector()
    selector.register(door, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    os.write(1, b"ready\n")
    while True:
        for key, _ in selector.select():
            if key.fileobj == 0:
                return False
            if key.fileobj is door:
                line = door.accept()[0]
                size, fds, _, _ = socket.recv_fds(line, _SIZE.size, 3)
                pid = os.fork()
                if not pid:
                    selector.close()
                    for held in (door, *lines.values()):
                        held.close()
                    _become(line, _SIZE.unpack(size)[0], fds)
                    return True
                for fd in fds:
                    os.close(fd)
                line.sendall(_SIZE.pack(pid))
                lines[pid] = line
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
            else:
                selector.unregister(key.fd)
                os.close(key.fd)
                with lines.pop(key.data) as line:
                    line.sendall(_SIZE.pack(os.waitpid(key.data, 0)[1]))


def _become(line: socket.socket, size: int, fds: Sequence[int]) -> None:
    """Take the arguments, environment, folder and pipes of the command; nothing else stays open."""
    with line:
        words, env, cwd = pickle.loads(_exactly(line, size))
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    sys.argv[1:] = map(os.fsdecode, words)
    os.environ.clear()
    os.environ.update(env)
    if _MARK in env:
        ctypes.memmove(_shown_mark(), env[_MARK].encode(), _MARK_SIZE)
    os.chdir(cwd)


@functools.cache
def _shown_mark() -> int:
    """Where in memory /proc finds the value of the mark of this process."""
    begin, end = map(int, Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[47:49])  # env_start, env_end
    name = f"{_MARK}=".encode()
    return begin + ctypes.string_at(begin, end - begin).index(name) + len(name)


if __name__ == "__main__":
    import gc

    import gitrelay.__main__ as program

    _load()
    _shown_mark()
    gc.collect()
    gc.freeze()
    if _serve(sys.argv[1]):
        sys.argv[0] = program.__file__
        program.main()
