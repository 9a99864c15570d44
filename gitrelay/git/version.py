"""Whether git is new enough, without asking it every time: what a program said is kept while its file is the same.

The file is in the repository, `relay/git.json`, and who writes there anyway writes it: reads never write. It holds
the version for one program, told by path, modification time and size. What else it holds counts as nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Final

from gitrelay.errors import CannotRecord, Code
from gitrelay.git import run

MINIMUM: Final = (2, 30)
FILE: Final = "git.json"
_BYTES: Final = 4096  # of the file; a path may be long
_FORMAT: Final = 1
_news: list[bytes] = []  # what the file should hold, if git had to be asked


def require(folder: Path | None = None) -> None:
    """Raise CannotRecord if git is too old; `folder` is where FILE may be."""
    same = _program()
    found = _kept(folder / FILE, same) if folder is not None and same else None
    if found is None or found < MINIMUM:
        found = run.version()
        if same:
            _news[:] = [json.dumps({"version": _FORMAT, "program": same, "git": found}).encode()]
    if found < MINIMUM:
        wanted, have = (".".join(map(str, v)) for v in (MINIMUM, found))
        raise CannotRecord(f"git {have} is too old", hint=f"install git {wanted} or newer", code=Code.GIT_TOO_OLD)


def news() -> bytes | None:
    """What FILE should hold, None if it holds that already; told once."""
    return _news.pop() if _news else None


def _program() -> list[str | int]:
    """What tells the program from another one, or from itself after an update; empty if there is none."""
    path = shutil.which(run.program())
    if path is None or not os.path.isabs(path):
        return []
    try:
        real = os.path.realpath(path)
        info = os.stat(real)
    except OSError:
        return []
    return [real, info.st_mtime_ns, info.st_size]


def _kept(file: Path, same: list[str | int]) -> tuple[int, ...] | None:
    """The version that `file` has for the program `same`; None if it has none, whatever it is."""
    try:
        fd = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(fd, "rb") as f:
            value = json.loads(f.read(_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("version") != _FORMAT or value.get("program") != same:
        return None
    found = value.get("git")
    if not isinstance(found, list) or not 1 < len(found) < 9 or any(type(number) is not int for number in found):
        return None
    return tuple(found)
