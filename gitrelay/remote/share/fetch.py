"""Sessions come from a remote: looked at before they are part of the repository, forward only, nothing here is lost.

Objects arrive in a folder of their own, and what breaks the rules of a session is not admitted. A remote that moved a
session back or rewrote it, and a session that went on in both places, change nothing here unless `take` is asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

from gitrelay.audit import inspection
from gitrelay.audit.findings import Finding
from gitrelay.errors import Code, IntegrityError, RelayError, UsageError
from gitrelay.git.faults import GitError
from gitrelay.ground.text import plain, quote
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.record import CODE
from gitrelay.remote import known
from gitrelay.remote.address import Remote
from gitrelay.remote.queue.finished import Ended
from gitrelay.remote.share import plan, stepsref, take, wire
from gitrelay.remote.share.compare import LOST, Compared, State, compared
from gitrelay.remote.share.push import Sent, fault_of
from gitrelay.remote.share.settings import is_private
from gitrelay.remote.share.wire import Arrived, There
from gitrelay.state import away as aways

_LARGEST: Final = 64 * 1024 * 1024  # bytes of one message; what a peer says is cut far below
_APART: Final = 200  # sessions that are fetched one by one, if git does not want them together


@dataclass(frozen=True)
class Fetched:
    """What became of each session that was looked at, in `sent`, and what is to be said besides."""

    found: Sequence[Compared]
    sent: Sequence[Sent]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Wanted:
    """`sessions`, all if there are none; `take` are those that go on from the remote's. `code`: their files too."""

    sessions: Sequence[str] = ()
    take: Collection[str] = ()
    code: bool = True

    def has(self, session: str) -> bool:
        return not self.sessions or session in self.sessions


def fetch(ledger: Ledger, remote: Remote, wanted: Wanted, tell: Callable[[str], None] = lambda words: None) -> Fetched:
    """Bring sessions of `remote` here.

    Raises CannotRecord if it cannot be read, UsageError for a session that it has never had.
    """
    prefixes = wire.PREFIXES if wanted.code else wire.PREFIXES[:2]
    refs = [prefix + name for name in wanted.sessions for prefix in prefixes] or list(prefixes)
    tell(f"reading what {remote.name} has")
    with contextlib.ExitStack() as stack:
        try:
            ended = _ended(ledger, remote, wanted)
            there, arrived = stack.enter_context(wire.arrived(ledger, remote, refs, ended=ended))
        except RelayError:
            return _apart(ledger, remote, wanted, tell)  # git does not want all of it, or it cannot be read
        return _Receiver(ledger, remote, wanted, there, arrived).receive()


def _ended(ledger: Ledger, remote: Remote, wanted: Wanted) -> dict[str, Ended]:
    """The finished sessions of the remote that are wanted, without their files if those are not."""
    found = wire.finished_of(ledger.repo, remote).items()
    return {name: one if wanted.code else Ended(one.tip) for name, one in found if wanted.has(name)}


def _apart(ledger: Ledger, remote: Remote, wanted: Wanted, tell: Callable[[str], None]) -> Fetched:
    """Session by session, so that one with objects which git refuses is named and the others come."""
    there = wire.listed(ledger.repo, remote)
    names = sorted(name for name in there.sessions if wanted.has(name))[:_APART]
    found: list[Compared] = []
    sent: list[Sent] = []
    notes: list[str] = []
    for name in names:
        tell(f"reading session {name}")
        with contextlib.ExitStack() as stack:
            try:
                mine, arrived = _one_apart(ledger, remote, there, name, wanted.code, notes, stack)
            except RelayError as e:
                found.append(Compared(name, State.BEHIND, None, there.heads(name)[0][0], None))
                sent.append(Sent(name, "refused", _refusal(remote, name, e.message)))
                continue
            one = _Receiver(ledger, remote, Wanted((name,), wanted.take), mine, arrived).receive()
            found += one.found
            sent += one.sent
            notes += one.notes
    return Fetched(found, sent, notes)


