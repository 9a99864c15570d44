"""One running call as this machine notes it: `calls/<session>/`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Final

from gitrelay import environment
from gitrelay.errors import CannotRecord
from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass
from gitrelay.process.values import Limits
from gitrelay.protocol.message import Parties
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import Trailer
from gitrelay.protocol.words import Access
from gitrelay.state.files import cannot_write, is_own_folder, make_folder, remove_tree, share_as_parent, write_whole
from gitrelay.state.lock import Lock, is_held

VERSION: Final = 1
KEEP_LOGS: Final = 100
WAKE: Final = signal.SIGURG  # a process that knows nothing of it ignores it
RESERVE: Final = 256 * 1024  # bytes; an answer is seldom longer


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
    home: str = ""  # the repository that the call belongs to, as `identity_of` says; a copy of it has another
    supervisor: int | None = None  # its pid while the peer runs: what the peer leaves behind becomes its child
    workspace: str = ""  # the path of the working tree of its own, '' if it shares the caller's
    budget: str = ""  # what holds it, as its trailer Relay-Budget says
    within: tuple[str, ...] = ()  # the calls that it was made in and whose budget it draws on, the outermost first
    hand_back: bool = False  # at the end of the budget the peer is asked once more, for what is done and what is open
    below: str = ""  # the folder that the peer is started in, relative to the tree's top
    worker_checks: tuple[str, ...] = ()  # run before the answer is recorded, for who asked on another machine
    passing: bool = False  # the workspace goes with the call: nothing is to be kept in it
    depth: int = 0  # how many calls this one is below a person on the machine that asked, if that is another
    alone: bool = False  # the workspace knows of nothing but its files (`workspace.alone`)
    earlier: str = ""  # then the earlier turns that it is given: a session and a commit of it, with a blank between
    served: str = ""  # for another machine: the job, the attempt and the worker, with a blank between them
    bound: str = ""  # to commits of this branch, as a review is: what happens to the working files is not its matter

    @property
    def address(self) -> Address:
        return Address(self.session, self.id)

    @property
    def place(self) -> str:
        """The working tree that the peer and the checks run in."""
        return self.workspace or self.top

    @property
    def prints_answer(self) -> bool:
        """Whether only what the peer prints can be its answer: it may write no file, or its answer is a verdict."""
        return self.access == Access.READ or bool(self.bound)

    @property
    def of_worker(self) -> dict[str, str]:
        """The trailers of an answer that a worker gives, none of other calls."""
        words = self.served.split(" ")
        return dict(zip((Trailer.JOB, Trailer.EPOCH, Trailer.WORKER), words, strict=True)) if self.served else {}

    @property
    def parties(self) -> Parties:
        return Parties(self.id, self.from_, self.to)

    @property
    def mark(self) -> str:
        """What the peer's processes of this call, and of no other, have in their environment."""
        return f"{self.request_commit} {self.top}"

    @property
    def check_mark(self) -> str:
        """The same for the processes of its checks."""
        return self.mark + environment.OF_CHECK

    def to_json(self) -> dict[str, Any]:
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Call | None:
        """The call that `to_json` gave, None if `value` is none: a file may hold anything."""
        known = {f.name: value[f.name] for f in fields(cls) if f.name in value}
        limits = known.get("limits")
        if not isinstance(limits, dict) or not all(_is_of(one, "float | None") for one in limits.values()):
            return None
        if not all(_is_of(known[f.name], str(f.type)) for f in fields(cls) if f.name in known):
            return None
        try:
            return replace(
                cls(**known),
                limits=Limits(**limits),
                checks=tuple(known.get("checks", ())),
                worker_checks=tuple(known.get("worker_checks", ())),
                within=tuple(known.get("within", ())),
            )
        except TypeError:  # a field is missing, or a limit is one too many
            return None


def _is_of(value: object, kind: str) -> bool:
    """Whether a value out of JSON may be in a field of the type `kind`."""
    if kind == "tuple[str, ...]":
        return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    if value is None:
        return "None" in kind
    if isinstance(value, bool):
        return kind == "bool"
    if isinstance(value, int | float):
        return kind.startswith("float") or (kind.startswith("int") and isinstance(value, int))
    if isinstance(value, dict):
        return kind == "Limits"
    return isinstance(value, str) and not kind.startswith(("float", "int", "bool", "Limits"))


def identity_of(common_dir: Path) -> str:
    """What tells a repository from a copy of it, wherever it is moved: device and inode of its git folder."""
    try:
        found = os.stat(common_dir)
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def log_name(address: Address, kind: str) -> str:
    """The name, below `logs/`, of what the peer of an exchange printed; `kind` is out, err or check."""
    return f"{address.session}.{address.id}.{kind}"


