"""Which repository a folder belongs to, if it may be in a workspace: then the caller's, with the workspace's files.

An agent in a workspace that calls `git relay` writes the caller's record, and its calls see the workspace as the tree.
The path and the caller's own note say that a folder is a workspace; nothing in it is asked.
"""

from __future__ import annotations

import os
from pathlib import Path

from gitrelay.errors import RelayError
from gitrelay.git.repository import Repository
from gitrelay.workspace import place, where
from gitrelay.workspace.place import FOLDER
from gitrelay.workspace.workspace import seen_by

_MIDDLE = f"/{FOLDER}/"


def repository(folder: Path) -> Repository:
    """The repository that `folder` is in. Raises UsageError if there is none, CannotRecord for git's faults."""
    real = os.path.realpath(folder)
    if _MIDDLE in real:
        outer, _, rest = real.partition(_MIDDLE)
        found = _seen(Path(outer), real, [rest, *_inner(rest)])
        if found is not None:
            return found
    for top, session in where.callers(real):
        found = _seen(Path(top), real, [session])
        if found is not None:
            return found
    return Repository.open(folder)


def _seen(outer: Path, real: str, inside: list[str]) -> Repository | None:
    try:
        origin = Repository.open(outer)
    except RelayError:
        return None
    root = origin.common_dir / "relay"
    for inner in reversed(inside):  # a workspace may have been made in another
        session = inner.partition("/")[0]
        note = place.read_note(root, session)
        if note is None or not place.is_sound(note):
            continue
        at = os.path.realpath(note.path)
        if real == at or real.startswith(f"{at}/"):
            return seen_by(origin, root, note)
    return None


def _inner(rest: str) -> list[str]:
    parts = rest.split(_MIDDLE)
    return parts[1:]
