"""A session as it is read: its turns with everything that was recorded of them, ready for a page or a transcript.

Built in batches: for any number of sessions the messages, the checks' output and the changes of the caller's
files are read by a fixed number of git processes, and a few more if changes are large.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from gitrelay.errors import RelayError
from gitrelay.git.faults import GitError
from gitrelay.history import batch, questions
from gitrelay.history.exchange import Check, Exchange
from gitrelay.ledger import stepsref
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import message, usage
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import ARCHIVE
from gitrelay.protocol.steps import Steps
from gitrelay.report import asking, changes, rounds, sides
from gitrelay.report.asking import Asked
from gitrelay.report.changes import Changes
from gitrelay.report.rounds import Rounds
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
    question: Asked | None = None  # what the peer asks back
    steps: Steps | None = None  # what the peer says it did

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
    net: Changes | None = None  # over all turns, None if it is not known
    loops: tuple[Rounds, ...] = ()

    @property
    def seconds(self) -> float | None:
        """How long all calls took together, None if none says it."""
        return _sum(usage.amount(t.exchange.response.duration) if t.exchange.response else None for t in self.turns)

    @property
    def tokens(self) -> float | None:
        return _sum(figures.get(name) for figures in self._usage for name in ("input", "output"))

    @property
    def cost(self) -> float | None:
        """US dollars."""
        return _sum(figures.get("cost_usd") for figures in self._usage)

    @property
    def _usage(self) -> list[dict[str, Decimal]]:
        return [usage.parse((t.exchange.response.usage if t.exchange.response else None) or "") for t in self.turns]

    @property
    def open_question(self) -> Turn | None:
        """The last turn if the peer asks something there, and nobody has answered."""
        last = self.turns[-1] if self.turns and not self.archived else None
        return last if last is not None and last.exchange.asks_back else None

    @property
    def check_counts(self) -> tuple[int, int]:
        """(checks that passed, all of them)."""
        runs = [run for t in self.turns for run in t.checks]
        return sum(run.passed for run in runs), len(runs)

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
    whole = {name: pair for name, line in found.sessions.items() if (pair := _whole(line, trees)) is not None}
    changed = changes.read(ledger.repo, [*trees.values(), *whole.values()])
    attempts = sides.read(ledger, exchanges) if with_changes else {}
    steps = stepsref.read(ledger, [e.address for e in exchanges]) if with_changes else {}
    conversations = []
    for name in list(dict.fromkeys(sessions)) or [*found.sessions, *found.damaged]:
        archived = name in found.archived
        if name in found.damaged:
            conversations.append(Conversation(name, archived, fault=str(found.damaged[name])))
            continue
        line = found.sessions[name]
        turns = [_turn(e, outputs, changed.get(trees.get(e.address, _NO_TREES))) for e in line]
        after = questions.answers(line)
        turns = [
            replace(
                t,
                attempts=attempts.get(t.address, ()),
                question=asking.asked(t.exchange, after.get(t.address)),
                steps=steps.get(t.address),
            )
            for t in turns
        ]
        net = changed.get(whole[name]) if name in whole else None
        drawn = rounds.among(ledger, line) if with_changes else ()
        conversations.append(Conversation(name, archived, tuple(turns), net=net, loops=drawn))
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


def _whole(line: Sequence[Exchange], trees: Mapping[Address, tuple[str, str]]) -> tuple[str, str] | None:
    """The trees before the first and after the last turn of a session of several, None for any other."""
    pairs = [trees[e.address] for e in line if e.address in trees]
    return (pairs[0][0], pairs[-1][1]) if len(pairs) > 1 else None


def _sum(amounts: Iterable[Decimal | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return float(sum(known)) if known else None


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
