"""The rules of one commit and the message that it adds, over values: no git, no files.

They are written down here once more instead of asking the code that writes sessions: a fault in the writer must not
hide from its own audit. The words of the record are `protocol.record`'s, the rules are not.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from gitrelay.audit import vocabulary
from gitrelay.audit.steps import Commit
from gitrelay.errors import REASONS
from gitrelay.ground.text import quote
from gitrelay.protocol import names
from gitrelay.protocol.applied import parse_subject
from gitrelay.protocol.check import parse_trailer
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import PROTOCOL, Request, Response
from gitrelay.protocol.record import BINDING, SUBJECT_TASK, Trailer

Said = Iterator[tuple[str, str]]  # (code, message)
_LINE_MAX: Final = 1000  # characters of a trailer's value
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})  # categories of characters that are not shown, or end a line
_AT_ONCE: Final = 10  # seconds between an answer and the start of a check in which nobody else can have started it


@dataclass
class Turns:
    """Which turn it is: the ids asked so far, the one that waits, and how many checks each has."""

    session: str
    ids: list[str] = field(default_factory=list)
    waiting: str | None = None
    answered: set[str] = field(default_factory=set)
    checks: dict[str, int] = field(default_factory=dict)
    applies: dict[str, int] = field(default_factory=dict)
    asked: Request | None = None
    bound: Mapping[str, str] = field(default_factory=dict)  # what that request is bound to
    request: Commit | None = None
    answer: Commit | None = None

    @property
    def next_ids(self) -> list[str]:
        if not self.ids:
            return [self.session, "01"] if names.is_one_shot(self.session) else ["01"]
        last = self.ids[-1]
        return [names.turn_id(int(last) + 1 if names.is_turn(last) else len(self.ids) + 1)]


@dataclass(frozen=True)
class Record:
    """A commit and the message that it adds, as the rules see it. `value` is None for a check and an apply."""

    commit: Commit
    file: str
    id: str
    kind: str  # req | res | check | apply
    data: bytes
    value: Request | Response | BadMessage | None
    turns: Turns


def _bytes(record: Record) -> Said:
    if not record.data.endswith(b"\n"):
        yield "bytes", f"{record.file} does not end with a newline"
    if isinstance(record.value, BadMessage):
        code = "reason" if record.value.why.startswith("a reason is allowed") else "bytes"
        yield code, f"{record.file}: {record.value}"


def _trailers(record: Record) -> Said:
    trailers = record.commit.trailers
    value = record.value
    if record.commit.fault:
        yield "trailers", record.commit.fault
    said: dict[str, str | None] = {Trailer.ID: record.id}
    if isinstance(value, Request | Response):
        said |= {Trailer.FROM: value.from_, Trailer.TO: value.to}
    if isinstance(value, Response):
        said |= {Trailer.STATUS: value.status, Trailer.VERIFY: value.verify, Trailer.REASON: value.reason}
    for key, wanted in said.items():
        if trailers.get(key) != wanted:
            shown = quote(trailers[key]) if key in trailers else "missing"
            yield "trailers", f"{key} is {shown}; the message says {wanted}"


def _file_id(record: Record) -> Said:
    value = record.value
    id_ = value.id if isinstance(value, Request) else value.re if isinstance(value, Response) else record.id
    if id_ != record.id:
        yield "file-id", f"{record.file} says that it is {id_}"


def _parties(record: Record) -> Said:
    value, asked = record.value, record.turns.asked
    if not isinstance(value, Response) or asked is None or record.turns.waiting != record.id:
        return
    if (value.from_, value.to) != (asked.to, asked.from_):
        yield "parties", f"{value.from_} answers {value.to}, but {asked.from_} asked {asked.to}"


def _subject(record: Record) -> Said:
    value = record.value
    if isinstance(value, Request):
        line = next((line for line in value.task.splitlines() if line.strip()), "")
        line = line if line.isprintable() and "  " not in line else _plain(line)  # the same, for most lines
        wanted = f"req {value.id} {value.from_} -> {value.to}: {line.strip()[:SUBJECT_TASK].rstrip()}".rstrip()
    elif isinstance(value, Response):
        wanted = f"res {value.re} {value.from_} -> {value.to}: {value.status}, verify {value.verify}"
    else:
        return  # a check is compared with its trailer, by _check; a message that is none says nothing
    if record.commit.subject != wanted:
        yield "subject", f"the subject is {quote(record.commit.subject)}; the message says {quote(wanted)}"


def _by(record: Record) -> Said:
    value = record.value
    speaker = value.from_ if isinstance(value, Request | Response) else "gitrelay" if value is None else None
    if record.kind == "apply":
        speaker = record.commit.trailers.get(Trailer.BY)
    if speaker is not None and record.commit.author != author_of(speaker):
        yield "author", f"the author is {shown(record.commit.author)}; {speaker} speaks"


def _reason(record: Record) -> Said:
    value = record.value
    if not isinstance(value, Response) or record.commit.trailers.get(Trailer.RECORDED) != "gitrelay":
        return
    if value.status != "error" or value.verify != "skip" or value.reason is None:
        yield "reason", "gitrelay wrote this response, and it is not an error with a reason"
    elif value.reason not in REASONS:
        yield "reason", f"gitrelay wrote this response, and {quote(value.reason)} is no reason of its own"


def _words(record: Record) -> Said:
    """The trailers that are one of a few words."""
    trailers, imported = record.commit.trailers, record.commit.imported
    for code, key, kind, allowed, needed in (
        ("recorded", Trailer.RECORDED, "res", ("peer", "gitrelay"), True),
        ("access", Trailer.ACCESS, "req", ("read", "write", "full"), not imported),
        ("sandbox", Trailer.SANDBOX, "res", ("held", "violated", "unknown"), False),
    ):
        if record.kind == kind and (needed or key in trailers) and trailers.get(key) not in allowed:
            yield code, f"{key} is {quote(trailers[key]) if key in trailers else 'missing'}"


def _head(record: Record) -> Said:
    head = record.commit.trailers.get(Trailer.HEAD)
    needed = record.kind not in ("check", "apply") and not record.commit.imported
    if head is None and needed:
        yield "head", "Relay-Head is missing"
    elif head is not None and head != "unborn" and not names.is_object_id(head):
        yield "head", f"Relay-Head is {quote(head)}"


def binding_of(commit: Commit) -> dict[str, str]:
    return {key: value for key, value in commit.trailers.items() if key.startswith(BINDING)}


def _review(record: Record) -> Said:
    bound = binding_of(record.commit)
    if record.kind == "req" and bound:
        missing = [part for part in ("Base", "Head", "Tree", "Policy") if BINDING + part not in bound]
        if missing:
            yield "review", f"it is a review, and {BINDING}{', '.join(missing)} is missing"
        for key, value in bound.items():
            may_be_none = key in (BINDING + "Base", BINDING + "Policy")
            parts = value.split(" ") if key.startswith(BINDING + "Trees") else [value]
            if not all(map(names.is_object_id, parts)) and not (may_be_none and value == "none"):
                yield "review", f"{key} is {quote(value)}"
    elif record.kind == "res" and record.turns.waiting == record.id and bound != record.turns.bound:
        changed = sorted(set(bound.items()) ^ set(record.turns.bound.items()))
        yield "review", f"{changed[0][0]} is not that of the request"
    elif record.kind in ("check", "apply") and bound:
        yield "review", "a check is bound to nothing"


def _bypass(record: Record) -> Said:
    """An answer of the gate's own, or of a reviewer, is no exception; neither is one that is bound to nothing."""
    if Trailer.BYPASS not in record.commit.trailers:
        return
    value = record.value
    if not isinstance(value, Response) or value.to != "gate" or record.commit.trailers.get(Trailer.PEER):
        yield "bypass", "Relay-Bypass is not on the answer of a person to the gate"
    elif not binding_of(record.commit) or value.verify != "skip":
        yield "bypass", "an exception is bound to what it is for, and verifies nothing"


