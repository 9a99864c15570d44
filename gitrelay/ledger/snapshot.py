"""The caller's working files as a tree: what a request was asked on, and what was there after the answer.

Tracked, changed and untracked files, not ignored ones; submodules as the commits they stand at. The user's
index is read, never written; a clean tree costs one `git status` and is HEAD's own tree, another one what has
changed costs on top of that, however many files there are. The trees of a
session are kept alive by one ref, `refs/relay/code/<session>`, a line of commits each of which holds one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay.errors import Code, RelayError, UsageError
from gitrelay.git import graft, userfiles
from gitrelay.git.faults import GitError
from gitrelay.git.objects import Object
from gitrelay.git.repository import Repository
from gitrelay.git.userfiles import Change, Changed
from gitrelay.protocol.record import CODE, Identity

_PATCH: Final = ("--binary", "--full-index", "--no-renames")
_AUTHOR: Final = Identity("gitrelay", "gitrelay@gitrelay.invalid")


@dataclass(frozen=True)
class Snapshot:
    """The tree of the working files, and where the session's code ref stood: a commit and its tree, or None."""

    tree: str
    kept: str | None
    kept_tree: str | None

    def keep(self, repo: Repository, session: str, why: str) -> list[tuple[str, str, str]]:
        """The ref move that keeps the tree alive, none where it is the last one already; writes its commit."""
        if self.tree == self.kept_tree:
            return []
        parents = [self.kept] if self.kept else []
        commit = repo.commit(self.tree, parents, f"{why}\n", _AUTHOR, sign=False)
        return [(CODE + session, commit, self.kept or repo.no_object)]


def take(repo: Repository, session: str) -> Snapshot | None:
    """The working files now, None in a bare repository or where they cannot be read."""
    if repo.top is None:
        return None
    try:
        head, kept, kept_tree = repo.objects(["HEAD^{tree}", CODE + session, f"{CODE}{session}^{{tree}}"])
        changed = userfiles.changed(repo)
        tree = _tree_with(repo, head, changed)
    except (RelayError, OSError):
        return None  # an unreadable file, a filter that fails: the call goes on, and the record has no tree
    return Snapshot(tree, kept.oid if kept else None, kept_tree.oid if kept_tree else None)


def _tree_with(repo: Repository, base: Object | None, changed: Sequence[Changed]) -> str:
    """The tree `base` in which the `changed` paths are as they stand in the working tree."""
    if not changed:
        return base.oid if base is not None else repo.write_tree([])
    with tempfile.TemporaryDirectory(prefix="index-", dir=repo.common_dir / "relay") as folder:
        found = userfiles.contents(repo, Path(folder) / "index", changed)
    return graft.graft(repo, base, {one.path: found.get(one.path) for one in changed} | found)


def apply(repo: Repository, before: str, after: str) -> list[Change]:
    """Bring what changed from `before` to `after` into the working tree of `repo`, merging three ways.

    The merge is made in a copy of the index first: on a conflict UsageError names the files and nothing has
    changed. Only files are written, never the index. Returns what was changed here.
    """
    if repo.top is None:
        raise UsageError("a bare repository has no files to change", hint="use a clone", code=Code.BARE_REPOSITORY)
    here = _tree_with(repo, repo.objects(["HEAD^{tree}"])[0], userfiles.changed(repo))
    with tempfile.TemporaryDirectory(prefix="merge-", dir=repo.common_dir / "relay") as folder:
        merged, conflicts = userfiles.merge(repo, Path(folder), before, here, after)
    if conflicts:
        named = ", ".join(conflicts[:10]) + (f" and {len(conflicts) - 10} more" if len(conflicts) > 10 else "")
        raise UsageError(
            f"the changes do not apply here: conflicts in {named}",
            hint="nothing was changed; commit or stash what is in the way, or apply 'git relay diff' by hand",
            code=Code.CONFLICT,
        )
    found = userfiles.changes(repo, here, merged)
    if found:
        _write(repo, userfiles.diff(repo, here, merged, words=_PATCH))
    return found


def _write(repo: Repository, patch: bytes) -> None:
    try:
        userfiles.write_patch(repo, patch)
    except GitError as e:
        raise UsageError(
            f"the changes could not be written: {e.message}", hint="nothing was changed", code=Code.CONFLICT
        ) from e
