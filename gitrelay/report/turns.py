"""A session as it is read: its turns with everything that was recorded of them, ready for a page or a transcript.

Built in batches: for any number of sessions the messages, the checks' output and the changes of the caller's
files are read by a fixed number of git processes, and a few more if changes are large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gitrelay.errors import RelayError
from gitrelay.git.faults import GitError
from gitrelay.history import batch
from gitrelay.history.exchange import Check, Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import message
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import ARCHIVE
from gitrelay.report import changes, sides
from gitrelay.report.changes import Changes
from gitrelay.report.sides import Side

_NO_TREES: Final = ("", "")


@dataclass(frozen=True)
class CheckRun:
    """One run of a check. `output` is markdown: a console block and how it ended, empty if it cannot be read."""

    command: str
    word: str
    commit: str
    output: str

    @property
    def passed(self) -> bool:
        return self.word == "pass"


@dataclass(frozen=True)
class Turn:
    """One exchange. `task` and `body` are markdown; `changes` is None if they are not recorded, or not here."""

    exchange: Exchange
    task: str
    body: str
    fault: str
    checks: tuple[CheckRun, ...]
    changes: Changes | None
    attempts: tuple[Side, ...] = ()  # of a group that this is the request of

    @property
    def address(self) -> Address:
        return self.exchange.address

    @property
    def id(self) -> str:
        return self.exchange.address.id

    @property
    def contradicted(self) -> bool:
        """Whether the peer claimed pass, and a check of gitrelay itself did not."""
        return self.exchange.verify == "pass" and bool(self.exchange.failed_checks)


@dataclass(frozen=True)
class Conversation:
    """A session: its name and its turns in the order they were asked. `fault` says why one cannot be read."""

    name: str
    archived: bool
    turns: tuple[Turn, ...] = ()
    fault: str = ""

    @property
    def ref(self) -> str:
        """What `git log` takes to show it."""
        return (ARCHIVE + self.name) if self.archived else f"relay/{self.name}"

    @property
    def first(self) -> int | None:
        return self.turns[0].exchange.request.time if self.turns else None

    @property
    def last(self) -> int:
        """When the session last said something, seconds since the epoch; 0 if it never did."""
        if not self.turns:
            return 0
        e = self.turns[-1].exchange
        return max([e.request.time, *([e.response.time] if e.response else []), *(c.commit.time for c in e.checks)])

    @property
    def agents(self) -> tuple[str, ...]:
        """Who speaks in it, in the order they came."""
        return tuple(dict.fromkeys(who for t in self.turns for who in (t.exchange.from_, t.exchange.to)))


def read(
    ledger: Ledger, sessions: Sequence[str], *, with_changes: bool = True
) -> tuple[list[Conversation], Mapping[str, RelayError]]:
    """(these sessions in the order given, or all; why some of them cannot be read).

    What the turns changed is the larger part of the work. Raises UsageError for an unknown session.
    """
    found = batch.read(ledger, sessions, bodies=True)
    exchanges = found.exchanges
    outputs = _outputs(ledger, exchanges)
    trees = {e.address: pair for e in exchanges if (pair := sides.trees(e)) is not None} if with_changes else {}
    changed = changes.read(ledger.repo, list(trees.values()))
    attempts = sides.read(ledger, exchanges) if with_changes else {}
    conversations = []
    for name in list(dict.fromkeys(sessions)) or [*found.sessions, *found.damaged]:
        archived = name in found.archived
        if name in found.damaged:
            conversations.append(Conversation(name, archived, fault=str(found.damaged[name])))
            continue
        turns = [_turn(e, outputs, changed.get(trees.get(e.address, _NO_TREES))) for e in found.sessions[name]]
        turns = [replace(t, attempts=attempts.get(t.address, ())) for t in turns]
        conversations.append(Conversation(name, archived, tuple(turns)))
    return conversations, found.damaged


def _turn(e: Exchange, outputs: Mapping[str, str], changed: Changes | None) -> Turn:
    faults = []
    try:
        task = message.task_of(e.request_data)
    except BadMessage as bad:
        faults.append(f"{message.request_file(e.address.id)}: {bad}")
        task = e.request_data.decode("utf-8", "replace")
    body = ""
    if e.response is not None:
        try:
            body = message.parse_response(e.response_data).body
        except BadMessage as bad:
            faults.append(f"{message.response_file(e.address.id)}: {bad}")
            body = e.response_data.decode("utf-8", "replace")
    checks = tuple(CheckRun(c.command, c.word, c.commit.oid, outputs.get(c.commit.oid, "")) for c in e.checks)
    return Turn(e, task, body, "; ".join(faults), checks, changed)


def _outputs(ledger: Ledger, exchanges: Sequence[Exchange]) -> dict[str, str]:
    """Commit of a check -> the body of its file."""
    wanted: list[tuple[Check, str]] = []
    for e in exchanges:
        for number, check in enumerate(e.checks, 1):
            wanted.append((check, f"{check.commit.oid}:{message.check_file(e.address.id, number)}"))
    try:
        objects = ledger.repo.objects([name for _, name in wanted])
    except GitError:
        return {}  # damaged: the result is still in the commit
    texts = {c.commit.oid: o.data.decode("utf-8", "replace") for (c, _), o in zip(wanted, objects, strict=True) if o}
    return {oid: text.partition("\n---\n\n")[2] for oid, text in texts.items()}
