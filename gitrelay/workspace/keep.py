"""The ref that keeps alive what a workspace borrows: `refs/relay/workspaces/<session>`.

A `git gc --prune=now` of the caller knows nothing of the workspace's HEAD, branches and index. One commit names them
all: its tree is the index, its parents are HEAD and the tips of the branches that were lent.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.protocol.record import Identity
from gitrelay.workspace.borrow import lent_refs
from gitrelay.workspace.looking import Facts

KEPT: Final = "refs/relay/workspaces/"
_AUTHOR: Final = Identity("gitrelay", "gitrelay@gitrelay.invalid")


def keep(repo: Repository, session: str, note: str, facts: Facts, tree: str) -> None:
    """Make the session's ref hold what the caller's HEAD, branches, tags and index need. Raises GitError.

    `tree` is what `index_tree` gave. `note`, one line, is in the commit: what this machine knows of the workspace may
    be deleted at any time.
    """
    commits = dict.fromkeys([facts.head_commit, *(ref.commit for ref in lent_refs(facts) if not ref.points_to)])
    parents = [commit for commit in commits if commit]
    commit = repo.commit(tree, parents, f"keep {session}\n\n{note}\n", _AUTHOR, sign=False)
    ref = KEPT + session
    old = next((one.oid for one in facts.refs if one.name == ref), repo.no_object)
    repo.move_refs([(ref, commit, old)], f"keep {session}")


def also(repo: Repository, session: str, tree: str) -> None:
    """Make the session's ref keep `tree` too. Raises GitError."""
    ref = KEPT + session
    at, its = repo.objects([ref, f"{ref}^{{tree}}"])
    other = repo.commit(tree, [], "a tree of the caller's files\n", _AUTHOR, sign=False)
    note = kept_note(repo, session).decode("utf-8", "replace")
    parents = [*([at.oid] if at else []), other]
    commit = repo.commit(its.oid if its else tree, parents, f"keep {session}\n\n{note}\n", _AUTHOR, sign=False)
    repo.move_refs([(ref, commit, at.oid if at else repo.no_object)], f"keep {session}")


def kept_note(repo: Repository, session: str) -> bytes:
    """The note that `keep` was given, empty if there is none."""
    found = repo.objects([KEPT + session])[0]
    return found.data.partition(b"\n\n")[2].partition(b"\n\n")[2].strip() if found is not None else b""


def let_go(repo: Repository, session: str) -> None:
    """Remove the session's ref, if there is one."""
    there = repo.ref(KEPT + session)
    if there is not None:
        repo.move_refs([(KEPT + session, repo.no_object, there)], f"let go of {session}")


def index_tree(repo: Repository) -> str:
    """A tree that holds every object of the caller's index; of an unmerged index, its stages under numbers."""
    if repo.top is None or not repo.index.exists():
        return repo.empty_tree
    with tempfile.TemporaryDirectory(dir=repo.common_dir) as folder:
        copy = Path(folder) / "index"
        shutil.copyfile(repo.index, copy)  # write-tree would write its cache into the caller's
        for shared in repo.git_dir.glob("sharedindex.*"):
            shutil.copyfile(shared, Path(folder) / shared.name)
        try:
            return repo.run("write-tree", env={"GIT_INDEX_FILE": str(copy)}).decode().strip()
        except GitError:
            return _stages(repo)


def _stages(repo: Repository) -> str:
    lines = []
    for number, item in enumerate(repo.run("ls-files", "--stage", "-z", users=True).split(b"\0")[:-1]):
        mode, oid, _ = item.partition(b"\t")[0].split()
        if mode != b"160000":
            lines.append(b"100644 blob %s\t%d\0" % (oid, number))
    return repo.run("mktree", "-z", stdin=b"".join(lines)).decode().strip()
