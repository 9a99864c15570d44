"""The linked worktree `.relay/<session>/` that a session is checked out in, and what a peer may have done to it.

The branch is the truth. A worktree that was removed, moved, switched or damaged is put back; a file
that a peer edited or left behind is moved to `<git common dir>/relay/aside/` and reported. Everything
found here is hostile: links are not followed, nothing but a plain file of ours is read.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gitrelay.errors import Busy, Code, UsageError
from gitrelay.git import cached
from gitrelay.git.cached import Known
from gitrelay.git.faults import GitError
from gitrelay.git.objects import FILE_MODE, TreeEntry
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote, quote_path
from gitrelay.protocol import frontmatter, message
from gitrelay.state import plainfile
from gitrelay.state.files import cannot_write, write_whole
from gitrelay.state.folder import State

FOLDER: Final = ".relay"
_STALE: Final = 2.0  # seconds after which a lock file that no process has open is one that a killed git left
_LOCK_LIMIT: Final = 60.0  # seconds; one `git worktree add` takes about 10 ms


def folder_of(repo: Repository, session: str) -> Path:
    """Where the session's worktree belongs for a caller in `repo`."""
    if repo.top is None:
        return repo.common_dir / "relay" / "worktrees" / session
    return repo.top / FOLDER / session


class SessionWorktree:
    """The worktree of one session. The caller holds the session's lock."""

    def __init__(self, repo: Repository, state: State, session: str) -> None:
        self.repo = repo
        self.session = session
        self.branch = f"relay/{session}"
        self.path = folder_of(repo, session)
        self._state = state

    # -- being there ------------------------------------------------------------------------------

    def is_sound(self) -> bool:
        """Whether `path` is a linked worktree of this repository with the session's branch checked out.

        Read from the files that gitrepository-layout(5) names, because this is asked before every write.
        """
        try:
            if self.path.is_symlink() or self.path.parent.is_symlink():
                return False
            admin = self._admin()
            return (
                os.path.samefile(admin.parent, self.repo.common_dir / "worktrees")
                # relative to `admin` with worktree.useRelativePaths (git 2.48)
                and os.path.samefile(admin / _small_file(admin / "gitdir").strip(), self.path / ".git")
                and self.repo.head(admin, self.path) == f"ref: refs/heads/{self.branch}"
            )
        except (OSError, ValueError, GitError):
            return False

    def ensure(self, entries: Sequence[TreeEntry], *, fresh: bool = False) -> list[str]:
        """Put the worktree in place, at the branch, holding `entries`; returns notes on what was not so.

        `fresh`: the branch was made a moment ago, so no other worktree can have it checked out. Raises Busy
        if a worktree that is not gitrelay's has it, UsageError if something else is at its place.
        """
        if self.is_sound():
            self._clear_stale_lock()
            return self.restore(entries)
        with self._state.lock(".worktrees") as lock:
            lock.acquire(_LOCK_LIMIT, what="the list of worktrees")
            self.make_home()
            notes = [] if fresh else self._make_room(entries)
            notes += self._clear_place()
            self.repo.add_worktree(self.path, self.branch)
            self._undo_conversion(entries)
        return notes

    def make_home(self) -> None:
        """The folder that holds the worktree, ignoring itself."""
        home = self.path.parent
        if home.is_symlink() or (home.exists() and not home.is_dir()):
            raise UsageError(
                f"{quote_path(home)} is not a folder",
                hint="gitrelay needs that name; move it away",
                code=Code.BAD_FOLDER,
            )
        try:
            home.mkdir(parents=True, exist_ok=True)
            ignore = home / ".gitignore"
            if self.repo.top is not None and not ignore.exists():
                write_whole(ignore, b"*\n")
        except OSError as e:
            raise cannot_write(home, e) from e

    def _make_room(self, entries: Sequence[TreeEntry]) -> list[str]:
        """Take the branch away from an idle session worktree elsewhere; refuse if a person has it.

        What is in it and not in the branch is kept aside; returns notes on that.
        """
        notes = []
        trees = self.repo.worktrees()
        for tree in trees:
            if tree.branch != f"refs/heads/{self.branch}" or tree.prunable or tree.path == self.path:
                continue
            if not self._is_of_this_repository(tree.path):
                continue  # of the one that this is a copy of
            homes = {t.path / FOLDER for t in trees} | {self.repo.common_dir / "relay" / "worktrees"}
            if tree.path.parent not in homes or tree.path.name != self.session:
                raise Busy(
                    f"branch {self.branch} is checked out at {quote_path(tree.path)}, which gitrelay did not make",
                    hint=f"switch that working tree to another branch, or 'git worktree remove {tree.path}'",
                    code=Code.CHECKED_OUT,
                )
            elsewhere = SessionWorktree(self.repo, self._state, self.session)
            elsewhere.path = tree.path
            if elsewhere.is_sound():
                notes += elsewhere.restore(entries)
            self.repo.remove_worktree(tree.path)
        return notes

    def _is_of_this_repository(self, path: Path) -> bool:
        """Whether the worktree at `path` names this repository; that it is listed here says nothing in a copy."""
        with contextlib.suppress(OSError, ValueError):
            pointer = _small_file(path / ".git").removeprefix("gitdir: ").strip()
            return os.path.samefile((path / pointer).parent.parent, self.repo.common_dir)
        return True

    def _admin(self) -> Path:
        """Where git keeps what is only about this worktree. Raises OSError, ValueError."""
        pointer = _small_file(self.path / ".git").removeprefix("gitdir: ").strip()
        return Path(os.path.normpath(self.path / pointer))

    def _clear_stale_lock(self) -> None:
        """Remove the `index.lock` that a killed git left in this worktree: nobody else works in it under our lock."""
        with contextlib.suppress(OSError, ValueError):
            lock = self._admin() / "index.lock"
            deadline = time.monotonic() + _STALE
            while lock.exists() and (_is_open(lock) or time.time() - lock.stat().st_mtime < _STALE):
                if time.monotonic() > deadline:
                    return
                time.sleep(0.05)
            lock.unlink(missing_ok=True)

    def _clear_place(self) -> list[str]:
        if not os.path.lexists(self.path):
            return []
        with contextlib.suppress(OSError):
            self.path.rmdir()
            return []
        if self.path.is_symlink() or os.path.lexists(self.path / ".git") or not self.path.is_dir():
            kept = self._keep_aside(self.path)
            if not kept.is_symlink():  # where a link points to is not ours
                with contextlib.suppress(OSError):
                    (kept / ".git").unlink()
            return [f"the session's worktree was replaced or switched; what was there is in {kept}"]
        names = [p.name for p in self.path.iterdir()]
        messages = [name for name in names if message.FILE.fullmatch(name)]
        if len(messages) == len(names) and any(tree.path == self.path for tree in self.repo.worktrees()):
            kept = self._keep_aside(self.path)
            return [f"the session's worktree had lost its .git; what was there is in {kept}"]
        hint = "move it away; gitrelay puts the session there"
        if messages:  # of the file protocol: the user's own, perhaps tracked
            hint = f"git relay import {quote_path(self.path.parent)} records such messages; then move that folder away"
        raise UsageError(
            f"{quote_path(self.path)} exists and is not a session's worktree", hint=hint, code=Code.BAD_FOLDER
        )

    def remove(self) -> None:
        """Take the worktree away; the branch stays. What is not of the branch is kept aside first."""
        if self.path.is_symlink() or self.path.parent.is_symlink():
            return  # what a link points to is not ours
        with self._state.lock(".worktrees") as lock:
            lock.acquire(_LOCK_LIMIT, what="the list of worktrees")
            self.repo.remove_worktree(self.path)

    # -- what is in it ----------------------------------------------------------------------------

    def write(self, name: str, data: bytes) -> Path:
        path = self.path / name
        try:
            if os.path.lexists(path):
                self._keep_aside(path)
            write_whole(path, data)
        except OSError as e:
            raise cannot_write(path, e) from e
        return path

    def synchronise(self, entries: Sequence[TreeEntry]) -> None:
        """Index and files as the branch, with its `entries`, has them."""
        self.repo.reset_worktree(self.path)
        self._undo_conversion(entries)

    def _undo_conversion(self, entries: Sequence[TreeEntry]) -> None:
        """Write the recorded bytes again if git may have changed line ends or the encoding."""
        if not self.repo.converts:
            return
        expected = [entry for entry in entries if entry.mode == FILE_MODE]
        for entry, blob in zip(expected, self.repo.objects([e.oid for e in expected]), strict=True):
            path = self.path / entry.name
            if blob is not None and path.is_file() and path.read_bytes() != blob.data:
                write_whole(path, blob.data)

    def restore(self, entries: Sequence[TreeEntry]) -> list[str]:
        """Compare every file with the branch's `entries`; keep aside and put back what differs; returns notes.

        Raises CannotRecord if the files cannot be read or moved.
        """
        try:
            return self._restore(entries)
        except OSError as e:
            raise cannot_write(self.path, e) from e

    def _restore(self, entries: Sequence[TreeEntry]) -> list[str]:
        expected = {entry.name: entry.oid for entry in entries}
        known = self._known()
        notes = []
        items = {item.name: item for item in os.scandir(self.path) if item.name != ".git"}
        found = items.keys()
        # a session of 2,000 turns has 4,000 files, and they are looked at twice in a turn
        odd = [name for name, item in items.items() if not _is_known(item, expected.get(name), known.get(name))]
        for item in (items[name] for name in sorted(odd)):
            if item.name not in expected:
                kept = self._keep_aside(self.path / item.name)
                notes.append(f"{quote(item.name)} did not belong there; it is in {kept}")
            elif not self._holds(item, expected[item.name]):
                kept = self._keep_aside(self.path / item.name)
                notes.append(f"{item.name} had been changed and was put back; the change is in {kept}")
        missing = sorted(set(expected) - found)
        notes += [f"{name} had been deleted and was put back" for name in missing]
        if notes:
            self.synchronise(entries)
        return notes

    def _known(self) -> Mapping[str, Known]:
        """Which file held what when git last looked: of 4,000 files only those are read that were touched since."""
        if self.repo.converts:
            return {}  # then what git calls the same may be other bytes
        with contextlib.suppress(OSError, ValueError):
            return cached.read(self._admin() / "index", len(self.repo.no_object) // 2)
        return {}

    def _holds(self, item: os.DirEntry[str], oid: str) -> bool:
        info = item.stat(follow_symlinks=False)
        if not stat.S_ISREG(info.st_mode) or info.st_size > frontmatter.MAX_BYTES:
            return False
        return self.repo.object_id("blob", (self.path / item.name).read_bytes()) == oid

    def take(self, name: str) -> bytes | None:
        """What a peer wrote to `name`, None if there is nothing. Raises BadMessage for anything but a plain file."""
        if self.path.parent.is_symlink():
            return None  # somebody else's folder, whatever is in it
        if self.path.is_symlink():
            raise frontmatter.BadMessage(1, "the session's worktree was replaced by a symbolic link")
        return plainfile.read(self.path / name)

    def discard(self, name: str, data: bytes) -> None:
        """Remove a reply file whose bytes have been taken as `data`; any other stays, to be kept aside.

        What has been taken may be redacted already, if a supervisor died between keeping and recording it.
        """
        with contextlib.suppress(OSError, frontmatter.BadMessage):
            found = self.take(name)
            same = (data, data.removesuffix(b"\n"))
            if found in same or (found is not None and self._redacted(found) in same):
                (self.path / name).unlink()

    def _redacted(self, data: bytes) -> bytes:
        text = data.decode("utf-8", "surrogateescape")
        return self._state.redactor.redact(text).text.encode("utf-8", "surrogateescape")

    def _redact_aside(self, path: Path) -> None:
        """A message kept aside has been written by an agent, like any other; a user's own file stays as it is."""
        with contextlib.suppress(OSError, frontmatter.BadMessage):
            data = plainfile.read(path) if message.FILE.fullmatch(path.name) else None
            if data is not None and (redacted := self._redacted(data)) != data:
                write_whole(path, redacted)

    def _keep_aside(self, path: Path) -> Path:
        """Move `path`, whatever it is, out of the worktree; what cannot be moved across file systems is removed."""
        target = self._state.aside(self.session) / path.name
        try:
            os.replace(path, target)
        except OSError as e:
            if e.errno != errno.EXDEV:
                raise cannot_write(target, e) from e
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        self._redact_aside(target)
        return target


def _is_known(item: os.DirEntry[str], oid: str | None, known: Known | None) -> bool:
    """Whether it is the file that held the object `oid` when git last looked, not touched since."""
    if oid is None or known is None or known.oid != oid:
        return False
    info = item.stat(follow_symlinks=False)
    return stat.S_ISREG(info.st_mode) and info.st_size <= frontmatter.MAX_BYTES and known.is_same(info)


def _is_open(path: Path) -> bool:
    """Whether a process has the file open, as a git that holds it as a lock has; only Linux can tell."""
    wanted = path.stat()
    for fd in glob.iglob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(fd), wanted):
                return True
    return False


def _small_file(path: Path) -> str:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError(f"{path} is not a file")
    with path.open("rb") as f:
        return f.read(8192).decode("utf-8", "surrogateescape")
