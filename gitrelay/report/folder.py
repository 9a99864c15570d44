"""Where an export is written: whole files, and never over anything that no export of ours wrote.

An exported folder names its own files in MARKER, with `complete`: false from before the first page is written until
the last one is. So an interrupted export can be recognised, and what an earlier export left
is taken away, unless it was changed since, and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.ground.text import quote_path
from gitrelay.protocol import names
from gitrelay.report.files import FOLDER as FILES
from gitrelay.report.pages import GENERATOR
from gitrelay.state.files import cannot_write

MARKER: Final = "gitrelay-export.json"
FORMAT: Final = 1
PAGES: Final = "sessions"
_GENERATED: Final = f'name="generator" content="{GENERATOR.partition(" ")[0]} '.encode()
_MARKER_MAX: Final = 64 * 1024 * 1024  # bytes


def page_of(session: str) -> str:
    return f"{PAGES}/{session}.html"


def write(path: Path, text: str) -> None:
    """Put `text` at `path` so that a reader sees all of it or what was there before. Raises CannotRecord.

    A file that holds it already is left as it is.
    """
    data = text.encode()
    if _holds(path, data):
        return
    # not synchronised to the disk, as state.write_whole does: an export can be made again
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except BaseException as e:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(e, OSError):
            raise cannot_write(path, e) from e
        raise


def digest_of(path: Path) -> str:
    """The hash of a plain file; '' if there is none, or something else."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return ""
        with open(path, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError:
        return ""


def _holds(path: Path, data: bytes) -> bool:
    try:
        info = path.lstat()
        return stat.S_ISREG(info.st_mode) and info.st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


@dataclass(frozen=True)
class Folder:
    """A folder that an export is being written to. `earlier` are the files that an export wrote there before."""

    path: Path
    earlier: frozenset[str]

    @classmethod
    def begin(cls, path: Path, files: Sequence[str], *, force: bool) -> Folder:
        """Make the folder, or take one of an earlier export; with `force` any. Raises UsageError, CannotRecord."""
        earlier = _earlier(path)
        if earlier is None and not force:
            raise UsageError(
                f"{quote_path(path)} is not empty and is no earlier export",
                hint="name another folder, or use --force: files of the same names are then replaced, others stay",
                code=Code.EXISTS,
            )
        folder = cls(path, earlier or frozenset())
        try:
            path.mkdir(parents=True, exist_ok=True)
            for inner in dict.fromkeys([path / PAGES, *((path / name).parent for name in files)]):
                if inner.is_symlink():
                    raise UsageError(f"{quote_path(inner)} is a symbolic link", hint="remove it", code=Code.EXISTS)
                inner.mkdir(exist_ok=True)
        except OSError as e:
            raise cannot_write(path, e) from e
        folder._mark({*folder.earlier, *files}, complete=False)
        return folder

    def end(self, files: Sequence[str], hashes: Mapping[str, str]) -> None:
        """Everything is written: what an earlier export wrote and this one did not goes, and what one left half.

        A file stays if its hash is not the one that `hashes` has for it, or if it has none and is no page of ours.
        """
        gone = [name for name in self.earlier - set(files) if self._is_as_written(name, hashes.get(name))]
        for path in [*(self.path / name for name in gone), *self._halves()]:
            with contextlib.suppress(OSError):
                path.unlink()
        self._mark(files, complete=True)

    def _is_as_written(self, name: str, hash_: str | None) -> bool:
        path = self.path / name
        if hash_ is not None:
            return digest_of(path) == hash_
        with contextlib.suppress(OSError):
            return stat.S_ISREG(path.lstat().st_mode) and _is_generated(path)
        return False

    def _halves(self) -> list[Path]:
        """The temporary files of `write` that an export left which was killed."""
        found = []
        for path in [p for name in ("", PAGES, FILES) for p in (self.path / name).glob(".*.tmp")]:
            whole = re.fullmatch(r"\.(.+)\.[0-9]+\.tmp", path.name)
            if whole and (whole[1] == MARKER or _is_ours(str(path.relative_to(self.path).with_name(whole[1])))):
                found.append(path)
        return found

    def _mark(self, files: Sequence[str] | set[str], *, complete: bool) -> None:
        value = {"format": FORMAT, "generator": GENERATOR, "complete": complete, "files": sorted(files)}
        write(self.path / MARKER, json.dumps(value, indent=1) + "\n")


def _earlier(path: Path) -> frozenset[str] | None:
    """The files of the earlier export at `path`, none for a new or empty folder, None for anything else."""
    try:
        if not path.exists():
            return frozenset()
        if not path.is_dir():
            raise UsageError(
                f"{quote_path(path)} is not a folder", hint="a file's name ends in .html", code=Code.EXISTS
            )
        if not any(path.iterdir()):
            return frozenset()
        with open(path / MARKER, "rb") as f:
            value = json.loads(f.read(_MARKER_MAX))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    except OSError as e:
        raise cannot_write(path, e) from e
    if not isinstance(value, dict) or value.get("format") != FORMAT or not isinstance(value.get("files"), list):
        return None
    return frozenset(name for name in value["files"] if isinstance(name, str) and _is_ours(name))


def _is_ours(name: str) -> bool:
    """Whether an export writes a file of that name: whatever a marker says, nothing else is taken away."""
    if re.fullmatch(rf"{FILES}/[^/]+-[0-9a-f]{{16}}\.html", name):
        return True
    page = re.fullmatch(rf"{PAGES}/([^/]+)\.html", name)
    return name in ("index.html", "figures.html") or (page is not None and names.is_session(page[1]))


def check_file(path: Path, *, force: bool) -> None:
    """Raises UsageError if a file at `path` was not written by an export, unless `force`."""
    if force and not path.is_dir():
        return
    try:
        ours = _is_generated(path)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        raise UsageError(
            f"{quote_path(path)} is a folder", hint="name a file, or a folder without .html", code=Code.EXISTS
        ) from None
    except OSError as e:
        raise cannot_write(path, e) from e
    if not ours:
        raise UsageError(
            f"{quote_path(path)} exists and is no earlier export",
            hint="name another file, or use --force",
            code=Code.EXISTS,
        )


def _is_generated(path: Path) -> bool:
    with open(path, "rb") as f:
        return _GENERATED in f.read(4096)
