"""An unexpected exception: one line for the person, and a log file with what a maintainer needs."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gitrelay import __version__

if TYPE_CHECKING:
    from gitrelay.redact import Redactor


def report_bug(error: BaseException, args: Sequence[str]) -> tuple[str, str]:
    """(message, hint); the log names versions, the verb's words without the task, and the traceback."""
    shown = [a if a.startswith("-") or i == 0 else "..." for i, a in enumerate(args)]
    text = (
        f"gitrelay {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"words: {' '.join(shown)}\nfolder: {_folder()!r}\n\n" + "".join(traceback.format_exception(error))
    )
    redactor = _redactor()
    text = redactor.redact(text).text
    message = redactor.redact(f"unexpected {type(error).__name__}: {error}").text
    try:
        fd, path = tempfile.mkstemp(prefix="git-relay-", suffix=".log")
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as f:
            f.write(text)
    except OSError:
        sys.stderr.write(text)
        return message, "this is a bug; the traceback is above"
    return message, f"this is a bug; please report it with {path}"


def _redactor() -> Redactor:
    """With the user's own patterns if they can be read."""
    from gitrelay.redact import Redactor

    with contextlib.suppress(Exception):
        from pathlib import Path

        from gitrelay.ledger.ledger import open_ledger

        return open_ledger(Path.cwd()).redactor
    return Redactor()


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError as e:
        return f"gone: {e.strerror}"
