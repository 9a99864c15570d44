"""The folder of the working tree that a peer is started in, if it is not the top (`--cwd`)."""

from __future__ import annotations

import os
from pathlib import Path

from gitrelay.errors import CannotRecord, Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import plain, quote, quote_path

_NEVER = (".git", ".relay")


def wanted(repo: Repository, word: str | None) -> str:
    """The folder that `word` names from the current one, relative to the top; '' for the top, and if there is no word.

    Raises UsageError if it is not there, or is no folder of the working tree; links are followed first.
    """
    if word is None:
        return ""
    try:
        real, top = os.path.realpath(os.path.join(os.getcwd(), word)), os.path.realpath(repo.place)
        there = bool(word) and os.path.isdir(real)
    except (OSError, ValueError):  # a name that no path can have
        there = False
    if not there:
        raise _refused(f"--cwd {quote(word)} is no folder", f"a folder from {quote_path(os.getcwd())}")
    found = os.path.relpath(real, top)
    if found == os.curdir:
        return ""
    if found.partition(os.sep)[0] == os.pardir or any(part in _NEVER for part in Path(found).parts):
        raise _refused(f"--cwd {quote(word)} is not in the working tree", f"name a folder below {quote_path(top)}")
    if plain(found) != found:
        raise _refused(f"--cwd {quote(word)} has a name that cannot be recorded", "rename the folder")
    return found


def _refused(message: str, hint: str) -> UsageError:
    return UsageError(message, hint=hint, code=Code.BAD_CWD)


def is_there(repo: Repository, below: str) -> bool:
    """Whether the tree of `repo`, which may be a copy, has the folder: one that git ignores is not copied."""
    return not below or os.path.isdir(repo.place / below)


def not_copied(below: str) -> UsageError:
    return _refused(f"--cwd {quote(below)} is not in the copy of your tree", "--shared works in your tree itself")


def at(tree: str, below: str) -> Path:
    """The folder in `tree`. Raises CannotRecord if it has gone, or leads out of the tree by now."""
    place = Path(tree)
    if not below:
        return place
    real = os.path.realpath(place / below)
    if not os.path.isdir(real) or not Path(real).is_relative_to(os.path.realpath(place)):
        raise CannotRecord(
            f"the folder {quote(below)} that the peer was to start in is not in its working tree any more",
            hint="call again with another --cwd, or without",
            code=Code.BAD_CWD,
        )
    return place / below
