"""The keyboard of a terminal, key by key, and the whole screen for a while; both are given back, however it ends."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Final

_NAMES: Final = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[C": "right",
    b"\x1bOC": "right",
    b"\x1b[D": "left",
    b"\x1bOD": "left",
    b"\x1b[5~": "page-up",
    b"\x1b[6~": "page-down",
    b"\x1b[H": "home",
    b"\x1bOH": "home",
    b"\x1b[1~": "home",
    b"\x1b[F": "end",
    b"\x1bOF": "end",
    b"\x1b[4~": "end",
    b"\x1b": "escape",
    b"\r": "enter",
    b"\n": "enter",
    b"\x7f": "backspace",
    b"\x08": "backspace",
    b"\x0c": "redraw",
}
# a control sequence, a function key, or one byte
_KEY: Final = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO[ -~]|[\x00-\xff]", re.DOTALL)
_REST: Final = 0.05  # seconds in which the rest of a sequence follows its Escape
# alternate screen, cursor hidden, no automatic wrap; and back
_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"


class Ended(Exception):
    """A signal asks us to end. `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Screen:
    """The terminal while it is ours: `keys` waits for the keyboard, `draw` shows lines.

    Ctrl-C is KeyboardInterrupt as ever; SIGTERM and SIGHUP are raised as Ended; Ctrl-Z gives the terminal back
    until the process goes on.
    """

    def __init__(self) -> None:
        self._in = sys.stdin.fileno()
        self._out = sys.stdout.fileno()
        self._encoding = sys.stdout.encoding or "utf-8"
        self._before = termios.tcgetattr(self._in)
        self._shown: list[str] = []
        self._size = (0, 0)
        self._wake, self._woken = -1, -1

    @property
    def size(self) -> tuple[int, int]:
        """(columns, rows) as they are now."""
        columns, rows = os.get_terminal_size(self._out)
        return max(20, columns), max(4, rows)

    def keys(self, limit: float) -> list[str]:
        """The names of the keys that come within `limit` seconds; none if time is up or the size has changed."""
        ready, _, _ = select.select([self._in, self._wake], [], [], limit)
        if self._wake in ready:
            os.read(self._wake, 512)
        if self._in not in ready:
            return []
        try:
            data = os.read(self._in, 1024)
        except OSError:  # EIO: the terminal has gone
            data = b""
        if not data:
            raise Ended(signal.SIGHUP)
        if data.endswith(b"\x1b") and select.select([self._in], [], [], _REST)[0]:
            data += os.read(self._in, 1024)
        return [name for key in _KEY.findall(data) if (name := _name(key))]

    def draw(self, lines: Sequence[str]) -> None:
        """Show `lines`, each safe to print and no wider than the screen; only those that differ are written."""
        size = self.size
        if size != self._size:
            self.forget()
            self._size = size
        rows = [*lines, *[""] * size[1]][: size[1]]
        out = [] if self._shown else ["\x1b[2J"]
        for i, line in enumerate(rows):
            if i >= len(self._shown) or self._shown[i] != line:
                out.append(f"\x1b[{i + 1};1H\x1b[2K{line}")
        self._shown = rows
        self._write("".join(out))

    def forget(self) -> None:
        """Whatever is on the screen is not ours: draw everything the next time."""
        self._shown = []

    def _write(self, text: str) -> None:
        data = text.encode(self._encoding, "replace")
        try:
            while data:
                data = data[os.write(self._out, data) :]
        except OSError:
            raise Ended(signal.SIGHUP) from None

    def enter(self) -> None:
        ours = termios.tcgetattr(self._in)
        ours[0] &= ~(termios.IXON | termios.ICRNL)
        ours[3] &= ~(termios.ICANON | termios.ECHO)
        termios.tcsetattr(self._in, termios.TCSADRAIN, ours)
        self._write(_ENTER)
        self.forget()

    def leave(self) -> None:
        with contextlib.suppress(Ended, termios.error):  # the terminal may have gone
            self._write(_LEAVE)
            termios.tcsetattr(self._in, termios.TCSADRAIN, self._before)


def _name(key: bytes) -> str:
    if key in _NAMES:
        return _NAMES[key]
    return key.decode() if len(key) == 1 and b" " <= key <= b"~" else ""


@contextlib.contextmanager
def opened() -> Iterator[Screen]:
    """The terminal, ours until the end of the block."""
    screen = Screen()
    screen._wake, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(screen._wake, False)

    def end(number: int, frame: FrameType | None) -> None:
        raise Ended(number)

    def pause(number: int, frame: FrameType | None) -> None:
        screen.leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, pause)
        screen.enter()

    handlers = {signal.SIGTERM: end, signal.SIGHUP: end, signal.SIGTSTP: pause, signal.SIGWINCH: lambda *_: None}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    old = signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    try:
        screen.enter()
        yield screen
    finally:
        screen.leave()
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(screen._wake)
        os.close(woken)
