"""What git says of the user's own files: asked with the user's own line ends, attributes and sparse checkout.

Nothing here writes the user's index: what needs one is given a copy (`index`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitrelay.gitcmd import GitError, Repository


@dataclass(frozen=True)
class Change:
    """A file that differs between two trees. `state` is A, D, M or T; line counts are None for binary files."""

    path: str
    state: str
    added: int | None
    deleted: int | None


def changed(repo: Repository) -> list[bytes]:
    """The paths below the top that differ from HEAD or the index, or are untracked and not ignored."""
    words = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=none")
    return [item[3:] for item in repo.run(*words, users=True).split(b"\0") if item]


def update_index(repo: Repository, index: Path, paths: Sequence[bytes]) -> None:
    """Put `paths` into the index at `index` as they stand in the working tree; those that are gone go."""
    # one sync for all new blobs, where git can (2.36); one for each would cost more than the rest
    words = ("-c", "core.fsyncMethod=batch", "update-index", "--add", "--remove", "-z", "--stdin")
    repo.run(*words, stdin=b"".join(path + b"\0" for path in paths), env=_with(index), users=True)


def tree_of(repo: Repository, index: Path) -> str:
    """The tree of the index at `index`."""
    return repo.run("write-tree", env=_with(index), users=True).decode().strip()


def merge(repo: Repository, folder: Path, base: str, ours: str, theirs: str) -> tuple[str, list[str]]:
    """(the tree that merges `ours` and `theirs`, [] ) or ('', the paths in conflict). Files are made in `folder`."""
    env = _with(folder / "index")
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


def _with(index: Path) -> Mapping[str, str]:
    return {"GIT_INDEX_FILE": str(index)}
