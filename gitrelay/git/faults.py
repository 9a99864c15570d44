"""git's failures, told apart by its words."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gitrelay.errors import INTEGRITY, Busy, CannotRecord, Code, RelayError
from gitrelay.ground.text import quote_path

BRING_BACK: Final = (  # the hint for every object that is damaged or gone
    "'git fsck' lists what is damaged; bring it back from a clone or a backup; other sessions still work"
)
# (words in git's stderr, what it means, what to do); git forces LC_ALL=C
_FAULTS: Final = (
    ("No space left on device", "the disk is full", "free some space; nothing was recorded"),
    ("File too large", "a file-size limit was reached", "raise the limit (ulimit -f); nothing was recorded"),
    ("Disk quota exceeded", "the disk quota is used up", "free some space; nothing was recorded"),
    (
        "Read-only file system",
        "the git folder is read-only",
        "run this where .git can be written: outside the sandbox, or after remounting",
    ),
    ("Permission denied", "the git folder cannot be written", "check who owns .git; nothing was recorded"),
    (
        "insufficient permission",
        "the git folder cannot be written",
        "check who owns .git; nothing was recorded",
    ),
)
# git's words, 2.30 to 2.50, for an object that is not there or is not what its name says; compiled when git fails
_DAMAGE: Final = (
    r"is corrupt|bad object|missing object|unable to read|could not (read|parse)|unable to (unpack|parse)|"
    r"inflate:|object file .* is empty|hash mismatch|bad tree|garbage at end of loose object|broken ref|"
    r"not a valid object|is unavailable|cannot read existing object"
)


class GitError(RelayError):
    """git ended with an unexpected status. `stderr` is its own words."""

    code = Code.GIT

    def __init__(self, command: Sequence[str], status: int, stderr: str) -> None:
        last = (stderr.strip().splitlines() or ["no message"])[-1].removeprefix("fatal: ").removeprefix("error: ")
        super().__init__(f"git {command[0] if command else ''} failed ({status}): {last}")
        self.status = status
        self.stderr = stderr


class Hangs(CannotRecord):
    """A git process that did not end in time, because of a program that it runs. `limit` is in seconds."""

    code = Code.GIT_HANGS

    def __init__(self, args: Sequence[str], limit: float) -> None:
        super().__init__(
            f"git {args[0] if args else ''} did not end within {limit:g} s and was ended",
            hint="a filter, a signing program or the disk did not answer; try that git command by hand",
        )
        self.limit = limit


class Damaged(GitError):
    """An object or a ref that git cannot read."""

    exit_code = INTEGRITY
    code = Code.DAMAGED

    def __init__(self, command: Sequence[str], status: int, stderr: str, line: str) -> None:
        super().__init__(command, status, stderr)
        self.message = f"the repository is damaged: {line}"
        self.hint = (
            "'git fsck' lists what is damaged; bring it back from a clone or a backup; other sessions still work"
        )


def last_line(stderr: str) -> str:
    lines = [line for line in stderr.strip().splitlines() if not line.startswith("hint:")]
    return lines[-1].removeprefix("fatal: ").removeprefix("error: ") if lines else "no message"


def classified(args: Sequence[str], status: int, stderr: str) -> RelayError:
    for words, meaning, hint in _FAULTS:
        if words in stderr:
            line = next(line for line in stderr.splitlines() if words in line)
            return CannotRecord(f"{meaning}: {last_line(line)}", hint=hint)
    if status == -getattr(signal, "SIGXFSZ", 0):
        return CannotRecord(f"a file-size limit was reached by git {args[0]}", hint="raise it (ulimit -f)")
    held = re.search(r"Unable to create '([^'\n]+\.lock)': File exists", stderr)
    if held:  # a git that was killed leaves its lock file behind
        return Busy(
            f"another git process holds {quote_path(Path(held[1]))}",
            hint="wait for it; if no git runs, one was killed: remove that file",
            code=Code.GIT_LOCKED,
        )
    for line in stderr.splitlines():
        if re.search(_DAMAGE, line, re.IGNORECASE):
            return Damaged(args, status, stderr, last_line(line))
    return GitError(args, status, stderr)
