"""The code ref of a session that two clones recorded files in: their line, and what only we have behind it.

A code ref keeps trees alive and says nothing that the session does not say, so our part of the line may be written
again behind theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from gitrelay.git.repository import Repository
from gitrelay.protocol.record import Identity

_AUTHOR: Final = Identity("gitrelay", "gitrelay@gitrelay.invalid")


def joined(repo: Repository, theirs: str, ours: str) -> str:
    """A line that goes on from `theirs` and keeps every tree of `ours` too; both are commits that are here."""
    lines = [_line(repo, tip) for tip in (theirs, ours)]
    there = {tree for tree, _ in lines[0]}
    return _behind(repo, theirs, [one for one in lines[1] if one[0] not in there])


def only(repo: Repository, line: str, trees: Collection[str]) -> str | None:
    """The line at `line` with those of its trees that are among `trees`; None if none is."""
    kept = [one for one in _line(repo, line) if one[0] in trees]
    return _behind(repo, None, kept) if kept else None


def _line(repo: Repository, tip: str) -> list[tuple[str, str]]:
    """(tree, subject) of each commit, oldest first."""
    out = repo.run("log", "--reverse", "--first-parent", "-z", "--format=%T %s", "--end-of-options", tip, "--")
    rows = (row.partition(" ") for row in out.decode("utf-8", "replace").split("\0") if row)
    return [(tree, subject) for tree, _, subject in rows]


def _behind(repo: Repository, tip: str | None, steps: Sequence[tuple[str, str]]) -> str:
    for tree, subject in steps:
        tip = repo.commit(tree, [tip] if tip else [], f"{subject}\n", _AUTHOR, sign=False)
    assert tip is not None
    return tip
