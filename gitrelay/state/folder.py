"""What is kept outside git: `<git common dir>/relay/`. Locks, running calls, peer logs, files kept aside.

All of it may be deleted at any time without losing a recorded exchange. Layout:

    locks/<session>.lock     flock, held for the milliseconds of one write
    calls/<session>/         one running call: call.json, alive (flock held by its supervisor), cancel,
                             response.json (an answer that is not recorded yet), out.log, err.log,
                             reserve (space for that answer, given up when the disk is full)
    logs/<session>.<id>.*    what peers printed, the newest KEEP_LOGS
    kept/                    sockets of agents that stay for the next turn; only the user can reach it
    away/<session>           a call that another machine is to answer
    remotes/<digest>.json    what was tried of a remote that holds a queue
    worker.json              what the jobs of this clone's worker have used today
    git.json                 the version of git, until its program changes
    told/<digest>            what a person was told once
    passed/<ids>             passes that hooks/pre-push need not look up again, the newest 500
    exports/<digest>         what the last export to a folder wrote, of the newest 16 folders
    added                    what pairs of recorded trees differ in, for `blame`; hashes, no text
    closed                   as old as the last look for idle worktrees
    packed                   how many loose objects the last packing left
    aside/<session>/...      what a peer left in a worktree and gitrelay did not record

What came from a peer passes through redaction before it is written here: logs, answers, messages kept aside.
Files are written whole: a temporary file in the same folder, fsync, rename; with a format version.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gitrelay.errors import CannotRecord
from gitrelay.ground.text import quote_path
from gitrelay.protocol.names import Address
from gitrelay.state.calls import CallFolder, log_name, mtime
from gitrelay.state.files import cannot_write, is_own_folder, make_folder, share, shared_bits, write_whole
from gitrelay.state.lock import Lock

if TYPE_CHECKING:
    from gitrelay.redact import Redactor


_TRIES: Final = 5
_README: Final = """\
gitrelay keeps here what is only about this machine: locks, running calls, what peers printed.
The exchanges themselves are commits on the branches relay/*. This folder may be deleted at any time
without losing one of them; a call that is running then ends as usual.
"""


class State:
    """The folder of one repository. Raises CannotRecord if it cannot be written."""

    def __init__(
        self,
        common_dir: Path,
        redactor: Callable[[], Redactor] | None = None,
        shared: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`shared` gives the value of core.sharedRepository when the folder has to be made."""
        self.root = common_dir / "relay"
        self._redactor = redactor
        self._shared = shared

    @cached_property
    def redactor(self) -> Redactor:
        """What takes secrets out of text. Raises UsageError for a bad pattern of the user's."""
        from gitrelay.redact import Redactor

        return self._redactor() if self._redactor is not None else Redactor()

    def prepare(self) -> None:
        """Make the folders. The first write of every call, so a read-only .git is noticed here, in no time.

        Raises CannotRecord, also if the repository is not here any more, or if a link is in the place of a folder.
        """
        for again in reversed(range(_TRIES)):
            try:
                self._prepare()
                return
            except FileNotFoundError as e:  # somebody deletes the folder just now
                if not again or not self.root.parent.is_dir():
                    raise cannot_write(self.root, e) from e
            except OSError as e:
                raise cannot_write(self.root, e) from e

    def _prepare(self) -> None:
        self.make_folders()
        readme = self.root / "README"
        if not readme.exists():
            write_whole(readme, _README.encode())
        # an existing folder says nothing about whether it can still be written
        if not os.access(self.root / "locks", os.W_OK):
            mounted = os.statvfs(self.root / "locks").f_flag
            number = errno.EROFS if mounted & os.ST_RDONLY else errno.EACCES
            raise OSError(number, os.strerror(number))

    def make_folders(self) -> None:
        """The folder and those in it, never the repository's own: it may have been moved. Raises OSError."""
        if not os.path.lexists(self.root):
            make_folder(self.root)
            share(self.root, shared_bits(self._shared()))
        folders = [self.root / name for name in ("locks", "calls", "logs")]
        for path in (self.root, *folders):
            if path.is_symlink():
                raise CannotRecord(f"{quote_path(path)} is a link; gitrelay follows none there", hint=f"rm '{path}'")
        for path in folders:
            make_folder(path)

    def is_new(self, words: str) -> bool:
        """Whether `words` were never told here; from now on they were. False if that cannot be noted."""
        path = self.root / "told" / hashlib.sha256(words.encode()).hexdigest()[:40]
        try:
            make_folder(path.parent)
            if path.exists():
                return False
            write_whole(path, words.encode())
        except OSError:
            return False
        return True

    def lock(self, session: str) -> Lock:
        return Lock(self.root / "locks" / f"{session}.lock", self.make_folders)

    def call(self, session: str) -> CallFolder:
        return CallFolder(self.root / "calls" / session, self.root / "logs")

    def calls(self) -> list[CallFolder]:
        """Every call that has a folder, running or left behind, the oldest first."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            folders = sorted((self.root / "calls").iterdir(), key=lambda p: (mtime(p), p.name))
            return [
                CallFolder(path, self.root / "logs")
                for path in folders
                if is_own_folder(path) and not path.name.startswith(".")
            ]
        return []

    def log_path(self, address: Address, kind: str) -> Path:
        return self.root / "logs" / log_name(address, kind)

    def aside(self, session: str) -> Path:
        """A new folder for what is kept aside from a session's worktree."""
        parent = self.root / "aside" / session
        try:
            for above in (self.root, parent.parent, parent):
                make_folder(above)
            for again in range(1, 10_000):
                folder = parent / f"{time.strftime('%Y%m%d-%H%M%S')}-{again}"
                if not os.path.lexists(folder):
                    make_folder(folder)
                    return folder
        except OSError as e:
            raise cannot_write(parent, e) from e
        raise CannotRecord(f"{quote_path(parent)} is full of things kept aside", hint="remove what is not needed")
