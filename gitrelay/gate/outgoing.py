"""What a push, or a range of commits, brings: from which commit to which, with which tree, under which policy.

The base is what the other side has already: the merge base with what the remote branch stood at, or, for a
new branch, with everything that is known of the remote. The policy is `.relay-review.md` of the remote's
default branch, never of the change: who pushes must not write the rules that the push is held to. Asked
of git here and nowhere else, with the user's own refs; `hooks/pre-push` asks the same for its short cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git import userfiles
from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.protocol import names
from gitrelay.text import quote

POLICY: Final = ".relay-review.md"
_TIPS_MAX: Final = 5000  # remote-tracking refs, the newest; their ids are words of one command line
_SKIPPED: Final = ("refs/heads/relay/", "refs/relay/", "refs/notes/")
_REMOTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")  # else it is an address, and nothing is tracked of it
_UPDATE = re.compile(r"(\S+) ([0-9a-f]{40,64}) (\S+) ([0-9a-f]{40,64})")


@dataclass(frozen=True)
class Update:
    """A line of what git tells its pre-push hook. An id of zeros is a ref that is deleted, or not there yet."""

    local_ref: str
    local: str
    remote_ref: str
    remote: str

    @property
    def deletes(self) -> bool:
        return not self.local.strip("0")

    @property
    def there(self) -> str | None:
        """What the remote ref stood at, None where it is new."""
        return self.remote if self.remote.strip("0") else None


@dataclass(frozen=True)
class Change:
    """Commits that are to be reviewed. `base` is None where the other side has nothing of it.

    `policy` is the blob of the policy, `policy_revs` the names it was looked for under: what they stand for decides
    which it is. `there` is what the remote branch stood at, where the base follows from it.
    """

    base: str | None
    head: str
    tree: str
    branch: str
    policy: str | None
    policy_revs: tuple[str, ...]
    there: str | None = None

    @property
    def session(self) -> str:
        return f"review-{names.slugify(self.branch, default='head', limit=names.SLUG_MAX - 7)}"

    @property
    def is_empty(self) -> bool:
        return self.base == self.head


def parse_updates(text: str) -> list[Update]:
    """What git writes to its pre-push hook. Raises UsageError that quotes a line that is not of it."""
    found = []
    for line in text.splitlines():
        fields = _UPDATE.fullmatch(line)
        if fields is None:
            raise UsageError(
                f"{quote(line)} is not what git tells a pre-push hook",
                hint="'<local ref> <local id> <remote ref> <remote id>' lines on stdin; githooks(5)",
                code=Code.BAD_UPDATE,
            )
        found.append(Update(*fields.groups()))
    return found


def from_pre_commit(repo: Repository, environ: Mapping[str, str]) -> list[Update]:
    """The push of which pre-commit, which reads git's lines itself, tells its hooks; none where it does not."""
    local, remote = environ.get("PRE_COMMIT_LOCAL_BRANCH", ""), environ.get("PRE_COMMIT_REMOTE_BRANCH", "")
    if not local or not remote:
        return []
    pushed = repo.ref(f"{environ.get('PRE_COMMIT_TO_REF') or local}^{{commit}}")
    if pushed is None:
        return []
    name = environ.get("PRE_COMMIT_REMOTE_NAME", "")
    tracked = repo.ref(f"refs/remotes/{name}/{remote.removeprefix('refs/heads/')}") if _REMOTE.fullmatch(name) else None
    return [Update(local, pushed, remote, tracked or repo.no_object)]


def of_updates(repo: Repository, updates: Sequence[Update], remote: str, *, tags: bool) -> list[Change]:
    """The changes that a push brings, each once. Left out are deletions, sessions, notes, and tags unless wanted."""
    found: dict[tuple[str | None, str], Change] = {}
    for update in updates:
        ref = update.remote_ref
        if update.deletes or ref.startswith(_SKIPPED) or (ref.startswith("refs/tags/") and not tags):
            continue
        (pushed,) = repo.objects([f"{update.local}^{{commit}}"])
        if pushed is None:
            continue  # a tag of something else
        change = _change(repo, pushed.oid, _branch(repo, update), remote, there=update.there)
        if not change.is_empty:
            found.setdefault((change.base, change.tree), change)
    return list(found.values())


def of_words(repo: Repository, words: str | None, base: str | None) -> tuple[Change, str]:
    """(what a RANGE, a BRANCH or HEAD would bring, the remote it would be pushed to); `base` is a revision.

    Raises UsageError for what git does not know, and where there is nothing to compare with.
    """
    words = "HEAD" if words is None else words
    separator = "..." if "..." in words else ".." if ".." in words else ""
    since, _, until = words.partition(separator) if separator else ("", "", words)
    if separator and base is not None:
        raise UsageError(f"{quote(words)} has a base of its own", hint="leave --base out", code=Code.TWO_BASES)
    until = until or "HEAD"
    head = _commit(repo, until)
    branch = _branch_name(repo, until) or _branch_name(repo, "HEAD") or until
    remote = remote_of(repo, branch)
    given = (since or "HEAD") if separator else base
    if given is not None:
        start = _commit(repo, given)
        return _change(repo, head, branch, remote, start=start, policy_of=given), remote
    tracked = repo.ref(_pushed_to(repo, branch, remote))
    if tracked is None and not _tips(repo, remote):
        raise UsageError(
            f"{quote(branch)} has nothing to be compared with: no remote is known here",
            hint="name the start: --base REF, or REF..HEAD",
            code=Code.NO_BASE,
        )
    return _change(repo, head, branch, remote, there=tracked), remote


