"""Whether read access was kept: the working tree and the repository, compared before and after a call.

What a CLI's read-only mode promises is not taken on trust. Compared are every file of the working tree, ignored
and untracked ones too, by what lstat(2) says of it (a change of content moves ctime, whatever happens to mtime),
what the index holds, HEAD, the refs, the configuration and the hooks. Left out is what changes by itself: relay's
own refs and worktrees, and remote-tracking refs, which editors fetch in the background. The cost is one walk
of the tree, as `git status` makes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gitrelay.errors import RelayError
from gitrelay.git.repository import Repository
from gitrelay.ledger.worktree import FOLDER

_FILES_MAX: Final = 2_000_000  # beyond this the walk would take minutes and gigabytes
_NAMED_MAX: Final = 20
_OWN_REFS: Final = ("refs/heads/relay/", "refs/relay/", "refs/remotes/", "refs/prefetch/")


@dataclass(frozen=True)
class Print:
    """What a repository looked like. `files`: path -> what lstat says; `parts`: a name for people -> a digest."""

    files: Mapping[str, tuple[int, ...]]
    parts: Mapping[str, str] = field(default_factory=dict)


def take(repo: Repository) -> Print | None:
    """The state now, None where it cannot be told."""
    if repo.top is None:
        return None
    try:
        files = dict(_walk(repo.top))
        parts = {
            "the index": _digest(repo.index_listing()),
            "HEAD": _digest(repo.head(repo.git_dir, repo.top).encode("utf-8", "surrogateescape")),
            "the refs": _digest(repo.refs_listing(_OWN_REFS)),
        }
        for name in ("config", "config.worktree"):
            for folder in {repo.common_dir, repo.git_dir}:
                parts[f"{_short(repo, folder)}/{name}"] = _digest(_read(folder / name))
        for path, info in _walk(repo.common_dir / "hooks"):
            parts[f".git/hooks/{path}"] = repr(info)
    except (OSError, RelayError, OverflowError):
        return None
    return Print(files, parts)


def differences(before: Print, after: Print) -> list[str]:
    """What differs, in words a person knows, at most a handful: `changed src/a.py`, `new b.txt`, `the index`."""
    found = []
    for path in sorted(before.files.keys() | after.files.keys()):
        old, new = before.files.get(path), after.files.get(path)
        if old != new:
            found.append(f"{'new' if old is None else 'deleted' if new is None else 'changed'} {path}")
    for name in sorted(before.parts.keys() | after.parts.keys()):
        if before.parts.get(name) != after.parts.get(name):
            found.append(name)
    return found if len(found) <= _NAMED_MAX else [*found[:_NAMED_MAX], f"{len(found) - _NAMED_MAX} more"]


def _walk(top: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(path below `top`, what lstat says) of everything but .git folders and relay's own folder."""
    count = 0
    waiting = [""]
    root = str(top)
    while waiting:
        folder = waiting.pop()
        try:
            entries = os.scandir(os.path.join(root, folder) if folder else root)
        except FileNotFoundError:
            continue
        with entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.name == ".git" or path == FOLDER:
                    continue
                info = entry.stat(follow_symlinks=False)
                count += 1
                if count > _FILES_MAX:
                    raise OverflowError
                if stat.S_ISDIR(info.st_mode):
                    waiting.append(path)
                    yield path + "/", (info.st_mode,)
                else:
                    yield path, (info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _short(repo: Repository, folder: Path) -> str:
    return ".git" if folder == repo.common_dir else f".git/worktrees/{folder.name}"
