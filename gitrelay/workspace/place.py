"""Where a workspace is, whose it is, and how it is removed.

A note outside the workspace says so: nothing in the workspace is believed. It is written before the folder is made and
removed after the folder has gone, so that a crash at any point leaves something that the next command recognises.
Removal follows no link, neither in the workspace nor in a folder above it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from gitrelay.ground.value import dataclass
from gitrelay.protocol.names import is_object_id
from gitrelay.state import files
from gitrelay.state.calls import identity_of

VERSION: Final = 1
FOLDER: Final = ".relay/.work"  # of workspaces, below the caller's top; no session can be named so
_KEY: Final = re.compile(r"[a-z0-9-]+-[0-9a-f]{16}")  # what `relay.workspaces` has a repository's workspaces in
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Stage(StrEnum):
    """How far a workspace is."""

    MAKING = "making"
    READY = "ready"
    REMOVING = "removing"


@dataclass(frozen=True)
class Note:
    """What this machine knows of a session's workspace. `device` and `inode` are 0 until the folder is there."""

    session: str
    top: str  # the caller's working tree
    name: str  # the path of the workspace below it, or below `outside`
    stage: Stage
    device: int = 0
    inode: int = 0
    modules: tuple[str, ...] = ()  # the submodules in it; the n-th has the n-th index, that of the top is number 0
    base: str = ""  # the tree of the caller's files that it was made from
    outside: str = ""  # a folder that is not in the caller's tree
    repository: str = ""  # as `identity_of` says: a copy of the repository has the note, and not the workspace

    @property
    def path(self) -> Path:
        return self.home / self.name

    @property
    def home(self) -> Path:
        """The folder that `name` is below."""
        return Path(self.outside or self.top)


def note_path(root: Path, session: str) -> Path:
    """The note's file; `root` is the folder of this machine's state."""
    return root / "workspaces" / session


def index_path(root: Path, session: str, number: int = 0) -> Path:
    """The index that the files of a workspace are compared with; out of the peer's reach."""
    return root / "workspaces" / f".index-{session}" / str(number)


def write_note(root: Path, note: Note) -> None:
    """Raises OSError."""
    path = note_path(root, note.session)
    files.make_folder(path.parent)
    files.write_whole(path, line_of(note).encode())


def line_of(note: Note) -> str:
    return json.dumps({"version": VERSION, **asdict(note)})


def read_note(root: Path, session: str) -> Note | None:
    """The note, None if there is none, if it cannot be read, or is that of a repository of which this is a copy."""
    try:
        return parse_note(note_path(root, session).read_bytes(), session, identity_of(root.parent))
    except OSError:
        return None


def parse_note(data: bytes, session: str, repository: str) -> Note | None:
    """The note that `line_of` gave, None if `data` is none of this session in this repository."""
    try:
        value = json.loads(data)
        if value.pop("version") != VERSION:
            return None
        note = Note(**{**value, "stage": Stage(value["stage"]), "modules": tuple(value.get("modules", ()))})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return note if note.session == session and note.repository in ("", repository) and _is_ours(note) else None


def _is_ours(note: Note) -> bool:
    """Whether a note says what gitrelay writes: it decides what is removed, and is a file like any other."""
    paths = (note.top, note.outside or "/", note.name, note.base, note.repository, *note.modules)
    if not all(isinstance(one, str) and ".." not in one.split("/") for one in paths):
        return False
    if not all(type(number) is int for number in (note.device, note.inode)):
        return False
    if note.outside:
        folder, _, name = note.name.partition("/")
        is_its_place = _KEY.fullmatch(folder) is not None and name == note.session
    else:
        is_its_place = note.name == f"{FOLDER}/{note.session}"
    above = note.top.startswith("/") and (not note.outside or note.outside.startswith("/"))
    inside = not any(one.startswith("/") for one in note.modules)
    return is_its_place and above and inside and (not note.base or is_object_id(note.base))


def is_sound(note: Note) -> bool:
    """Whether the folder of the note is there, is the one that was made, and is finished."""
    return note.stage == Stage.READY and _is_there(note)


def followed(note: Note, top: Path | None) -> Note:
    """The note with `top` as the caller's tree, if the workspace has been moved with that."""
    if top is None or note.outside or not note.inode or note.top == str(top) or _is_there(note):
        return note
    moved = replace(note, top=str(top))
    return moved if _is_there(moved) else note


