"""What this machine knows of calls that a worker elsewhere is to answer: `away/<session>`, one at most a session."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass
from gitrelay.protocol import names
from gitrelay.protocol.names import Address
from gitrelay.state.files import is_own_folder, make_folder, write_whole

_VERSION: Final = 1
_SEEN: Final = re.compile(r", (?:last seen \d+ s|asked [a-z0-9 ]+) ago")
_SAID_MAX: Final = 300  # characters


@dataclass(frozen=True)
class Away:
    """A call that is away: its remote, its job, the commit of its request.

    `sent`: the remote has it. `taken`: its answer is recorded here, and some of its `checks` are left. `said` is what
    was known of it at `said_at` (seconds since the epoch), in words.
    """

    remote: str
    session: str
    id: str
    job: str
    peer: str
    prio: int
    request: str
    sent: bool = False
    taken: bool = False
    checks: tuple[str, ...] = ()
    check_limit: float | None = None
    said: str = ""
    said_at: float = 0.0

    @property
    def address(self) -> Address:
        return Address(self.session, self.id)


def news(said: str) -> str:
    """What is said without how long ago that was, to tell whether it is another thing than before."""
    return _SEEN.sub("", said)


def of_session(root: Path, session: str) -> Away | None:
    """The call of `session` that is away, None if there is none; `root` is the folder of this machine's state."""
    try:
        value = json.loads(_path(root, session).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(value, dict) or value.get("version") != _VERSION:
        return None
    return _read({**value, "session": session})


def _read(value: dict[str, Any]) -> Away | None:
    known = {f.name: value[f.name] for f in fields(Away) if f.name in value}
    checks = known.get("checks", ())
    if not isinstance(checks, list | tuple) or not all(isinstance(one, str) for one in checks):
        return None
    try:
        found = Away(**{**known, "checks": tuple(checks)})
    except TypeError:  # a field is missing
        return None
    words = (found.remote, found.session, found.id, found.job, found.peer, found.request, found.said)
    numbers = (found.prio, found.said_at, found.check_limit or 0)
    if not all(isinstance(one, str) for one in words) or not all(isinstance(one, int | float) for one in numbers):
        return None
    return found if names.is_session(found.session) and names.is_id(found.id) else None


def everything(root: Path) -> list[Away]:
    """Every call of this clone that is away."""
    try:
        found = sorted(path.name for path in (root / "away").iterdir() if names.is_session(path.name))
    except OSError:
        return []
    return [away for name in found if (away := of_session(root, name)) is not None]


def note(root: Path, away: Away) -> None:
    """Remember the call. Raises OSError."""
    path = _path(root, away.session)
    make_folder(path.parent)
    write_whole(path, json.dumps({"version": _VERSION, **asdict(away), "said": plain(away.said, _SAID_MAX)}).encode())


def forget(root: Path, session: str) -> None:
    """The call has ended."""
    path = _path(root, session)
    if is_own_folder(path.parent):
        path.unlink(missing_ok=True)


def _path(root: Path, session: str) -> Path:
    return root / "away" / session
