"""What a remote can do, tried once: an atomic push into the places of the queue, a compare-and-swap, a deletion.

Some servers accept half of an atomic push, hide a namespace, or take branches and tags only. That is found here, before
a request depends on it, and kept in `.git/relay/remotes/` so that the next call need not ask.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from pathlib import Path
from typing import Final

from gitrelay.errors import Code, RelayError, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass
from gitrelay.protocol.record import CODE, Identity
from gitrelay.remote import address
from gitrelay.remote.queue import jobs
from gitrelay.remote.queue.jobs import Update
from gitrelay.remote.queue.text import QUEUE
from gitrelay.remote.queue.wire import Outcome, Wire, url_of
from gitrelay.state.files import make_folder, write_whole
from gitrelay.state.folder import State

_VERSION: Final = 1
_FRESH: Final = 7 * 86400.0  # seconds that a good finding is believed
_AUTHOR: Final = Identity("gitrelay", "gitrelay@gitrelay.invalid")


@dataclass(frozen=True)
class Finding:
    """`why` a remote cannot hold a queue, '' if it can; `at` is when that was found, seconds since the epoch."""

    why: str
    at: float


def require(state: State, wire: Wire) -> None:
    """Raise UsageError if the remote cannot hold a queue, Unreachable if it does not answer; it is tried if need be."""
    known = known_of(state, wire.url)
    if known is not None and not known.why and 0 <= time.time() - known.at < _FRESH:
        return
    why = probe(wire)
    with contextlib.suppress(RelayError, OSError):
        path = _path(state, wire.url)
        state.prepare()
        make_folder(path.parent)
        write_whole(path, json.dumps({"version": _VERSION, "why": why, "at": time.time()}).encode())
    if why:
        raise UsageError(
            f"this remote cannot hold a queue: {why}",
            hint="use another remote, or another repository on that server: git remote add queue URL",
            code=Code.UNFIT_REMOTE,
        )


def known_of(state: State, url: str) -> Finding | None:
    """What was found when the remote at `url` was last tried, None if it was not."""
    try:
        value = json.loads(_path(state, url).read_bytes())
        if value["version"] == _VERSION:
            return Finding(plain(str(value["why"])), float(value["at"]))
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return None


def all_known(repo: Repository, state: State) -> list[tuple[str, Finding]]:
    """What was found of each remote of this clone that a queue was tried on."""
    found = []
    for name in address.names(repo) if (state.root / "remotes").is_dir() else []:
        with contextlib.suppress(RelayError):
            known = known_of(state, url_of(repo, name))
            if known is not None:
                found.append((name, known))
    return found


def _path(state: State, url: str) -> Path:
    name = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:40]  # a URL may hold a password
    return state.root / "remotes" / f"{name}.json"


def probe(wire: Wire) -> str:
    """Why the remote cannot hold a queue, '' if it can. Leaves nothing there. Raises Unreachable."""
    repo, id_ = wire.repo, jobs.new_id()
    one, two, three = (
        repo.commit(repo.empty_tree, [], f"gitrelay probes this remote\n\n{id_} {n}\n", _AUTHOR, sign=False)
        for n in range(3)
    )
    code, queue = f"{CODE}probe-{id_}", f"{QUEUE}probe/9-{id_}"
    wire.look(f"{queue}*")  # a remote that does not answer is not unfit
    try:
        made = wire.swap([Update(code, "", one), Update(queue, "", one)])
        landed = [ref for ref in (code, queue) if made.seen[ref] == one]
        if len(landed) == 1:
            return f"it applied half of an atomic push, and refused the rest ({made.words})"
        if not landed:
            return f"it takes no atomic push to {CODE}* and {QUEUE}* ({made.words})"
        moved = wire.swap([Update(queue, one, two)])
        if moved.outcome != Outcome.WON:
            return f"it does not let {QUEUE}* move ({moved.words})"
        if wire.swap([Update(queue, one, three)]).outcome != Outcome.LOST:
            return f"it moved {QUEUE}* from a value that it did not have"
        if wire.look(f"{queue}*").get(queue) != two:
            return f"it does not show {QUEUE}*"
        gone = wire.swap([Update(code, one, ""), Update(queue, two, "")])
        if gone.outcome != Outcome.WON or any(gone.seen.values()):
            return f"it does not let {QUEUE}* be deleted ({gone.words})"
    finally:
        with contextlib.suppress(RelayError):
            left = wire.look(f"{code}*", f"{queue}*")
            if left:
                wire.swap([Update(ref, oid, "") for ref, oid in left.items()])
    return ""
