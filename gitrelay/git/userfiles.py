"""What git says of the user's own files: asked with the user's own line ends, attributes and sparse checkout.

Nothing here writes the user's index: what needs one makes its own.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from gitrelay.git.elsewhere import Elsewhere
from gitrelay.git.faults import GitError, classified
from gitrelay.git.repository import Repository
from gitrelay.git.run import execute
from gitrelay.ground.value import dataclass

_UNREAD = re.compile(r"^warning: could not open directory '(.*?)/?': (.*)$", re.MULTILINE)

_STRICTLY = ("-c", "core.trustctime=true", "-c", "core.checkStat=default")


@dataclass(frozen=True)
class Change:
    """A file that differs between two trees. `state` is A, D, M or T; line counts are None for binary files."""

    path: str
    state: str
    added: int | None
    deleted: int | None


@dataclass(frozen=True)
class Changed:
    """A path below the top that differs from HEAD or the index, or is untracked and not ignored.

    `entry` is (mode, object id) in the index, None if it is not in there; `read`: the file is not as the index
    has it. With neither it is gone. `nested`: it is another repository.
    """

    path: bytes
    entry: tuple[str, str] | None = None
    read: bool = True
    nested: bool = False


@dataclass(frozen=True)
class Status:
    """`git status`: what has changed, the submodules with changes inside, the folders it cannot read (path -> why)."""

    changed: list[Changed]
    modules: list[bytes]
    unread: dict[bytes, str]


@dataclass(frozen=True)
class Blobs:
    """A change and what it replaces by what: object ids, all zeros if there is nothing."""

    change: Change
    before: str
    after: str


def changed(repo: Repository, index: Path | None = None) -> Status:
    """What `git status` names, in the user's index or another one."""
    # git would look into a submodule with the configuration that lies there
    submodules = "--ignore-submodules=dirty" if isinstance(repo, Elsewhere) else "--ignore-submodules=none"
    words = ("status", "--porcelain=v2", "-z", "--no-renames", "--untracked-files=all", submodules)
    # in a workspace git compares all that it can, whatever the user has told it for a tree of their own
    strictly = _STRICTLY if isinstance(repo, Elsewhere) else ()
    env = {**repo.env, **({"GIT_INDEX_FILE": str(index)} if index is not None else {})}
    status, out, err = execute(repo.place, [*strictly, *words], env=env, users=True, limit=repo.users_limit)
    if status:  # a filter that fails ends git; without filters the files that have one count as changed
        without = [*strictly, *repo.no_filters, *words]
        status, out, err = execute(repo.place, without, env=env, users=True, limit=repo.users_limit)
    if status:
        raise classified(words, status, err)
    unread = {m[1].encode("utf-8", "surrogateescape"): m[2] for m in _UNREAD.finditer(err)}
    found, modules = [], []
    for item in out.split(b"\0"):
        kind, _, rest = item.partition(b" ")
        if kind == b"1":  # XY sub mH mI mW hH hI path
            states, sub, _, mode, _, _, oid, path = rest.split(b" ", 7)
            if sub[:1] == b"S" and sub[2:] != b"..":
                modules.append(path)
            here = states[1:]
            entry = (mode.decode(), oid.decode()) if oid.strip(b"0") and here != b"D" else None
            found.append(Changed(path, entry, here not in (b".", b"D")))
        elif kind == b"u":  # XY sub m1 m2 m3 mW h1 h2 h3 path
            found.append(Changed(rest.split(b" ", 9)[9]))
        elif kind == b"?":
            found.append(Changed(rest.removesuffix(b"/"), nested=rest.endswith(b"/")))
    if isinstance(repo, Elsewhere):
        found = [one for one in found if one.path not in repo.modules]
        modules = list(repo.modules)
    return Status(found, modules, unread)


def flagged(repo: Repository) -> tuple[list[bytes], list[bytes]]:
    """The tracked paths that git is told not to look at: assumed unchanged, and to be skipped though they exist."""
    out = b"\0" + repo.run("ls-files", "-v", "-z", users=True)
    if not any(b"\0%c " % tag in out for tag in b"hsS"):
        return [], []
    lines = out.split(b"\0")
    assumed = [line[2:] for line in lines if line[:1].islower()]
    top = os.fsencode(repo.top or repo.place)
    there: dict[bytes, bool] = {b"": True}

    def exists(path: bytes) -> bool:
        if path not in there:
            there[path] = exists(path.rpartition(b"/")[0]) and os.path.lexists(os.path.join(top, path))
        return there[path]

    return assumed, [line[2:] for line in lines if line[:1] in b"sS" and line and exists(line[2:])]


def with_all(repo: Repository, folder: Path, assumed: Sequence[bytes], skipped: Sequence[bytes]) -> Path | None:
    """A copy of the index in which git looks at these paths again; None if there is no index."""
    index = folder / "all"
    try:
        shutil.copyfile(repo.index, index)
    except FileNotFoundError:
        return None
    env = {"GIT_INDEX_FILE": str(index)}
    for word, paths in (("--no-assume-unchanged", assumed), ("--no-skip-worktree", skipped)):
        if paths:
            stdin = b"".join(path + b"\0" for path in paths)
            repo.run("update-index", word, "-z", "--stdin", stdin=stdin, env=env, users=True)
    return index


def diff(
    repo: Repository,
    before: str,
    after: str,
    paths: Sequence[str] = (),
    *,
    words: Sequence[str] = (),
    colour: bool = False,
) -> bytes:
    """`git diff` of two trees, limited to `paths` below the top."""
    options = ["--no-ext-diff", "--no-textconv", "--color=always" if colour else "--color=never", *words]
    return repo.run("diff", *options, "--end-of-options", before, after, "--", *paths, users=True)


