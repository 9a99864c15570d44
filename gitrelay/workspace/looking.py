"""What has to be known of a repository before a workspace is made of it: asked at the same time, a git process each.

In a repository of 50 files git's processes are the cost, not the copying.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.ground.value import dataclass

_FORMAT: Final = "%(refname)%00%(objectname)%00%(symref)%00%(objecttype)%00%(*objectname)%00%(*objecttype)"


@dataclass(frozen=True)
class Ref:
    """A ref as it is listed. `points_to` is '' unless it is symbolic; `peeled` is what a tag leads to."""

    name: str
    oid: str
    points_to: str
    kind: str
    peeled: str
    peeled_kind: str

    @property
    def commit(self) -> str:
        """The commit that it leads to, '' if it leads to none."""
        return self.oid if self.kind == "commit" else self.peeled if self.peeled_kind == "commit" else ""


@dataclass(frozen=True)
class Facts:
    """The refs, the listed paths, and `head`: what HEAD says, `ref: NAME` or a commit."""

    refs: tuple[Ref, ...]
    paths: tuple[bytes, ...]
    head: str

    @property
    def head_commit(self) -> str:
        """'' if HEAD is on a branch without a commit."""
        name = self.head.removeprefix("ref: ")
        return next((ref.oid for ref in self.refs if ref.name == name), "") if name != self.head else self.head


def look(repo: Repository) -> Facts:
    """Raises RelayError, GitError."""
    words = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    refs, listed, head = together(
        lambda: _refs(repo),
        lambda: repo.run(*words, users=True),
        lambda: repo.head(repo.git_dir, repo.home),
    )
    paths = dict.fromkeys(listed.split(b"\0")[:-1])
    return Facts(tuple(refs), tuple(paths), head)


def _refs(repo: Repository) -> list[Ref]:
    """Every ref; of one whose object is gone the kind is ''."""
    try:
        return [Ref(*row) for row in repo.each_ref(_FORMAT)]
    except GitError:
        rows = repo.each_ref("%(refname)%00%(objectname)%00%(symref)")
    kinds = repo.objects([row[1] for row in rows])
    return [Ref(row[0], row[1], row[2], one.kind if one else "", "", "") for row, one in zip(rows, kinds, strict=True)]


def together(*works: Callable[[], object]) -> list:  # type: ignore[type-arg]
    """What each of `works` returns, done at the same time. Raises what the first of them raised."""
    found: list[object] = [None] * len(works)
    failed: list[BaseException] = []

    def do(number: int) -> None:
        try:
            found[number] = works[number]()
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=do, args=(number,)) for number in range(1, len(works))]
    for thread in threads:
        thread.start()
    do(0)
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return found
