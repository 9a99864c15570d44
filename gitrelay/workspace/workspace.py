"""A workspace: made for a session from the caller's repository as it is now, and removed.

The peer's `git status`, `git diff`, `git diff --cached` and `git log main..HEAD` say there what they say to the caller;
what it does with git stays there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gitrelay.errors import CannotRecord, Code, RelayError
from gitrelay.git.repository import Repository
from gitrelay.state.files import cannot_write, write_whole
from gitrelay.state.folder import State
from gitrelay.text import quote_path
from gitrelay.workspace import borrow, copying, index, keep, place
from gitrelay.workspace.place import Note, Stage

FOLDER: Final = ".relay/.work"  # below the caller's top; no session can be named so
_DEPTH: Final = 16  # repositories inside repositories


@dataclass(frozen=True)
class Workspace:
    """A workspace that is ready. `left_out` are the paths that could not be copied, with the reason."""

    note: Note
    left_out: Mapping[str, str]

    @property
    def path(self) -> Path:
        return self.note.path


def make(repo: Repository, state: State, session: str) -> Workspace:
    """Make the session's workspace again; one that is there is removed first.

    Raises CannotRecord if the repository is bare, if something else is in the way, or if the disk does not let it.
    """
    if repo.top is None:
        raise CannotRecord("a bare repository has no files to isolate", hint="use a clone", code=Code.BARE_REPOSITORY)
    state.prepare()
    remove(repo, state, session)
    note = Note(session, str(repo.top), f"{FOLDER}/{session}", Stage.MAKING)
    try:
        place.write_note(state.root, note)
        ignore = repo.top / ".relay/.gitignore"
        note = place.make_folder(note)
        if not ignore.exists():
            write_whole(ignore, b"*\n")
        place.write_note(state.root, note)
        left_out = _fill(repo, repo.top, note.path, 0)
        keep.keep(repo, session)
        note = replace(note, stage=Stage.READY)
        place.write_note(state.root, note)
    except OSError as e:
        _give_up(repo, state, session)
        raise cannot_write(note.path, e) from e
    except BaseException:
        _give_up(repo, state, session)
        raise
    return Workspace(note, {os.fsdecode(name): why for name, why in left_out.items()})


def remove(repo: Repository, state: State, session: str) -> None:
    """Remove the session's workspace, finished or not, and what was kept for it.

    Raises CannotRecord if something that gitrelay did not make is there.
    """
    note = place.read_note(state.root, session)
    if note is not None:
        place.write_note(state.root, replace(note, stage=Stage.REMOVING))
        if not place.remove_folder(note):
            raise CannotRecord(
                f"{quote_path(note.path)} is not the folder that gitrelay made",
                hint="move it away, then try again",
                code=Code.BAD_FOLDER,
            )
    keep.let_go(repo, session)
    place.note_path(state.root, session).unlink(missing_ok=True)
    if repo.top is not None:
        place.sweep(repo.top, FOLDER)


def _give_up(repo: Repository, state: State, session: str) -> None:
    with contextlib.suppress(RelayError, OSError):  # the note says what is left, and the next command tries again
        remove(repo, state, session)


def _fill(repo: Repository, top: Path, target: Path, depth: int) -> dict[bytes, str]:
    """Fill `target` with the repository at `top`, and with those inside it; returns what was left out."""
    borrow.make(repo, target)
    names = [name for name in _listed(repo) if name != b".relay" and not name.startswith(b".relay/")]
    copied = copying.copy(names, top, target)
    _write_index(repo, target, copied)
    left_out = dict(copied.left_out)
    for folder in copied.folders:
        below, inside = top / os.fsdecode(folder), target / os.fsdecode(folder)
        inside.mkdir(parents=True, exist_ok=True)
        if depth < _DEPTH and os.path.lexists(below / ".git"):
            try:
                found = _fill(Repository.open(below), below, inside, depth + 1)
            except RelayError as e:
                found = {b"": e.message}
            left_out |= {folder + b"/" + name: why for name, why in found.items()}
    return left_out


def _listed(repo: Repository) -> list[bytes]:
    """Every path that git knows or would add, each once."""
    out = repo.run("ls-files", "-z", "--cached", "--others", "--exclude-standard", users=True)
    return list(dict.fromkeys(out.split(b"\0")[:-1]))


def _write_index(repo: Repository, target: Path, copied: copying.Copied) -> None:
    source = repo.git_dir / "index"
    try:
        data, written = source.read_bytes(), source.stat().st_mtime
    except FileNotFoundError:
        return
    mine = target / ".git/index"
    try:
        mine.write_bytes(index.restated(data, written, copied.stats, repo.object_format))
    except index.Unknown:
        mine.write_bytes(data)
        # with the caller's git directory: its filters and settings are the user's own
        env = {"GIT_INDEX_FILE": str(mine), "GIT_WORK_TREE": str(target), "GIT_DIR": str(repo.git_dir)}
        repo.run("update-index", "-q", "--refresh", env=env, ok=(0, 1), users=True)
