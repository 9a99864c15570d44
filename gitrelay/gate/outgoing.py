"""What a push, or a range of commits, brings: from which commit to which, with which trees, under which policy.

A change begins at what the default branches of the remotes have (bases.py), not at what was pushed of the branch
before: what went out without a review is asked about until it is covered. The policy is `.relay-review.md` of the
remote's default branch, never of the change: the author of a push must not write the rules that it is held to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.gate import bases
from gitrelay.gate.bases import Covered, Remotes
from gitrelay.gate.updates import Update, is_name
from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.ledger import roots
from gitrelay.protocol import names

POLICY: Final = ".relay-review.md"


@dataclass(frozen=True)
class Change:
    """Commits that are to be reviewed. `base` is None if nothing of it is known to be anywhere.

    `covered` are commits whose history is not new; `trees` are the trees of the new commits, each once, without those
    of base and head. `policy` is the blob of the policy, `policy_revs` the names it was looked for under. `words` name
    the change on a command line. `sure`: the base is what a remote was seen to have, told from the refs `pins`; False
    where a person named it. `cut`: the clone is shallow and does not reach the base.
    """

    base: str | None
    head: str
    tree: str
    branch: str
    policy: str | None
    policy_revs: tuple[str, ...]
    covered: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    sure: bool = False
    cut: bool = False

    @property
    def session(self) -> str:
        return f"review-{names.slugify(self.branch, default='head', limit=names.SLUG_MAX - 7)}"

    @property
    def is_empty(self) -> bool:
        return self.base == self.head


@dataclass(frozen=True)
class Commit:
    """A commit of a change, as a request names it."""

    oid: str
    tree: str
    subject: str


def of_updates(
    remotes: Remotes, updates: Sequence[Update], remote: str, *, tags: bool = True, notes: bool = True
) -> list[Change]:
    """The changes that a push brings, each once. Left out are deletions, sessions and their files."""
    repo = remotes.repo
    found: dict[tuple[str | None, str], Change] = {}
    there = {update.remote_ref: update.there for update in updates if update.there is not None}
    for update in updates:
        ref = update.remote_ref
        if (
            update.deletes
            or (ref.startswith("refs/tags/") and not tags)
            or (ref.startswith("refs/notes/") and not notes)
        ):
            continue
        (pushed,) = repo.objects([f"{update.local}^{{commit}}"])
        if pushed is None or roots.is_recorded(repo, ref, pushed.oid):
            continue  # a tag of something else; a session, or its files
        branch = _branch(repo, update)
        start = remotes.covered(remote, there)
        here = repo.ref(f"refs/heads/{branch}") == pushed.oid
        change = _change(repo, pushed.oid, branch, remote, start, (branch if here else pushed.oid,))
        if not change.is_empty:
            found.setdefault((change.base, change.head), change)
    return list(found.values())


def of_words(remotes: Remotes, words: str | None, base: str | None) -> tuple[Change, str]:
    """(what a RANGE, a BRANCH or HEAD would bring, the remote it would be pushed to); `base` is a revision.

    Raises UsageError for what git does not know, and if there is nothing to compare with.
    """
    repo = remotes.repo
    given = () if words is None else (words,)
    words = "HEAD" if words is None else words
    separator = "..." if "..." in words else ".." if ".." in words else ""
    since, _, until = words.partition(separator) if separator else ("", "", words)
    if separator and base is not None:
        raise UsageError(f"{quote(words)} has a base of its own", hint="leave --base out", code=Code.TWO_BASES)
    until = until or "HEAD"
    head = commit_of(repo, until)
    branch = _branch_name(repo, until) or _branch_name(repo, "HEAD") or until
    remote = remote_of(repo, branch)
    start = (since or "HEAD") if separator else base
    if start is not None:
        covered = Covered((commit_of(repo, start),), sure=False)
        named = given if separator else (*given, "--base", start)
        return _change(repo, head, branch, remote, covered, named, policy_of=start), remote
    covered = remotes.covered(remote, {})
    if not covered.commits and not bases.remotes(repo):
        raise UsageError(
            f"{quote(branch)} has nothing to be compared with: no remote is known here",
            hint="name the start: --base REF, or REF..HEAD",
            code=Code.NO_BASE,
        )
    return _change(repo, head, branch, remote, covered, given or (branch,)), remote


def remote_of(repo: Repository, branch: str) -> str:
    """The remote that git would push `branch` to: its own setting, the only remote, or origin."""
    for name in (f"branch.{branch}.pushremote", "remote.pushdefault", f"branch.{branch}.remote"):
        value = repo.setting(name)
        if value:
            return value
    found = bases.remotes(repo)
    return found[0] if len(found) == 1 else "origin"


def _change(
    repo: Repository,
    head: str,
    branch: str,
    remote: str,
    start: Covered,
    words: tuple[str, ...],
    *,
    policy_of: str | None = None,
) -> Change:
    base = bases.merge_base(repo, head, start.commits)
    tree = tree_of(repo, head)
    if tree is None:
        raise UsageError(f"the files of {head[:12]} are not in this clone", hint="git fetch", code=Code.NO_TREE)
    if policy_of is not None:
        revs: tuple[str, ...] = (f"{commit_of(repo, policy_of)}:{POLICY}",)
    else:
        revs = _policy_revs(repo, remote, base)
    blobs = repo.objects(revs)
    policy = next((blob.oid for blob in blobs if blob is not None and blob.kind == "blob"), None)
    change = Change(
        base, head, tree, branch, policy, revs, start.commits, words=words, pins=start.pins, sure=start.sure
    )
    return with_base(repo, change, base)


def with_base(repo: Repository, change: Change, base: str | None, covered: Sequence[str] = ()) -> Change:
    """The same change from another base; what `covered` has is not new either."""
    known = tuple(dict.fromkeys([*([base] if base else []), *covered]))
    change = replace(change, base=base, covered=known)
    new = commits(repo, change)
    ends = {change.tree, tree_of(repo, base) if base else repo.empty_tree}
    trees = tuple(dict.fromkeys(commit.tree for commit in new if commit.tree not in ends))
    cut = bases.is_cut(repo, (commit.oid for commit in new))
    return replace(change, trees=trees, cut=cut)


def commits(repo: Repository, change: Change) -> list[Commit]:
    """The commits that are new, the oldest first."""
    since = [f"^{oid}" for oid in change.covered]
    out = repo.run("log", "-z", "--reverse", "--format=%H%x00%T%x00%s", *since, "--end-of-options", change.head, "--")
    fields = iter(out.decode("utf-8", "replace").split("\0"))
    return [Commit(*row) for row in zip(fields, fields, fields, strict=False)]


def _policy_revs(repo: Repository, remote: str, base: str | None) -> tuple[str, ...]:
    """The names the policy may have: on the remote's default branch or, if none is known, at the base."""
    refs = [f"refs/remotes/{remote}/{name}" for name in ("HEAD", "main", "master")] if is_name(remote) else []
    found = [ref is not None for ref in repo.objects(refs)]
    if any(found):
        return tuple(f"{ref}:{POLICY}" for ref in refs[: found.index(True) + 1])
    return tuple(f"{rev}:{POLICY}" for rev in (*refs, *([base] if base else [])))


