"""Loaded by every Python process with this folder on PYTHONPATH: ends gitrelay at the N-th write it is about to make.

With FAULT_INTERRUPT it interrupts it at a chosen call instead; with FAULT_CLOCK its clock is another.

What only reads is no point of its own: an abort there leaves what an abort at the next write leaves.
FAULT_ROLE says which process (`caller` or `supervisor`), FAULT_AT the number of the write (0: none, only count),
FAULT_ROOT the folder below which a write to a file counts, FAULT_LOG where each point is noted. An audit hook sees
every operation of the interpreter before it happens, so no product code has to know of this. The supervisor may be a
fork of the caller, and then has this from it.
"""

from __future__ import annotations

import atexit
import collections
import itertools
import json
import os
import shutil  # noqa: F401 - before os.unlink and the like are used by name
import signal
import sys
import types

_MAKES = os.O_CREAT | os.O_TRUNC
_READING = {"version", "rev-parse", "config", "cat-file", "status", "log", "for-each-ref", "ls-files", "diff"}
_FILES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.truncate"}
_EVENTS = {"open", "os.fork", "subprocess.Popen", *_FILES}


_FIRST = os.getpid()


def _role() -> str:
    """A fork of the caller that has loaded the supervisor is one."""
    words = sys.orig_argv
    if "gitrelay.supervisor" in words:
        return "supervisor"
    if "gitrelay" not in words:
        return ""
    return "supervisor" if os.getpid() != _FIRST and "gitrelay.supervisor" in sys.modules else "caller"


def _verb(words: list[str]) -> str:
    """The git command behind git's own options."""
    rest = iter(words[1:])
    for word in rest:
        if word in ("-c", "-C"):
            next(rest, None)
        else:
            return word
    return ""


def _install(role: str, at: int, root: str, log: str) -> None:
    numbers = itertools.count(1)

    def note(text: bytes) -> None:
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)  # a fork closes what it inherits
        os.write(fd, text)
        os.close(fd)

    def point(event: str, args: tuple[object, ...]) -> str:
        """What is about to be written, its git command or operation first; empty if nothing is."""
        if event == "subprocess.Popen":
            words = args[1]
            assert isinstance(words, list | tuple)
            named = [str(word) for word in words]
            verb = _verb(named) if named[0].endswith("git") else "process"
            return "" if verb in _READING else f"{verb}: {' '.join(named)}"
        if event == "os.fork":
            return "fork: "
        if event == "open":
            path, _, flags = args
            makes = isinstance(flags, int) and flags & _MAKES and str(path).startswith(root)
            return f"open: {path}" if makes else ""
        if event == "os.mkdir" and os.path.exists(str(args[0])):
            return ""
        if event in _FILES:
            # inside rmtree names are relative to a folder's descriptor
            return f"{event}: {args}" if str(args[0]).startswith(root) or not os.path.isabs(str(args[0])) else ""
        return ""

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event not in _EVENTS or _role() != role:
            return
        what = point(event, args)
        if what:
            number = next(numbers)
            note(f"{number} {what}\n".encode())
            if number == at:
                note(b"ABORT\n")
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if os.environ.get("FAULT_ROLE") and _role():
    _install(os.environ["FAULT_ROLE"], int(os.environ["FAULT_AT"]), os.environ["FAULT_ROOT"], os.environ["FAULT_LOG"])


def _move_clock(seconds: float) -> None:
    """The wall clock of this process, not the monotonic one, goes `seconds` ahead (negative: behind)."""
    import datetime
    import time

    real = time.time
    time.time = lambda: real() + seconds

    class Moved(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Moved:
            return super().now(tz) + datetime.timedelta(seconds=seconds)

    datetime.datetime = Moved  # type: ignore[misc]


if os.environ.get("FAULT_CLOCK") and _role():
    _move_clock(float(os.environ["FAULT_CLOCK"]))


def _interrupt(name: str, number: int, log: str) -> None:
    """Ctrl-C at the `number`-th call of a function `name`, or of any function if that is empty, in the main thread.

    Calls are counted from where gitrelay's own code begins to where it ignores Ctrl-C because its work is done. The
    log then says how many there were of each name, and where the signal came.
    """
    counts: collections.Counter[str] = collections.Counter()
    begun = False

    def write(where: str) -> None:
        with open(log, "w", encoding="utf-8") as f:
            json.dump({"where": where, "counts": counts}, f)

    def trace(frame: types.FrameType, event: str, arg: object) -> None:
        nonlocal begun
        if not begun:
            begun = frame.f_back is not None and frame.f_back.f_code.co_filename.endswith("gitrelay/__main__.py")
        code = frame.f_code
        if not begun or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            return
        counts[code.co_name] += 1
        counts[""] += 1
        if counts[name] == number and name in ("", code.co_name):
            sys.settrace(None)
            write(f"{code.co_filename}:{code.co_name}")
            os.kill(os.getpid(), signal.SIGINT)

    if not number:
        atexit.register(write, "")
    os.register_at_fork(after_in_child=lambda: sys.settrace(None))
    sys.settrace(trace)


if os.environ.get("FAULT_INTERRUPT") and _role() == "caller":
    _name, _, _number = os.environ["FAULT_INTERRUPT"].rpartition(":")
    _interrupt(_name, int(_number), os.environ["FAULT_LOG"])
