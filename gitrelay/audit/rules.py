"""The rules of a session, each a check of its own, over values: no git, no files.

A session is given as its commits in order with what each did to the tree; a rule that is broken is a
`Finding` with the rule's name as its code. The rules are written down here once more instead of asking
the code that writes sessions: a fault in the writer must not hide from its own audit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gitrelay.audit.findings import Finding, finding
from gitrelay.audit.steps import MISSING, Commit, Step
from gitrelay.errors import REASONS
from gitrelay.protocol import names
from gitrelay.protocol.check import parse_trailer
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import FILE, PROTOCOL, Request, Response, check_file, parse_request, parse_response
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import BINDING, SUBJECT_TASK, Trailer
from gitrelay.text import plain, quote

_KIND: Final = {"req": "req", "res": "res", "check": "chk"}


@dataclass(frozen=True)
class History:
    """A session: its ref, its name and its steps, the root first.

    `blobs` are the files by object id, a str where one cannot be had. `kept` are the trees that the session's
    code ref keeps, None where there is no such ref, and `lost` those named trees that are not there. `broken` is
    a commit that cannot be read, and why: then there are no steps.
    """

    ref: str
    session: str
    steps: Sequence[Step]
    blobs: Mapping[str, bytes | str]
    empty_tree: str
    kept: frozenset[str] | None = None
    lost: frozenset[str] = frozenset()
    broken: tuple[str, str] | None = None


@dataclass
class _Turns:
    """Which turn it is: the ids asked so far, the one that waits, and how many checks each has."""

    session: str
    ids: list[str] = field(default_factory=list)
    waiting: str | None = None
    answered: set[str] = field(default_factory=set)
    checks: dict[str, int] = field(default_factory=dict)
    asked: Request | None = None
    bound: Mapping[str, str] = field(default_factory=dict)  # what that request is bound to

    @property
    def next_ids(self) -> list[str]:
        if not self.ids:
            return [self.session, "01"] if names.is_one_shot(self.session) else ["01"]
        last = self.ids[-1]
        return [names.turn_id(int(last) + 1 if names.is_turn(last) else len(self.ids) + 1)]


@dataclass(frozen=True)
class _Record:
    """A commit and the message that it adds, as the rules see it. `value` is None for a check."""

    commit: Commit
    file: str
    id: str
    kind: str  # req | res | check
    data: bytes
    value: Request | Response | BadMessage | None
    turns: _Turns


_Said = Iterator[tuple[str, str]]  # (code, message)


def check(history: History) -> Iterator[Finding]:
    """Every rule over one session."""
    if history.broken is not None:
        oid, why = history.broken
        code = "ref-target" if why.startswith("is a ") else code_of(why)
        words = f"commit {oid[:12]} {why}; nothing before it can be told"
        yield finding(code, words, address=history.session, commit=oid, ref=history.ref)
    turns = _Turns(history.session)
    for number, step in enumerate(history.steps):
        commit = step.commit
        if number == 0:
            said, id_ = _root(history, step), ""
        else:
            said, id_ = _step(history, step, turns)
        for code, message in said:
            address = str(Address(history.session, id_)) if names.is_id(id_) else history.session
            yield finding(code, message, address=address, commit=commit.oid, ref=history.ref)
    for code, message in _code_ref(history):
        yield finding(code, message, address=history.session, ref=history.ref)


def _root(history: History, step: Step) -> list[tuple[str, str]]:
    """Orphan, the empty tree, the protocol's version, who opened it."""
    commit = step.commit
    said = []
    if commit.tree != history.empty_tree:
        said.append(("root-tree", "the first commit does not have the empty tree"))
    if commit.trailers.get(Trailer.VERSION) != PROTOCOL:
        said.append(("root-version", f"the first commit does not say Relay-Version: {PROTOCOL}"))
    elif commit.fault:
        said.append(("trailers", commit.fault))
    if commit.subject != f"open {history.session}":
        said.append(("root-subject", f"the first commit says {quote(commit.subject)}"))
    if not names.is_slug(commit.author[0]) or commit.author != _author(commit.author[0]):
        said.append(("author", f"the first commit is by {_shown(commit.author)}"))
    return said


