"""The `.git` of a workspace without a past: one commit with the given files, and no other object of the caller's.

In a workspace that borrows the caller's objects what was done later is one `git cat-file --batch-all-objects` away, and
the branches that were made since one `git log --all`. Here there is nothing to find, no remote and nothing that names
the repository. The commit is the same for the same files: it has no date and no words of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gitrelay.git.repository import Repository
from gitrelay.workspace.looking import Facts

BRANCH: Final = "refs/heads/main"
NOTHING: Final = Facts((), (), f"ref: {BRANCH}")  # what is lent of the caller's refs and paths
_WHO: Final = "nobody <nobody@localhost> 946684800 +0000"  # 2000-01-01


def make(repo: Repository, place: Path, tree: str) -> None:
    """Make `place/.git` with one commit of `tree`, without an index. Raises OSError, GitError."""
    git = place / ".git"
    for name in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (git / name).mkdir(parents=True)
    sha1 = repo.object_format == "sha1"
    lines = ["[core]", f"\trepositoryformatversion = {0 if sha1 else 1}", "\tbare = false"]
    lines += [] if sha1 else ["[extensions]", f"\tobjectformat = {repo.object_format}"]
    (git / "config").write_text("\n".join([*lines, ""]))
    (git / "HEAD").write_text(f"ref: {BRANCH}\n")
    repo.run("pack-objects", "-q", "--revs", str(git / "objects/pack/pack"), stdin=f"{tree}\n".encode())
    commit = f"tree {tree}\nauthor {_WHO}\ncommitter {_WHO}\n\nThe files.\n".encode()
    words = ("hash-object", "-t", "commit", "-w", "--stdin")
    oid = repo.run(*words, stdin=commit, env={"GIT_DIR": str(git)}).decode().strip()
    (git / BRANCH).write_text(f"{oid}\n")
