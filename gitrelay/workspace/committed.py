"""The files of one commit, for a workspace that holds nothing else: the bytes that git has, no filter run.

The index says of each file that it is clean. git has looked at every path before (`read-tree` refuses `..` and `.git`),
and the folders are made here one by one, so that no link of the commit leads anywhere.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from gitrelay.errors import CannotRecord, Code
from gitrelay.git.repository import Repository
from gitrelay.ground.value import dataclass
from gitrelay.workspace import index
from gitrelay.workspace.borrow import lent_refs
from gitrelay.workspace.looking import Facts

_MOST: Final = 1000  # files that are read by one git process
_BYTES: Final = 64_000_000
_LINK, _MODULE, _PROGRAM = "120000", "160000", "100755"


@dataclass(frozen=True)
class _Entry:
    mode: str
    oid: str
    size: int
    name: bytes


def facts_at(facts: Facts, commit: str) -> Facts:
    """What is known of the repository, with HEAD at `commit`: on the caller's branch, or one that is there, if any."""
    if facts.head_commit == commit:
        return facts
    heads = (ref.name for ref in lent_refs(facts) if ref.name.startswith("refs/heads/") and ref.oid == commit)
    name = next(heads, None)
    return replace(facts, head=f"ref: {name}" if name else commit)


def tree_of(repo: Repository, commit: str) -> str:
    """Raises CannotRecord if this clone does not have it."""
    (tree,) = repo.objects([f"{commit}^{{tree}}"])
    if tree is None:
        raise CannotRecord(f"the files of {commit[:12]} are not in this clone", hint="git fetch", code=Code.NO_TREE)
    return tree.oid


def fill(repo: Repository, target: Path, commit: str) -> tuple[list[bytes], dict[bytes, str]]:
    """Write the files of `commit` and the index of `target`, which has nothing but a `.git`.

    Returns (the paths, those that could not be written with the reason). Raises OSError, GitError.
    """
    mine = target / ".git/index"
    env = {"GIT_INDEX_FILE": str(mine), "GIT_INDEX_VERSION": "2"}
    repo.run("-c", "core.splitIndex=false", "read-tree", commit, env=env)
    entries = list(_entries(repo.run("ls-tree", "-r", "-l", "-z", "--full-tree", commit)))
    top = os.fsencode(target)
    folders = {top}
    stats: dict[bytes, tuple[os.stat_result, os.stat_result]] = {}
    left: dict[bytes, str] = {}
    for batch in _batches(entries):
        for entry, found in zip(batch, repo.objects([entry.oid for entry in batch]), strict=True):
            path = os.path.join(top, entry.name)
            _folder(os.path.dirname(path), folders)
            if entry.mode == _MODULE:
                os.mkdir(path)
            elif found is None:
                left[entry.name] = "its content is not in this clone"
            else:
                _write(path, entry.mode, found.data)
                seen = os.lstat(path)
                stats[entry.name] = seen, seen
    with contextlib.suppress(index.Unknown):  # git looks at each file then
        mine.write_bytes(index.restated(mine.read_bytes(), stats, repo.object_format))
    return [entry.name for entry in entries], left


def _entries(listed: bytes) -> Iterator[_Entry]:
    for line in listed.split(b"\0")[:-1]:
        head, _, name = line.partition(b"\t")
        mode, _, oid, size = head.decode().split()
        yield _Entry(mode, oid, int(size) if size.isdigit() else 0, name)


def _batches(entries: list[_Entry]) -> Iterator[list[_Entry]]:
    batch: list[_Entry] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) >= _MOST or size + entry.size > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch


def _folder(path: bytes, made: set[bytes]) -> None:
    if path not in made:
        _folder(os.path.dirname(path), made)
        os.mkdir(path)  # an error if a file or a link of the commit has the name
        made.add(path)


def _write(path: bytes, mode: str, data: bytes) -> None:
    if mode == _LINK:
        os.symlink(data, path)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    bits = 0o777 if mode == _PROGRAM else 0o666
    with open(os.open(path, flags, bits), "wb") as f:
        f.write(data)