def _step(history: History, step: Step, turns: _Turns) -> tuple[list[tuple[str, str]], str]:
    """(what is wrong with one commit behind the root, the id that it is about or '')."""
    commit = step.commit
    id_ = commit.trailers.get(Trailer.ID, "")
    said: list[tuple[str, str]] = []
    if len(commit.parents) != 1:
        said.append(("linear", f"a merge of {len(commit.parents)} commits"))
    if step.fault:
        said.append((code_of(step.fault), f"its tree {commit.tree[:12]} {step.fault}"))
    if step.added is None:  # a tree that cannot be read; its message still takes its turn
        kind = next((kind for kind, word in _KIND.items() if commit.subject.startswith(f"{word} ")), "req")
        list(_turn(turns, id_, kind, check_file(id_, turns.checks.get(id_, 0) + 1)))
    said += [("file-changed", f"{quote(name)} was changed") for name in step.changed]
    said += [("file-deleted", f"{quote(name)} was deleted") for name in step.deleted]
    if step.added is not None and len(step.added) != 1 and not (step.changed or step.deleted):
        said.append(("one-file", f"it adds {len(step.added) or 'no'} files"))
    for entry in step.added or ():
        found = FILE.fullmatch(entry.name)
        if found is None or not names.is_id(found[1]):
            said.append(("file-name", f"{quote(entry.name)} is not the name of a message"))
            continue
        id_, kind = found[1], found[2].partition("-")[0]
        data = history.blobs.get(entry.oid)
        if entry.mode != "100644":
            said.append(("file-mode", f"{entry.name} has mode {entry.mode}"))
        elif isinstance(data, str):
            said.append((code_of(data), f"{entry.name} ({entry.oid[:12]}) {data}"))
        elif data is not None and len(step.added or ()) == 1:
            record = _Record(commit, entry.name, id_, kind, data, _value(kind, data, history.session), turns)
            said += [one for rule in _OF_EACH for one in rule(record)]
            if isinstance(record.value, Request):
                turns.asked, turns.bound = record.value, _binding(commit)
        said += _turn(turns, id_, kind, entry.name)
    said += _tree(history, commit)
    return said, id_


def code_of(why: str) -> str:
    """The code for an object that cannot be had."""
    return "object-missing" if why == MISSING else "object-corrupt"


def _value(kind: str, data: bytes, session: str) -> Request | Response | BadMessage | None:
    try:
        return parse_request(data, session) if kind == "req" else parse_response(data) if kind == "res" else None
    except BadMessage as e:
        return e


def _turn(turns: _Turns, id_: str, kind: str, name: str) -> _Said:
    """Whether it is the turn of this message; then it has been taken."""
    if kind == "req":
        if turns.waiting is not None:
            yield "unanswered", f"{turns.waiting} was never answered, and the session goes on"
        if id_ not in turns.next_ids:
            yield "ids", f"{id_} stands where {' or '.join(turns.next_ids)} is due"
        turns.ids.append(id_)
        turns.waiting = id_
    elif kind == "res":
        if turns.waiting != id_:
            yield "order", f"{id_} is answered, but {turns.waiting or 'no request'} waits for an answer"
        turns.waiting = None
        turns.answered.add(id_)
    else:
        if id_ not in turns.answered or turns.waiting is not None:
            yield "order", f"a check of {id_}, but {turns.waiting or id_} is not answered yet"
        turns.checks[id_] = turns.checks.get(id_, 0) + 1
        if name != check_file(id_, turns.checks[id_]):
            yield "ids", f"{name} stands where {check_file(id_, turns.checks[id_])} is due"


def _bytes(record: _Record) -> _Said:
    if not record.data.endswith(b"\n"):
        yield "bytes", f"{record.file} does not end with a newline"
    if isinstance(record.value, BadMessage):
        code = "reason" if record.value.why.startswith("a reason is allowed") else "bytes"
        yield code, f"{record.file}: {record.value}"


def _trailers(record: _Record) -> _Said:
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


def _file_id(record: _Record) -> _Said:
    value = record.value
    id_ = value.id if isinstance(value, Request) else value.re if isinstance(value, Response) else record.id
    if id_ != record.id:
        yield "file-id", f"{record.file} says that it is {id_}"


def _parties(record: _Record) -> _Said:
    value, asked = record.value, record.turns.asked
    if not isinstance(value, Response) or asked is None or record.turns.waiting != record.id:
        return
    if (value.from_, value.to) != (asked.to, asked.from_):
        yield "parties", f"{value.from_} answers {value.to}, but {asked.from_} asked {asked.to}"


def _subject(record: _Record) -> _Said:
    value = record.value
    if isinstance(value, Request):
        line = next((line for line in value.task.splitlines() if line.strip()), "")
        line = line if line.isprintable() and "  " not in line else plain(line)  # the same, for most lines
        wanted = f"req {value.id} {value.from_} -> {value.to}: {line.strip()[:SUBJECT_TASK].rstrip()}".rstrip()
    elif isinstance(value, Response):
        wanted = f"res {value.re} {value.from_} -> {value.to}: {value.status}, verify {value.verify}"
    else:
        return  # a check is compared with its trailer, by _check; a message that is none says nothing
    if record.commit.subject != wanted:
        yield "subject", f"the subject is {quote(record.commit.subject)}; the message says {quote(wanted)}"


