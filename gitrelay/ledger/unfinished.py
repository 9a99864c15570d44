"""An apply that was killed while it wrote: what it was about to do is noted before, and the next command finishes it.

A file is written only if it is as the apply found it, gone, or a beginning of what was being written; what somebody has
changed since is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from gitrelay.errors import RelayError
from gitrelay.git.merge import Entry
from gitrelay.git.repository import Repository
from gitrelay.state.files import make_folder, write_whole
from gitrelay.state.folder import State

_VERSION: Final = 1
_LOCK: Final = ".apply"
Changes = Mapping[bytes, Entry | None]
Write = Callable[[Repository, Changes], None]


@contextlib.contextmanager
def noted(repo: Repository, parts: Sequence[tuple[Repository, Changes, Changes]]) -> Iterator[None]:
    """Note what is about to be written, (repository, path -> entry before, path -> entry after), until it is.

    Nothing can be noted where the folder of this machine's state cannot be written: then it is written all the same.
    """
    state = State(repo.common_dir)
    path = state.root / "applying" / secrets.token_hex(8)
    value = [
        {"top": str(one.top), "before": _texts(before), "after": _texts(after)}
        for one, before, after in parts
        if one.top
    ]
    lock = state.lock(_LOCK)
    with contextlib.suppress(RelayError, OSError):
        lock.acquire(10.0)
        make_folder(path.parent)
        write_whole(path, json.dumps({"version": _VERSION, "parts": value}).encode())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()


def finish(repo: Repository, write: Write) -> None:
    """Finish what was noted and not done, with `write`. Never fails: the rest is left to the next command."""
    state = State(repo.common_dir)
    folder = state.root / "applying"
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    if not names:
        return
    with contextlib.suppress(RelayError, OSError), state.lock(_LOCK) as lock:
        if not lock.try_acquire():
            return  # it goes on
        for name in names:
            with contextlib.suppress(ValueError, KeyError, TypeError, RelayError):
                value = json.loads((folder / name).read_bytes())
                for part in value["parts"] if value["version"] == _VERSION else []:
                    here = Repository.open(Path(part["top"]))
                    if not _belongs(repo, here):
                        continue
                    before, after = _entries(part["before"]), _entries(part["after"])
                    write(
                        here, {path: one for path, one in after.items() if _is_ours(here, path, before.get(path), one)}
                    )
            (folder / name).unlink(missing_ok=True)


def _belongs(repo: Repository, here: Repository) -> bool:
    """Whether a working tree is one of the repository, or of a submodule of it: the note is a file like any other."""
    same = here.common_dir == repo.common_dir
    return here.top is not None and (same or here.common_dir.is_relative_to(repo.common_dir / "modules"))


def _is_plain(path: bytes) -> bool:
    """Whether a path stays below the top and out of git's own folder."""
    return not {b"", b".", b"..", b".git"} & {part.lower() for part in path.split(b"/")}


def _is_ours(repo: Repository, path: bytes, before: Entry | None, after: Entry | None) -> bool:
    """Whether a file is as the apply found it, or as it may have left it half-way."""
    full = os.path.join(os.fsencode(repo.top or repo.place), path)
    if not os.path.lexists(full):
        return True
    if os.path.islink(full) or not os.path.isfile(full):
        return False
    oid = repo.run("hash-object", "--", os.fsdecode(path), users=True).decode().strip()
    if before is not None and oid == before[1]:
        return True
    if after is None:
        return False
    blob = repo.objects([after[1]])[0]
    return oid == after[1] or (blob is not None and blob.data.startswith(Path(os.fsdecode(full)).read_bytes()))


def _texts(changes: Changes) -> dict[str, Entry | None]:
    return {os.fsdecode(path): entry for path, entry in changes.items()}


def _entries(value: Mapping[str, list[str] | None]) -> dict[bytes, Entry | None]:
    found = {os.fsencode(path): None if one is None else (one[0], one[1]) for path, one in value.items()}
    return {path: one for path, one in found.items() if _is_plain(path)}
