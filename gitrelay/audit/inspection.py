"""An audit: reads the sessions of a repository in batches and holds them to the rules of audit.py.

The number of git processes does not grow with the history. What cannot be read is a finding, and the
rest is held to the rules as far as they can be told.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gitrelay.audit import leaks, rules, stepsref, witness
from gitrelay.audit.findings import NOTES, Finding, finding
from gitrelay.audit.objectstore import ObjectStore
from gitrelay.audit.reading import (
    Around,
    Commits,
    Ref,
    read_aside,
    read_commits,
    read_hidden,
    read_histories,
    read_kept,
)
from gitrelay.audit.rules import History
from gitrelay.audit.signatures import Signers, check_signatures
from gitrelay.audit.steps import Step
from gitrelay.audit.witness import compared, witnessed
from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.git.run import execute
from gitrelay.ground.text import quote
from gitrelay.ledger import redaction
from gitrelay.process import pool
from gitrelay.protocol import names
from gitrelay.protocol.record import ARCHIVE, ASIDE, BRANCHES, CODE, STEPS, Trailer
from gitrelay.redact import Redactor

# a push is not refused for these: a wrong clock must not stop work, and the code ref is pushed by itself
_NOT_OF_A_PUSH: Final = (*NOTES, "dates", "code-ref", "code-gone")
_MANY: Final = 100  # sessions; fewer are read before a second process has started
_PART: Final = 250  # sessions that are read at once: what is held in memory is theirs, however many there are


@dataclass(frozen=True)
class Pushed:
    """A session that a push is about to move from `old` (all zeros: it is new) to `new`; its `objects` folder."""

    old: str
    new: str
    objects: Path | None = None


@dataclass(frozen=True)
class Report:
    """What an audit found.

    `notes` are what an honest record may have too; `absent` is how many trees are named that this clone was never
    given.
    """

    sessions: int
    exchanges: int
    findings: tuple[Finding, ...]
    absent: int = 0
    notes: tuple[Finding, ...] = ()


def inspect(
    repo: Repository,
    sessions: Sequence[str] = (),
    *,
    require_signed: bool = False,
    allowed_signers: Path | None = None,
    witness: str | None = None,
) -> Report:
    """Hold `sessions`, or every session, archived ones too, to every rule; `witness` is a remote they were pushed to.

    Raises UsageError for an unknown session, CannotRecord if the witness cannot be read.
    """
    store = ObjectStore(repo)
    refs, code, steps, aside, findings = _refs(store, sessions)
    there = witnessed(repo, witness, sessions) if witness is not None else None
    known = {ref.session for ref in (*refs, *(there.refs if there else ()))} | {found.address for found in findings}
    unknown = next((name for name in sessions if name not in known), None)
    if unknown is not None:
        raise UsageError(
            f"there is no session {quote(unknown)}",
            hint="'git relay ls' lists the sessions",
            code=Code.UNKNOWN_SESSION,
        )
    redactor = redaction.redactor(repo)
    findings += stepsref.check(store, redactor, steps)
    around = Around(aside=read_aside(store, aside), hidden=read_hidden(repo), now=time.time())
    signers = Signers(allowed_signers) if require_signed else None
    audit = functools.partial(_audit, store, redactor, code, signers, around, there is not None)
    parts = _side_by_side(audit, refs)
    found = sorted((one for part in parts for one in part.findings), key=lambda one: one.address)
    notes = [one for one in (*findings, *found) if one.code in NOTES]
    findings = [one for one in (*findings, *found) if one.code not in NOTES]
    if there is not None:
        findings += compared(refs, there, [part.parents for part in parts])
    exchanges = sum(part.exchanges for part in parts)
    absent = set().union(*(part.absent for part in parts))
    return Report(sum(part.sessions for part in parts), exchanges, tuple(findings), len(absent), tuple(notes))


def inspect_push(repo: Repository, session: str, pushed: Pushed) -> Report:
    """What is wrong with the commits that a push brings to a session; what was there before is not judged."""
    store, ref = ObjectStore(repo, pushed.objects), Ref(BRANCHES + session, session, pushed.new)
    part = _audit(store, redaction.redactor(repo), (), None, Around(), True, [ref])
    before = witness.reached(pushed.old, part.parents)
    told = [found for found in part.findings if found.commit not in before and found.code not in _NOT_OF_A_PUSH]
    return Report(1, part.exchanges, tuple(told))


def inspect_arrivals(
    repo: Repository, sessions: Mapping[str, tuple[str, str]], objects: Path | None
) -> dict[str, list[Finding]]:
    """What is wrong with the commits that a fetch brings to each of `sessions`, from its first commit to its second.

    All zeros as the first: the session is new. `objects` is the folder that holds them. As `inspect_push`, and a secret
    is no reason against what is public already.
    """
    store = ObjectStore(repo, objects)
    refs = [Ref(BRANCHES + name, name, new) for name, (_, new) in sessions.items()]
    part = _audit(store, redaction.redactor(repo), (), None, Around(), True, refs)
    found: dict[str, list[Finding]] = {}
    before = {name: witness.reached(old, part.parents) for name, (old, _) in sessions.items()}
    for one in part.findings:
        name = one.address.partition("/")[0]
        alike = one.code == "not-a-session" or one.code not in (*_NOT_OF_A_PUSH, "secret")
        if name in sessions and alike and one.commit not in before[name]:
            found.setdefault(name, []).append(one)
    return found


@dataclass(frozen=True)
class _Part:
    """What was found in some of the sessions. `absent` are trees that are named, and neither kept nor there.

    `parents` of every commit, empty unless they are asked for: of a long history they are the most.
    """

    parents: Mapping[str, Sequence[str]]
    sessions: int
    exchanges: int
    findings: list[Finding]
    absent: set[str]


def _side_by_side(audit_part: Callable[[Sequence[Ref]], _Part], refs: Sequence[Ref]) -> list[_Part]:
    """The sessions, each processor its part of them: the rules cost twice as much time as reading."""
    count = pool.workers(len(refs)) if len(refs) >= _MANY else 1
    cut = max(count, -(-len(refs) // _PART))
    return list(pool.each(audit_part, [refs[i::cut] for i in range(cut)], count, collect=False))


def _audit(
    store: ObjectStore,
    redactor: Redactor,
    code: Sequence[Ref],
    signers: Signers | None,
    around: Around,
    with_parents: bool,
    refs: Sequence[Ref],
) -> _Part:
    sessions = {ref.session for ref in refs}
    kept, findings = read_kept(store, [ref for ref in code if ref.session in sessions], around.hidden.shallow)
    commits = read_commits(store, [ref.tip for ref in refs])
    histories, absent = read_histories(store, refs, commits, replace(around, kept=kept))
    foreign = {history.ref for history in histories if _is_foreign(history)}
    findings += [_not_a_session(ref) for ref in refs if ref.name in foreign]
    histories = [history for history in histories if history.ref not in foreign]
    for history in histories:
        findings += rules.check(history)
    findings += _secrets(redactor, histories, commits)
    if signers is not None:
        findings += check_signatures(store, histories, signers.allowed)
    asked = sum(step.commit.subject.startswith("req ") for history in histories for step in history.steps)
    return _Part(commits.parents if with_parents else {}, len(refs) - len(foreign), asked, findings, absent)


def _refs(
    store: ObjectStore, sessions: Sequence[str]
) -> tuple[list[Ref], list[Ref], list[Ref], list[Ref], list[Finding]]:
    """(the sessions' refs, their code refs, their steps refs, what was put aside of them, what is wrong with refs)."""
    found: dict[str, list[Ref]] = {BRANCHES: [], ARCHIVE: [], CODE: [], STEPS: [], ASIDE: []}
    findings = []
    odd: list[Ref] = []
    for name, tip in store.repo.each_ref("%(refname)%00%(objectname)", *found):
        prefix = next(prefix for prefix in found if name.startswith(prefix))
        session = name.removeprefix(prefix)
        if prefix == ASIDE:
            session = session.partition("/")[0]
        if sessions and session not in sessions:
            continue
        if names.is_session(session):
            found[prefix].append(Ref(name, session, tip))
        elif prefix not in (CODE, STEPS, ASIDE):
            odd.append(Ref(name, session, tip))
    named = {ref.session for ref in (*found[BRANCHES], *found[ARCHIVE])}
    findings += [_odd_name(store, ref, named) for ref in odd]
    for name in _broken_refs(store.repo, BRANCHES, ARCHIVE):
        session = name.removeprefix(BRANCHES).removeprefix(ARCHIVE)
        if not sessions or session in sessions:
            findings.append(finding("ref-broken", f"{name} cannot be read", address=session, ref=name))
    live = {ref.session for ref in found[BRANCHES]}
    for ref in found[ARCHIVE]:
        if ref.session in live:
            words = f"there is a branch {ref.session} and an archived one"
            findings.append(finding("ref-twice", words, address=ref.session, commit=ref.tip, ref=ref.name))
    refs = found[BRANCHES] + found[ARCHIVE]
    there = {ref.session for ref in refs}
    code, steps, aside = ([ref for ref in found[prefix] if ref.session in there] for prefix in (CODE, STEPS, ASIDE))
    return refs, code, steps, aside, findings


def _odd_name(store: ObjectStore, ref: Ref, named: Collection[str]) -> Finding:
    """A branch that is named as no session is; one without any commit of gitrelay is somebody's own."""
    code, words = "ref-name", f"{quote(ref.session)} is not the name of a session"
    if ref.session.lower() in named:
        code, words = "name-case", f"{quote(ref.session)} and {ref.session.lower()} differ only in capital letters"
    elif not store.is_session(ref.tip):
        return _not_a_session(ref)
    return finding(code, words, address=ref.session, commit=ref.tip, ref=ref.name)


def _not_a_session(ref: Ref) -> Finding:
    words = "nothing in it was recorded by gitrelay; it is left alone"
    return finding("not-a-session", words, address=ref.session, commit=ref.tip, ref=ref.name)


def _is_foreign(history: History) -> bool:
    """Whether no commit of a branch says that it is gitrelay's: somebody's own branch, which is named as a session."""
    ours = (Trailer.VERSION, Trailer.ID)
    if history.kept is not None:
        return False  # it has recorded files, so it was a session once
    return bool(history.steps) and not any(key in step.commit.trailers for step in history.steps for key in ours)


def _secrets(redactor: Redactor, histories: Sequence[History], commits: Commits) -> Iterator[Finding]:
    """Secrets in messages and in the words of their commits."""
    places: list[tuple[History, Step, str]] = []
    texts = []
    for history in histories:
        for step in history.steps:
            raw = commits.data[step.commit.oid]
            places.append((history, step, leaks.MESSAGE))
            texts.append(leaks.text_of_commit(raw) if isinstance(raw, bytes) else "")
            for entry in step.added or ():
                data = history.blobs.get(entry.oid)
                places.append((history, step, entry.name))
                texts.append(data.decode("utf-8", "replace") if isinstance(data, bytes) else "")
    for number, line, rule in leaks.search(redactor, texts):
        history, step, file = places[number]
        id_ = step.commit.trailers.get(Trailer.ID, "")
        address = str(names.Address(history.session, id_)) if names.is_id(id_) else history.session
        words = f"{file}, line {line}: {rule}"
        yield finding("secret", words, address=address, commit=step.commit.oid, ref=history.ref)


def _broken_refs(repo: Repository, *prefixes: str) -> list[str]:
    """The refs below `prefixes` that git leaves out of every listing, because it cannot read their files."""
    _, _, err = execute(repo.home, ["for-each-ref", "--format=%(refname)", *prefixes])
    return re.findall(r"ignoring (?:broken ref|ref with broken name|dangling symref) (\S+)", err)
