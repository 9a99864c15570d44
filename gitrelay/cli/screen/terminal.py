"""The terminal that an answer is drawn on: how wide it is, whether it has colours, and the pager before it.

The pager is chosen as git chooses it: GIT_PAGER, then `pager.relay`, `core.pager`, PAGER, `less`; `git --no-pager`
and `pager.relay=false` mean none. If git itself has started one (`git -p relay ls`, `pager.relay=true`), stdout
is a pipe and GIT_PAGER_IN_USE is set.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

from gitrelay.cli.screen.table import Cell, Column, lines
from gitrelay.git.repository import Repository

_NARROWEST: Final = 20
_BOOLEANS: Final = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False}
# what git sets for its pager: quit if one screen is enough, keep colours, leave the text on the screen
_PAGER_ENVIRONMENT: Final = {"LESS": "FRX", "LV": "-c"}


@dataclass
class Terminal:
    """Where to draw. `width` is in cells; `print` takes lines that are safe to print."""

    width: int
    colours: bool
    _out: IO[bytes] = field(repr=False)
    _encoding: str = "utf-8"

    def print(self, lines: Iterable[str]) -> None:
        """Lines of text, each with its end added. Raises BrokenPipeError if the reader has gone."""
        for line in lines:
            self._out.write((line + "\n").encode(self._encoding, "replace"))
        self._out.flush()

    def write(self, text: str) -> None:
        self._out.write(text.encode(self._encoding, "replace"))
        self._out.flush()


@contextlib.contextmanager
def opened(repo: Repository | None = None, *, paged: bool = True) -> Iterator[Terminal]:
    """The terminal, if `paged` through the person's pager; one that is quit early ends the block without an error."""
    width = max(_NARROWEST, shutil.get_terminal_size().columns)
    colours = has_colours(os.environ, _own(repo, "color.ui"))
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.flush()
    with contextlib.ExitStack() as stack:
        command = pager(os.environ, repo) if paged and sys.stdout.isatty() else None
        process = _started(command) if command else None
        if process is None or process.stdin is None:
            yield Terminal(width, colours, sys.stdout.buffer, encoding)
            return
        stack.enter_context(_without_ctrl_c())
        stack.callback(process.wait)
        stack.enter_context(contextlib.suppress(BrokenPipeError))
        with process.stdin:
            yield Terminal(width, colours, process.stdin, encoding)


def show_table(repo: Repository, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    """One table, through the pager."""
    with opened(repo) as seen:
        seen.print(lines(columns, rows, seen.width, colours=seen.colours))


def has_colours(environ: Mapping[str, str], color_ui: str | None = None) -> bool:
    """NO_COLOR (https://no-color.org), TERM and git's `color.ui` can each say no."""
    if environ.get("NO_COLOR") or environ.get("TERM", "dumb") in ("", "dumb"):
        return False
    return (color_ui or "auto").lower() not in ("never", "false", "no", "off", "0")


def pager(environ: Mapping[str, str], repo: Repository | None) -> str | None:
    """The command line of the pager, for a shell; None if there is to be none."""
    if environ.get("TERM", "dumb") in ("", "dumb"):
        return None
    own = _own(repo, "pager.relay")
    if own is not None and _BOOLEANS.get(own.lower(), True) is False:
        return None
    given = own if own is not None and own.lower() not in _BOOLEANS else None
    for choice in (environ.get("GIT_PAGER"), given, _own(repo, "core.pager"), environ.get("PAGER")):
        if choice is not None:
            return None if choice.strip() in ("", "cat") else choice
    return "less" if shutil.which("less") else None


def _own(repo: Repository | None, name: str) -> str | None:
    return None if repo is None else repo.users_setting(name)


def _started(command: str) -> subprocess.Popen[bytes] | None:
    """The pager, run by a shell as git does; None if it does not start."""
    env = {**_PAGER_ENVIRONMENT, **os.environ, "GIT_PAGER_IN_USE": "true"}
    try:
        return subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, env=env)
    except OSError:
        return None


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """While the pager is there, Ctrl-C is its key and not our end."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