def _by(record: _Record) -> _Said:
    value = record.value
    speaker = value.from_ if isinstance(value, Request | Response) else "gitrelay" if value is None else None
    if speaker is not None and record.commit.author != _author(speaker):
        yield "author", f"the author is {_shown(record.commit.author)}; {speaker} speaks"


def _reason(record: _Record) -> _Said:
    value = record.value
    if not isinstance(value, Response) or record.commit.trailers.get(Trailer.RECORDED) != "gitrelay":
        return
    if value.status != "error" or value.verify != "skip" or value.reason is None:
        yield "reason", "gitrelay wrote this response, and it is not an error with a reason"
    elif value.reason not in REASONS:
        yield "reason", f"gitrelay wrote this response, and {quote(value.reason)} is no reason of its own"


def _words(record: _Record) -> _Said:
    """The trailers that are one of a few words."""
    trailers, imported = record.commit.trailers, record.commit.imported
    for code, key, kind, allowed, needed in (
        ("recorded", Trailer.RECORDED, "res", ("peer", "gitrelay"), True),
        ("access", Trailer.ACCESS, "req", ("read", "write", "full"), not imported),
        ("sandbox", Trailer.SANDBOX, "res", ("held", "violated", "unknown"), False),
    ):
        if record.kind == kind and (needed or key in trailers) and trailers.get(key) not in allowed:
            yield code, f"{key} is {quote(trailers[key]) if key in trailers else 'missing'}"


def _head(record: _Record) -> _Said:
    head = record.commit.trailers.get(Trailer.HEAD)
    needed = record.kind != "check" and not record.commit.imported
    if head is None and needed:
        yield "head", "Relay-Head is missing"
    elif head is not None and head != "unborn" and not names.is_object_id(head):
        yield "head", f"Relay-Head is {quote(head)}"


def _binding(commit: Commit) -> dict[str, str]:
    return {key: value for key, value in commit.trailers.items() if key.startswith(BINDING)}


def _review(record: _Record) -> _Said:
    bound = _binding(record.commit)
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
    elif record.kind == "check" and bound:
        yield "review", "a check is bound to nothing"


def _bypass(record: _Record) -> _Said:
    """An answer of the gate's own, or of a reviewer, is no exception; neither is one that is bound to nothing."""
    if Trailer.BYPASS not in record.commit.trailers:
        return
    value = record.value
    if not isinstance(value, Response) or value.to != "gate" or record.commit.trailers.get(Trailer.PEER):
        yield "bypass", "Relay-Bypass is not on the answer of a person to the gate"
    elif not _binding(record.commit) or value.verify != "skip":
        yield "bypass", "an exception is bound to what it is for, and verifies nothing"


def _check(record: _Record) -> _Said:
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


def _check_fields(data: bytes) -> dict[str, str]:
    """The front matter of a check, which gitrelay alone writes: a key and a plain or JSON-quoted value a line."""
    header = data.decode("utf-8", "replace").partition("\n---\n")[0].removeprefix("---\n")
    fields = {}
    for line in header.split("\n"):
        key, _, value = line.partition(": ")
        if value.startswith('"'):
            try:
                value = plain(str(json.loads(value)))
            except ValueError:
                continue
        fields[key] = value
    return fields


_OF_EACH: Final[tuple[Callable[[_Record], _Said], ...]] = (
    _bytes,
    _trailers,
    _file_id,
    _parties,
    _subject,
    _by,
    _reason,
    _words,
    _head,
    _review,
    _bypass,
    _check,
)


def _tree(history: History, commit: Commit) -> _Said:
    """A tree that is named. One that no code ref here keeps was recorded in another clone: it may be absent."""
    tree = commit.trailers.get(Trailer.TREE)
    if tree is None:
        return
    if not names.is_object_id(tree):
        yield "tree", f"Relay-Tree is {quote(tree)}"
    elif history.kept is not None and tree in history.kept and tree in history.lost:
        yield "tree", f"the tree {tree[:12]} is kept by the code ref and is not there"


def _code_ref(history: History) -> _Said:
    """A code ref is made and moved together with its session, so the two have trees in common."""
    named = {tree for step in history.steps if (tree := step.commit.trailers.get(Trailer.TREE))}
    if named and history.kept is not None and not named & history.kept:
        yield "code-ref", "its code ref keeps none of the trees that it names"


def _author(slug: str) -> tuple[str, str]:
    return slug, f"{slug}@gitrelay.invalid"


def _shown(author: tuple[str, str]) -> str:
    return quote(f"{author[0]} <{author[1]}>")
