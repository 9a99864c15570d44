"""Which file is meant, and its lines as git annotates them: the working file, or the file of a commit."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote, quote_path
from gitrelay.ground.value import dataclass
from gitrelay.provenance.lines import annotated, kept
from gitrelay.provenance.lines.kept import Looked
from gitrelay.state.folder import State

_MOST: Final = 32 << 20  # bytes of a file
_LINES_MOST: Final = 300_000
_LOOKED_AT: Final = 8000  # bytes at the beginning in which git looks for a NUL, to tell that a file is not text
_WHERE: Final = re.compile(r"(?P<file>.+):(?P<first>[0-9]{1,9})(?:-(?P<last>[0-9]{1,9}))?", re.DOTALL)
_RANGE: Final = re.compile(r"([0-9]{1,9})(?:[-,]([0-9]{1,9}))?")


@dataclass(frozen=True)
class File:
    """`path` is below the top; `rev` the commit, None for the working file; `data` what it holds.

    `same` is the commit whose file is the same byte for byte, empty if there is none; `new`: no commit holds it.
    """

    path: str
    rev: str | None
    data: bytes
    same: str = ""
    new: bool = False

    @property
    def name(self) -> bytes:
        return os.fsencode(self.path)

    def look(self, repo: Repository, limit: float | None = None) -> Looked:
        """The lines as git annotates them, which takes a while, at most `limit` seconds. Raises GitError, Hangs."""
        if self.new:
            return Looked(annotated.uncommitted(self.data, self.path))
        if not self.same:
            return Looked(annotated.annotated(repo, self.path, self.rev, limit))
        place = kept.place(State(repo.common_dir).root, self.same, self.path, annotated.boundary(repo))
        return kept.read(place, self.data) or Looked(annotated.annotated(repo, self.path, self.same, limit), place)


@contextlib.contextmanager
def looking(repo: Repository, file: File, limit: float | None = None) -> Iterator[Callable[[], Looked]]:
    """git looks for the lines of `file` from now on; the function waits for it, and raises what `File.look` does."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(file.look, repo, limit).result


def split(word: str, folder: Path) -> tuple[str, tuple[int, int] | None]:
    """`FILE:N-M` -> (file, (first, last)); a file whose name ends so itself is that file. Raises UsageError."""
    found = _WHERE.fullmatch(word)
    if found is None or os.path.lexists(folder / word):
        return word, None
    first = int(found["first"])
    return found["file"], _checked(word, first, first if found["last"] is None else int(found["last"]))


def range_of(word: str) -> tuple[int, int]:
    """`N`, `N-M` or `N,M` -> (first, last). Raises UsageError."""
    found = _RANGE.fullmatch(word)
    if found is None:
        raise UsageError(f"{quote(word)} is no line and no range", hint="as in --line 12, or --line 12-20")
    first = int(found[1])
    return _checked(word, first, first if found[2] is None else int(found[2]))


def _checked(word: str, first: int, last: int) -> tuple[int, int]:
    if not 0 < first <= last:
        raise UsageError(f"{quote(word)}: lines are counted from 1, the first one comes first", hint="as in FILE:12-20")
    return first, last


def opened(repo: Repository, folder: Path, word: str, rev: str | None) -> File:
    """The file that `word` names from `folder`, in the working tree or, with `rev`, in that commit.

    Raises UsageError if there is none, or if it is not text.
    """
    path = below(repo, folder, word)
    if rev is None and repo.top is None:
        raise repo.has_no_tree("a bare repository has no working files", hint=f"git relay blame --rev HEAD {path}")
    if rev is None:
        return _working(repo, path)
    return of_commit(repo, _commit(repo, rev), path, rev)


def of_commit(repo: Repository, commit: str, path: str, rev: str = "") -> File:
    """The file at `path`, below the top, in a commit that the person called `rev`. Raises what `opened` raises."""
    entry = repo.run("ls-tree", "-z", commit, "--", path).split(b"\0")[0]
    mode, _, rest = entry.partition(b" ")
    if not entry or mode not in (b"100644", b"100755"):
        what = {b"120000": "a symbolic link", b"040000": "a folder", b"160000": "a submodule"}.get(mode)
        raise _no_file(path, f"at {quote(rev or commit)}", what, f"git ls-tree -r --name-only {commit[:12]}")
    (blob,) = repo.objects([rest.split(b" ")[1].partition(b"\t")[0].decode()])
    _refuse_other(path, blob.data if blob else b"")
    return File(path, commit, blob.data if blob else b"", commit)


def _working(repo: Repository, path: str) -> File:
    assert repo.top is not None
    full = repo.top / path
    try:
        info = os.lstat(full)
    except (OSError, ValueError):
        raise _no_file(path, "in the working tree", None, "git ls-files") from None
    if not stat.S_ISREG(info.st_mode):
        kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder"))
        what = next((name for test, name in kinds if test(info.st_mode)), "no plain file")
        raise _no_file(path, "in the working tree", what, "git ls-files")
    if info.st_size > _MOST:
        raise _too_large(path)
    try:
        data = full.read_bytes()
    except OSError as e:
        raise UsageError(f"{quote_path(path)} cannot be read: {e.strerror}", code=Code.NO_FILE) from None
    _refuse_other(path, data)
    committed = repo.run("ls-tree", "-z", "HEAD", "--", path, ok=(0, 128)).partition(b"\t")[0].split(b" ")
    if len(committed) < 3:
        return File(path, None, data, new=True)
    is_same = committed[2].decode("ascii", "replace") == repo.object_id("blob", data)
    return File(path, None, data, (repo.ref("HEAD") or "") if is_same else "")


def below(repo: Repository, folder: Path, word: str, *, top: bool = False) -> str:
    """The path below the top; with `top` also the top itself, as `.`. Raises UsageError for one that is not."""
    if repo.top is None:
        path = os.path.normpath(word)
    else:
        place = os.path.join(os.path.realpath(folder), word)
        where, name = os.path.split(os.path.normpath(place))
        path = os.path.relpath(os.path.join(where, name), os.path.realpath(repo.top))
    if (
        not word
        or "\0" in word
        or path.startswith("../")
        or path in ("..", "" if top else ".")
        or ".git" in path.split("/")
    ):
        raise UsageError(
            f"{quote_path(word)} is no file below {quote_path(repo.place)}", hint="git ls-files", code=Code.NO_FILE
        )
    return path


def _commit(repo: Repository, rev: str) -> str:
    oid = repo.ref(f"{rev}^{{commit}}") if "\n" not in rev and "\0" not in rev else None
    if oid is None:
        raise UsageError(f"git knows no commit {quote(rev)}", hint="git log --oneline", code=Code.UNKNOWN_REVISION)
    return oid


def _no_file(path: str, where: str, what: str | None, hint: str) -> UsageError:
    said = f"is {what} {where}" if what else f"is not there {where}"
    return UsageError(f"{quote_path(path)} {said}", hint=hint, code=Code.NO_FILE)


def _too_large(path: str) -> UsageError:
    return UsageError(
        f"{quote_path(path)} is larger than {_MOST >> 20} MiB, or has more than {_LINES_MOST} lines",
        hint="git blame -w looks at any file, without exchanges",
        code=Code.NO_FILE,
    )


def _refuse_other(path: str, data: bytes) -> None:
    if b"\0" in data[:_LOOKED_AT]:
        raise UsageError(f"{quote_path(path)} is not text", hint="git log -- FILE lists its commits", code=Code.NO_FILE)
    if len(data) > _MOST or data.count(b"\n") > _LINES_MOST:
        raise _too_large(path)
