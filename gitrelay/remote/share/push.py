"""Sends sessions to a remote: forward only, each with its files or not at all.

What was sent is believed when it is seen there, never because a push says so.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Final

from gitrelay.errors import CannotRecord, Conflict, IntegrityError, RelayError
from gitrelay.errors import Code as Word
from gitrelay.git.faults import GitError
from gitrelay.ground.text import counted
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.record import CODE, STEPS, Identity
from gitrelay.remote import known
from gitrelay.remote.address import Remote
from gitrelay.remote.share import plan, wire
from gitrelay.remote.share.compare import LOST, Compared, State, compared
from gitrelay.remote.share.plan import Local, Plan
from gitrelay.remote.share.wire import Move, There

_AT_ONCE: Final = 200  # sessions; two refs each, whose names and ids go on a command line
_TRIES: Final = 40  # pushes in all, while it is found out which session a server does not take


@dataclass(frozen=True)
class Sent:
    """What became of one session: `new`, `updated`, `same`, or why it was not sent, with the error that says so."""

    session: str
    result: str
    fault: RelayError | None = None


def push(ledger: Ledger, made: Plan, here: Local, tell: Callable[[str], None] = lambda words: None) -> list[Sent]:
    """Do what was planned. One Sent for each session that was looked at; nothing is raised for a single one.

    Raises CannotRecord for a server that cannot take what is asked at all, before anything is sent.
    """
    if made.moves:
        _probe(ledger, made)
    work = _Work(ledger, made.remote, here, dict(made.moves), tell)
    todo = sorted(made.moves)
    for start in range(0, len(todo), _AT_ONCE):
        work.send(todo[start : start + _AT_ONCE])
    sent = []
    for one in made.found:
        if one.session in made.moves:
            fault = work.faults.get(one.session)
            sent.append(Sent(one.session, "refused" if fault else "updated" if one.there else "new", fault))
        else:
            sent.append(Sent(one.session, one.state, fault_of(made.remote, one)))
    _remember(ledger, made.remote, made, work)
    return sent


def fault_of(remote: Remote, one: Compared) -> RelayError | None:
    """Why a session cannot be sent as it is; None if there is nothing to send."""
    if one.state == State.DIVERGED:
        return Conflict(
            f"session {one.session} went on here and on {remote.name}, each in its own way; it is not forked",
            hint=f"git relay fetch {remote.name} --take {one.session} goes on from theirs and keeps yours",
            code=Word.DIVERGED,
        )
    if one.state in LOST:
        return lost(remote, one)
    return None


def lost(remote: Remote, one: Compared) -> IntegrityError:
    """The error for a remote that does not have any more what it had shown."""
    shown, there = (one.shown or "")[:12], (one.there or "")[:12]
    kept = f"what it had shown is kept as {known.head_ref(remote.name, one.session)}"
    hint = f"git relay push --again {remote.name} {one.session} sends it again"
    if one.state == State.GONE:
        words = f"{remote.name} had session {one.session} ({shown}) and has it no more: it was deleted there; {kept}"
        hint += f"; git relay push --no-share {one.session} keeps it here"
    elif one.state == State.MOVED_BACK:
        words = f"{remote.name} moved session {one.session} back from {shown} to {there}; {kept}"
    else:
        words = f"{remote.name} rewrote session {one.session}: {there} does not go on from {shown}; {kept}"
        hint = f"ask who did that; git relay fetch {remote.name} --take {one.session} goes on from theirs, keeps yours"
    return IntegrityError(words, hint=hint, code=Word.ROLLED_BACK)


class _Work:
    """Pushes until every session is there, or it is known why not."""

    def __init__(
        self,
        ledger: Ledger,
        remote: Remote,
        here: Local,
        moves: dict[str, Sequence[Move]],
        tell: Callable[[str], None],
    ) -> None:
        self.ledger = ledger
        self.remote = remote
        self.here = here
        self.moves = moves
        self.tell = tell
        self.faults: dict[str, RelayError] = {}
        self.there = There({})
        self._left = _TRIES

    def send(self, sessions: Sequence[str]) -> None:
        """Push `sessions` together. If a server does not take them, by halves; if somebody was faster, again."""
        self._left -= 1
        moves = [move for name in sessions for move in self.moves[name]]
        self.tell(f"sending {counted(len(moves), 'ref')} of {counted(len(sessions), 'session')} to {self.remote.name}")
        out, err = wire.push(self.ledger.repo, self.remote, moves)
        try:
            before, self.there = self.there, wire.listed(self.ledger.repo, self.remote)
        except CannotRecord as e:
            self._give_up(sessions, e)
            return
        del before
        missing = [name for name in sessions if not self._landed(name)]
        if not missing:
            return
        refusal = wire.refused(self.remote, out, err)
        overtaken = [name for name in missing if self._is_overtaken(name)]
        if refusal.code in (Word.NO_ATOMIC, Word.HIDDEN_REFS) or self._left <= 0:
            self._give_up(missing, refusal)
        elif overtaken:
            again = self._planned_again(missing)
            if again:
                self.send(again)
        elif len(missing) > 1:
            self.send(missing[: len(missing) // 2])
            self.send(missing[len(missing) // 2 :])
        else:
            self._give_up(missing, refusal)

    def _landed(self, session: str) -> bool:
        return all(self.there.refs.get(move.ref) == move.new for move in self.moves[session])

    def _is_overtaken(self, session: str) -> bool:
        """Whether a ref of the session is not where the push expected it: somebody else has moved it meanwhile."""
        return any(self.there.refs.get(move.ref, "") != move.old for move in self.moves[session])

    def _planned_again(self, sessions: Sequence[str]) -> list[str]:
        """Those of `sessions` that still have to be sent, with the moves that fit what is there now."""
        try:
            part = plan.local(self.ledger, sessions, private=True)
            again = plan.plan(self.ledger, self.remote, part, code=self._with_code(sessions))
        except RelayError as e:
            self._give_up(sessions, e)
            return []
        for one in again.found:
            fault = fault_of(self.remote, one)
            if fault is not None:
                self.faults[one.session] = fault
        self.moves |= again.moves
        return sorted(again.moves)

    def _with_code(self, sessions: Sequence[str]) -> bool:
        return any(move.ref.startswith((CODE, STEPS)) for name in sessions for move in self.moves[name])

    def _give_up(self, sessions: Sequence[str], fault: RelayError) -> None:
        self.faults |= dict.fromkeys(sessions, fault)


def _probe(ledger: Ledger, made: Plan) -> None:
    """Once for a remote: whether it takes refs below refs/relay/. Raises CannotRecord.

    Where that namespace is hidden git lands the other refs of an atomic push all the same, so it is tried with one ref
    first. What the remote has of ours already tells it as well.
    """
    moves = [move for moves in made.moves.values() for move in moves if move.ref.startswith("refs/relay/")]
    if not moves or any(ref.startswith("refs/relay/") for ref in made.there.refs):
        return
    repo, nonce = ledger.repo, secrets.token_hex(8)
    ref = f"refs/relay/probe/{nonce}"
    new = repo.commit(
        repo.empty_tree, [], f"probe {nonce}\n", Identity("gitrelay", "gitrelay@gitrelay.invalid"), sign=False
    )
    out, err = wire.push(repo, made.remote, [Move(ref, "", new)])
    if wire.has(repo, made.remote, ref, new):
        wire.push(repo, made.remote, [Move(ref, new, "")])
        return
    refusal = wire.refused(made.remote, out, err)
    raise refusal if refusal.code == Word.NO_ATOMIC else wire.hidden(made.remote, ref)


def _remember(ledger: Ledger, remote: Remote, made: Plan, work: _Work) -> None:
    """Keep what the remote has now, as far as it is in this repository."""
    there = work.there if work.there.refs else made.there
    shown = known.read(ledger.repo, remote.name)
    with plan.told(ledger, remote, there, work.here.tips) as (is_ancestor, _):
        found = compared(work.here.tips, work.here.tips, there, shown, is_ancestor)
    heads = {one.session: one.there for one in found if one.there and one.state in (State.SAME, State.AHEAD)}
    codes = {name: there.code(name) for name in heads}
    code = {name: oid for name, oid in codes.items() if oid}
    here = _present(ledger, {*heads.values(), *code.values()})
    heads = {name: oid for name, oid in heads.items() if oid in here}
    code = {name: oid for name, oid in code.items() if oid in here}
    moves = known.moves(ledger.repo, remote.name, shown, heads, code)
    if moves:
        try:
            ledger.repo.move_refs(moves, f"what {remote.name} has")
        except GitError:
            return  # another push has noted it at the same time


def _present(ledger: Ledger, oids: set[str]) -> set[str]:
    wanted = sorted(oids)
    return {oid for oid, found in zip(wanted, ledger.repo.objects(wanted), strict=True) if found is not None}
