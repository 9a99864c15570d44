"""Runs one git process. The only module that imports GitPython."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gitrelay.errors import CannotRecord, Code
from gitrelay.git.faults import Hangs

if TYPE_CHECKING:
    from git import Git


LIMIT: Final = 900.0  # seconds; the slowest that was seen is a first look at the files of a very large repository
MINIMUM: Final = (2, 30)
SETTINGS: Final = (
    "core.hooksPath=/dev/null",  # --no-verify still runs post-commit, post-checkout and reference-transaction
    "core.fsmonitor=false",  # may name a program
    "core.quotePath=false",
    "core.logAllRefUpdates=true",
    "core.fsync=committed,loose-object",  # the default syncs refs but not the loose objects they name
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "gc.auto=0",
    "maintenance.auto=false",
    "log.showSignature=false",
    "color.ui=false",
    "trailer.separators=:",  # or git reads no trailer of ours
    "core.commentChar=#",  # "R" would make every trailer a comment
)
# for messages; a question about the user's own files (`users=True`) is asked with the user's own conversions
MESSAGE_SETTINGS: Final = (
    "core.autocrlf=false",  # a message is stored and checked out byte for byte
    "core.eol=lf",
    "core.attributesFile=/dev/null",  # a filter there would change a message, and is a program
    "core.sparseCheckout=false",  # the session's worktree is whole in a sparse checkout too
)
_ENVIRONMENT: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",  # `git status` must not rewrite the user's index
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_FLUSH": "0",  # or 'git log' writes to a pipe commit by commit, and each is a read of ours
}
_MESSAGE_ENVIRONMENT: Final = {"GIT_ATTR_NOSYSTEM": "1"}


def execute(
    place: Path,
    args: Sequence[str],
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    *,
    users: bool = False,
    limit: float = LIMIT,
) -> tuple[int, bytes, str]:
    """(status, stdout, stderr) of one git process. Raises Hangs if it has not ended after `limit` seconds.

    It is ended then, with the programs that it has started: a filter, or one that signs.
    """
    git = _git()
    settings = [word for setting in SETTINGS + (() if users else MESSAGE_SETTINGS) for word in ("-c", setting)]
    command = [git.GIT_PYTHON_GIT_EXECUTABLE, "-C", str(place), *settings, *args]
    # GitPython takes stdin from a real file only; in a read-only sandbox there is no place for a temporary one
    with tempfile.TemporaryFile() if stdin else open(os.devnull, "rb") as source:
        if stdin:
            source.write(stdin)
            source.seek(0)
        started = git.execute(
            command,
            istream=source,
            as_process=True,
            env=_ENVIRONMENT | ({} if users else _MESSAGE_ENVIRONMENT) | dict(env or {}),
            shell=False,
        )
        process = started.proc
        assert process is not None
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            from gitrelay.process import kill

            kill.end_family(process.pid)
            process.wait()
            raise Hangs(args, limit) from None
        finally:
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
    if process.returncode == -signal.SIGINT:
        raise KeyboardInterrupt
    return process.returncode, out, err.decode("utf-8", "replace").removesuffix("\n")


def _git() -> Git:
    try:
        from git import Git
    except ImportError as e:
        raise CannotRecord(
            "git is not installed, or not on PATH", hint="install git 2.30 or newer", code=Code.NO_GIT
        ) from e
    return Git()


def version() -> tuple[int, ...]:
    return _git().version_info


def require_version() -> None:
    found = version()
    if found < MINIMUM:
        wanted, have = (".".join(map(str, v)) for v in (MINIMUM, found))
        raise CannotRecord(f"git {have} is too old", hint=f"install git {wanted} or newer", code=Code.GIT_TOO_OLD)
