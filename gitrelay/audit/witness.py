"""Another copy of the sessions, compared with this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitrelay.audit import objectstore
from gitrelay.audit.findings import Finding, finding
from gitrelay.audit.reading import Ref, read_commits
from gitrelay.errors import CannotRecord, Code
from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.protocol import names
from gitrelay.protocol.record import ARCHIVE, BRANCHES, name_of


@dataclass(frozen=True)
class Copy:
    """What a remote, `name`, has: its sessions, and the parents of their commits."""

    name: str
    refs: Sequence[Ref]
    parents: Mapping[str, Sequence[str]]


def witnessed(repo: Repository, witness: str, sessions: Sequence[str]) -> Copy:
    """What a remote has of `sessions`, or of all. Raises CannotRecord if it cannot be read."""
    try:
        with objectstore.fetched(repo, witness, (BRANCHES, ARCHIVE)) as (found, store):
            refs = [Ref(ref, name_of(ref), oid) for ref, oid in found.items()]
            refs = [r for r in refs if names.is_session(r.session) and (not sessions or r.session in sessions)]
            commits = read_commits(store, [ref.tip for ref in refs])
    except GitError as e:
        raise _unreadable(witness, e) from e
    return Copy(witness, refs, commits.parents)


def compared(refs: Sequence[Ref], there: Copy, parts: Sequence[Mapping[str, Sequence[str]]]) -> list[Finding]:
    """Where a session does not go on from what the witness has of it."""
    parents = dict(there.parents) | {oid: parents for part in parts for oid, parents in part.items()}
    here: dict[str, list[str]] = {}
    for ref in refs:
        here.setdefault(ref.session, []).append(ref.tip)
    found = (compare(r.name, r.session, here.get(r.session, []), r.tip, parents, there.name) for r in there.refs)
    return [one for one in found if one is not None]


def _unreadable(witness: str, error: GitError) -> CannotRecord:
    return CannotRecord(
        f"the witness {quote(witness)} cannot be read: {error.message}",
        hint="name a remote or its address; 'git remote -v' lists them",
        code=Code.NO_WITNESS,
    )


def compare(
    ref: str, session: str, here: Sequence[str], there: str, parents: Mapping[str, Sequence[str]], witness: str
) -> Finding | None:
    """What a witness's tip of a session says about the tips here: it must be one of them or behind one of them.

    `parents` knows the commits of both sides.
    """
    if not here:
        return finding("witness-missing", f"{witness} has it", address=session, commit=there, ref=ref, witness=witness)
    if any(there in reached(tip, parents) for tip in here):
        return None
    if not reached(there, parents).isdisjoint(here):
        words = f"{witness} has commits that are not here: they were taken away here, or written elsewhere"
        return finding("witness-behind", words, address=session, commit=there, ref=ref, witness=witness)
    words = f"what {witness} has is no part of it: it was rewritten"
    return finding("witness-rewritten", words, address=session, commit=there, ref=ref, witness=witness)


def reached(tip: str, parents: Mapping[str, Sequence[str]]) -> set[str]:
    """The commits that can be reached from `tip`, itself too, as far as `parents` knows them."""
    seen: set[str] = set()
    todo = [tip]
    while todo:
        oid = todo.pop()
        if oid not in seen and oid in parents:
            seen.add(oid)
            todo += parents[oid]
    return seen
