"""Agents that are kept for the next turn, seen from those who want one: ask for it, start it, end it.

The socket of an agent is in a folder of mode 0700 that this user owns; a link, a file or somebody else's folder in its
place means that nothing is kept. Both sides look who the other is (SO_PEERCRED). Linux only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from gitrelay.ground.value import dataclass
from gitrelay.process import own

_LIMIT: Final = 15.0  # seconds for a keeper to answer; to end an agent takes it up to 8
_LINE_MAX: Final = 64 * 1024
BRIDGE: Final = str(Path(__file__).with_name("bridge.py"))


@dataclass(frozen=True)
class Agent:
    """What a keeper starts. `key` tells agents apart that may not stand in for each other; `keep` is in seconds."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    socket: str
    key: str
    keep: float

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Agent:
        return cls(**{**value, "argv": tuple(value["argv"])})


def can_keep() -> bool:
    """Whether the system has what a keeper needs."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open")


def folder(state: Path) -> Path | None:
    """The folder of the sockets, made if it is not there; None if it is not this user's alone."""
    path = state / "kept"
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        found = os.lstat(path)
    except OSError:
        return None
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
    return path if mine else None


def name_of(session: str, peer: str) -> str:
    return hashlib.sha256(f"{session}\0{peer}".encode()).hexdigest()[:24]


@contextlib.contextmanager
def _short(path: str) -> Any:
    """A path to the same place that fits into the 107 bytes of a socket's address."""
    fd = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield f"/proc/self/fd/{fd}/{os.path.basename(path)}"
    finally:
        os.close(fd)


def is_mine(connection: socket.socket) -> bool:
    """Whether the process at the other end runs as this user."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return bool(uid == os.getuid())


def listen(path: str) -> socket.socket | None:
    """A socket at `path`; a dead one of this user's that is there goes, and for anything else it returns None."""
    with contextlib.suppress(FileNotFoundError):
        found = os.lstat(path)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
            return None
        os.unlink(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(path) as short:
        listening.bind(short)
    listening.listen(8)
    return listening


def connect(path: str) -> socket.socket | None:
    """A connection to the keeper at `path`, None if there is none. A link or a file there is left alone."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_LIMIT)
    try:
        found = os.lstat(path)
        if stat.S_ISSOCK(found.st_mode) and found.st_uid == os.getuid():
            with _short(path) as short:
                connection.connect(short)
            if is_mine(connection):
                return connection
    except OSError:
        pass
    connection.close()
    return None


def read_line(connection: socket.socket, limit: int = _LINE_MAX) -> bytes:
    """One line, byte by byte: what follows is not this function's. Raises ValueError if it is too long or cut off."""
    line = b""
    while not line.endswith(b"\n"):
        data = connection.recv(1)
        if not data or len(line) >= limit:
            raise ValueError("no whole line")
        line += data
    return line


def _said(path: str, words: Mapping[str, Any]) -> dict[str, Any]:
    """What the keeper at `path` says to `words`, nothing if there is none."""
    connection = connect(path)
    if connection is None:
        return {}
    with connection, contextlib.suppress(OSError, ValueError):
        connection.sendall(json.dumps(words).encode() + b"\n")
        value = json.loads(read_line(connection))
        return value if isinstance(value, dict) else {}
    return {}


def ask(path: str, key: str, session: str | None) -> int | None:
    """The pid of the keeper if it has the agent that `key` names, in that conversation; another one is ended."""
    found = _said(path, {"do": "ask", "key": key, "session": session})
    return found["pid"] if found.get("fits") is True and isinstance(found.get("pid"), int) else None


def end(path: str) -> bool:
    """End the agent that is kept at `path`, if one is; whether there was one."""
    return _said(path, {"do": "end"}).get("ended") is True


def start(agent: Agent, title: tuple[str, str]) -> int | None:
    """Start a keeper with its agent; its pid, None if that fails. No process of a call's may be running below this."""
    own.reap_orphans(False)  # it is not a process that the peer has left behind
    try:
        keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "gitrelay.process.keeper", *title],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        assert keeper.stdin is not None and keeper.stdout is not None
        with keeper.stdin, keeper.stdout, contextlib.suppress(OSError, ValueError):
            keeper.stdin.write(json.dumps(asdict(agent)).encode() + b"\n")
            keeper.stdin.close()
            pid = json.loads(keeper.stdout.readline())["pid"]
            return int(pid)
        return None
    finally:
        keeper.wait()
        own.reap_orphans()