def _one_apart(
    ledger: Ledger,
    remote: Remote,
    there: There,
    name: str,
    code: bool,
    notes: list[str],
    stack: contextlib.ExitStack,
) -> tuple[There, Arrived]:
    """One session with its files, without them if git refuses something in those. Raises CannotRecord."""
    own = [ref for ref in there.refs if wire.name_in(ref) == name and not ref.startswith(CODE)]
    files = [CODE + name] if CODE + name in there.refs else []
    ended = {name: there.finished[name]} if name in there.finished else {}
    bare = {name: Ended(one.tip) for name, one in ended.items()}
    if code and there.code(name):
        try:
            return stack.enter_context(wire.arrived(ledger, remote, [*own, *files], exact=True, ended=ended))
        except RelayError as e:
            why = e.message
        found = stack.enter_context(wire.arrived(ledger, remote, own, exact=True, ended=bare))
        notes.append(f"the files of {name} were not taken: {why}")
        return found
    return stack.enter_context(wire.arrived(ledger, remote, own, exact=True, ended=bare))


def _refusal(remote: Remote, session: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"session {session} of {remote.name} was not taken: {why}",
        hint=f"nothing of it is here; tell who runs {remote.name}",
        code=Code.SESSION_REFUSED,
    )


class _Receiver:
    """What has arrived, and the sessions here that it is for."""

    def __init__(self, ledger: Ledger, remote: Remote, wanted: Wanted, there: There, arrived: Arrived) -> None:
        self.ledger = ledger
        self.repo = ledger.repo
        self.remote = remote
        self.wanted = wanted
        self.there = replace(there, refs={r: o for r, o in there.refs.items() if wanted.has(wire.name_in(r))})
        self.arrived = arrived
        self.shown = known.read(ledger.repo, remote.name)
        self.here = plan.local(ledger, (), private=True)
        self.notes: list[str] = []

    def receive(self) -> Fetched:
        names = {*self.there.sessions, *(name for name in self.shown.heads if self.wanted.has(name))}
        unknown = next((name for name in self.wanted.sessions if name not in names), None)
        if unknown is not None:
            raise UsageError(
                f"{self.remote.name} has no session {quote(unknown)}",
                hint=f"git ls-remote {self.remote.name} 'refs/heads/relay/*' lists them",
                code=Code.UNKNOWN_SESSION,
            )
        found = compared(names, self.here.tips, self.there, self.shown, self.arrived.is_ancestor)
        found = [one for one in found if one.there is not None or not is_private(self.repo, one.session)]
        found = self._without_calls(found)
        faults = self._faults([one for one in found if one.there and one.state not in (State.SAME, State.AHEAD)])
        foreign = {name for name, said in faults.items() if any(one.code == "not-a-session" for one in said)}
        found = [one for one in found if one.session not in foreign]
        good = [one for one in found if one.session not in faults and one.there]
        code = self._code([one for one in good if one.state not in LOST or one.session in self.wanted.take])
        follows = [one.session for one in good if one.session not in self.wanted.take]
        steps, told = stepsref.good(self.ledger, self.there, self.arrived, follows)
        self.arrived.admit(sorted({*(one.there for one in good if one.there), *code.values(), *steps.values()}))
        sent = [self._one(one, faults.get(one.session, []), code.get(one.session)) for one in found]
        taken = {one.session for one in sent if one.fault is None}
        stepsref.take(self.ledger, self.remote.name, {name: tip for name, tip in steps.items() if name in taken})
        self.notes += told
        self._remember(good, code)
        return Fetched(found, sent, self.notes)

    def _without_calls(self, found: Sequence[Compared]) -> list[Compared]:
        """Without sessions that a worker's answer may have moved: it is taken only once it was held to its request."""
        away = {one.session for one in aways.everything(self.ledger.state.root)}
        moved = [one for one in found if one.session in away and one.state not in (State.SAME, State.AHEAD)]
        self.notes += [f"{one.session}: 'git relay wait {one.session}' takes the answer of its worker" for one in moved]
        return [one for one in found if one not in moved]

    def _faults(self, found: Sequence[Compared]) -> dict[str, list[Finding]]:
        """What is wrong with the sessions that have something new, by name."""
        new = {one.session: (one.shown or one.here or self.repo.no_object, one.there or "") for one in found}
        if not new:
            return {}
        large = self.arrived.largest([tip for _, tip in new.values()]) > _LARGEST
        for name in list(new) if large else []:
            if self.arrived.largest([new[name][1]]) > _LARGEST:
                del new[name]
        faults = inspection.inspect_arrivals(self.repo, new, self.arrived.store.extra)
        too_large = Finding("bytes", "", "", f"a message has more than {_LARGEST // 1024**2} MB", "")
        return faults | {one.session: [too_large] for one in found if one.session not in new}

    def _code(self, found: Sequence[Compared]) -> dict[str, str]:
        """The code refs that keep only trees which their sessions name, in one line; of others it is said."""
        good = {}
        for one in found:
            theirs = self.there.code(one.session)
            ours = self.here.code.get(one.session)
            if theirs is None or theirs == ours or (ours and theirs == self.shown.code.get(one.session)):
                continue
            assert one.there is not None
            graph, named = self.arrived.store.graph([theirs]), self.arrived.store.named_trees(one.there)
            if graph is None or named is None:
                self.notes.append(f"the files of {one.session} cannot be read")
            elif any(tree not in named or len(parents) > 1 for tree, parents in graph.values()):
                self.notes.append(f"the files of {one.session} were not taken: no message names some of them")
            else:
                good[one.session] = theirs
        return good

    def _one(self, one: Compared, faults: Sequence[Finding], code: str | None) -> Sent:
        if faults:
            first = faults[0]
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            why = f"{first.code}: {plain(first.message, 200)}{more}"
            return Sent(one.session, "refused", _refusal(self.remote, one.session, why))
        takes = one.session in self.wanted.take
        if not takes or one.state == State.GONE:
            fault = fault_of(self.remote, one)
            if fault is not None:
                return Sent(one.session, one.state, fault)
        try:
            if takes and one.state in (State.DIVERGED, *LOST):
                kept = take.take(self.ledger, self.remote, one, code)
                self.notes.append(take.told(self.remote, one, kept))
                return Sent(one.session, "taken")
            if one.state == State.BEHIND:
                take.follow(self.ledger, self.remote, one, code, self.arrived.is_ancestor)
                return Sent(one.session, "new" if one.here is None else "updated")
            if code is not None:
                take.follow_code(self.ledger, self.remote, one.session, code, self.arrived.is_ancestor)
        except RelayError as e:
            return Sent(one.session, "refused", e)
        return Sent(one.session, one.state)

    def _remember(self, good: Sequence[Compared], code: dict[str, str]) -> None:
        """Keep what the remote has shown, unless it went back on it and that was not accepted."""
        told = [one for one in good if one.state not in LOST or one.session in self.wanted.take]
        heads = {one.session: one.there for one in told if one.there}
        moves = known.moves(self.repo, self.remote.name, self.shown, heads, code)
        rewritten = [one for one in told if one.state in LOST and one.shown]
        moves += [
            (f"refs/relay/rejected/{self.remote.name}/{one.session}-{one.shown[:12]}", one.shown, self.repo.no_object)
            for one in rewritten
            if one.shown
            and self.repo.ref(f"refs/relay/rejected/{self.remote.name}/{one.session}-{one.shown[:12]}") is None
        ]
        if moves:
            with contextlib.suppress(GitError):  # another fetch has noted it at the same time
                self.repo.move_refs(moves, f"what {self.remote.name} has")
