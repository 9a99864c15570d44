"""Three trees of the user's files merged path by path, without an index."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.ground.value import dataclass

LINK: Final = "160000"  # the mode of a submodule's or another repository's commit
_RAW: Final = re.compile(rb":([0-7]{6}) ([0-7]{6}) ([0-9a-f]+) ([0-9a-f]+) [A-Z][0-9]*\0([^\0]*)\0")

Entry = tuple[str, str]  # mode, object id


@dataclass(frozen=True)
class Difference:
    """A path that differs between two trees; None on the side on which it is not there."""

    before: Entry | None
    after: Entry | None


@dataclass(frozen=True)
class Merged:
    """What a merge changes on our side, path -> entry or None; the paths in conflict; what is no file's content.

    `sides`: path in conflict -> what it is in base, ours and theirs.
    """

    changes: dict[bytes, Entry | None] = field(default_factory=dict)
    conflicts: list[bytes] = field(default_factory=list)
    links: dict[bytes, Difference] = field(default_factory=dict)
    sides: dict[bytes, tuple[Entry | None, Entry | None, Entry | None]] = field(default_factory=dict)


def differences(repo: Repository, before: str, after: str) -> dict[bytes, Difference]:
    """path -> what differs between two trees; no renames, submodules as their commits."""
    out = repo.run("diff-tree", "-r", "--raw", "-z", "--no-abbrev", "--no-renames", before, after, users=True)
    return {m[5]: Difference(_entry(m[1], m[3]), _entry(m[2], m[4])) for m in _RAW.finditer(out)}


def _entry(mode: bytes, oid: bytes) -> Entry | None:
    return (mode.decode(), oid.decode()) if mode.strip(b"0") else None


def merge(repo: Repository, folder: Path, base: str, ours: str, theirs: str) -> Merged:
    """What `theirs` changed since `base`, brought to `ours`. Files of the merge are made in `folder`."""
    wanted, here = differences(repo, base, theirs), differences(repo, base, ours)
    merged = Merged()
    for path, one in wanted.items():
        own = here.get(path)
        if any(entry is not None and entry[0] == LINK for entry in (one.before, one.after)):
            merged.links[path] = one
        elif own is None:
            merged.changes[path] = one.after
        elif own.after != one.after:
            oid = _merged_file(repo, folder, one.before, own.after, one.after)
            if oid is None:
                merged.conflicts.append(path)
                merged.sides[path] = (one.before, own.after, one.after)
            else:
                merged.changes[path] = oid
    blocked = _blocked(merged.changes, here)
    return Merged(merged.changes, sorted({*merged.conflicts, *blocked}), merged.links, merged.sides)


def _blocked(changes: Mapping[bytes, Entry | None], here: Mapping[bytes, Difference]) -> set[bytes]:
    """The paths that would be a file where ours has made a folder, or below what ours has made a file."""
    ours = {path for path, one in here.items() if one.after is not None and changes.get(path, one.after) is not None}
    theirs = {path for path, entry in changes.items() if entry is not None}
    found = set()
    for these, those in ((ours, theirs), (theirs, ours)):
        for path in these:
            parts = path.split(b"/")
            found |= {above for n in range(1, len(parts)) if (above := b"/".join(parts[:n])) in those}
    return found


def _merged_file(
    repo: Repository, folder: Path, base: Entry | None, ours: Entry | None, theirs: Entry | None
) -> Entry | None:
    """The entry that merges three versions of a file line by line, None on a conflict."""
    return _merged_lines(repo, folder, (base, ours, theirs), [])


def with_markers(
    repo: Repository, folder: Path, sides: tuple[Entry | None, Entry | None, Entry | None], names: tuple[str, str]
) -> Entry | None:
    """The same with conflict markers that call our side and theirs by `names`; None of what is no text on all sides."""
    return _merged_lines(repo, folder, sides, ["-L", names[0], "-L", "base", "-L", names[1]])


def _merged_lines(
    repo: Repository, folder: Path, sides: tuple[Entry | None, Entry | None, Entry | None], marked: list[str]
) -> Entry | None:
    base, ours, theirs = sides
    if base is None or ours is None or theirs is None:
        return None
    if not all(entry[0].startswith("100") for entry in (base, ours, theirs)):
        return None
    mode = theirs[0] if ours[0] == base[0] else ours[0]
    names = []
    blobs = repo.objects([ours[1], base[1], theirs[1]])
    for name, blob in zip(("ours", "base", "theirs"), blobs, strict=True):
        if blob is None or blob.kind != "blob" or b"\0" in blob.data:
            return None
        (folder / name).write_bytes(blob.data)
        names.append(str(folder / name))
    try:
        ok = range(128) if marked else (0,)  # how many conflicts there are
        merged = repo.run("merge-file", "--stdout", "--quiet", *marked, *names, users=True, ok=ok)
    except GitError:
        return None
    (folder / "merged").write_bytes(merged)
    return mode, repo.write_blob(folder / "merged", merged)


def entries(repo: Repository, tree: str, paths: Iterable[bytes]) -> Iterator[tuple[bytes, Entry]]:
    """(path, entry) of those `paths` that are files in `tree`."""
    names = [os.fsdecode(path) for path in paths]
    for at in range(0, len(names), 500):
        out = repo.run("ls-tree", "-z", "--full-tree", tree, "--", *names[at : at + 500], users=True)
        for line in out.split(b"\0")[:-1]:
            head, _, path = line.partition(b"\t")
            mode, kind, oid = head.decode().split(" ")
            if kind != "tree":
                yield path, (mode, oid)
