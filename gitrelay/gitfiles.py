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
    words = ("update-index", "--add", "--remove", "-z", "--stdin")
    repo.run(*words, stdin=b"".join(path + b"\0" for path in paths), env=_with(index), users=True)


def tree_of(repo: Repository, index: Path) -> str:
    """The tree of the index at `index`."""
    return repo.run("write-tree", env=_with(index), users=True).decode().strip()


def read_tree(repo: Repository, index: Path, tree: str) -> None:
    """Make the index at `index` hold `tree`."""
    repo.run("read-tree", "--reset", tree, env=_with(index), users=True)


def merge_patch(repo: Repository, index: Path, patch: bytes) -> str | None:
    """Apply `patch` to the index at `index`, merging three ways; the files in conflict, None where there is none."""
    fault = ""
    try:
        repo.run("apply", "--cached", "--3way", "--whitespace=nowarn", stdin=patch, env=_with(index), users=True)
    except GitError as e:
        fault = e.message
    unmerged = repo.run("ls-files", "--unmerged", "-z", env=_with(index), users=True).split(b"\0")
    paths = sorted({line.partition(b"\t")[2].decode("utf-8", "replace") for line in unmerged if line})
    return f"conflicts in {', '.join(paths[:10])}" if paths else fault or None


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