def remote_of(repo: Repository, branch: str) -> str:
    """Where git would push `branch`: its own setting, the only remote, or origin."""
    for name in (f"branch.{branch}.pushremote", "remote.pushdefault", f"branch.{branch}.remote"):
        value = repo.setting(name)
        if value:
            return value
    remotes = {key[len("remote.") : -len(".url")] for key in repo.config if re.fullmatch(r"remote\..+\.url", key)}
    return remotes.pop() if len(remotes) == 1 else "origin"


def _pushed_to(repo: Repository, branch: str, remote: str) -> str:
    """The remote-tracking ref of the branch that git would push `branch` to."""
    rows = repo.each_ref("%(refname)%00%(push)", f"refs/heads/{branch}")
    push = next((row[1] for row in rows if row[0] == f"refs/heads/{branch}"), "")
    return push or f"refs/remotes/{remote}/{branch}"


def _change(
    repo: Repository,
    head: str,
    branch: str,
    remote: str,
    *,
    there: str | None = None,
    start: str | None = None,
    policy_of: str | None = None,
) -> Change:
    if start is not None:
        there, base = None, _merge_base(repo, head, [start])
    elif there is not None and repo.objects([f"{there}^{{commit}}"])[0] is not None:
        base = _merge_base(repo, head, [there])
    else:
        there = None
        base = _merge_base(repo, head, _tips(repo, remote))
    (tree,) = repo.objects([f"{head}^{{tree}}"])
    if tree is None:
        raise UsageError(f"the files of {head[:12]} are not in this clone", hint="git fetch", code=Code.NO_TREE)
    if policy_of is not None:
        revs: tuple[str, ...] = (f"{_commit(repo, policy_of)}:{POLICY}",)
    else:
        revs = _policy_revs(repo, remote, base)
    blobs = repo.objects(revs)
    policy = next((blob.oid for blob in blobs if blob is not None and blob.kind == "blob"), None)
    return Change(base, head, tree.oid, branch, policy, revs, there)


def _policy_revs(repo: Repository, remote: str, base: str | None) -> tuple[str, ...]:
    """Where the policy may stand: on the remote's default branch, or, where none is known, at the base."""
    refs = [f"refs/remotes/{remote}/{name}" for name in ("HEAD", "main", "master")] if _REMOTE.fullmatch(remote) else []
    found = [ref is not None for ref in repo.objects(refs)]
    if any(found):
        return tuple(f"{ref}:{POLICY}" for ref in refs[: found.index(True) + 1])
    return tuple(f"{rev}:{POLICY}" for rev in (*refs, *([base] if base else [])))


def _tips(repo: Repository, remote: str) -> list[str]:
    """What is known to be on `remote`, or, where nothing is, on any remote: something published."""
    rows = repo.each_ref("%(refname)%00%(objectname)", "--sort=-creatordate", "refs/remotes")
    code = [(ref, oid) for ref, oid in rows if "/relay/" not in ref]
    own = [oid for ref, oid in code if ref.startswith(f"refs/remotes/{remote}/")]
    return list(dict.fromkeys(own or [oid for _, oid in code]))[:_TIPS_MAX]


def _merge_base(repo: Repository, head: str, others: Sequence[str]) -> str | None:
    """The last commit of `head`'s history that one of `others` has too."""
    if not others:
        return None
    out = repo.run("merge-base", head, *others, ok=(0, 1)).decode().split()
    return out[0] if out else None


def _commit(repo: Repository, rev: str) -> str:
    """The commit that a person's words stand for. Raises UsageError that quotes them."""
    try:
        found = repo.ref(f"{rev}^{{commit}}")
    except GitError:
        found = None
    if found is None:
        raise UsageError(
            f"git knows no commit {quote(rev)}", hint="name a branch, a commit, or A..B", code=Code.UNKNOWN_REVISION
        )
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


# -- what stands in a request -------------------------------------------------------------------------


def commits(repo: Repository, change: Change) -> list[tuple[str, str]]:
    """(id, subject) of the commits that are new, the oldest first."""
    since = [f"^{change.base}"] if change.base else []
    out = repo.run("log", "-z", "--reverse", "--format=%H%x00%s", *since, "--end-of-options", change.head, "--")
    fields = out.decode("utf-8", "replace").split("\0")
    return list(zip(fields[0::2], fields[1::2], strict=False))


def files(repo: Repository, change: Change) -> list[userfiles.Change]:
    """What differs between the base and the head."""
    return userfiles.changes(repo, change.base or repo.empty_tree, change.head)


def diff(repo: Repository, change: Change) -> bytes:
    """The difference as a patch."""
    return userfiles.diff(repo, change.base or repo.empty_tree, change.head, words=["--stat", "--patch"])


def policy_text(repo: Repository, change: Change) -> str | None:
    """The policy, None where there is none."""
    if change.policy is None:
        return None
    (blob,) = repo.objects([change.policy])
    return None if blob is None else blob.data.decode("utf-8", "replace")


def is_ancestor(repo: Repository, old: str, new: str) -> bool:
    """Whether `new` goes on from `old`; False where one of them is not in this clone."""
    try:
        return _merge_base(repo, old, [new]) == old
    except GitError:
        return False


def tree_of(repo: Repository, commit: str) -> str | None:
    (tree,) = repo.objects([f"{commit}^{{tree}}"])
    return tree.oid if tree else None


def diff_file(repo: Repository, change: Change) -> Path | None:
    """Where the patch is put for peers that may read files and run nothing; None in a bare repository."""
    return None if repo.top is None else repo.top / ".relay" / f"{change.session}.diff"
