"""What git says of the user's own files: asked with the user's own line ends, attributes and sparse checkout.

Nothing here writes the user's index: what needs one makes its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository


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

    `entry` is (mode, object id) in the index, None where it is not in there; `read`: the file is not as the index
    has it. With neither it is gone.
    """

    path: bytes
    entry: tuple[str, str] | None = None
    read: bool = True


@dataclass(frozen=True)
class Blobs:
    """A change and what it replaces by what: object ids, all zeros where there is nothing."""

    change: Change
    before: str
    after: str


def changed(repo: Repository) -> list[Changed]:
    """What `git status` names, nothing left out."""
    words = ("status", "--porcelain=v2", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=none")
    found = []
    for item in repo.run(*words, users=True).split(b"\0"):
        kind, _, rest = item.partition(b" ")
        if kind == b"1":  # XY sub mH mI mW hH hI path
            states, _, _, mode, _, _, oid, path = rest.split(b" ", 7)
            here = states[1:]
            entry = (mode.decode(), oid.decode()) if oid.strip(b"0") and here != b"D" else None
            found.append(Changed(path, entry, here not in (b".", b"D")))
        elif kind == b"u":  # XY sub m1 m2 m3 mW h1 h2 h3 path
            found.append(Changed(rest.split(b" ", 9)[9]))
        elif kind == b"?":
            found.append(Changed(rest.removesuffix(b"/")))  # with a slash: another repository
    return found


def contents(repo: Repository, index: Path, paths: Sequence[Changed]) -> dict[bytes, tuple[str, str]]:
    """path -> (mode, object id) as each of `paths` stands in the working tree; one that is gone is left out.

    Their blobs are written. A new index is made at `index` that holds these paths alone: one of all files would
    cost more than `git status` does in a large repository.
    """
    env = {"GIT_INDEX_FILE": str(index)}
    known = b"".join(
        b"%s %s\t%s\0" % (one.entry[0].encode(), one.entry[1].encode(), one.path) for one in paths if one.entry
    )
    if known:  # git keeps a mode that the file system cannot hold, and line ends that are in the index
        repo.run("update-index", "-z", "--index-info", stdin=known, env=env, users=True)
    read = b"".join(one.path + b"\0" for one in paths if one.read)
    if read:
        # one sync for all new blobs, where git can (2.36); one for each would cost more than the rest
        words = ("-c", "core.fsyncMethod=batch", "update-index", "--add", "--remove", "-z", "--stdin")
        repo.run(*words, stdin=read, env=env, users=True)
    found = {}
    for line in repo.run("ls-files", "--stage", "-z", env=env, users=True).split(b"\0")[:-1]:
        head, _, path = line.partition(b"\t")
        mode, oid, _ = head.decode().split(" ")
        found[path] = (mode, oid)
    return found


def merge(repo: Repository, folder: Path, base: str, ours: str, theirs: str) -> tuple[str, list[str]]:
    """(the tree that merges `ours` and `theirs`, [] ) or ('', the paths in conflict). Files are made in `folder`."""
    env = {"GIT_INDEX_FILE": str(folder / "index")}
    repo.run("read-tree", "-i", "-m", "--aggressive", base, ours, theirs, env=env, users=True)
    stages: dict[str, dict[str, tuple[str, str]]] = {}
    for line in repo.run("ls-files", "--unmerged", "-z", env=env, users=True).split(b"\0")[:-1]:
        head, _, path = line.decode("utf-8", "surrogateescape").partition("\t")
        mode, oid, stage = head.split()
        stages.setdefault(path, {})[stage] = (mode, oid)
    conflicts = []
    for path, sides in stages.items():
        merged = _merge_file(repo, folder, sides) if len(sides) == 3 else None
        if merged is None:
            conflicts.append(path)
        else:
            line = f"{sides['2'][0]} {merged} 0\t{path}\0".encode("utf-8", "surrogateescape")
            repo.run("update-index", "-z", "--index-info", stdin=line, env=env, users=True)
    if conflicts:
        return "", sorted(conflicts)
    return repo.run("write-tree", env=env, users=True).decode().strip(), []


def _merge_file(repo: Repository, folder: Path, sides: Mapping[str, tuple[str, str]]) -> str | None:
    """The blob that merges three versions of a file line by line, None on a conflict."""
    names = []
    for stage, blob in zip("213", repo.objects([sides[stage][1] for stage in "213"]), strict=True):
        if blob is None or blob.kind != "blob" or b"\0" in blob.data or not sides[stage][0].startswith("100"):
            return None
        names.append(str(folder / stage))
        (folder / stage).write_bytes(blob.data)
    try:
        merged = repo.run("merge-file", "--stdout", "--quiet", *names, users=True)
    except GitError:
        return None
    (folder / "merged").write_bytes(merged)
    return repo.write_blob(folder / "merged", merged)


def write_patch(repo: Repository, patch: bytes) -> None:
    """Apply `patch` to the working files, all of it or nothing. Raises GitError."""
    repo.run("apply", "--whitespace=nowarn", stdin=patch, users=True)


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
    repo: Repository, pairs: Sequence[tuple[str, str]], paths: Sequence[str] = ()
) -> list[dict[str, bytes] | None]:
    """path -> patch for each of many pairs of trees, as `each_changes`; limited to `paths` below the top."""
    found = []
    for out in _each_diff(repo, pairs, ("--raw", "-p", "-z"), paths):
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

    A path may look like a pair, and stands behind a NUL as a pair does: records are stepped over, not searched.
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
