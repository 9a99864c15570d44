"""Where workspaces are: below the caller's tree, or in the folder that `relay.workspaces` names.

What must not be found from the caller's tree, or find it, is in that folder or in the user's cache (`apart`).
In such a folder every repository has one of its own. A file beside each workspace says whose it is, so that an agent in
it that calls gitrelay is recorded with the caller; it is believed only if the caller's own note says the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from gitrelay import environment
from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote_path
from gitrelay.protocol import names
from gitrelay.state.calls import identity_of
from gitrelay.workspace.place import FOLDER, Note, Stage

_PATH_MAX: Final = 4096


def folder(repo: Repository) -> str:
    """What `relay.workspaces` names, '' if it is not set. Raises UsageError that quotes what is wrong with it."""
    values = repo.config.get("relay.workspaces")
    if not values or not values[-1][0]:
        return ""
    text, where = values[-1]
    path = os.path.expanduser(text)
    why = _fault(repo, path)
    if why:
        hint = "mkdir -p -m 700 ~/.cache/gitrelay-work; git config relay.workspaces ~/.cache/gitrelay-work"
        raise UsageError(f"relay.workspaces {quote_path(text)} in {where} {why}", hint=hint, code=Code.BAD_CONFIG)
    return path.rstrip("/")


def apart(repo: Repository) -> str:
    """A folder outside of the caller's tree, made if need be: `relay.workspaces`, else one in the user's cache.

    Raises UsageError if none can be used.
    """
    found = folder(repo)
    if found:
        return found
    cache = environment.folder(os.environ, "XDG_CACHE_HOME", environment.home(os.environ) / ".cache")
    path = os.path.join(os.path.realpath(cache), "gitrelay", "replays")
    with contextlib.suppress(OSError):
        os.makedirs(path, mode=0o700, exist_ok=True)
    why = _fault(repo, path)
    if why:
        hint = "git config relay.workspaces FOLDER names another, outside of the repository"
        raise UsageError(f"no files can be laid out in {quote_path(path)}: it {why}", hint=hint, code=Code.BAD_FOLDER)
    return path


def _fault(repo: Repository, path: str) -> str:
    """Why no workspace can be made there, '' if one can."""
    if not path.startswith("/"):
        return "is not absolute"
    if "\n" in path or os.path.realpath(path) != os.path.normpath(path) or os.path.normpath(path) != path.rstrip("/"):
        return "leads through a link, or has '..' in it"
    inside = {os.path.realpath(one) for one in (repo.top, repo.git_dir, repo.common_dir) if one is not None}
    if ".git" in path.split("/") or any(f"{path}/".startswith(f"{one}/") for one in inside):
        return "is inside the repository"
    try:
        there = os.stat(path)
    except OSError as e:
        return f"cannot be used: {e.strerror}"
    if not stat.S_ISDIR(there.st_mode):
        return "is no folder"
    if there.st_uid != os.geteuid() or there.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "can be written by others"
    return ""


def note_for(repo: Repository, session: str, outside: str | None = None) -> Note:
    """The note of a workspace to be made, in `outside` if that is given. Raises UsageError for a bad setting."""
    outside = folder(repo) if outside is None else outside
    top, repository = str(repo.top), identity_of(repo.common_dir)
    if not outside:
        return Note(session, top, f"{FOLDER}/{session}", Stage.MAKING, repository=repository)
    common = os.path.realpath(repo.common_dir)
    name = names.slugify(os.path.basename(top), default="repository", limit=40)
    key = f"{name}-{hashlib.sha256(os.fsencode(common)).hexdigest()[:16]}"
    return Note(session, top, f"{key}/{session}", Stage.MAKING, outside=outside, repository=repository)


def point_back(note: Note) -> None:
    """Write beside a workspace that is not below its caller's tree whose it is. Raises OSError."""
    if note.outside:
        path = _pointer(note.path)
        os.chmod(path.parent, 0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags, 0o600), "wb") as f:
            f.write(os.fsencode(note.top))


def forget(note: Note) -> None:
    if note.outside:
        with contextlib.suppress(OSError):
            _pointer(note.path).unlink(missing_ok=True)


def callers(real: str) -> list[tuple[str, str]]:
    """(the caller's tree, the session) of each workspace that the folder `real` may be in, as the files beside say."""
    found = []
    path = Path(real)
    for one in (path, *path.parents):
        with contextlib.suppress(OSError):
            fd = os.open(_pointer(one), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(fd, "rb") as f:
                parent = os.stat(one.parent)
                if parent.st_uid == os.geteuid() and stat.S_IMODE(parent.st_mode) == 0o700:
                    found.append((os.fsdecode(f.read(_PATH_MAX)), one.name))
    return found


def _pointer(workspace: Path) -> Path:
    return workspace.parent / f".caller-{workspace.name}"
