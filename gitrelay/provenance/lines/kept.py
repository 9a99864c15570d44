"""What git has said of each line of a committed file, kept in `.git/relay/lines`: of one commit it never changes.

One file each, JSON with a format version, without the text of the lines. What cannot be read, or is of another
version, is asked of git again; the files may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from gitrelay.ground.value import dataclass
from gitrelay.provenance.lines.annotated import Annotated, Commit
from gitrelay.state.files import make_folder, write_whole

FOLDER: Final = "lines"
_VERSION: Final = 1
_KEEP: Final = 64  # files
_MOST: Final = 64 << 20  # bytes of one, unpacked


@dataclass()
class Looked:
    """The lines of a file as git annotates them, and where that is kept: None if it belongs to no commit.

    `around`: the place of a line in `lines`, from 0 -> the keys before and behind it in its commit, where they were
    looked for. What is added to it is kept by `keep`.
    """

    lines: Sequence[Annotated]
    path: Path | None = None
    around: dict[int, tuple[int, int]] = field(default_factory=dict)
    kept: int = -1  # how many of `around` are kept, -1 if nothing is

    def keep(self) -> None:
        """Keep it, and of other files the newest. What cannot be written is not kept. Never fails."""
        if self.path is not None and self.kept < len(self.around):
            _write(self.path, self)


def place(folder: Path, commit: str, path: str, boundary: bytes) -> Path:
    """Where `path` in `commit` is kept below `folder`, the state's; `boundary`: where the history of the clone ends."""
    key = hashlib.sha256(b"%s\0%s\0%s" % (commit.encode(), os.fsencode(path), boundary)).hexdigest()[:40]
    return folder / FOLDER / key


def read(place: Path, data: bytes) -> Looked | None:
    """What is kept of a file that holds `data`; None if nothing is, or if it is of other lines. Never fails."""
    try:
        if any(path.is_symlink() for path in (place, place.parent, place.parent.parent)):
            return None
        unpacking = zlib.decompressobj()
        unpacked = unpacking.decompress(place.read_bytes(), _MOST)
        value = json.loads(unpacked)
        if not unpacking.eof or value["version"] != _VERSION:
            return None
        commits = [_commit(*one) for one in value["commits"]]
        texts = [line.removesuffix(b"\r") for line in data.split(b"\n")]
        if not texts[-1]:
            texts.pop()
        lines: list[Annotated] = []
        for commit, path, number, count in value["runs"]:
            name, of = value["paths"][path].encode("utf-8", "surrogateescape"), commits[commit]
            some = texts[len(lines) : len(lines) + count]
            lines += [Annotated(text, of, name, n) for n, text in enumerate(some, number)]
        around = {_number(at): (_number(before), _number(behind)) for at, before, behind in value["around"]}
        return Looked(lines, place, around, len(around)) if len(lines) == len(texts) else None
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, zlib.error):
        return None


def _write(place: Path, looked: Looked) -> None:
    commits: dict[Commit, int] = {}
    paths: dict[bytes, int] = {}
    runs: list[list[int]] = []
    last: Annotated | None = None
    for line in looked.lines:
        if last and last.commit is line.commit and last.path == line.path and last.number + 1 == line.number:
            runs[-1][3] += 1
        else:
            run = commits.setdefault(line.commit, len(commits)), paths.setdefault(line.path, len(paths))
            runs.append([*run, line.number, 1])
        last = line
    value = {
        "version": _VERSION,
        "commits": [[c.oid, c.time, c.author, c.subject, c.cut] for c in commits],
        "paths": [path.decode("utf-8", "surrogateescape") for path in paths],
        "runs": runs,
        "around": [[at, *keys] for at, keys in looked.around.items()],
    }
    with contextlib.suppress(OSError):
        for folder in (place.parent.parent, place.parent):
            if folder.is_symlink():
                return
            make_folder(folder)
        write_whole(place, zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1))
        for old in sorted(place.parent.iterdir(), key=lambda path: -path.lstat().st_mtime)[_KEEP:]:
            old.unlink()


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError("not a number")
    return value


def _commit(oid: Any, time: Any, author: Any, subject: Any, cut: Any) -> Commit:
    """Raises TypeError for what `_write` does not give."""
    if not all(type(word) is str for word in (oid, author, subject)) or type(time) is not int or type(cut) is not bool:
        raise TypeError("not a commit")
    return Commit(oid, time, author, subject, cut)
