"""An audit: reads the sessions of a repository in batches and holds them to the rules of audit.py.

The number of git processes does not grow with the history. What cannot be read is a finding, and the
rest is held to the rules as far as they can be told.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay.audit import leaks, rules, witness
from gitrelay.audit.findings import Finding, finding
from gitrelay.audit.objectstore import ObjectStore
from gitrelay.audit.reading import Commits, Ref, read_commits, read_histories, read_kept
from gitrelay.audit.rules import History
from gitrelay.audit.signatures import Signers, check_signatures
from gitrelay.audit.steps import Step
from gitrelay.audit.witness import compared, witnessed
from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.history import roots
from gitrelay.ledger import redaction
from gitrelay.process import pool
from gitrelay.protocol import names
from gitrelay.protocol.record import ARCHIVE, BRANCHES, CODE, Trailer
from gitrelay.redact import Redactor
from gitrelay.text import quote

_MANY: Final = 100  # sessions; fewer are read before a second process has started


@dataclass(frozen=True)
class Pushed:
    """A session that a push is about to move from `old` (all zeros: it is new) to `new`; its `objects` folder."""

    old: str
    new: str
    objects: Path | None = None


@dataclass(frozen=True)
class Report:
    """What an audit came to; `absent` is how many trees are named that this clone was never given."""

    sessions: int
    exchanges: int
    findings: tuple[Finding, ...]
    absent: int = 0


def inspect(
    repo: Repository,
    sessions: Sequence[str] = (),
    *,
    require_signed: bool = False,
    allowed_signers: Path | None = None,
    witness: str | None = None,
) -> Report:
    """Hold `sessions`, or every session, archived ones too, to every rule; `witness` is a remote they were pushed to.

    Raises UsageError for an unknown session, CannotRecord where the witness cannot be read.
    """
    refs, code, findings = _refs(repo, sessions)
    there = witnessed(repo, witness, sessions) if witness is not None else []
    known = {ref.session for ref in (*refs, *there)} | {found.address for found in findings}
    unknown = next((name for name in sessions if name not in known), None)
    if unknown is not None:
        raise UsageError(
            f"there is no session {quote(unknown)}",
            hint="'git relay ls' lists the sessions",
            code=Code.UNKNOWN_SESSION,
        )
    store, redactor = ObjectStore(repo), redaction.redactor(repo)
    signers = Signers(allowed_signers) if require_signed else None
    parts = _side_by_side(functools.partial(_audit, store, redactor, code, signers), refs)
    found = [one for part in parts for one in part.findings]
    findings += sorted(found, key=lambda one: one.address)
    if witness is not None:
        findings += compared(repo, refs, there, [part.parents for part in parts], witness)
    exchanges = sum(part.exchanges for part in parts)
    absent = set().union(*(part.absent for part in parts))
    return Report(len({ref.session for ref in refs}), exchanges, tuple(findings), len(absent))


def inspect_push(repo: Repository, session: str, pushed: Pushed) -> Report:
    """What is wrong with the commits that a push brings to a session; what stood there before is not judged."""
    store, ref = ObjectStore(repo, pushed.objects), Ref(BRANCHES + session, session, pushed.new)
    part = _audit(store, redaction.redactor(repo), (), None, [ref])
    before = witness.reached(pushed.old, part.parents)
    return Report(1, part.exchanges, tuple(found for found in part.findings if found.commit not in before))


@dataclass(frozen=True)
class _Part:
    """What was found in some of the sessions. `absent` are trees that are named, and neither kept nor there."""

    parents: Mapping[str, Sequence[str]]
    exchanges: int
    findings: list[Finding]
    absent: set[str]


def _side_by_side(audit_part: Callable[[Sequence[Ref]], _Part], refs: Sequence[Ref]) -> list[_Part]:
    """The sessions, each processor its part of them: the rules cost twice as much time as reading."""
    count = pool.workers(len(refs)) if len(refs) >= _MANY else 1
    return list(pool.each(audit_part, [refs[i::count] for i in range(count)], count, collect=False))


def _audit(
    store: ObjectStore, redactor: Redactor, code: Sequence[Ref], signers: Signers | None, refs: Sequence[Ref]
) -> _Part:
    sessions = {ref.session for ref in refs}
    kept, findings = read_kept(store, [ref for ref in code if ref.session in sessions])
    commits = read_commits(store, [ref.tip for ref in refs])
    histories, absent = read_histories(store, refs, commits, kept)
    for history in histories:
        findings += rules.check(history)
    findings += _secrets(redactor, histories, commits)
    if signers is not None:
        findings += check_signatures(store, histories, signers.allowed)
    asked = sum(step.commit.subject.startswith("req ") for history in histories for step in history.steps)
    return _Part(commits.parents, asked, findings, absent)


def _refs(repo: Repository, sessions: Sequence[str]) -> tuple[list[Ref], list[Ref], list[Finding]]:
    """(the sessions' refs, their code refs, what is wrong with refs)."""
    found: dict[str, list[Ref]] = {BRANCHES: [], ARCHIVE: [], CODE: []}
    findings = []
    foreign = roots.foreign(repo)
    for name, tip in repo.each_ref("%(refname)%00%(objectname)", *found):
        if name in foreign:
            continue
        prefix = next(prefix for prefix in found if name.startswith(prefix))
        session = name.removeprefix(prefix)
        if sessions and session not in sessions:
            continue
        if names.is_session(session):
            found[prefix].append(Ref(name, session, tip))
        elif prefix != CODE:
            words = f"{quote(session)} is not the name of a session"
            findings.append(finding("ref-name", words, address=session, commit=tip, ref=name))
    for name in repo.broken_refs(BRANCHES, ARCHIVE):
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
    return refs, [ref for ref in found[CODE] if ref.session in there], findings


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
