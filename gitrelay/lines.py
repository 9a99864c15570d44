"""The lines of commits that sessions are, as values: read along first parents, newest first in git, oldest first here.

A session is one line from its root. Whatever else a ref may be made to name (a merge, another session's
commit, a commit of the user's own), its line is what is reached by first parents, and ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gitrelay.gitcmd import Repository

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
    found = repo.first_parents(tips)
    if len(tips) == 1:  # git gives one line in order, and a ref's name is no key
        return [[parse(oid, time, text) for oid, (_, time, text) in found.items()][::-1]]
    commits = {oid: parse(oid, time, text) for oid, (_, time, text) in found.items()}
    lines = []
    for tip in tips:
        line: list[Commit] = []
        oid = tip
        while oid in commits and len(line) < len(commits):
            line.append(commits[oid])
            oid = found[oid][0]
        lines.append(line[::-1])
    return lines


def parse(oid: str, time: str, message: str) -> Commit:
    """A commit out of what it says. Its trailers are the lines `Key: value` of the last paragraph behind the first."""
    subject, _, rest = message.partition("\n\n")
    block = rest.rstrip("\n").rpartition("\n\n")[2]
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
