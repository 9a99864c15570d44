"""Whether a repository is too large to be copied for a call that nobody has asked to be isolated: `relay.isolateMax`.

The index says how many files there are and how large they were; untracked ones are not counted. What a file system
shares between copies (reflinks) costs nothing.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.workspace import index

MAX_FILES: Final = 100_000  # about 3 s of set-up
MAX_BYTES: Final = 2_000_000_000
_UNITS: Final = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}
_LIMIT: Final = re.compile(r"(?P<files>[0-9]{1,9}(?![0-9kmgb]))?\s*((?P<size>[0-9]{1,9}) ?(?P<unit>[kmg])i?b?)?")
_CLONE: Final = 0x40049409  # FICLONE, ioctl_ficlone(2)


@dataclass(frozen=True)
class Limit:
    """The most files and bytes; None for no limit."""

    files: int | None = MAX_FILES
    bytes: int | None = MAX_BYTES


def limit(repo: Repository) -> Limit:
    """`relay.isolateMax`: a number of files, a size, both, or none. Raises UsageError."""
    values = repo.config.get("relay.isolatemax")
    if not values:
        return Limit()
    text, where = values[-1]
    if text.strip().lower() == "none":
        return Limit(None, None)
    found = _LIMIT.fullmatch(text.strip().lower())
    if found is None or not (found["files"] or found["size"]):
        raise UsageError(
            f"relay.isolateMax {quote(text)} in {where} is not a number of files or a size",
            hint="as 100000, 2GB, '100000 2GB' or none",
            code=Code.BAD_CONFIG,
        )
    files = int(found["files"]) if found["files"] else MAX_FILES
    return Limit(files, int(found["size"]) * _UNITS[found["unit"]] if found["size"] else MAX_BYTES)


def excess(repo: Repository) -> str:
    """What of the repository is too much for a copy, '' if nothing is. Raises UsageError."""
    most = limit(repo)
    if most.files is None and most.bytes is None:
        return ""
    try:
        data = repo.index.read_bytes()
    except OSError:
        return ""  # no file is tracked, or the call itself will say what is wrong
    count, size = index.extent(data, repo.object_format)
    if most.files is not None and count > most.files:
        return f"more than {most.files} file{'' if most.files == 1 else 's'}"
    if most.bytes is not None and size > most.bytes and not _shares_blocks(repo):
        return f"more than {_shown(most.bytes)}"
    return ""


def _shown(size: int) -> str:
    unit = next((one for one in "gmk" if size and size % _UNITS[one] == 0), "")
    return f"{size // _UNITS[unit]} {unit.upper()}B" if unit else f"{size} bytes"


def _shares_blocks(repo: Repository) -> bool:
    """Whether a copy in the tree costs no space, tried beside the objects: nothing is written into the tree."""
    try:
        if repo.top is None or os.stat(repo.top).st_dev != os.stat(repo.common_dir).st_dev:
            return False
        with tempfile.TemporaryFile(dir=repo.common_dir) as one, tempfile.TemporaryFile(dir=repo.common_dir) as other:
            one.write(b"x" * 4096)
            one.flush()
            fcntl.ioctl(other.fileno(), _CLONE, one.fileno())
    except OSError:
        return False
    return True
