"""One running call as this machine notes it: `calls/<session>/`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from gitrelay.process.values import Limits
from gitrelay.protocol.message import Parties
from gitrelay.protocol.names import Address
from gitrelay.state.files import cannot_write, write_whole
from gitrelay.state.lock import Lock, is_held

VERSION: Final = 1
KEEP_LOGS: Final = 100
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
    bound: str = ""  # to commits of this branch, as a review is: what happens to the working files is not its matter

    @property
    def address(self) -> Address:
        return Address(self.session, self.id)

    @property
    def parties(self) -> Parties:
        return Parties(self.id, self.from_, self.to)

    @property
    def mark(self) -> str:
        """What the peer's processes of this call, and of no other, have in their environment."""
        return f"{self.request_commit} {self.top}"


def log_name(address: Address, kind: str) -> str:
    """The name, below `logs/`, of what the peer of an exchange printed; `kind` is out, err or check."""
    return f"{address.session}.{address.id}.{kind}"


class CallFolder:
    """`calls/<session>/`. The supervisor holds `alive` from before it starts the peer until it has recorded the end."""

    def __init__(self, path: Path, logs: Path) -> None:
        self.path = path
        self.session = path.name
        self._logs = logs

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
        times = [mtime(p) for p in (self.out_log, self.err_log) if p.exists() and p.stat().st_size]
        return max(times, default=None)

    def end(self, address: Address) -> None:
        """The call is recorded: its logs move to `logs/`, the folder goes. Never fails."""
        with contextlib.suppress(OSError):
            for kind, path in (("out", self.out_log), ("err", self.err_log), ("check", self.check_log)):
                if path.exists():
                    os.replace(path, self._logs / log_name(address, kind))
            logs = sorted(self._logs.iterdir(), key=mtime, reverse=True)
            for old in logs[2 * KEEP_LOGS :]:
                old.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)


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
