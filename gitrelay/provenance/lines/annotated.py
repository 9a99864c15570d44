"""What git says of each line of a file: the commit that brought it, and its path and number there."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.ground.value import dataclass
from gitrelay.provenance.lines.additions import unquoted

_BLOBS_MOST: Final = 48 << 20  # bytes of old versions of the file that are read to see what was around a line


@dataclass(frozen=True)
class Commit:
    """`time` is the committer's, seconds since the epoch; None for what is not committed.

    `cut`: the history of this clone ends there, so that the line may be older.
    """

    oid: str
    time: int | None
    author: str = ""
    subject: str = ""
    cut: bool = False


UNCOMMITTED: Final = Commit("", None)


class Annotated(NamedTuple):
    """A line: its bytes without the line end, its commit, and its path and number (from 1) there."""

    data: bytes
    commit: Commit
    path: bytes
    number: int


def annotated(repo: Repository, path: str, rev: str | None, limit: float | None = None) -> list[Annotated]:
    """The lines of `path` (below the top) at the commit `rev`, or of the working file if it is None.

    Raises GitError if git knows no such file there, Hangs if it takes more than `limit` seconds.
    """
    words = ["blame", "-w", "--no-textconv", "--porcelain"]
    off = ["-c", "blame.ignoreRevsFile="]
    place = ["--", path] if rev is None else [rev, "--", path]
    out = repo.run(*off, *words, *place, users=rev is None, limit=limit)
    return list(_lines(out, bool(boundary(repo))))


def uncommitted(data: bytes, path: str) -> list[Annotated]:
    """The lines of a file that no commit holds."""
    name = os.fsencode(path)
    lines = data.split(b"\n")
    if not lines[-1]:
        del lines[-1]
    return [Annotated(line.removesuffix(b"\r"), UNCOMMITTED, name, n) for n, line in enumerate(lines, 1)]


def boundary(repo: Repository) -> bytes:
    """The commits at which the history of this clone ends, as git keeps them; empty if it is whole."""
    try:
        return (repo.common_dir / "shallow").read_bytes()
    except OSError:
        return b""


def _lines(out: bytes, shallow: bool) -> Iterator[Annotated]:
    commits: dict[bytes, Commit] = {}
    paths: dict[bytes, bytes] = {}
    facts: dict[bytes, bytes] = {}
    oid, number = b"", 0
    for line in out.split(b"\n"):
        if line.startswith(b"\t"):
            if oid not in commits:
                commits[oid] = _commit(oid, facts, shallow)
            if b"filename" in facts:
                paths[oid] = unquoted(facts[b"filename"])
            yield Annotated(line[1:].removesuffix(b"\r"), commits[oid], paths.get(oid, b""), number)
            oid, facts = b"", {}
        elif not oid:
            words = line.split(b" ")
            if len(words) >= 3:
                oid, number = words[0], int(words[1])
        else:
            key, _, value = line.partition(b" ")
            facts[key] = value


def _commit(oid: bytes, facts: dict[bytes, bytes], shallow: bool) -> Commit:
    if not oid.strip(b"0"):
        return UNCOMMITTED
    time = facts.get(b"committer-time", b"")
    return Commit(
        oid.decode(),
        int(time) if time.isdigit() and len(time) <= 12 else 0,
        facts.get(b"author", b"").decode("utf-8", "replace"),
        facts.get(b"summary", b"").decode("utf-8", "replace"),
        shallow and b"boundary" in facts,
    )


def log(repo: Repository, rev: str, begin: int, paths: Collection[bytes]) -> list[tuple[int, str]]:
    """(committer's time, commit) of those that touched one of `paths` from the time `begin` on, the oldest first."""
    words = ["log", f"--since=@{begin}", "--format=%ct %H", rev, "--", *map(os.fsdecode, sorted(paths))]
    try:
        rows = repo.run(*words).split(b"\n")
    except GitError:  # there is no commit yet
        return []
    return sorted((int(time), oid.decode()) for time, _, oid in (row.partition(b" ") for row in rows) if oid)


def files_of(repo: Repository, wanted: Sequence[tuple[str, bytes]], size: int) -> dict[tuple[str, bytes], list[bytes]]:
    """(commit, path) -> the lines of the file there, by one git process; as many as are some _BLOBS_MOST bytes.

    `size` is how large one is, in bytes. What is missing or cannot be asked for is left out.
    """
    few = [one for one in wanted if b"\n" not in one[1]][: max(1, _BLOBS_MOST // max(size, 1))]
    try:
        found = repo.objects([f"{oid}:{os.fsdecode(path)}" for oid, path in few])
    except GitError:
        return {}
    return {
        one: blob.data.split(b"\n")
        for one, blob in zip(few, found, strict=True)
        if blob is not None and blob.kind == "blob"
    }
