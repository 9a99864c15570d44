"""Puts finished sessions of a remote on its list of finished ones: their refs go, and nothing of them is lost.

Each step is one atomic push in which every ref must still be what was looked at, so a session that goes on meanwhile
is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Final

from gitrelay.errors import CannotRecord, Code
from gitrelay.git.faults import GitError
from gitrelay.ground.text import counted
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger, Tip
from gitrelay.protocol import names
from gitrelay.protocol.question import NEEDS_INPUT
from gitrelay.protocol.record import ARCHIVE, BRANCHES, CODE, Commit, Trailer, parse_raw
from gitrelay.remote.queue import finished
from gitrelay.remote.queue.engines.git import GitQueue
from gitrelay.remote.queue.finished import Ended
from gitrelay.remote.queue.jobs import Update
from gitrelay.remote.queue.wire import FILES_LIMIT, Outcome, Wire

_AT_ONCE: Final = 500  # sessions of one push; their refs and ids go on a command line
_TRIES: Final = 5
_ENDED: Final = ("res", "chk", "apl")  # the last commit of a session that waits for nothing
_PREFIXES: Final = (BRANCHES, ARCHIVE, CODE)
_SESSIONS: Final = tuple(f"{prefix}*" for prefix in _PREFIXES)


@dataclass(frozen=True)
class Archived:
    """`sessions` are on the list now, or would be; `left` is session -> why it was left alone."""

    sessions: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def archive(ledger: Ledger, wire: Wire, idle: float, *, dry: bool, tell: Callable[[str], None]) -> Archived:
    """Archive the sessions of the remote that have been finished for `idle` seconds; `dry`: only say which.

    Raises Unreachable, and CannotRecord if the remote refuses.
    """
    tell("reading what the remote has")
    work = _Work(ledger, wire, idle)
    found = work.look()
    if dry:
        return Archived(sorted(found), work.left)
    done: list[str] = []
    while found:
        some = dict(sorted(found.items())[:_AT_ONCE])
        moved = work.push(some)
        done += moved
        tell(f"{counted(len(done), 'session')} archived so far")
        found = {name: one for name, one in found.items() if name not in some}
    return Archived(sorted(done), work.left)


@dataclass(frozen=True)
class _Session:
    """A session that is finished: what is kept of it, and the refs that go, each with its value."""

    ended: Ended
    refs: Mapping[str, str]


class _Work:
    def __init__(self, ledger: Ledger, wire: Wire, idle: float) -> None:
        self.ledger = ledger
        self.wire = wire
        self.idle = idle
        self.left: dict[str, str] = {}

    def look(self) -> dict[str, _Session]:
        """The finished sessions of the remote, by name; their objects are here."""
        refs = self.wire.listed(*_SESSIONS)
        self._bring(sorted({*refs.values()}))
        jobs = {entry.state.job.session for entry in GitQueue(self.wire).poll()}
        before = finished.read(self.wire).sessions
        of: dict[str, dict[str, str]] = {}
        for ref, oid in refs.items():
            name = next(ref.removeprefix(prefix) for prefix in _PREFIXES if ref.startswith(prefix))
            if names.is_session(name):
                of.setdefault(name, {})[ref] = oid
        tips = self._tips({name: head for name, its in sorted(of.items()) if (head := self._head(name, its))})
        found = {}
        for name, tip in tips.items():
            why = "a job of it is in the queue" if name in jobs else self._unfinished(name, tip, before)
            if tip is None or why:
                self.left[name] = why
            else:
                found[name] = _Session(Ended(tip.commit, of[name].get(CODE + name, "")), of[name])
        return found

    def _bring(self, oids: Sequence[str]) -> None:
        """Have these commits here: they are read, and become parents of a commit that is made here."""
        here = self.ledger.repo.objects(oids)
        self.wire.bring([oid for oid, found in zip(oids, here, strict=True) if found is None])

    def _head(self, name: str, its: Mapping[str, str]) -> str:
        """The last commit of a session, '' for none; of a branch and an archived ref that which is further."""
        branch, archived = (its.get(prefix + name, "") for prefix in (BRANCHES, ARCHIVE))
        if branch and archived and not self._follows(archived, branch):
            return archived if self._follows(branch, archived) else ""
        return branch or archived

    def _tips(self, heads: Mapping[str, str]) -> dict[str, Tip | None]:
        """The state of each session, None for what cannot be one; one git process."""
        repo, found = self.ledger.repo, dict[str, Tip | None]()
        objects = repo.objects([rev for oid in heads.values() for rev in (oid, f"{oid}^{{tree}}")])
        for name, commit, tree in zip(heads, objects[::2], objects[1::2], strict=True):
            found[name] = None
            if commit is not None and commit.kind == "commit" and tree is not None:
                found[name] = Tip(commit.oid, tuple(repo.tree_entries(tree.data)), data=commit.data)
        return found

    def _unfinished(self, name: str, tip: Tip | None, before: Mapping[str, Ended]) -> str:
        """Why a session is left alone, '' if it is finished."""
        if tip is None:
            return "it is no session"
        last = parse_raw(tip.commit, tip.data)
        if Trailer.ID not in last.trailers or last.kind not in _ENDED or tip.pending is not None:
            return "it is not answered"
        if self._asks(last, tip.commit):
            return "its last answer is a question"
        if time.time() - last.time < self.idle:
            return "it has not been quiet for long enough"
        if name in before and not self._follows(before[name].tip, tip.commit):
            return "another session of that name is archived there"
        return ""

    def _asks(self, last: Commit, tip: str) -> bool:
        """Whether the last answer of the session, whose last commit is `last`, asks something."""
        if last.kind == "res":
            return last.trailers.get(Trailer.REASON) == NEEDS_INPUT
        words = ("log", "-1", "--first-parent", "--grep=^res ", f"--format=%(trailers:key={Trailer.REASON},valueonly)")
        out = self.ledger.repo.run(*words, "--end-of-options", tip, "--")
        return out.decode("utf-8", "replace").strip() == NEEDS_INPUT

    def _follows(self, one: str, other: str) -> bool:
        """Whether the commit `other` is `one`, or goes on from it."""
        try:
            self.ledger.repo.run("merge-base", "--is-ancestor", one, other)
        except GitError:
            return False
        return True

    def push(self, some: Mapping[str, _Session]) -> list[str]:
        """Archive `some`; the names of those that are now. One that went on meanwhile is left alone."""
        repo, words = self.ledger.repo, ""
        for _ in range(_TRIES):
            if not some:
                return []
            before = finished.read(self.wire)
            kept = self.wire.look(f"{finished.KEPT}*").get(finished.KEPT, "")
            ended = {name: one.ended for name, one in some.items()}
            own = [
                Update(finished.INDEX, before.at, finished.extended(repo, before, ended)),
                Update(finished.KEPT, kept, finished.keeping(repo, kept, ended)),
            ]
            gone = [Update(ref, oid, "") for one in some.values() for ref, oid in one.refs.items()]
            swap = self.wire.swap([*own, *gone], limit=FILES_LIMIT)
            if swap.outcome == Outcome.WON:
                return sorted(some)
            words = swap.words
            moved = {name for name, one in some.items() if any(swap.seen[ref] != oid for ref, oid in one.refs.items())}
            self.left |= dict.fromkeys(moved, "it went on meanwhile")
            some = {name: one for name, one in some.items() if name not in moved}
            if swap.outcome == Outcome.REFUSED and not moved:
                break
        raise CannotRecord(
            f"the remote does not let finished sessions be archived: {words}; nothing of these is changed there",
            hint="its log says why; 'git config receive.denyDeletes false' there, if that forbids it",
            code=Code.PUSH_REFUSED,
        )


def lines_of(left: Mapping[str, str]) -> Iterator[str]:
    """Lines that say how many sessions were left alone, and why."""
    for why in sorted({*left.values()}):
        some = sorted(name for name, its in left.items() if its == why)
        yield f"{counted(len(some), 'session')} left alone ({why}): {', '.join(some[:5])}{', ...' * (len(some) > 5)}"