def _check(record: Record) -> Said:
    if record.kind != "check":
        return
    trailer = record.commit.trailers.get(Trailer.CHECK, "")
    found = parse_trailer(trailer)
    if found is None:
        yield "check", f"Relay-Check is {quote(trailer) if trailer else 'missing'}"
        return
    word, command = found
    wanted = f"chk {record.id} {word}: {command[:SUBJECT_TASK].rstrip()}"
    if record.commit.subject != wanted:
        yield "check", f"the subject is {quote(record.commit.subject)}; the trailer says {quote(wanted)}"
    fields = _check_fields(record.data)
    tree = record.commit.trailers.get(Trailer.TREE)
    for key, said in (("relay", PROTOCOL), ("re", record.id), ("result", word), ("check", command), ("tree", tree)):
        if fields.get(key) != said:
            yield "check", f"{record.file}: {key} is {quote(str(fields.get(key)))}, not {said}"


def _apply(record: Record) -> Said:
    said = parse_subject(record.commit.subject)
    by = record.commit.trailers.get(Trailer.BY)
    if said is None or said[0] != record.id:
        yield "apply", f"the subject is {quote(record.commit.subject)}"
        return
    if by is None:
        yield "apply", "Relay-By is missing"
    fields = _check_fields(record.data)
    for key, value in (("relay", PROTOCOL), ("re", record.id), ("apply", said[2]), ("onto", said[1]), ("by", by)):
        if fields.get(key) != value:
            yield "apply", f"{record.file}: {key} is {quote(str(fields.get(key)))}, not {value}"


