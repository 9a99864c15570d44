"""An audit: reads the sessions of a repository in batches and holds them to the rules of audit.py.

The number of git processes does not grow with the history. What cannot be read is a finding, and the
rest is held to the rules as far as they can be told.
"""

from __future__ import annotations

import functools
import gc
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay.audit import leaks, objectstore, rules
from gitrelay.audit.objectstore import ObjectStore
from gitrelay.audit.rules import Finding, History
from gitrelay.audit.steps import CORRUPT, MISSING, Commit, Step, Tree, links, parse_commit
from gitrelay.calls import settings
from gitrelay.errors import CannotRecord, UsageError
from gitrelay.git.repository import GitError, Repository
from gitrelay.ledger.session import ARCHIVE, BRANCHES
from gitrelay.ledger.snapshot import CODE
from gitrelay.protocol import names
from gitrelay.redact import Redactor

_MANY: Final = 100  # sessions; fewer are read before a second process has started
_PROCESSES: Final = 4  # at most


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


@dataclass(frozen=True)
class _Ref:
    """A session's ref, or its code ref, and what it stands for."""

    name: str
    session: str
    tip: str


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
    there = _witnessed(repo, witness, sessions) if witness is not None else []
    known = {ref.session for ref in (*refs, *there)} | {found.address for found in findings}
    unknown = next((name for name in sessions if name not in known), None)
    if unknown is not None:
        raise UsageError(
            f"there is no session {names.quote(unknown)}",
            hint="'git relay ls' lists the sessions",
            code="unknown-session",
        )
    store, redactor = ObjectStore(repo), settings.redactor(repo)
    signers = _Signers(allowed_signers) if require_signed else None
    parts = _side_by_side(functools.partial(_audit, store, redactor, code, signers), refs)
    found = [one for part in parts for one in part.findings]
    findings += sorted(found, key=lambda one: one.address)
    if witness is not None:
        findings += _compared(repo, refs, there, [part.parents for part in parts], witness)
    exchanges = sum(part.exchanges for part in parts)
    absent = set().union(*(part.absent for part in parts))
    return Report(len({ref.session for ref in refs}), exchanges, tuple(findings), len(absent))


def inspect_push(repo: Repository, session: str, pushed: Pushed) -> Report:
    """What is wrong with the commits that a push brings to a session; what stood there before is not judged."""
    store, ref = ObjectStore(repo, pushed.objects), _Ref(BRANCHES + session, session, pushed.new)
    part = _audit(store, settings.redactor(repo), (), None, [ref])
    before = rules.reached(pushed.old, part.parents)
    return Report(1, part.exchanges, tuple(found for found in part.findings if found.commit not in before))


@dataclass(frozen=True)
class _Signers:
    """Every commit must be signed, with ssh by the keys in the file `allowed`."""

    allowed: Path | None


@dataclass(frozen=True)
class _Part:
    """What was found in some of the sessions. `absent` are trees that are named, and neither kept nor there."""

    parents: Mapping[str, Sequence[str]]
    exchanges: int
    findings: list[Finding]
    absent: set[str]


def _side_by_side(audit_part: Callable[[Sequence[_Ref]], _Part], refs: Sequence[_Ref]) -> list[_Part]:
    """The sessions, each processor its part of them: the rules cost twice as much time as reading."""
    count = min(_PROCESSES, os.cpu_count() or 1) if len(refs) >= _MANY and hasattr(os, "fork") else 1
    if count == 1:
        return [audit_part(refs)]
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(count, get_context("fork"), _alone) as pool:
        return list(pool.map(audit_part, [refs[i::count] for i in range(count)]))