def _is_there(note: Note) -> bool:
    try:
        parent = _open(note.home, Path(note.name).parent.parts, make=False)
    except OSError:
        return False
    try:
        there = os.stat(Path(note.name).name, dir_fd=parent, follow_symlinks=False)
    except OSError:
        return False
    finally:
        os.close(parent)
    return (there.st_dev, there.st_ino) == (note.device, note.inode)


def notes(root: Path) -> list[Note]:
    """Every readable note, by session."""
    try:
        names = sorted(os.listdir(root / "workspaces"))
    except OSError:
        return []
    found = (read_note(root, name) for name in names if not name.startswith("."))
    return [note for note in found if note is not None]


def make_folder(note: Note) -> Note:
    """Make the workspace's folder, and those above it; returns the note with what it is known by. Raises OSError."""
    parent = _open(note.home, Path(note.name).parent.parts, make=True)
    try:
        name = Path(note.name).name
        os.mkdir(name, 0o700, dir_fd=parent)
        made = os.stat(name, dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(parent)
    return replace(note, device=made.st_dev, inode=made.st_ino)


def remove_folder(note: Note, *, later: bool = False) -> bool:
    """Remove the workspace's folder with all that is in it. False if what is there is not the one of the note.

    It first gets another name, so that a half-removed one is never taken for a sound one; `later` leaves the rest to
    `sweep`.
    """
    name = Path(note.name).name
    try:
        parent = _open(note.home, Path(note.name).parent.parts, make=False)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        try:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return True
        if note.inode and (there.st_dev, there.st_ino) != (note.device, note.inode):
            return False
        if not note.inode and os.listdir(fd := os.open(name, _FOLDER, dir_fd=parent)):
            os.close(fd)
            return False  # made by somebody else: ours was empty when the note was written
        gone = f".gone-{secrets.token_hex(8)}"
        os.rename(name, gone, src_dir_fd=parent, dst_dir_fd=parent)
        if not later:
            _remove(gone, parent)
        return True
    finally:
        os.close(parent)


def size(note: Note) -> int:
    """Bytes of the files in a workspace, 0 if it is not there. Never raises."""
    total = 0
    for folder, _, names in os.walk(note.path):  # follows no link
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def forget(root: Path, session: str) -> None:
    """Remove the note and the indexes of a workspace whose folder has gone. Raises OSError."""
    folder = index_path(root, session).parent
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    note_path(root, session).unlink(missing_ok=True)


def put_files(note: Note, folder: str, files_: Mapping[str, bytes]) -> None:
    """Write files into `folder` below the workspace, which may hold anything: no link is followed. Raises OSError."""
    fd = _open(note.path, Path(folder).parts, make=True)
    try:
        for name, data in files_.items():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=fd)
            out = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=fd)
            with open(out, "wb") as f:
                f.write(data)
    finally:
        os.close(fd)


def sweep(top: Path, name: str) -> None:
    """Remove what was renamed to be removed in the folder `name` below `top`. Never raises."""
    with contextlib.suppress(OSError):
        parent = _open(top, Path(name).parts, make=False)
        try:
            for left in os.listdir(parent):
                if left.startswith(".gone-"):
                    with contextlib.suppress(OSError):  # another process may be at it
                        _remove(left, parent)
        finally:
            os.close(parent)


def _remove(name: str, parent: int) -> None:
    try:
        shutil.rmtree(name, dir_fd=parent)
    except PermissionError:  # Go's module cache has folders without the w bit
        _open_up(name, parent)
        shutil.rmtree(name, dir_fd=parent)


def _open_up(name: str, parent: int) -> None:
    """Let this user write to a folder and to all folders in it, without following a link."""
    handle = os.open(name, getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{handle}", 0o700)
    finally:
        os.close(handle)
    folder = os.open(name, _FOLDER, dir_fd=parent)
    try:
        with os.scandir(folder) as entries:
            folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for below in folders:
            _open_up(below, folder)
    finally:
        os.close(folder)


def _open(top: Path, parts: tuple[str, ...], *, make: bool) -> int:
    """The folder `parts` below `top` as a descriptor, each of them a real folder. Raises OSError."""
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=fd)
            below = os.open(part, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = below
        return fd
    except BaseException:
        os.close(fd)
        raise
