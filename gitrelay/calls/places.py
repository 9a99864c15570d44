"""A walk over the files of a repository that outlive a call: working trees, and what git folders say.

A file is told by what lstat(2) says of it: a change of content moves its ctime, whatever happens to its mtime.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Final

from gitrelay.ledger.worktree import FOLDER

Look = tuple[int, ...]
_look_of: Final[Callable[[os.stat_result], Look]] = attrgetter(
    "st_mode", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino"
)
_KIND: Final = 0o170000  # the bits of a mode that say whether it is a file, a folder or a link
_LEFT_OUT: Final = (".git", FOLDER)  # of a working tree
_FILES_MAX: Final = 2_000_000  # beyond this the walk would take minutes and gigabytes
# in every git folder: what git rewrites for one who only reads, and what other programs keep there for themselves
_BY_THEMSELVES: Final = frozenset(
    {"index", "FETCH_HEAD", "gc.pid", "gc.log", "fsmonitor--daemon", "fsmonitor--daemon.ipc", "lfs", "opencode"}
)
# in the main one: what git is asked for, and gitrelay's own
_ASKED: Final = frozenset({"config", "config.worktree", "refs", "packed-refs", "reftable", "relay", "worktrees"})
_OWN: Final = frozenset({"logs/refs/heads/relay", "logs/refs/relay", "info/refs"})
_BORROWED: Final = ("alternates", "http-alternates")  # in objects/info


class Walk:
    """A walk over folders that counts. Raises OverflowError past `_FILES_MAX` files, OSError if one cannot be read."""

    def __init__(self) -> None:
        self._count = 0

    def tree(self, top: Path, prefix: str = "", *, apart: Container[Path] = ()) -> Iterator[tuple[str, Look]]:
        """Every file and folder of a working tree, and the git folders of repositories in it; not gitrelay's own.

        The folders `apart` are left out.
        """
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            entries = _entries(top / folder)
            self._add(len(entries))
            base = prefix + folder
            for entry in entries:  # in a tree of 50,000 files what is done for each file is most of the comparison
                look = _look_of(entry.stat(follow_symlinks=False))
                if look[0] & _KIND != stat.S_IFDIR:
                    if folder or entry.name not in _LEFT_OUT:
                        yield base + entry.name, look
                    continue
                path = folder + entry.name
                if path in _LEFT_OUT:
                    continue
                yield f"{prefix}{path}/", look[:1]
                if entry.name == ".git":
                    yield from self.git_folder(top / path, f"{prefix}{path}/")
                elif not apart or top / path not in apart:
                    waiting.append(path + "/")

    def git_folder(self, root: Path, prefix: str, *, main: bool = False) -> Iterator[tuple[str, Look]]:
        """What a git folder says, and those of submodules in it; git itself tells the rest of the `main` one."""
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            entries = _entries(root / folder)
            is_git = not folder or {"HEAD", "objects"} <= {entry.name for entry in entries}
            for entry in entries:
                path = folder + entry.name
                if path in _OWN or entry.name.endswith(".lock") or entry.name.startswith("sharedindex."):
                    continue
                if is_git and (entry.name in _BY_THEMSELVES or (main and not folder and entry.name in _ASKED)):
                    continue
                look = self._look(entry)
                if not stat.S_ISDIR(look[0]):
                    yield prefix + path, look
                elif is_git and entry.name == "objects":
                    yield from self._borrowed(root / path / "info", f"{prefix}{path}/info/")
                else:
                    waiting.append(path + "/")

    def _borrowed(self, folder: Path, prefix: str) -> Iterator[tuple[str, Look]]:
        for entry in _entries(folder):
            if entry.name in _BORROWED:
                yield prefix + entry.name, self._look(entry)

    def _look(self, entry: os.DirEntry[str]) -> Look:
        self._add(1)
        return _look_of(entry.stat(follow_symlinks=False))

    def _add(self, count: int) -> None:
        self._count += count
        if self._count > _FILES_MAX:
            raise OverflowError(f"more than {_FILES_MAX} files")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing if there is none, as it may be removed meanwhile."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
