"""The lines of commits that sessions are, as values: read along first parents, newest first in git, oldest first here.

A session is one line from its root. Whatever else a ref may be made to name (a merge, another session's
commit, a commit of the user's own), its line is what is reached by first parents, and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from gitrelay.errors import IntegrityError
from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.protocol.record import Commit, parse

_T = TypeVar("_T")


def read(repo: Repository, tips: Sequence[str]) -> list[list[Commit]]:
    """The line that ends at each of `tips` (object ids or full ref names of commits): one git process for all.

    Raises GitError if one of them cannot be read to its root. A tip that is not a commit has no line.
    """
    commits: dict[str, Commit] = {}
    parents: dict[str, str] = {}
    for oid, parents_, time, message in repo.first_parents(tips):
        commits[oid] = parse(oid, time, message)
        parents[oid] = parents_.partition(" ")[0]
    if len(tips) == 1:  # git gives one line in order, and a ref's name is no key
        return [list(commits.values())[::-1]]
    lines = []
    for tip in tips:
        line: list[Commit] = []
        oid = tip
        while oid in commits and len(line) < len(commits):
            line.append(commits[oid])
            oid = parents[oid]
        lines.append(line[::-1])
    return lines


def last(repo: Repository, tip: str, count: int) -> list[Commit]:
    """The last `count` commits of the line that ends at `tip`, oldest first. Raises GitError."""
    return [parse(oid, time, message) for oid, _, time, message in repo.first_parents([tip], count)][::-1]


def by_halves(
    wanted: Sequence[str], read: Callable[[Sequence[str]], dict[str, _T]]
) -> tuple[dict[str, _T], dict[str, GitError | IntegrityError]]:
    """(what `read` gives for all that can be read, why the rest cannot be).

    Read again by halves if that fails: some 2 log n times for each that is damaged among n.
    """
    if not wanted:
        return {}, {}
    try:
        return read(wanted), {}
    except (GitError, IntegrityError) as e:
        if len(wanted) == 1:
            return {}, {wanted[0]: e}
    middle = len(wanted) // 2
    found, damaged = by_halves(wanted[:middle], read)
    more, worse = by_halves(wanted[middle:], read)
    return found | more, damaged | worse
