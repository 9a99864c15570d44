"""Work that outlives this process, in a fork of it that nothing ties to it any more.

A fork costs 3 ms where a second interpreter costs 100 ms and more: what was imported and read is there already. It is
done on Linux, and only while this process has one thread: locks that other threads hold stay held in a fork, and
macOS's own libraries do not survive one.

The fork is nobody's child, in a process session of its own. It holds no descriptor, terminal, lock or handler of
signals of this process, imports nothing from the folder it was started in, and is named for what it does.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

_IGNORED: Final = ("SIGHUP", "SIGINT", "SIGPIPE")  # ends of a terminal or a reader that are no matter of the work


def can_fork() -> bool:
    """Whether a fork of this process is safe."""
    try:
        return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def start(work: Callable[[int], int], title: Sequence[str]) -> bytes:
    """Run `work` in a process of its own, named `title`; returns the line that it writes to the descriptor it is given.

    That is empty if the process could not be made or ended before. Ctrl-C waits until then: a caller that is
    interrupted has either started the work or not. What `work` returns is the exit code, which nobody sees.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        ours, theirs = os.pipe()
        try:
            child = os.fork()
        except OSError:
            os.close(theirs)
            os.close(ours)
            return b""
        if not child:
            _become(work, title, theirs)
        os.close(theirs)
        # everything but Ctrl-C may come again; the work goes on by itself
        signal.pthread_sigmask(signal.SIG_SETMASK, before | {signal.SIGINT})
        try:
            os.waitpid(child, 0)
            return _line(ours)
        finally:
            os.close(ours)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _line(fd: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(fd, 100)
        if not data:
            break
        line += data
    return line


def _become(work: Callable[[int], int], title: Sequence[str], told: int) -> NoReturn:
    """The fork, from its first step to its end: it never returns into what its parent was doing."""
    code = 1
    try:
        os.setsid()
        name_process(title)
        if os.fork():
            os._exit(0)
        told = _let_go(told)
        code = work(told)
    except BaseException:  # there is nobody to tell
        code = 1
    finally:
        os._exit(code)


def _let_go(told: int) -> int:
    """Let go of all that was inherited but the descriptor `told`; returns it, which may have another number then."""
    sys.setprofile(None)  # an interrupt that was put off is the parent's
    sys.unraisablehook = sys.__unraisablehook__
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    gc.freeze()  # nothing of the parent's is tidied up here: its descriptors have other numbers soon
    if told < 3:  # the parent was started with a closed stdin, stdout or stderr
        import fcntl

        told = fcntl.fcntl(told, fcntl.F_DUPFD_CLOEXEC, 3)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for open_ in map(int, os.listdir("/proc/self/fd")):
        if open_ not in (0, 1, 2, told):
            with contextlib.suppress(OSError):  # the one of the listing is closed already
                os.close(open_)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(fd, mode, encoding="utf-8", errors="backslashreplace", closefd=False)
        for fd, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    with contextlib.suppress(OSError, IndexError):
        if not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()):
            del sys.path[0]
    return told


def name_process(words: Sequence[str]) -> None:
    """Show `words` as the command line of this process, as far as they find room. Never fails."""
    with contextlib.suppress(ImportError, OSError, ValueError, IndexError):
        import ctypes

        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        begin, end = int(fields[45]), int(fields[46])  # arg_start and arg_end of proc(5)
        now = Path("/proc/self/cmdline").read_bytes()
        if not begin or end - begin != len(now) or ctypes.string_at(begin, len(now)) != now:
            return  # somebody has named it already, or the numbers are not what they should be
        text = "\0".join(words).encode("utf-8", "replace")[: len(now) - 1]
        ctypes.memmove(begin, text.ljust(len(now), b"\0"), len(now))
