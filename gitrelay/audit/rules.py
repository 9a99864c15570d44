"""The rules of a session, each a check of its own, over values: no git, no files.

A session is given as its commits in order with what each did to the tree; a rule that is broken is a `Finding` with
the rule's name as its code. The rules of one message are in `messages`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gitrelay.audit import clock, coderef, vocabulary
from gitrelay.audit.findings import Finding, finding
from gitrelay.audit.hiding import Hidden
from gitrelay.audit.messages import OF_EACH, Record, Said, Turns, author_of, binding_of, shown
from gitrelay.audit.steps import MISSING, Commit, Step
from gitrelay.ground.text import quote
from gitrelay.protocol import names
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import (
    FILE,
    PROTOCOL,
    Request,
    Response,
    apply_file,
    check_file,
    parse_request,
    parse_response,
)
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import Trailer

_KIND: Final = {"req": "req", "res": "res", "check": "chk", "apply": "apl"}


@dataclass(frozen=True)
class History:
    """A session: its ref, its name and its steps, the root first.

    `blobs` are the files by object id, a str if one cannot be had. `kept` are the trees that the session's code ref
    keeps, oldest first, None if there is no such ref, and `lost` those named trees that are not there. `aside` are
    the trees that commits name which were put aside, None if that cannot be told, and `here` the commits that were
    written in this repository, as far as it is known. `now` is in seconds since the epoch. `broken` is a commit that
    cannot be read, and why: then there are no steps.
    """

    ref: str
    session: str
    steps: Sequence[Step]
    blobs: Mapping[str, bytes | str]
    empty_tree: str
    kept: tuple[str, ...] | None = None
    lost: frozenset[str] = frozenset()
    aside: frozenset[str] | None = frozenset()
    here: frozenset[str] = frozenset()
    hidden: Hidden = field(default_factory=Hidden)
    now: float = float("inf")
    broken: tuple[str, str] | None = None


def check(history: History) -> Iterator[Finding]:
    """Every rule over one session."""
    if history.broken is not None:
        oid, why = history.broken
        code = "ref-target" if why.startswith("is a ") else code_of(why)
        words = f"commit {oid[:12]} {why}; nothing before it can be told"
        yield finding(code, words, address=history.session, commit=oid, ref=history.ref)
    turns = Turns(_opened(history))
    for number, step in enumerate(history.steps):
        commit = step.commit
        if number == 0:
            said, id_ = _root(history, step), ""
        else:
            said, id_ = _step(history, step, turns)
        for code, message in said:
            address = str(Address(history.session, id_)) if names.is_id(id_) else history.session
            yield finding(code, message, address=address, commit=commit.oid, ref=history.ref)
    commits = [step.commit for step in history.steps]
    for code, message, commit in clock.judged(commits, history.now):
        yield finding(code, message, address=_where(history, commit), commit=commit.oid, ref=history.ref)
    if history.broken is None:
        for code, message in coderef.judged(commits, history.kept, history.aside, history.here):
            yield finding(code, message, address=history.session, ref=history.ref)
    if not history.hidden.is_empty:
        for code, message, oid in history.hidden.judged(_objects(history)):
            yield finding(code, message, address=history.session, commit=oid, ref=history.ref)


def _where(history: History, commit: Commit) -> str:
    id_ = commit.trailers.get(Trailer.ID, "")
    return str(Address(history.session, id_)) if names.is_id(id_) else history.session


def _objects(history: History) -> set[str]:
    """Every object that the session consists of, and the trees that it names."""
    found: set[str] = set(history.kept or ())
    for step in history.steps:
        found |= {step.commit.oid, step.commit.tree, step.commit.trailers.get(Trailer.TREE, "")}
        found |= {entry.oid for entry in step.added or ()}
    return found


def _opened(history: History) -> str:
    """The name that the session had when it began: another one if it is kept beside a remote's of the same name."""
    said = history.steps[0].commit.subject.removeprefix("open ") if history.steps else ""
    return said if names.is_kept(history.session, said) else history.session


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
    if commit.subject != f"open {_opened(history)}":
        said.append(("root-subject", f"the first commit says {quote(commit.subject)}"))
    if not names.is_slug(commit.author[0]) or commit.author != author_of(commit.author[0]):
        said.append(("author", f"the first commit is by {shown(commit.author)}"))
    return said + _words(commit) + list(vocabulary.judged("open", commit.trailers))