def changes(repo: Repository, before: str, after: str, paths: Sequence[str] = ()) -> list[Change]:
    """What differs between two trees, file by file."""
    return list(_changes(diff(repo, before, after, paths, words=["--raw", "--numstat", "--no-renames", "-z"])))


def each_changes(repo: Repository, pairs: Sequence[tuple[str, str]]) -> list[list[Blobs] | None]:
    """What differs in each of many pairs of trees, by one git process; None for a pair that git cannot read."""
    return [None if out is None else list(_blobs(out)) for out in _each_diff(repo, pairs, ("--raw", "--numstat", "-z"))]


def patches(
    repo: Repository, pairs: Sequence[tuple[str, str]], paths: Sequence[str] = (), *, context: int = 3
) -> list[dict[str, bytes] | None]:
    """path -> patch for each of many pairs of trees, as `each_changes`; limited to `paths` below the top.

    `context` is the number of unchanged lines around each change.
    """
    found = []
    for out in _each_diff(repo, pairs, ("--raw", "-p", f"-U{context}", "-z"), paths):
        found.append(None if out is None else _patches(out))
    return found


def sizes(repo: Repository, oids: Sequence[str]) -> dict[str, int]:
    """The size in bytes of each of these objects that is there: one git process."""
    wanted = list(dict.fromkeys(oids))
    if not wanted:
        return {}
    out = repo.run("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin="\n".join([*wanted, ""]).encode())
    pairs = (line.split(" ") for line in out.decode("utf-8", "replace").splitlines())
    return {oid: int(size) for oid, size in pairs if size.isdigit()}


_PAIR = re.compile(rb"([0-9a-f]{40,64}) ([0-9a-f]{40,64})\n")
_RAW = re.compile(rb":[0-7]{6} [0-7]{6} ([0-9a-f]+) ([0-9a-f]+) ([A-Z])[0-9]*\0([^\0]*)\0")
_PATCH_END = re.compile(rb"^[0-9a-f]{40,64} [0-9a-f]{40,64}$", re.MULTILINE)
_FILE = re.compile(rb"(?<=[\0\n])diff --git ")
_NUMBERS = re.compile(rb"([0-9]+|-)\t([0-9]+|-)\t([^\0]*)\0")


def _each_diff(
    repo: Repository, pairs: Sequence[tuple[str, str]], words: Sequence[str], paths: Sequence[str] = ()
) -> list[bytes | None]:
    """What `git diff-tree` says of each pair. git stops at an object that is gone: the batch is halved around it."""
    if not pairs:
        return []
    lines = "".join(f"{before} {after}\n" for before, after in pairs).encode()
    options = ("-r", "--no-renames", "--no-ext-diff", "--no-textconv", *words)
    try:
        out = repo.run("diff-tree", "--stdin", *options, "--", *paths, stdin=lines, users=True)
    except GitError:
        if len(pairs) == 1:
            return [None]
        half = len(pairs) // 2
        return [part for batch in (pairs[:half], pairs[half:]) for part in _each_diff(repo, batch, words, paths)]
    return list(_parts(out, pairs))


def _parts(out: bytes, pairs: Sequence[tuple[str, str]]) -> Iterator[bytes | None]:
    """The part of `out` that belongs to each pair: behind the pair itself; a pair whose trees are gone has none.

    A path may look like a pair, and is behind a NUL as a pair does: records are stepped over, not searched.
    """
    at = 0
    for before, after in pairs:
        head = f"{before} {after}\n".encode()
        if not out.startswith(head, at):
            yield None
            continue
        begin = at = at + len(head)
        while found := _RAW.match(out, at) or _NUMBERS.match(out, at):
            at = found.end()
        if out.startswith(b"\0", at):  # a patch: its lines begin with none of an object id's digits
            ends = _PATCH_END.search(out, at)
            at = ends.start() if ends else len(out)
        yield out[begin:at]


def _records(out: bytes) -> tuple[list[re.Match[bytes]], int]:
    """The raw records at the beginning of a part, and where they end."""
    found, at = [], 0
    while record := _RAW.match(out, at):
        found.append(record)
        at = record.end()
    return found, at


def _patches(out: bytes) -> dict[str, bytes]:
    """The patch of each file; one whose type changed is taken away and added, in two pieces."""
    records, end = _records(out)
    starts = [found.start() for found in _FILE.finditer(out, end)]
    pieces = [out[begin:stop] for begin, stop in zip(starts, [*starts[1:], len(out)], strict=False)]
    patches: dict[str, bytes] = {}
    for record in records:
        count = 2 if record[3] == b"T" else 1
        patches[record[4].decode("utf-8", "replace")] = b"".join(pieces[:count])
        del pieces[:count]
    return patches


def _blobs(out: bytes) -> Iterator[Blobs]:
    records, end = _records(out)
    counts = {found[3]: (found[1], found[2]) for found in _NUMBERS.finditer(out, end)}
    for found in records:
        added, deleted = counts.get(found[4], (b"-", b"-"))
        path = found[4].decode("utf-8", "replace")
        change = Change(path, found[3].decode(), _count(added.decode()), _count(deleted.decode()))
        yield Blobs(change, found[1].decode(), found[2].decode())


def _changes(out: bytes) -> Iterator[Change]:
    fields = out.decode("utf-8", "replace").split("\0")
    states: dict[str, str] = {}
    at = 0
    while at < len(fields) and fields[at].startswith(":"):
        states[fields[at + 1]] = fields[at].rsplit(" ", 1)[1][:1]
        at += 2
    for line in fields[at:]:
        added, _, rest = line.partition("\t")
        deleted, _, path = rest.partition("\t")
        if path:
            yield Change(path, states.get(path, "M"), _count(added), _count(deleted))


def _count(text: str) -> int | None:
    return int(text) if text.isdigit() else None
