"""A real terminal for tests: git-relay as the leader of a pty, and its screen as text, by pyte."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyte
import pytest

from support.repo import GIT_RELAY, Repo
from support.waiting import patient

SANE = {"TERM": "xterm-256color", "GIT_PAGER": "cat"}


def required(program: str, package: str = "", *, also: Path | None = None) -> None:
    """Skip where a program (or a file beside it) is missing; CI sets GITRELAY_REQUIRE_SHELLS and fails instead."""
    if shutil.which(program) is not None and (also is None or also.exists()):
        return
    said = f"{also or program} is not installed: apt-get install {package or program}"
    assert not os.environ.get("GITRELAY_REQUIRE_SHELLS"), said
    pytest.skip(said)


class Terminal:
    """One program on a terminal of its own. `raw` is every byte it wrote."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        columns: int = 80,
        rows: int = 24,
    ) -> None:
        self.raw = b""
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.fd, theirs = os.openpty()
        self._size(columns, rows)
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            list(words),
            cwd=cwd,
            env=dict(env),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            pass_fds=(theirs,),
            preexec_fn=functools.partial(os.login_tty, theirs),
        )
        self._theirs = theirs  # kept open, so that the terminal's state can be looked at when the program has gone

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns: int, rows: int) -> None:
        """As a person who drags a window: the terminal tells the program by SIGWINCH."""
        self.screen.resize(rows, columns)
        self._size(columns, rows)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGWINCH)

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def read(self, limit: float = 0.1) -> bool:
        """Take in what the program has written; False where nothing came within `limit` seconds."""
        if not select.select([self.fd], [], [], limit)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    @property
    def lines(self) -> list[str]:
        """The screen as it stands, without trailing blanks."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip("\n")

    def shows(self, condition: str | Callable[[str], bool], limit: float = 20.0) -> bool:
        """Whether the screen comes to hold a text, or to fulfil a condition, within `patient(limit)` seconds."""
        deadline = time.monotonic() + patient(limit)
        holds = condition if callable(condition) else lambda text: condition in text
        while not holds(self.text):
            if time.monotonic() >= deadline:
                return False
            self.read()
        return True

    def end(self, limit: float = 30.0) -> int:
        """The exit code, once it has ended and everything was read."""
        deadline = time.monotonic() + patient(limit)
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end; the screen:\n{self.text}"
            self.read()
        while self.read(0.05):
            pass
        return self.process.returncode

    @property
    def is_sane(self) -> bool:
        """Whether the terminal has the settings that it had before the program."""
        return termios.tcgetattr(self._theirs) == self.before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for fd in (self.fd, self._theirs):
            os.close(fd)


@contextlib.contextmanager
def on_terminal(
    repo: Repo,
    *words: str,
    columns: int = 80,
    rows: int = 24,
    env: Mapping[str, str] | None = None,
    program: Sequence[str] = GIT_RELAY,
) -> Iterator[Terminal]:
    """git-relay (or another `program`) on a terminal of this size, without a pager unless `env` says so."""
    terminal = Terminal(
        [*program, *words], cwd=repo.path, env={**repo.env, **SANE, **(env or {})}, columns=columns, rows=rows
    )
    try:
        yield terminal
    finally:
        terminal.close()
