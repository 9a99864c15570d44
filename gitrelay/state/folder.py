"""What stands outside git: `<git common dir>/relay/`. Locks, running calls, peer logs, files kept aside.

All of it may be deleted at any time without losing a recorded exchange. Layout:

    locks/<session>.lock     flock, held for the milliseconds of one write
    calls/<session>/         one running call: call.json, alive (flock held by its supervisor), cancel,
                             response.json (an answer that is not recorded yet), out.log, err.log,
                             reserve (space for that answer, given up when the disk is full)
    logs/<session>.<id>.*    what peers printed, the newest KEEP_LOGS
    passed/<ids>             passes that hooks/pre-push need not look up anew, the newest 500
    aside/<session>/...      what a peer left in a worktree and gitrelay did not record

What came from a peer passes through redaction before it stands here: logs, answers, messages kept aside.
Files are written whole: a temporary file in the same folder, fsync, rename; with a format version.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gitrelay.environment import how_to_record
from gitrelay.errors import CannotRecord
from gitrelay.protocol.names import Address, quote_path
from gitrelay.state.lock import Lock, is_held

if TYPE_CHECKING:
    from gitrelay.redact import Redactor

VERSION: Final = 1
KEEP_LOGS: Final = 100
RESERVE: Final = 256 * 1024  # bytes; an answer is seldom longer
_README: Final = """\
gitrelay keeps here what is only about this machine: locks, running calls, what peers printed.
The exchanges themselves are commits on the branches relay/*. This folder may be deleted at any time
without losing one of them; a call that is running then ends as usual.
"""


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


@dataclass(frozen=True)
class Limits:
    """Seconds; None is no limit. `first_output` ends when the peer's model first says or does something."""

    wall: float | None = None
    idle: float | None = None
    first_output: float | None = None


@dataclass(frozen=True)
class Ending:
    """How a child ended. `stopped` is None where it ended by itself, else the reason it was stopped for.

    `exit_code` is negative for a signal, None where the program did not start (`error` says why).
    """

    exit_code: int | None
    seconds: float
    stopped: str | None = None
    detail: str = ""
    error: str = ""


@dataclass(frozen=True)
class Call:
    """One call in flight, as its `call.json` says. Times are seconds since the epoch."""

    session: str
    id: str
    from_: str
    to: str
    top: str
    access: str
    started: float
    limits: Limits
    one_shot: bool = False
    model: str | None = None
    effort: str | None = None
    checks: tuple[str, ...] = ()
    check_limit: float | None = None
    request_commit: str | None = None
    peer_pid: int | None = None
    peer_started: float | None = None
    bound: str = ""  # to commits of this branch, as a review is: what happens to the working files is not its matter

    @property
    def address(self) -> Address:
        return Address(self.session, self.id)

    @property
    def mark(self) -> str:
        """What the peer's processes of this call, and of no other, have in their environment."""
        return f"{self.request_commit} {self.top}"


class State:
    """The folder of one repository. Raises CannotRecord where it cannot be written."""

    def __init__(self, common_dir: Path, redactor: Callable[[], Redactor] | None = None) -> None:
        self.root = common_dir / "relay"
        self._redactor = redactor

    @cached_property
    def redactor(self) -> Redactor:
        """What takes secrets out of text. Raises UsageError for a bad pattern of the user's."""
        from gitrelay.redact import Redactor

        return self._redactor() if self._redactor is not None else Redactor()

    def prepare(self) -> None:
        """Make the folders. The first write of every call, so a read-only .git is noticed here, in no time."""
        try:
            for name in ("locks", "calls", "logs"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
            readme = self.root / "README"
            if not readme.exists():
                write_whole(readme, _README.encode())
            # an existing folder says nothing about whether it can still be written
            if not os.access(self.root / "locks", os.W_OK):
                mounted = os.statvfs(self.root / "locks").f_flag
                number = errno.EROFS if mounted & os.ST_RDONLY else errno.EACCES
                raise OSError(number, os.strerror(number))
        except OSError as e:
            raise cannot_write(self.root, e) from e

    def lock(self, session: str) -> Lock:
        return Lock(self.root / "locks" / f"{session}.lock")

    def call(self, session: str) -> CallFolder:
        return CallFolder(self.root / "calls" / session, self)

    def calls(self) -> list[CallFolder]:
        """Every call that has a folder, running or left behind, the oldest first."""
        with contextlib.suppress(FileNotFoundError):
            folders = sorted((self.root / "calls").iterdir(), key=lambda p: (_mtime(p), p.name))
            return [CallFolder(path, self) for path in folders if path.is_dir()]
        return []

    def log_path(self, address: Address, kind: str) -> Path:
        return self.root / "logs" / f"{address.session}.{address.id}.{kind}"

    def aside(self, session: str) -> Path:
        """A new folder for what is kept aside from a session's worktree."""
        parent = self.root / "aside" / session
        for again in range(1, 10_000):
            folder = parent / f"{time.strftime('%Y%m%d-%H%M%S')}-{again}"
            with contextlib.suppress(FileExistsError):
                folder.mkdir(parents=True)
                return folder
        raise CannotRecord(f"{quote_path(parent)} is full of things kept aside", hint="remove what is not needed")


class CallFolder:
    """`calls/<session>/`. The supervisor holds `alive` from before it starts the peer until it has recorded the end."""

    def __init__(self, path: Path, state: State) -> None:
        self.path = path
        self.session = path.name
        self._state = state

    @property
    def out_log(self) -> Path:
        return self.path / "out.log"

    @property
    def err_log(self) -> Path:
        return self.path / "err.log"

    @property
    def check_log(self) -> Path:
        return self.path / "check.log"

    def alive(self) -> Lock:
        return Lock(self.path / "alive")

    def is_alive(self) -> bool:
        return is_held(self.path / "alive")

    def create(self, call: Call) -> None:
        try:
            self.path.mkdir(exist_ok=True)
            self.save(call)
        except OSError as e:
            raise cannot_write(self.path, e) from e

    def save(self, call: Call) -> None:
        value = {"version": VERSION, **asdict(call)}
        write_whole(self.path / "call.json", json.dumps(value, indent=1).encode())

    def load(self) -> Call | None:
        """The call, None where there is none or its file cannot be read (then it is no call of ours)."""
        value = _read_json(self.path / "call.json")
        if value is None:
            return None
        try:
            known = {f.name: value[f.name] for f in fields(Call) if f.name in value}
            return replace(Call(**known), limits=Limits(**known["limits"]), checks=tuple(known.get("checks", ())))
        except (TypeError, KeyError):
            return None

    def request_cancel(self, by: str) -> None:
        write_whole(self.path / "cancel", by.encode())

    def cancelled_by(self) -> str | None:
        try:
            return (self.path / "cancel").read_text("utf-8", "replace") or "somebody"
        except OSError:
            return None

    def keep_answer(self, value: dict[str, Any]) -> None:
        """Put an answer where the next look finds it, before it is recorded: paid work is not lost to a full disk."""
        data = json.dumps({"version": VERSION, **value}).encode()
        try:
            write_whole(self.path / "response.json", data)
        except OSError:
            (self.path / "reserve").unlink(missing_ok=True)
            write_whole(self.path / "response.json", data)

    def reserve(self) -> None:
        """Hold some space for the answer, for the case that the disk is full when it comes."""
        with contextlib.suppress(OSError):
            (self.path / "reserve").write_bytes(b"\n" * RESERVE)

    def kept_answer(self) -> dict[str, Any] | None:
        return _read_json(self.path / "response.json")

    def last_output(self) -> float | None:
        """When the peer last printed something, seconds since the epoch."""
        times = [_mtime(p) for p in (self.out_log, self.err_log) if p.exists() and p.stat().st_size]
        return max(times, default=None)

    def end(self, address: Address) -> None:
        """The call is recorded: its logs move to `logs/`, the folder goes. Never fails."""
        with contextlib.suppress(OSError):
            for kind, path in (("out", self.out_log), ("err", self.err_log), ("check", self.check_log)):
                if path.exists():
                    os.replace(path, self._state.log_path(address, kind))
            logs = sorted((self._state.root / "logs").iterdir(), key=_mtime, reverse=True)
            for old in logs[2 * KEEP_LOGS :]:
                old.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)


def cannot_write(path: Path, error: OSError) -> CannotRecord:
    """One line for a folder of ours that cannot be written."""
    return CannotRecord(
        f"cannot write {quote_path(path)}: {error.strerror}",
        hint=how_to_record(os.environ),
    )


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and value.get("version") == VERSION else None