def _check_fields(data: bytes) -> dict[str, str]:
    """The front matter of a check, which gitrelay alone writes: a key and a plain or JSON-quoted value a line."""
    header = data.decode("utf-8", "replace").partition("\n---\n")[0].removeprefix("---\n")
    fields = {}
    for line in header.split("\n"):
        key, _, value = line.partition(": ")
        if value.startswith('"'):
            try:
                value = _plain(str(json.loads(value)))
            except ValueError:
                continue
        fields[key] = value
    return fields


def _committer(record: Record) -> Said:
    """An answer that the call itself recorded (it has a duration) has the committer of the request."""
    commit, asked, answer = record.commit, record.turns.request, record.turns.answer
    trailers = commit.trailers
    if Trailer.BY in trailers or Trailer.WORKER in trailers:
        return
    if record.kind == "res" and Trailer.DURATION in trailers and asked is not None:
        before = asked
    elif record.kind == "check" and answer is not None and _is_at_once(record, answer):
        before = answer
    else:
        return
    if record.id == before.trailers.get(Trailer.ID) and commit.committer != before.committer:
        yield "committer", f"the committer is {shown(commit.committer)}; before it was {shown(before.committer)}"


def _is_at_once(record: Record, answer: Commit) -> bool:
    """Whether a check began right behind the answer, as those do that the call itself runs."""
    try:
        took = float(_check_fields(record.data).get("duration", ""))
    except ValueError:
        return False
    return abs(record.commit.time - took - answer.time) <= _AT_ONCE


def _asked_for(record: Record) -> Said:
    """A check that the request does not ask for is run by somebody (check-again), who is named."""
    request = record.turns.request
    if record.kind != "check" or request is None or Trailer.BY in record.commit.trailers:
        return
    if request.trailers.get(Trailer.ID) != record.id:
        return  # of an earlier exchange: its request was looked at then
    found = parse_trailer(record.commit.trailers.get(Trailer.CHECK, ""))
    asked = request.trailers.get(Trailer.ASKED_CHECKS)
    if found is None or (asked is None and Trailer.TOOL not in request.trailers):
        return  # older than the record of what was asked for
    commands = _commands(asked or "[]")
    if commands is None or len(record.commit.trailers[Trailer.CHECK]) >= _LINE_MAX:
        return  # too long for a trailer, and cut
    if found[1] not in commands:
        yield "check-asked", f"nobody in the record asked for the check {quote(found[1])}"


def _commands(text: str) -> list[str] | None:
    """The commands that Relay-Asked-Checks names, as a subject shows them; None if it cannot be read."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return [_plain(str(one)) for one in value] if isinstance(value, list) else None


def _vocabulary(record: Record) -> Said:
    yield from vocabulary.judged(record.kind, record.commit.trailers)


def _plain(text: str) -> str:
    """`text` as a subject or a trailer may hold it: one line of characters that are seen, words one blank apart."""
    seen = "".join(" " if unicodedata.category(char) in _UNSEEN else char for char in text[: 4 * _LINE_MAX])
    return " ".join(seen.split())[:_LINE_MAX]


_OF_ALL: Final = (_bytes, _trailers, _file_id, _subject, _by, _words, _head, _review, _bypass, _vocabulary)
# the rules for a message of each kind
OF_EACH: Final[Mapping[str, tuple[Callable[[Record], Said], ...]]] = {
    "req": _OF_ALL,
    "res": (*_OF_ALL, _parties, _reason, _committer),
    "check": (*_OF_ALL, _check, _committer, _asked_for),
    "apply": (*_OF_ALL, _apply),
}


def author_of(slug: str) -> tuple[str, str]:
    return slug, f"{slug}@gitrelay.invalid"


def shown(author: tuple[str, str]) -> str:
    return quote(f"{author[0]} <{author[1]}>")