def _alone() -> None:
    """In a process of its own: Ctrl-C is for the first one; nothing here refers to itself, so nothing is collected."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()


def _audit(
    store: ObjectStore, redactor: Redactor, code: Sequence[_Ref], signers: _Signers | None, refs: Sequence[_Ref]
) -> _Part:
    sessions = {ref.session for ref in refs}
    kept, findings = _kept(store, [ref for ref in code if ref.session in sessions])
    commits = _commits(store, [ref.tip for ref in refs])
    histories, absent = _histories(store, refs, commits, kept)
    for history in histories:
        findings += rules.check(history)
    findings += _secrets(redactor, histories, commits)
    if signers is not None:
        findings += _signatures(store, histories, signers.allowed)
    asked = sum(step.commit.subject.startswith("req ") for history in histories for step in history.steps)
    return _Part(commits.parents, asked, findings, absent)


def _refs(repo: Repository, sessions: Sequence[str]) -> tuple[list[_Ref], list[_Ref], list[Finding]]:
    """(the sessions' refs, their code refs, what is wrong with refs)."""
    found: dict[str, list[_Ref]] = {BRANCHES: [], ARCHIVE: [], CODE: []}
    findings = []
    for name, tip in repo.each_ref("%(refname)%00%(objectname)", *found):
        prefix = next(prefix for prefix in found if name.startswith(prefix))
        session = name.removeprefix(prefix)
        if sessions and session not in sessions:
            continue
        if names.is_session(session):
            found[prefix].append(_Ref(name, session, tip))
        elif prefix != CODE:
            words = f"{names.quote(session)} is not the name of a session"
            findings.append(rules.finding("ref-name", words, address=session, commit=tip, ref=name))
    for name in repo.broken_refs(BRANCHES, ARCHIVE):
        session = name.removeprefix(BRANCHES).removeprefix(ARCHIVE)
        if not sessions or session in sessions:
            findings.append(rules.finding("ref-broken", f"{name} cannot be read", address=session, ref=name))
    live = {ref.session for ref in found[BRANCHES]}
    for ref in found[ARCHIVE]:
        if ref.session in live:
            words = f"there is a branch {ref.session} and an archived one"
            findings.append(rules.finding("ref-twice", words, address=ref.session, commit=ref.tip, ref=ref.name))
    refs = found[BRANCHES] + found[ARCHIVE]
    there = {ref.session for ref in refs}
    return refs, [ref for ref in found[CODE] if ref.session in there], findings


# -- reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Commits:
    """Every commit that can be reached from some refs: its tree and parents, and its bytes or why they are not had.

    Of a history that is whole, the bytes may be left out.
    """

    data: Mapping[str, bytes | str]
    links: Mapping[str, tuple[str, tuple[str, ...]]]

    def line(self, tip: str) -> tuple[list[str], tuple[str, str] | None]:
        """(the commits from the root to `tip`, the first parent's way) or (none, which cannot be had and why)."""
        line: list[str] = []
        parents: tuple[str, ...] = (tip,)
        while parents:
            oid = parents[0]
            if oid not in self.links:
                why = self.data.get(oid, MISSING)
                return [], (oid, why if isinstance(why, str) else CORRUPT)
            line.append(oid)
            _, parents = self.links[oid]
        return line[::-1], None

    @property
    def parents(self) -> dict[str, tuple[str, ...]]:
        return {oid: parents for oid, (_, parents) in self.links.items()}


def _commits(store: ObjectStore, tips: Sequence[str]) -> _Commits:
    data: dict[str, bytes | str] = {}
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    wanted = [*store.commits(tips), *tips]
    while wanted:  # once, but for damage: then a generation at a time
        batch = store.read("commit", wanted)
        data |= batch
        new = {oid: link for oid, raw in batch.items() if isinstance(raw, bytes) and (link := links(raw)) is not None}
        found |= new
        wanted = [parent for _, parents in new.values() for parent in parents if parent not in data]
    return _Commits(data, found)


def _kept(store: ObjectStore, code: Sequence[_Ref]) -> tuple[dict[str, frozenset[str]], list[Finding]]:
    """The trees that each session's code ref keeps; a code ref that cannot be read keeps none, and is a finding."""
    tips = [ref.tip for ref in code]
    graph = store.graph(tips)
    commits = _commits(store, tips) if graph is None else _Commits({}, graph)
    kept, findings = {}, []
    for ref in code:
        line, broken = commits.line(ref.tip)
        if broken is None:
            kept[ref.session] = frozenset(commits.links[oid][0] for oid in line)
            continue
        oid, why = broken
        words = f"{ref.name}: commit {oid[:12]} {why}"
        findings.append(rules.finding(rules.code_of(why), words, address=ref.session, commit=oid, ref=ref.name))
    return kept, findings


def _histories(
    store: ObjectStore, refs: Sequence[_Ref], commits: _Commits, kept: Mapping[str, frozenset[str]]
) -> tuple[list[History], set[str]]:
    """(the sessions, the trees that are named but neither kept by a code ref nor there)."""
    lines, broken = zip(*(_parsed(commits, ref.tip) for ref in refs), strict=True) if refs else ((), ())
    trees = store.read("tree", [commit.tree for line in lines for commit in line])
    steps = [_steps(store, line, trees) for line in lines]
    blobs = store.read("blob", [entry.oid for line in steps for step in line for entry in step.added or ()])
    named = [{commit.trailers.get("Relay-Tree", "") for commit in line} for line in lines]
    kinds = store.kinds(sorted(tree for tree in set().union(*named) if names.is_object_id(tree)))
    lost = frozenset(tree for tree, kind in kinds.items() if kind != "tree")
    histories = [
        History(
            ref=ref.name,
            session=ref.session,
            steps=line,
            blobs=blobs,
            empty_tree=store.repo.empty_tree,
            kept=kept.get(ref.session),
            lost=lost,
            broken=why,
        )
        for ref, line, why in zip(refs, steps, broken, strict=True)
    ]
    absent = (lost & trees - (history.kept or frozenset()) for trees, history in zip(named, histories, strict=True))
    return histories, set().union(*absent)


def _parsed(commits: _Commits, tip: str) -> tuple[list[Commit], tuple[str, str] | None]:
    oids, broken = commits.line(tip)
    line = []
    for oid in oids:
        data = commits.data[oid]
        commit = parse_commit(oid, data, *commits.links[oid]) if isinstance(data, bytes) else None
        if commit is None:
            return [], (oid, CORRUPT)
        line.append(commit)
    return line, broken


def _steps(store: ObjectStore, line: Sequence[Commit], trees: Mapping[str, bytes | str]) -> list[Step]:
    tree = Tree(len(store.repo.no_object) // 2)
    return [tree.grow(commit, trees[commit.tree]) for commit in line]


def _secrets(redactor: Redactor, histories: Sequence[History], commits: _Commits) -> Iterator[Finding]:
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
        id_ = step.commit.trailers.get("Relay-Id", "")
        address = str(names.Address(history.session, id_)) if names.is_id(id_) else history.session
        words = f"{file}, line {line}: {rule}"
        yield rules.finding("secret", words, address=address, commit=step.commit.oid, ref=history.ref)


# -- signatures ---------------------------------------------------------------------------------------


def _signatures(store: ObjectStore, histories: Sequence[History], allowed_signers: Path | None) -> Iterator[Finding]:
    """One process of gpg or ssh-keygen for every signed commit: git has no other way."""
    signed = [step.commit.oid for history in histories for step in history.steps if step.commit.signed]
    try:
        verdicts = store.signatures(signed, Path(os.path.abspath(allowed_signers)) if allowed_signers else None)
    except GitError as e:
        raise CannotRecord(f"the signatures cannot be checked: {e.message}", code="no-signatures") from None
    for history in histories:
        for step in history.steps:
            commit = step.commit
            found = ("unsigned", "it is not signed")
            if commit.signed:
                wrong = rules.signature(*verdicts.get(commit.oid, ("E", "")))
                if wrong is None:
                    continue
                found = wrong
            id_ = commit.trailers.get("Relay-Id", "")
            address = str(names.Address(history.session, id_)) if names.is_id(id_) else history.session
            yield rules.finding(*found, address=address, commit=commit.oid, ref=history.ref)


# -- the witness --------------------------------------------------------------------------------------


def _witnessed(repo: Repository, witness: str, sessions: Sequence[str]) -> list[_Ref]:
    """The sessions that a remote has."""
    try:
        refs = objectstore.remote_refs(repo, witness, f"{BRANCHES}*", f"{ARCHIVE}*")
    except GitError as e:
        raise _unreadable(witness, e) from e
    found = [_Ref(ref, ref.removeprefix(BRANCHES).removeprefix(ARCHIVE), oid) for ref, oid in refs.items()]
    return [ref for ref in found if names.is_session(ref.session) and (not sessions or ref.session in sessions)]


def _compared(
    repo: Repository,
    refs: Sequence[_Ref],
    there: Sequence[_Ref],
    parts: Sequence[Mapping[str, Sequence[str]]],
    witness: str,
) -> list[Finding]:
    """Where a session does not go on from what the witness has of it."""
    parents = {oid: parents for part in parts for oid, parents in part.items()}
    strange = [ref for ref in there if ref.tip not in parents]
    if strange:
        try:
            with objectstore.fetched(repo, witness, [ref.name for ref in strange]) as store:
                theirs = _commits(store, [ref.tip for ref in strange])
        except GitError as e:
            raise _unreadable(witness, e) from e
        parents |= theirs.parents
    here: dict[str, list[str]] = {}
    for ref in refs:
        here.setdefault(ref.session, []).append(ref.tip)
    found = (
        rules.compare(ref.name, ref.session, here.get(ref.session, []), ref.tip, parents, witness) for ref in there
    )
    return [one for one in found if one is not None]


def _unreadable(witness: str, error: GitError) -> CannotRecord:
    return CannotRecord(
        f"the witness {names.quote(witness)} cannot be read: {error.message}",
        hint="name a remote or its address; 'git remote -v' lists them",
        code="no-witness",
    )