def tree_of(repo: Repository, commit: str) -> str | None:
    (tree,) = repo.objects([f"{commit}^{{tree}}"])
    return tree.oid if tree else None


def commit_of(repo: Repository, rev: str) -> str:
    """The commit that a person's words stand for. Raises UsageError that quotes them."""
    try:
        found = repo.ref(f"{rev}^{{commit}}")
    except GitError:
        found = None
    if found is None:
        hint = "name a branch, a commit, or A..B"
        remote, _, branch = rev.partition("/")
        if branch and remote in bases.remotes(repo) and re.fullmatch(r"[\w./-]+", branch):
            hint = f"git fetch {remote} {branch}:refs/remotes/{rev}"
        raise UsageError(f"git knows no commit {quote(rev)}", hint=hint, code=Code.UNKNOWN_REVISION)
    return found


def _branch_name(repo: Repository, rev: str) -> str | None:
    """The branch that `rev` names, None for a commit or a detached HEAD."""
    out = repo.run("rev-parse", "--symbolic-full-name", "--verify", "--quiet", "--end-of-options", rev, ok=(0, 1))
    lines = out.decode("utf-8", "replace").split("\n")
    full = lines[-2] if len(lines) > 1 else ""  # git up to 2.42 prints --end-of-options too
    if full.startswith("refs/heads/"):
        return full.removeprefix("refs/heads/")
    return re.sub(r"^refs/remotes/[^/]+/", "", full) if full.startswith("refs/remotes/") else None


def _branch(repo: Repository, update: Update) -> str:
    """The name under which a pushed ref is reviewed: the branch that it is here, else what it becomes there."""
    local = update.local_ref
    name = _branch_name(repo, local) if local == "HEAD" or local.startswith("refs/heads/") else None
    return name or re.sub(r"^refs/(heads/)?", "", update.remote_ref)
