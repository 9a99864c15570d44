"""Which turns may use an agent that is kept, and what must be the same for that.

An agent is kept by `relay.<peer>.keep`, for a session that works in a tree which stays, if it can continue its
conversation. The next turn gets it only if nothing differs: program and its file, words, access, model, effort,
folder, environment, the conversation. Anything else goes the ordinary way, and ends what was kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gitrelay import __version__, environment
from gitrelay.calls import settings
from gitrelay.errors import RelayError
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger
from gitrelay.peers import registry
from gitrelay.peers.base import Invocation, Peer
from gitrelay.process import kept
from gitrelay.state.calls import Call

# what differs from one call to the next, and tells an agent nothing that it works by
_OF_A_CALL: Final = frozenset({environment.CALL, "GITRELAY_CHAIN", "_", "SHLVL", "OLDPWD"})
_GONE: Final = 20.0  # seconds for a keeper to end in, with its agent


@dataclass(frozen=True)
class Kept:
    """An agent and its keeper: the words that lead to it, and the keeper's pid."""

    argv: tuple[str, ...]
    keeper: int

    def settle(self, ended_well: bool) -> None:
        """After a turn: the keeper goes on with its agent, or both are gone when this returns."""
        if ended_well:
            return
        kept.end(self.argv[-2])
        until = time.monotonic() + _GONE
        while time.monotonic() < until and _is_keeper(self.keeper):
            time.sleep(0.02)


def _is_keeper(pid: int) -> bool:
    try:
        return b"gitrelay.process.keeper" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def seconds(ledger: Ledger, call: Call, peer: Peer) -> float | None:
    """How long the agent of this call stays, None if it does not. Raises UsageError for a value that is no duration."""
    repo = ledger.repo
    wanted = settings.keep(repo, call.to)
    talks = f"relay.{call.to}.acp" in repo.config
    lasting = not call.one_shot and not call.passing and not call.bound
    able = peer.capabilities.resumes and settings.resumes(repo, call.to)
    return wanted if talks and lasting and able and kept.can_keep() else None


def agent(
    ledger: Ledger, call: Call, invocation: Invocation, argv: Sequence[str], env: Mapping[str, str], keep: float
) -> Kept | None:
    """The agent that is kept for this turn, or a new one that will be; None if nothing can be kept here."""
    folder = kept.folder(ledger.state.root)
    if folder is None:
        return None
    socket = str(folder / kept.name_of(call.session, call.to))
    key = _key(call, invocation, argv, env)
    keeper = kept.ask(socket, key, invocation.resume)
    if keeper is None:
        new = kept.Agent(tuple(argv), str(invocation.start), dict(env), socket, key, keep)
        keeper = kept.start(new, (call.session, call.to))
    if keeper is None:
        return None
    return Kept((sys.executable, "-I", "-S", kept.BRIDGE, socket, key), keeper)


def _key(call: Call, invocation: Invocation, argv: Sequence[str], env: Mapping[str, str]) -> str:
    there = os.stat(invocation.start)
    program = os.stat(os.path.realpath(argv[0]))
    parts = {
        "gitrelay": __version__,
        "argv": list(argv),
        "program": [program.st_dev, program.st_ino, program.st_size, program.st_mtime_ns],
        "cwd": [str(invocation.start), there.st_dev, there.st_ino],
        "env": sorted((name, value) for name, value in env.items() if name not in _OF_A_CALL),
        "outer": environment.chain(env)[:-1],
        "call": [call.access, call.model, call.effort, call.top, list(call.within), call.home],
    }
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogateescape")).hexdigest()


def end(ledger: Ledger, session: str, peers: Sequence[str] = ()) -> bool:
    """End what is kept for a session; whether something was. Never fails."""
    folder = ledger.state.root / "kept"
    if not folder.is_dir() or kept.folder(ledger.state.root) is None:
        return False
    with contextlib.suppress(RelayError, OSError):
        names = {*peers, *registry.configured(ledger.repo)}
        return any([kept.end(str(folder / kept.name_of(session, name))) for name in sorted(names)])
    return False
