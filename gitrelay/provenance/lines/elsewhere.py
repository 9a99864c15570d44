"""What other files hold now: a line that is still where an exchange added it was copied from there, not moved."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence, Set
from typing import Final

from gitrelay.git.repository import Repository
from gitrelay.provenance.lines.additions import brief
from gitrelay.provenance.lines.evidence import Line, Source

_FILES_MOST: Final = 200
_MOST: Final = 4 << 20  # bytes of one of them


def staying(
    repo: Repository, rev: str | None, lines: Sequence[Line], sources: Sequence[Source], paths: Set[bytes]
) -> dict[bytes, frozenset[int]]:
    """path -> the keys that it holds, for each other file to which an exchange added a line of this one.

    A file that is missing was not read: nothing of it counts. One that is gone holds nothing.
    """
    keys = {line.text.key for line in lines if line.text.words}
    others: dict[bytes, None] = {}
    for source in sources:
        for path, rows in source.added.files.items():
            if path not in paths and path not in others and any(row.text.key in keys for row in rows):
                others[path] = None
    wanted = [path for path in others if b"\n" not in path][:_FILES_MOST]
    texts = _committed(repo, rev, wanted) if rev is not None else _working(repo, wanted)
    return {path: frozenset(brief(line).key for line in text.split(b"\n")) for path, text in texts.items()}


def _committed(repo: Repository, rev: str, paths: Sequence[bytes]) -> Mapping[bytes, bytes]:
    found = repo.objects([f"{rev}:{os.fsdecode(path)}" for path in paths])
    return {
        path: blob.data if blob is not None and blob.kind == "blob" else b""
        for path, blob in zip(paths, found, strict=True)
        if blob is None or len(blob.data) <= _MOST
    }


def _working(repo: Repository, paths: Sequence[bytes]) -> Mapping[bytes, bytes]:
    top = os.fsencode(repo.top or repo.place)
    found = {}
    for path in paths:
        full = os.path.join(top, path)
        try:
            info = os.lstat(full)
            if not stat.S_ISREG(info.st_mode) or info.st_size > _MOST:
                continue
            with open(full, "rb") as f:
                found[path] = f.read(_MOST)
        except (FileNotFoundError, NotADirectoryError):
            found[path] = b""
        except (OSError, ValueError):
            continue
    return found
