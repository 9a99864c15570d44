"""The exchanges of many sessions at once, archived ones too: three git processes, however many there are.

A session that cannot be read does not hide the others: the sessions are then read by halves, until those that
are damaged are left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitrelay.errors import IntegrityError
from gitrelay.git.faults import GitError
from gitrelay.history import commits
from gitrelay.history import exchanges as history
from gitrelay.history.exchange import Exchange
from gitrelay.history.sessions import sessions as summaries
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.protocol.record import ARCHIVE, BRANCHES, TRACKED, name_of


@dataclass(frozen=True)
class Batch:
    """The exchanges of each session in turn order, by its name; `damaged` are the sessions that cannot be read.

    `archived` are the names of those that are archived, `listing` is what `listing` gave when they were read.
    """

    sessions: Mapping[str, Sequence[Exchange]]
    archived: frozenset[str]
    damaged: Mapping[str, GitError | IntegrityError]
    listing: str

    @property
    def exchanges(self) -> list[Exchange]:
        """All of them, the one that was asked first comes first."""
        found = [e for exchanges in self.sessions.values() for e in exchanges]
        found.sort(key=lambda e: e.request.time)
        return found


def listing(ledger: Ledger, *others: str) -> str:
    """What every session's ref stands for: as long as this stays the same, so does all that can be read.

    Also the refs below `others`. One git process; lines `REF ID`, in git's order.
    """
    return _listing(_refs(ledger, *others))


def _refs(ledger: Ledger, *others: str) -> list[list[str]]:
    return ledger.repo.each_ref("%(refname)%00%(objectname)", BRANCHES, ARCHIVE, TRACKED, *others)


def _listing(refs: Sequence[Sequence[str]]) -> str:
    return "".join(f"{ref} {oid}\n" for ref, oid in refs)


def read(ledger: Ledger, sessions: Sequence[str] = (), *, bodies: bool = False) -> Batch:
    """The exchanges of `sessions`, or of all, `bodies`: with the bytes of their messages.

    A branch that is not named as a session can be is none; if a session is a branch and archived too, the
    branch is read; one that this repository has of a remote only, from there. Raises UsageError for an unknown session.
    """
    refs = _refs(ledger)
    tips: dict[str, tuple[str, str]] = {}
    for ref, oid in refs:  # branches come first, those of remotes last
        name = name_of(ref)
        if names.is_session(name):
            tips.setdefault(name, (ref, oid))
    for name in sessions:
        if name not in tips:
            names.check_session(name)
            raise history.unknown_session(ledger, name)
    wanted = list(dict.fromkeys(sessions)) or list(tips)

    def walk(part: Sequence[str]) -> dict[str, list[Exchange]]:
        found = commits.read(ledger.repo, [tips[name][1] for name in part])
        return {name: history.of_line(name, tips[name][0], line) for name, line in zip(part, found, strict=True)}

    def fill(part: Sequence[str]) -> dict[str, list[Exchange]]:
        full = iter(history.with_bodies(ledger, [e for name in part for e in found[name]]))
        return {name: [next(full) for _ in found[name]] for name in part}

    found, damaged = commits.by_halves(wanted, walk)
    if bodies:
        found, bodiless = commits.by_halves(list(found), fill)
        damaged |= bodiless
    archived = frozenset(name for name in wanted if tips[name][0].startswith(ARCHIVE))
    return Batch({name: found[name] for name in wanted if name in found}, archived, damaged, _listing(refs))


def waiting(ledger: Ledger) -> list[Exchange]:
    """The exchanges that are not answered, the latest first."""
    pending = [s.name for s in summaries(ledger) if s.status == "pending" and not s.remote]
    found = read(ledger, pending).sessions if pending else {}
    return [last for name in pending for last in found.get(name, ())[-1:] if last.response is None]
