"""Files of `.git/relay`: written whole, shared as the repository is, deleted without following a link."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from pathlib import Path

from gitrelay.environment import how_to_record
from gitrelay.errors import CannotRecord
from gitrelay.ground.text import quote_path


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader, or a crash, sees all of it or none of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with os.fdopen(fd, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def cannot_write(path: Path, error: OSError) -> CannotRecord:
    """One line for a folder of ours that cannot be written."""
    return CannotRecord(
        f"cannot write {quote_path(path)}: {error.strerror}",
        hint=how_to_record(os.environ),
    )


def shared_bits(value: str | None) -> int:
    """The permissions that `core.sharedRepository` asks for, 0 if it asks for none; git-config(1) has its values."""
    word = (value or "").lower()
    if word in ("group", "true", "yes", "on", "1"):
        return 0o660
    if word in ("all", "world", "everybody", "2"):
        return 0o664
    return int(word, 8) & 0o666 if re.fullmatch(r"0[0-7]{3}", word) else 0


def share(path: Path, bits: int) -> None:
    """Add the permissions `bits` to `path`, as git does it: a folder that can be read can be entered. Never fails."""
    if not bits:
        return
    with contextlib.suppress(OSError):
        mode = os.lstat(path).st_mode
        wanted = stat.S_IMODE(mode) | bits
        if stat.S_ISDIR(mode):
            wanted |= (bits & 0o444) >> 2 | stat.S_ISGID
        if wanted != stat.S_IMODE(mode) and not stat.S_ISLNK(mode):
            os.chmod(path, wanted)


def share_as_parent(path: Path) -> None:
    """Share `path` with the group if its folder is shared. Never fails."""
    with contextlib.suppress(OSError):
        mode = os.stat(path.parent).st_mode
        if mode & stat.S_ISGID and mode & stat.S_IWGRP:
            share(path, mode & 0o666)


def make_folder(path: Path) -> None:
    """Make the folder `path`, not its parents. Raises OSError, also if a link or a file is there."""
    try:
        path.mkdir()
    except FileExistsError:
        if path.is_symlink() or not path.is_dir():
            raise
    else:
        share_as_parent(path)


def is_own_folder(path: Path) -> bool:
    """Whether `path` and its parent are folders and no links, so that what is deleted in it is gitrelay's own."""
    with contextlib.suppress(OSError):
        return all(stat.S_ISDIR(os.lstat(p).st_mode) for p in (path, path.parent))
    return False


def remove_tree(path: Path) -> None:
    """Delete the folder `path` of `.git/relay`; nothing is deleted through a link. Never fails."""
    if path.is_symlink():
        with contextlib.suppress(OSError):
            if is_own_folder(path.parent):
                path.unlink()
    elif is_own_folder(path.parent) and is_own_folder(path):
        shutil.rmtree(path, ignore_errors=True)
