"""Sessions read for the audit: raw commits, trees and messages, each checked against its hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitrelay.audit import rules
from gitrelay.audit.findings import Finding, finding
from gitrelay.audit.objectstore import ObjectStore
from gitrelay.audit.rules import History
from gitrelay.audit.steps import CORRUPT, MISSING, Commit, Step, Tree, links, parse_commit
from gitrelay.protocol import names
from gitrelay.protocol.record import Trailer


@dataclass(frozen=True)
class Ref:
    """A session's ref, or its code ref, and what it stands for."""

    name: str
    session: str
    tip: str


# -- reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Commits:
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


def read_commits(store: ObjectStore, tips: Sequence[str]) -> Commits:
    data: dict[str, bytes | str] = {}
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    wanted = [*store.commits(tips), *tips]
    while wanted:  # once, but for damage: then a generation at a time
        batch = store.read("commit", wanted)
        data |= batch
        new = {oid: link for oid, raw in batch.items() if isinstance(raw, bytes) and (link := links(raw)) is not None}
        found |= new
        wanted = [parent for _, parents in new.values() for parent in parents if parent not in data]
    return Commits(data, found)


def read_kept(store: ObjectStore, code: Sequence[Ref]) -> tuple[dict[str, frozenset[str]], list[Finding]]:
    """The trees that each session's code ref keeps; a code ref that cannot be read keeps none, and is a finding."""
    tips = [ref.tip for ref in code]
    graph = store.graph(tips)
    commits = read_commits(store, tips) if graph is None else Commits({}, graph)
    kept, findings = {}, []
    for ref in code:
        line, broken = commits.line(ref.tip)
        if broken is None:
            kept[ref.session] = frozenset(commits.links[oid][0] for oid in line)
            continue
        oid, why = broken
        words = f"{ref.name}: commit {oid[:12]} {why}"
        findings.append(finding(rules.code_of(why), words, address=ref.session, commit=oid, ref=ref.name))
    return kept, findings


def read_histories(
    store: ObjectStore, refs: Sequence[Ref], commits: Commits, kept: Mapping[str, frozenset[str]]
) -> tuple[list[History], set[str]]:
    """(the sessions, the trees that are named but neither kept by a code ref nor there)."""
    lines, broken = zip(*(_parsed(commits, ref.tip) for ref in refs), strict=True) if refs else ((), ())
    trees = store.read("tree", [commit.tree for line in lines for commit in line])
    steps = [_steps(store, line, trees) for line in lines]
    blobs = store.read("blob", [entry.oid for line in steps for step in line for entry in step.added or ()])
    named = [{commit.trailers.get(Trailer.TREE, "") for commit in line} for line in lines]
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


def _parsed(commits: Commits, tip: str) -> tuple[list[Commit], tuple[str, str] | None]:
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
