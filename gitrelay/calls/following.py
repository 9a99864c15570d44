"""What happens in the ledger while somebody looks: new turns, what running peers do, sessions that come and go.

Cheap while nothing happens: the places where refs are written are looked at by `stat`, git is asked only when one of
them has changed, and then only for the commits that are new.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from gitrelay.calls import inflight
from gitrelay.calls.peerlog import Follower
from gitrelay.errors import RelayError
from gitrelay.ground.text import plain
from gitrelay.history import commits, exchanges, questions, sessions
from gitrelay.history.exchange import Exchange
from gitrelay.history.sessions import SessionSummary
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.protocol.check import parse_trailer
from gitrelay.protocol.names import Address
from gitrelay.protocol.question import Question
from gitrelay.protocol.record import ARCHIVE, BRANCHES, Commit, name_of
from gitrelay.protocol.words import Status, Verify
from gitrelay.state import away as aways
from gitrelay.state.away import Away
from gitrelay.state.calls import Call

_KEPT_LINES: Final = 500  # of each running peer
# A change within the tick of a file system's clock leaves the same time stamp behind; 2 s is FAT's, the coarsest.
_TICK: Final = 2.0
_ANYWAY: Final = 30.0  # seconds after which git is asked without a sign: a network's file system may give none


Stamp = tuple[int, int, int] | None  # (changed at, in ns; size; inode), None if there is nothing


@dataclass(frozen=True)
class Event:
    """One line of what happened, at `where`: an address or the name of a session.

    `kind` is question, running, away, opened, request, event, response, check, apply, archived, restored or removed.
    `time` is seconds since the epoch: the commit's; of a peer's event when its log was last written to; of a call that
    runs when its peer last printed something, else when it began; of one that is away when its remote was asked.
    """

    time: float
    where: str
    kind: str
    text: str


@dataclass
class Running:
    """A call that runs: its limits, when its peer last printed something, and its last events, oldest first."""

    call: Call
    last_output: float | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))

    def wall_left(self, now: float) -> float | None:
        limit = self.call.limits.wall
        return None if limit is None else limit - (now - self.call.started)

    def idle_left(self, now: float) -> float | None:
        limit = self.call.limits.idle
        return None if limit is None else limit - (now - (self.last_output or self.call.started))


class Following:
    """All sessions, or one. `look` brings `sessions` and `running` up to date and says what is new.

    Raises UsageError if the one session does not exist. Nothing is recorded: the verb settles dead calls first.
    """

    def __init__(self, ledger: Ledger, session: str | None = None) -> None:
        self.ledger = ledger
        self.session = session
        self.sessions: dict[str, SessionSummary] = {}
        self.running: dict[Address, Running] = {}
        self.away: dict[Address, Away] = {}  # calls that another machine is to answer
        self.changes = 0  # grows whenever `sessions` may have changed
        self.fault = ""  # one line: what cannot be read
        self._damaged: dict[str, str] = {}  # session -> why its new commits cannot be read
        self._tips: dict[str, str] = {}  # full ref name -> commit
        self._followers: dict[Address, Follower] = {}
        self._known: tuple[object, list[Exchange]] = (None, [])  # of the session that was asked for last
        self._waiting: tuple[int, list[Exchange]] = (-1, [])  # the open questions, as of so many changes
        self._asked = time.time()
        if session is not None:
            names.check_session(session)
            exchanges.exchanges(ledger, session)
        self._sign = self._signs()
        self._tips = self._read_tips()
        known = (s for s in sessions.sessions(ledger) if names.is_session(s.name) and not s.remote)
        self.sessions = {s.name: s for s in known if session in (None, s.name)}
        for _ in (*self._peers(time.time()), *self._aways(time.time())):
            pass  # what they did before is no news

    def look(self) -> list[Event]:
        """What is new, in the order it happened. Raises nothing: `fault` says what could not be read."""
        now = time.time()
        fault = ""
        recorded: list[Event] = []
        done: list[Event] = []
        try:
            sign = self._signs()
            if sign != self._sign or self._asked - _newest(self._sign) < _TICK or now - self._asked > _ANYWAY:
                before = {e.address for e in self.questions()}
                self.changes += 1
                recorded = list(self._refs(now))
                recorded += [_question(e) for e in self.questions() if e.address not in before]
                self._sign, self._asked = sign, now
            done = [*self._peers(now), *self._aways(now)]
        except (RelayError, OSError, ValueError) as e:
            fault = e.message if isinstance(e, RelayError) else str(e)
        self.fault = fault or next((f"{name}: {why}" for name, why in self._damaged.items()), "")
        return _in_order(recorded, done)

    def questions(self) -> list[Exchange]:
        """The questions that wait for an answer, the latest first; git is asked again only after a change."""
        if self._waiting[0] != self.changes:
            latest = sorted(self.sessions.values(), key=lambda s: (-s.last, s.name))
            self._waiting = self.changes, questions.among(self.ledger, latest)
        return self._waiting[1]

    def exchanges(self, session: str) -> list[Exchange]:
        """The exchanges of a session as they are, without their messages; none if it is gone or unreadable."""
        state = [self._tips.get(prefix + session) for prefix in (BRANCHES, ARCHIVE)]
        if self._known[0] != (session, state):
            try:
                self._known = (session, state), exchanges.exchanges(self.ledger, session)
            except RelayError:
                self._known = (session, state), []
        return self._known[1]

    def exchange(self, address: Address) -> Exchange | None:
        """One exchange with its messages, None if it is gone or cannot be read."""
        try:
            return exchanges.exchange(self.ledger, address)
        except RelayError:
            return None

    # -- refs -------------------------------------------------------------------------------------

    def _signs(self) -> list[Stamp]:
        """Stamps that change when a relay branch does: of its folder, of packed-refs, of a reftable."""
        common = self.ledger.repo.common_dir
        places = ("refs/heads/relay", "refs/relay/archive", "packed-refs", "reftable", "reftable/tables.list")
        return [_stamp(common / place) for place in places]

    def _read_tips(self) -> dict[str, str]:
        prefixes = [BRANCHES, ARCHIVE] if self.session is None else [BRANCHES + self.session, ARCHIVE + self.session]
        rows = self.ledger.repo.each_ref("%(refname)%00%(objectname)", *prefixes)
        return {ref: oid for ref, oid in rows if names.is_session(name_of(ref))}

    def _refs(self, now: float) -> Iterator[Event]:
        before, self._tips = self._tips, self._read_tips()
        for ref, oid in self._tips.items():
            name, old = name_of(ref), before.get(ref)
            if old is None and _twin(ref) in before and _twin(ref) not in self._tips:
                old = before[_twin(ref)]
                archived = ref.startswith(ARCHIVE)
                if name in self.sessions:
                    self.sessions[name] = replace(self.sessions[name], archived=archived)
                yield Event(now, name, "archived" if archived else "restored", "")
            if old != oid:
                self._damaged.pop(name, None)
                try:
                    yield from self._commits(name, ref, oid, old)
                except RelayError as e:  # one that is damaged does not hide the others
                    self._damaged[name] = e.message
        for ref in before.keys() - self._tips.keys():
            if _twin(ref) in self._tips:
                continue
            self._damaged.pop(name_of(ref), None)
            if self.sessions.pop(name_of(ref), None) is not None:
                yield Event(now, name_of(ref), "removed", "")

    def _commits(self, name: str, ref: str, oid: str, old: str | None) -> Iterator[Event]:
        """The new commits of a session as events, which `sessions` follows. Raises RelayError if it is damaged."""
        (line,) = commits.read(self.ledger.repo, [oid])
        at = next((i for i, commit in enumerate(line) if commit.oid == old), -1)
        for commit in line[at + 1 :]:
            summary = self.sessions.get(name) or _new(name, archived=ref.startswith(ARCHIVE))
            said = _said(replace(summary, last=commit.time, subject=commit.subject), commit)
            if said is not None:
                self.sessions[name], where, kind, words = said
                yield Event(commit.time, where, kind, words)

    # -- running peers ----------------------------------------------------------------------------

    def _peers(self, now: float) -> Iterator[Event]:
        """The events of the peers that run, and `running` as it is now."""
        seen: dict[Address, Running] = {}
        for call, folder in inflight.running(self.ledger):
            if not names.is_session(call.session) or self.session not in (None, call.session):
                continue
            entry = self.running.get(call.address) or Running(call)
            if call.address not in self._followers:
                self._followers[call.address] = Follower(self.ledger, call.address, call.to)
            entry.call, entry.last_output = call, folder.last_output()
            seen[call.address] = entry
        gone = [address for address in self._followers if address not in seen]
        for address, follower in self._followers.items():
            for line in follower.lines():
                if address in seen:
                    seen[address].lines.append(line)
                yield Event(min(now, follower.written or now), str(address), "event", line)
        for address in gone:  # its last lines were read above, from where its log was moved to
            del self._followers[address]
        self.running = seen

    def _aways(self, now: float) -> Iterator[Event]:
        """What is newly noted of calls that another machine is to answer, and `away` as it is now."""
        before = self.away
        found = aways.everything(self.ledger.state.root)
        self.away = {one.address: one for one in found if self.session in (None, one.session)}
        for address, one in self.away.items():
            if address not in before or aways.news(before[address].said) != aways.news(one.said):
                yield _of_away(one, now)


def _of_away(a: Away, now: float) -> Event:
    return Event(a.said_at or now, str(a.address), "away", plain(f"-> {a.peer} at {a.remote}: {a.said}", 300))


def as_it_is(following: Following) -> list[Event]:
    """The questions that wait and what runs at this moment, as events: where a plain listing begins."""
    return (
        [_question(e) for e in following.questions()]
        + [
            Event(r.last_output or r.call.started, str(address), "running", f"{r.call.from_} -> {r.call.to}{_last(r)}")
            for address, r in following.running.items()
        ]
        + [_of_away(a, time.time()) for a in following.away.values()]
    )


def _question(e: Exchange) -> Event:
    asked = e.question or Question("")
    options = "".join(f" [{i}: {option}]" for i, option in enumerate(asked.options, 1))
    said_at = e.response.time if e.response else e.request.time
    return Event(said_at, str(e.address), "question", plain(f"{e.to}: {asked.text}{options}", 300))


def _last(r: Running) -> str:
    return f": {plain(r.lines[-1], 160)}" if r.lines else ""


def _new(name: str, *, archived: bool) -> SessionSummary:
    return SessionSummary(
        name=name,
        archived=archived,
        turns=0,
        from_="",
        to="",
        status="open",
        verify=None,
        reason=None,
        last=0,
        subject="",
    )


def _said(s: SessionSummary, commit: Commit) -> tuple[SessionSummary, str, str, str] | None:
    """(the session after one more commit, where, kind and text of the event), None for a commit that is none of ours.

    The rules are those of `history.sessions`, which reads them off the last commit alone.
    """
    kind, _, rest = commit.subject.partition(" ")
    words = rest.partition(" ")[2]  # behind the id
    id_ = commit.id or ""
    if kind == "open":
        return s, s.name, "opened", ""
    if not names.is_id(id_):
        return None
    where = str(Address(s.name, id_))
    if kind == "req":
        turns = int(id_) if names.is_turn(id_) else 1
        s = replace(s, turns=turns, from_=commit.from_ or "", to=commit.to or "", checked=False, check_failed=False)
        asked = replace(s, status="pending", verify=None, reason=None)
        return asked, where, "request", words
    if kind == "res":
        status, verify = commit.status or Status.ERROR, commit.verify or Verify.SKIP
        reason, seconds = commit.reason, commit.duration
        facts = [words, *([reason] if reason else []), *([f"{seconds}s"] if seconds else [])]
        return replace(s, status=status, verify=verify, reason=reason), where, "response", ", ".join(facts)
    if kind == "apl":
        return s, where, "apply", words
    check = parse_trailer(commit.check or "") if kind == "chk" else None
    if check is None:
        return None
    failed = s.check_failed or check[0] != Verify.PASS
    s = replace(s, checked=True, check_failed=failed, verify=Verify.FAIL if failed else s.verify)
    return s, where, "check", ": ".join(check)


def _in_order(recorded: Sequence[Event], done: Sequence[Event]) -> list[Event]:
    """What peers did is before the answers that it led to; what is not answered yet comes last."""
    left = list(done)
    found: list[Event] = []
    for event in recorded:
        if event.kind == "response":
            found += [e for e in left if e.where == event.where]
            left = [e for e in left if e.where != event.where]
        found.append(event)
    return found + left


def _newest(stamps: Sequence[Stamp]) -> float:
    """Seconds since the epoch of the last change among `stamps`."""
    return max((stamp[0] for stamp in stamps if stamp is not None), default=0) / 1e9


def _stamp(path: Path) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _twin(ref: str) -> str:
    """The archived ref of a branch, the branch of an archived ref."""
    return (BRANCHES if ref.startswith(ARCHIVE) else ARCHIVE) + name_of(ref)
