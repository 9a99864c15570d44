"""The lines of commits that sessions are, as values: read along first parents, newest first in git, oldest first here.

A session is one line from its root. Whatever else a ref may be made to name (a merge, another session's
commit, a commit of the user's own), its line is what is reached by first parents, and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from gitrelay.errors import IntegrityError
from gitrelay.git.repository import GitError, Repository

_T = TypeVar("_T")

_LAST: Final = 253_370_764_800  # 9999-01-01: the last year that a calendar here knows, wherever it is read
_LAST_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a session. `time` is the committer's, seconds since the epoch, 0 where it has none."""

    oid: str
    time: int
    subject: str
    trailers: Mapping[str, str]


def read(repo: Repository, tips: Sequence[str]) -> list[list[Commit]]:
    """The line that ends at each of `tips` (object ids or full ref names of commits): one git process for all.

    Raises GitError where one of them cannot be read to its root. A tip that is not a commit has no line.
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


def parse(oid: str, time: str, message: str) -> Commit:
    """A commit out of what it says. Its trailers are the lines `Key: value` of the last paragraph behind the first."""
    subject, _, rest = message.partition("\n\n")
    block = rest.rstrip("\n").rpartition("\n\n")[2]
    try:
        trailers = dict([line.split(": ", 1) for line in block.split("\n")])
    except ValueError:  # a line that is none: nothing that gitrelay writes
        pairs = [line.partition(": ") for line in block.split("\n")]
        trailers = {key: value for key, colon, value in pairs if colon}
    subject = subject.rstrip("\n").replace("\n", " ")
    seconds = int(time) if time.isascii() and time.isdecimal() and len(time) <= _LAST_DIGITS else 0
    return Commit(oid, min(seconds, _LAST), subject, trailers)


def parse_raw(oid: str, data: bytes) -> Commit:
    """A commit out of the bytes of its object."""
    head, _, message = data.decode("utf-8", "replace").partition("\n\n")
    committer = next((line for line in head.split("\n") if line.startswith("committer ")), "")
    return parse(oid, committer.rpartition("> ")[2].partition(" ")[0], message)


def by_halves(
    wanted: Sequence[str], read: Callable[[Sequence[str]], dict[str, _T]]
) -> tuple[dict[str, _T], dict[str, GitError | IntegrityError]]:
    """(what `read` gives for all that can be read, why the rest cannot be).

    Read again by halves where that fails: some 2 log n times for each that is damaged among n.
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
