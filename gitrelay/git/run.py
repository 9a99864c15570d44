"""Runs one git process. The only module that imports GitPython, and only the part of it that starts git."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from gitrelay.errors import CannotRecord, Code
from gitrelay.git.faults import Hangs
from gitrelay.ground.text import quote

if TYPE_CHECKING:
    from git.cmd import Git

LIMIT: Final = 900.0  # seconds; the slowest that was seen is a first look at the files of a very large repository
_PACKAGES: Final = ("git", "gitdb")
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
    settings = [word for setting in SETTINGS + (() if users else MESSAGE_SETTINGS) for word in ("-c", setting)]
    own = _ENVIRONMENT | ({} if users else _MESSAGE_ENVIRONMENT) | dict(env or {})
    return _run(["-C", str(place), *settings, *args], args, stdin, own, limit)


def _run(
    words: Sequence[str], args: Sequence[str], stdin: bytes, env: Mapping[str, str], limit: float
) -> tuple[int, bytes, str]:
    git = _git()()
    # GitPython takes stdin from a real file only; in a read-only sandbox there is no place for a temporary one
    with tempfile.TemporaryFile() if stdin else open(os.devnull, "rb") as source:
        if stdin:
            source.write(stdin)
            source.seek(0)
        try:
            started = git.execute([program(), *words], istream=source, as_process=True, env=env, shell=False)
        except Exception as e:  # GitPython's own error, which the system's has caused
            if not isinstance(e.__cause__ or e, FileNotFoundError | PermissionError):
                raise
            raise CannotRecord(
                "git is not installed, or not on PATH", hint="install git 2.30 or newer", code=Code.NO_GIT
            ) from e
        process = started.proc
        assert process is not None
        try:
            out, err = _heard(process, limit)
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


def _heard(process: subprocess.Popen[bytes], limit: float) -> tuple[bytes, bytes]:
    """As `communicate`, which with a limit sleeps 1 ms and more until it looks whether a program has ended.

    Raises TimeoutExpired.
    """
    assert process.stdout is not None and process.stderr is not None
    by_fd: dict[int, list[bytes]] = {process.stdout.fileno(): [], process.stderr.fileno(): []}
    out, err = by_fd.values()
    end = time.monotonic() + limit
    with contextlib.ExitStack() as stack:
        waiting = select.poll()
        left = set(by_fd)
        if hasattr(os, "pidfd_open"):  # readable as soon as the program has ended
            with contextlib.suppress(OSError):
                ended = os.pidfd_open(process.pid)
                stack.callback(os.close, ended)
                left.add(ended)
        for fd in left:
            waiting.register(fd, select.POLLIN)
        while left:
            found = waiting.poll(max(0.0, end - time.monotonic()) * 1000)
            if not found:
                raise subprocess.TimeoutExpired(process.args, limit)
            for fd, _ in found:
                data = os.read(fd, 1 << 16) if fd in by_fd else b""
                if data:
                    by_fd[fd].append(data)
                else:
                    left.discard(fd)
                    waiting.unregister(fd)
    process.wait(timeout=max(0.0, end - time.monotonic()))
    return b"".join(out), b"".join(err)


def program() -> str:
    """What git is started as: looked up on PATH unless GitPython's variable names another program."""
    return os.environ.get("GIT_PYTHON_GIT_EXECUTABLE") or "git"


@functools.cache
def _git() -> type[Git]:
    """GitPython's class that runs git, without the rest of GitPython if that can be had.

    `import git` loads its object database, its index and its configuration parser too, 100 modules, and starts
    `git version` twice: half of what a read verb cost. Empty modules take the place of the packages `git` and `gitdb`
    while `git.cmd` is loaded. If that fails, GitPython is laid out in another way than it was, and all is loaded.
    """
    if not any(name in sys.modules for name in _PACKAGES):
        before = set(sys.modules)
        try:
            return _alone("git.cmd").Git  # type: ignore[no-any-return]
        except Exception:
            for name in set(sys.modules) - before:
                if name.partition(".")[0] in _PACKAGES:
                    del sys.modules[name]
        finally:
            for name in _PACKAGES:  # who imports one of them later gets the real one
                if getattr(sys.modules.get(name), "__file__", None) is None:
                    sys.modules.pop(name, None)
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # a git that is not there is reported when it is started
    from git.cmd import Git

    return Git


def _alone(module: str) -> ModuleType:
    for name in _PACKAGES:
        spec = PathFinder.find_spec(name)
        if spec is None or spec.submodule_search_locations is None:
            raise ImportError(f"{name} is no package")
        package = ModuleType(name)
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules[name] = package
    return importlib.import_module(module)


def version() -> tuple[int, ...]:
    """What `git version` says. Raises CannotRecord if there is no git."""
    out = _run(["version"], ["version"], b"", _ENVIRONMENT, LIMIT)[1].decode("utf-8", "replace").strip()
    found = re.match(r"git version (\d+(?:\.\d+)*)", out)
    if found is None:
        raise CannotRecord(
            f"{quote(program())} is no git: as its version it says {quote(out[:80])}",
            hint="install git 2.30 or newer",
            code=Code.NO_GIT,
        )
    return tuple(int(number) for number in found[1].split("."))
