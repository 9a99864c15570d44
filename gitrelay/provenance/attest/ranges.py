"""The commits that a person names: one, or the range `A..B`."""

from __future__ import annotations

from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote

MOST: Final = 1000  # commits of a range


def is_range(word: str) -> bool:
    """Whether `word` is meant as a range of commits: no address and no branch of git's holds two dots."""
    return ".." in word


def commits(repo: Repository, word: str) -> list[str]:
    """The ids of the commits, the oldest first: that of `word`, or for `A..B` all that B has and A has not.

    Raises UsageError for what git does not know, and for more than MOST.
    """
    if "..." in word or word.startswith("-") or not word.isprintable():
        raise UsageError(f"{quote(word)} is no range of commits", hint="as in v1.0..HEAD", code=Code.UNKNOWN_REVISION)
    words = [f"--max-count={MOST + 1}", "--reverse", "--topo-order"] if is_range(word) else ["--max-count=1"]
    try:
        out = repo.run("rev-list", *words, "--end-of-options", word, "--")
    except GitError:
        raise UsageError(
            f"git knows no commits {quote(word)}", hint="git log --oneline", code=Code.UNKNOWN_REVISION
        ) from None
    found = out.decode().split()
    if len(found) > MOST:
        raise UsageError(f"{quote(word)} has more than {MOST} commits", hint="name a shorter range", code=Code.TOO_MANY)
    return found
