"""The call that this process runs in: a call never has more access than the call that made it.

The environment tells it, and a peer can change its environment. So everything that may tell is asked, and the
least access counts: what this process and its ancestors were started with, whether one of them is a running
peer or its supervisor (on Linux the supervisor adopts what the peer leaves behind), and what the record says of
the call whose mark they carry. A process that none of this places runs for a person.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gitrelay import environment
from gitrelay.calls import settings
from gitrelay.errors import Refused, RelayError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger, open_ledger
from gitrelay.process import ancestry
from gitrelay.protocol import names
from gitrelay.protocol.record import Trailer, parse_raw
from gitrelay.protocol.words import Access
from gitrelay.state.calls import Call, CallFolder


@dataclass(frozen=True)
class Within:
    """`address` is that of the innermost call, '' if only its access is known; `folder` is of this repository."""

    access: Access
    address: str
    folder: CallFolder | None = None

    def refuse(self, wanted: Access, what: str) -> str:
        """Note in the call that it asked for more than it has; the words that say so."""
        if self.folder is not None:
            self.folder.note_refused(plain(what, 200))
        place = f"call {self.address}" if self.address else "a call"
        return f"{what} asks for {wanted} access and runs in {place}, which has {self.access} access"


@dataclass(frozen=True)
class By:
    """Who runs a command, and the address of the call that it runs in, '' outside of any."""

    name: str
    call: str = ""

    @classmethod
    def here(cls, repo: Repository, outer: Within | None) -> By:
        return cls(settings.caller(repo, None), outer.address if outer is not None else "")

    @property
    def trailers(self) -> dict[str, str]:
        return {Trailer.BY: self.name, Trailer.IN: self.call}


def enclosing(ledger: Ledger | None, environ: Mapping[str, str] | None = None) -> Within | None:
    """The call that this process runs in, with the least access that anything tells; None outside of any call."""
    environ = os.environ if environ is None else environ
    above = list(ancestry.ancestors())
    environs = [environ, *(one.environ for one in above)]
    found = [Within(_claimed(one), _innermost(one)) for one in environs if environment.ACCESS in one]
    running: list[tuple[Call, CallFolder]] = []
    if ledger is not None:
        found += _recorded(ledger, environs)
        running = _running(ledger, [one.pid for one in above], environs)
    found += [Within(_known(call.access), str(call.address), folder) for call, folder in running]
    if not found:
        return None
    least = min(found, key=lambda one: one.access.rank)
    inner = running[0] if running else None
    if inner is None:
        return Within(least.access, least.address or _innermost(environ))
    return Within(least.access, str(inner[0].address), inner[1])


def ledger_here() -> Ledger | None:
    """The ledger of the current folder, None outside of a repository."""
    try:
        return open_ledger(Path.cwd())
    except RelayError:
        return None


def require(ledger: Ledger | None, wanted: Access, what: str) -> Within | None:
    """The call that this process runs in. Raises Refused, which is noted in that call, if it has less than `wanted`."""
    outer = enclosing(ledger)
    if outer is not None and not outer.access.covers(wanted):
        raise Refused(outer.refuse(wanted, what), hint="leave it to the caller: say in the answer what is to be done")
    return outer


def _running(
    ledger: Ledger, pids: Sequence[int], environs: Sequence[Mapping[str, str]]
) -> list[tuple[Call, CallFolder]]:
    """The calls whose peer, or whose supervisor while the peer runs, is among `pids`, or whose mark is carried."""
    marks = {one.get(environment.CALL) for one in environs}
    found = []
    for folder in ledger.state.calls():
        call = folder.load()
        if call is None:
            continue
        near = [pids.index(pid) for pid in _pids(call, folder) if pid in pids]
        if near or call.mark in marks:
            found.append((min(near, default=len(pids)), call, folder))
    return [(call, folder) for _, call, folder in sorted(found, key=lambda one: one[0])]


def _pids(call: Call, folder: CallFolder) -> Iterator[int]:
    """The processes of a call, without those that ended and whose number is somebody else's now."""
    if call.supervisor is not None and folder.is_alive():
        yield call.supervisor
    if call.peer_pid is not None and call.peer_started is not None:
        from gitrelay.process import kill

        if kill.identity_matches(call.peer_pid, call.peer_started):
            yield call.peer_pid


def _recorded(ledger: Ledger, environs: Sequence[Mapping[str, str]]) -> list[Within]:
    """What the requests say whose marks are carried, as far as they are in this repository."""
    marks = {one.get(environment.CALL, "") for one in environs}
    commits = sorted({mark.split(" ")[0] for mark in marks if not mark.endswith(environment.OF_CHECK)} - {""})
    known = ledger.repo.objects([oid for oid in commits if names.is_object_id(oid)])
    said = [parse_raw(one.oid, one.data).trailers for one in known if one is not None and one.kind == "commit"]
    return [Within(_known(trailers[Trailer.ACCESS]), "") for trailers in said if Trailer.ACCESS in trailers]


def _claimed(environ: Mapping[str, str]) -> Access:
    return _known(environ.get(environment.ACCESS, ""))


def _known(word: str) -> Access:
    """What is no access at all is the least: it was forged."""
    return Access(word) if word in tuple(Access) else Access.READ


def _innermost(environ: Mapping[str, str]) -> str:
    return next(reversed(environment.chain(environ)), "")