class CallFolder:
    """`calls/<session>/`. The supervisor holds `alive` from before it starts the peer until it has recorded the end.

    The folder may be deleted at any time, and the repository moved: `keep_alive` brings it back, `moved_to` follows.
    """

    def __init__(self, path: Path, logs: Path) -> None:
        self.path = path
        self.session = path.name
        self._logs = logs
        self._saved: Call | None = None

    @property
    def common_dir(self) -> Path:
        return self.path.parents[2]

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
        """Whether the call's supervisor lives: it holds `alive` or, on a file system that has no flock, it runs."""
        return is_held(self.path / "alive") or self._supervisor_runs()

    def supervisor_pid(self) -> int | None:
        """The process that holds `alive`, as it has noted itself; another one may have its number by now."""
        try:
            return int((self.path / "alive").read_text("ascii").split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _supervisor_runs(self) -> bool:
        try:
            pid, created = (self.path / "alive").read_text("ascii").split()
            call = self.load()
            if call is None or not self.owns(call):
                return False
            from gitrelay.process.kill import identity_matches

            return identity_matches(int(pid), float(created))
        except (OSError, ValueError):
            return False

    def owns(self, call: Call) -> bool:
        """Whether `call` was made in this repository, and not in one that this is a copy of."""
        return call.home in ("", identity_of(self.common_dir))

    def create(self, call: Call) -> None:
        """Make the folder; one that somebody else has left there is used. Raises CannotRecord."""
        try:
            self._make_parents()
            make_folder(self.path)
            self.save(call)
        except OSError as e:
            raise cannot_write(self.path, e) from e

    def _make_parents(self) -> None:
        """Of a state folder that was deleted; never the repository's own, which may have been moved."""
        for folder in (self.path.parents[1], self.path.parent, self._logs):
            make_folder(folder)

    def keep_alive(self, call: Call, alive: Lock) -> bool:
        """Bring back the folder of a running call if it was deleted, with `alive` held; whether it had to be."""
        if not alive.is_lost:
            return False
        with contextlib.suppress(OSError, CannotRecord):
            self._make_parents()
            made = CallFolder(self.path.with_name(f".{self.session}.{os.getpid()}"), self._logs)
            remove_tree(made.path)
            make_folder(made.path)
            made.save(self._saved or call)
            lock = made.alive()
            if lock.try_acquire():
                lock.note(supervisor_note())
                os.rename(made.path, self.path)  # fails if there is another call by now
                alive.replace(lock, self.path / "alive")
                return True
            remove_tree(made.path)
        return False

    def moved_to(self, common_dir: Path) -> None:
        """The repository has been moved; its git folder is `common_dir` now."""
        state = common_dir / "relay"
        self.path, self._logs = state / "calls" / self.session, state / "logs"

    def save(self, call: Call) -> None:
        if not call.home:
            call = replace(call, home=identity_of(self.common_dir))
        self._saved = call
        write_whole(self.path / "call.json", json.dumps(call.to_json(), indent=1).encode())

    def load(self) -> Call | None:
        """The call, None if there is none or its file cannot be read (then it is no call of ours)."""
        value = _read_json(self.path / "call.json")
        call = None if value is None else Call.from_json(value)
        return call if call is not None and call.session == self.session else None

    def request_cancel(self, by: str) -> None:
        write_whole(self.path / "cancel", by.encode())
        self._wake_supervisor()

    def _wake_supervisor(self) -> None:
        """Have it look at once. Never fails: it looks by itself soon, and one that is not ready ignores the signal."""
        from gitrelay.process import own

        with contextlib.suppress(OSError, ValueError):
            pid, at = (self.path / "alive").read_text("ascii").split()
            if int(pid) > 1 and abs(own.created(int(pid)) - float(at)) < 0.1:
                os.kill(int(pid), WAKE)

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

    def note_refused(self, what: str) -> None:
        """Note that something in the call asked for more access than the call has. Never fails."""
        with contextlib.suppress(OSError), (self.path / "refused").open("a", encoding="utf-8") as f:
            f.write(what + "\n")

    def refused(self) -> list[str]:
        """What was refused to the call, each once."""
        try:
            text = (self.path / "refused").read_text("utf-8", "replace")
        except OSError:
            return []
        return list(dict.fromkeys(plain(line, 200) for line in text.splitlines() if line.strip()))

    def last_output(self) -> float | None:
        """When the peer last printed something, seconds since the epoch."""
        times = [mtime(p) for p in (self.out_log, self.err_log) if p.exists() and p.stat().st_size]
        return max(times, default=None)

    def end(self, address: Address) -> None:
        """The call is recorded: its logs move to `logs/`, the folder goes. Never fails."""
        with contextlib.suppress(OSError):
            if is_own_folder(self._logs) and is_own_folder(self.path):
                self._keep_logs(address)
        self.remove()

    def _keep_logs(self, address: Address) -> None:
        for kind, path in (("out", self.out_log), ("err", self.err_log), ("check", self.check_log)):
            if path.exists():
                share_as_parent(path)
                os.replace(path, self._logs / log_name(address, kind))
        logs = sorted(self._logs.iterdir(), key=mtime, reverse=True)
        for old in logs[2 * KEEP_LOGS :]:
            old.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the folder, nothing that a link in it points to. Never fails."""
        remove_tree(self.path)


def supervisor_note() -> str:
    """What a supervisor writes into `alive` of itself: its pid and when it was created, seconds since the epoch."""
    from gitrelay.process import own

    return f"{os.getpid()} {own.created(os.getpid()):.3f}\n"


def mtime(path: Path) -> float:
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