def _words(commit: Commit) -> list[tuple[str, str]]:
    """What is odd in a commit besides its trailers: its headers, characters that are not seen, words like trailers."""
    said = [("headers", commit.strange)] if commit.strange else []
    alike = vocabulary.in_notes(commit.notes) if commit.notes else None
    if alike is not None:
        said.append(("look-alike", f"{quote(alike)} is in its words, before the trailers"))
    return said


def _step(history: History, step: Step, turns: Turns) -> tuple[list[tuple[str, str]], str]:
    """(what is wrong with one commit behind the root, the id that it is about or '')."""
    commit = step.commit
    id_ = commit.trailers.get(Trailer.ID, "")
    said = _words(commit)
    if len(commit.parents) != 1:
        said.append(("linear", f"a merge of {len(commit.parents)} commits"))
    if step.fault:
        said.append((code_of(step.fault), f"its tree {commit.tree[:12]} {step.fault}"))
    if step.added is None:  # a tree that cannot be read; its message still takes its turn
        kind = next((kind for kind, word in _KIND.items() if commit.subject.startswith(f"{word} ")), "req")
        counts, name_of = (turns.applies, apply_file) if kind == "apply" else (turns.checks, check_file)
        list(_turn(turns, id_, kind, name_of(id_, counts.get(id_, 0) + 1)))
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
            record = Record(commit, entry.name, id_, kind, data, _value(kind, data, history.session), turns)
            said += [one for rule in OF_EACH[kind] for one in rule(record)]
            if isinstance(record.value, Request):
                turns.asked, turns.bound = record.value, binding_of(commit)
                turns.request, turns.answer = commit, None
            elif isinstance(record.value, Response):
                turns.answer = commit
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


def _turn(turns: Turns, id_: str, kind: str, name: str) -> Said:
    """Whether it is the turn of this message; then it has been taken."""
    if kind == "req":
        if turns.waiting is not None:
            yield "unanswered", f"{turns.waiting} was never answered, and the session goes on"
        if id_ not in turns.next_ids:
            yield "ids", f"{id_} comes instead of {' or '.join(turns.next_ids)}"
        turns.ids.append(id_)
        turns.waiting = id_
    elif kind == "res":
        if turns.waiting != id_:
            yield "order", f"{id_} is answered, but {turns.waiting or 'no request'} waits for an answer"
        turns.waiting = None
        turns.answered.add(id_)
    elif kind == "apply":
        if id_ not in turns.answered:
            yield "order", f"{id_} is applied, and is not answered"
        turns.applies[id_] = turns.applies.get(id_, 0) + 1
        if name != apply_file(id_, turns.applies[id_]):
            yield "ids", f"{name} comes instead of {apply_file(id_, turns.applies[id_])}"
    else:
        if id_ not in turns.answered or turns.waiting is not None:
            yield "order", f"a check of {id_}, but {turns.waiting or id_} is not answered yet"
        turns.checks[id_] = turns.checks.get(id_, 0) + 1
        if name != check_file(id_, turns.checks[id_]):
            yield "ids", f"{name} comes instead of {check_file(id_, turns.checks[id_])}"


def _tree(history: History, commit: Commit) -> Said:
    """A tree that is named. One that no code ref here keeps was recorded in another clone: it may be absent."""
    tree = commit.trailers.get(Trailer.TREE)
    if tree is None:
        return
    if not names.is_object_id(tree):
        yield "tree", f"Relay-Tree is {quote(tree)}"
    elif history.kept is not None and tree in history.lost and tree in history.kept:
        yield "tree", f"the tree {tree[:12]} is kept by the code ref and is not there"
