"""Sessions read for the audit: raw commits, trees and messages, each checked against its hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gitrelay.audit import coderef, rules
from gitrelay.audit.findings import Finding, finding
from gitrelay.audit.hiding import Hidden
from gitrelay.audit.objectstore import ObjectStore
from gitrelay.audit.rules import History
from gitrelay.audit.steps import CORRUPT, MISSING, Commit, Step, Tree, links, parse_commit
from gitrelay.git.repository import Repository
from gitrelay.protocol import names
from gitrelay.protocol.record import Trailer

_REPLACE: Final = "refs/replace/"
_FILE_MAX: Final = 64 * 1024 * 1024  # bytes of a list of commits that are read


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

    def line_from(self, tip: str, cut: frozenset[str]) -> list[str]:
        """The commits from one of `cut` to `tip`, as `line` gives them; none if there is none of `cut`."""
        line, oid = [tip], tip
        while oid not in cut:
            if oid not in self.links or not self.links[oid][1]:
                return []
            oid = self.links[oid][1][0]
            line.append(oid)
        return line[::-1] if oid in self.links else []

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


def read_kept(
    store: ObjectStore, code: Sequence[Ref], cut: frozenset[str] = frozenset()
) -> tuple[dict[str, tuple[str, ...]], list[Finding]]:
    """The trees that each session's code ref keeps, oldest first; one that cannot be read is a finding.

    A clone may have been given the last of them only: `cut` are the commits at which it ends.
    """
    tips = [ref.tip for ref in code]
    graph = store.graph(tips)
    commits = read_commits(store, tips) if graph is None else Commits({}, graph)
    kept, findings = {}, []
    for ref in code:
        line, broken = commits.line(ref.tip)
        if broken is not None and broken[1] == MISSING:
            line = commits.line_from(ref.tip, cut)
        if line:
            kept[ref.session] = tuple(commits.links[oid][0] for oid in line)
            continue
        assert broken is not None
        oid, why = broken
        words = f"{ref.name}: commit {oid[:12]} {why}"
        findings.append(finding(rules.code_of(why), words, address=ref.session, commit=oid, ref=ref.name))
    return kept, findings


@dataclass(frozen=True)
class Around:
    """What an audit knows besides the sessions' own objects.

    `kept` are the trees of each session's code ref, `aside` those that commits name which were put aside, None for a
    session of which that cannot be told. `now` is in seconds since the epoch.
    """

    kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aside: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    hidden: Hidden = field(default_factory=Hidden)
    now: float = float("inf")


def read_hidden(repo: Repository) -> Hidden:
    """What this repository hides from git, of all its objects: one git process."""
    replaced = frozenset(row[0].removeprefix(_REPLACE) for row in repo.each_ref("%(refname)", _REPLACE))
    grafts, shallow = repo.common_dir / "info" / "grafts", repo.common_dir / "shallow"
    return Hidden(replaced, _first_words(grafts), _first_words(shallow))


def _first_words(path: Path) -> frozenset[str]:
    try:
        with path.open("rb") as file:
            text = file.read(_FILE_MAX).decode("ascii", "replace")
    except OSError:
        return frozenset()
    return frozenset(line.split(" ")[0] for line in text.splitlines() if line[:1] not in ("", "#"))


def read_aside(store: ObjectStore, aside: Sequence[Ref]) -> dict[str, frozenset[str] | None]:
    """The trees that commits name which were put aside, by session; None if they cannot be read."""
    found: dict[str, frozenset[str] | None] = {}
    for ref in aside:
        trees = store.named_trees(ref.tip)
        known = found.get(ref.session, frozenset())
        found[ref.session] = None if trees is None or known is None else known | trees
    return found


def read_histories(
    store: ObjectStore, refs: Sequence[Ref], commits: Commits, around: Around
) -> tuple[list[History], set[str]]:
    """(the sessions, the trees that are named but neither kept by a code ref nor there)."""
    lines, broken = zip(*(parsed(commits, ref.tip) for ref in refs), strict=True) if refs else ((), ())
    trees = store.read("tree", [commit.tree for line in lines for commit in line])
    steps = [steps_of(store, line, trees) for line in lines]
    blobs = store.read("blob", [entry.oid for line in steps for step in line for entry in step.added or ()])
    named = [{commit.trailers.get(Trailer.TREE, "") for commit in line} for line in lines]
    kinds = store.kinds(sorted(tree for tree in set().union(*named) if names.is_object_id(tree)))
    lost = frozenset(tree for tree, kind in kinds.items() if kind != "tree")
    pairs = zip(refs, lines, strict=True)
    here = store.written_here([r.name for r, line in pairs if coderef.lacks(line, around.kept.get(r.session))])
    histories = [
        History(
            ref=ref.name,
            session=ref.session,
            steps=line,
            blobs=blobs,
            empty_tree=store.repo.empty_tree,
            kept=around.kept.get(ref.session),
            lost=lost,
            aside=around.aside.get(ref.session, frozenset()),
            here=here.get(ref.name, frozenset()),
            hidden=around.hidden,
            now=around.now,
            broken=why,
        )
        for ref, line, why in zip(refs, steps, broken, strict=True)
    ]
    absent = (lost & trees - frozenset(history.kept or ()) for trees, history in zip(named, histories, strict=True))
    return histories, set().union(*absent)


def parsed(commits: Commits, tip: str) -> tuple[list[Commit], tuple[str, str] | None]:
    """(the commits from the root to `tip`) or (none, the one that cannot be read and why)."""
    oids, broken = commits.line(tip)
    line = []
    for oid in oids:
        data = commits.data[oid]
        commit = parse_commit(oid, data, *commits.links[oid]) if isinstance(data, bytes) else None
        if commit is None:
            return [], (oid, CORRUPT)
        line.append(commit)
    return line, broken


def steps_of(store: ObjectStore, line: Sequence[Commit], trees: Mapping[str, bytes | str]) -> list[Step]:
    """What each commit of a line did to the tree of the one before."""
    tree = Tree(len(store.repo.no_object) // 2)
    return [tree.grow(commit, trees[commit.tree]) for commit in line]
