"""Which calls could write at a time: those that run, and for those that ended when they began and ended.

A call with read access that saw something change asks here whether another call may have done it. Kept in
`writers/<session>.<id>`, one small file for each call that ended, the newest KEPT.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay.protocol.names import Address
from gitrelay.protocol.words import Access
from gitrelay.state.calls import Call, CallFolder, mtime
from gitrelay.state.files import is_own_folder, make_folder, write_whole
from gitrelay.state.folder import State

KEPT: Final = 500
_BYTES: Final = 64 * 1024  # of a file here; a path is shorter


@dataclass(frozen=True, order=True)
class Writer:
    """A call that may write, by its address, and the working tree that it works in."""

    address: str
    top: str


def may_write(call: Call) -> bool:
    """A check is a command, and may write whatever access the peer has."""
    return call.access != Access.READ or bool(call.checks)


def running(state: State, own: Address) -> set[Writer]:
    """The calls that could write now, without `own`: a supervisor lives, or the peer that outlived it."""
    return {
        Writer(str(call.address), call.place)
        for folder in state.calls()
        if (call := folder.load()) is not None
        and call.address != own
        and may_write(call)
        and (folder.is_alive() or peer_lives(call))
    }


def peer_lives(call: Call) -> bool:
    if call.peer_pid is None or call.peer_started is None:
        return False
    from gitrelay.process import kill

    return kill.identity_matches(call.peer_pid, call.peer_started)


def ended_since(state: State, own: Address, moment: float) -> set[Writer]:
    """The calls that could write and ended after `moment`, seconds since the epoch, without `own`."""
    return {writer for writer in _ended(state.root / "writers", moment) if writer.address != str(own)}


def note_end(state: State, call: Call, ended: float) -> None:
    """Keep when a call that could write ended. Never fails: without it a reader is told less."""
    if not may_write(call) or not is_own_folder(state.root):
        return
    folder = state.root / "writers"
    value = {"address": str(call.address), "top": call.place, "started": call.started, "ended": ended}
    with contextlib.suppress(OSError):
        make_folder(folder)
        write_whole(folder / f"{call.session}.{call.id}", json.dumps(value).encode())
        for old in sorted(folder.iterdir(), key=mtime, reverse=True)[KEPT:]:
            old.unlink(missing_ok=True)


def last_sign(folder: CallFolder, call: Call) -> float:
    """When a call whose supervisor died was last seen alive: now, if its peer still runs; seconds since the epoch."""
    if peer_lives(call):
        return time.time()
    return max((mtime(path) for path in (folder.out_log, folder.err_log, folder.path / "call.json")), default=0.0)


def _ended(folder: Path, moment: float) -> Iterator[Writer]:
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            if mtime(path) < moment:
                continue
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                with path.open("rb") as f:
                    value = json.loads(f.read(_BYTES))
                if float(value["ended"]) >= moment:
                    yield Writer(str(value["address"]), str(value["top"]))
