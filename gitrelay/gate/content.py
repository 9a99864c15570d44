"""What a change holds, for its reviewer: commits, files, patch, policy.

Attributes decide what git shows of a file, and a change can bring `.gitattributes`. So git is asked here with an empty
working tree and index, where it finds none but the person's own (`info/attributes`): only the bytes of a file can hide
its patch, and such files are named in the request.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay.errors import RelayError
from gitrelay.gate.outgoing import Change, Commit
from gitrelay.git.repository import Repository
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.worktree import SessionWorktree
from gitrelay.state.files import write_whole

_DIFF_MAX: Final = 8 * 1024 * 1024  # bytes; more is no change that anybody reviews in one go
_EACH_MAX: Final = 300  # commits whose own patches are in the file
_PLAIN: Final = ("--no-ext-diff", "--no-textconv", "--no-renames", "--no-color")


@dataclass(frozen=True)
class File:
    """A file that differs between base and head. `state` is A, D, M or T; `binary`: the patch does not show it."""

    path: str
    state: str
    binary: bool


@dataclass(frozen=True)
class Patch:
    """The file that the reviewer may read: its path below the top, and the sha256 of its bytes."""

    path: str
    digest: str


def files(repo: Repository, change: Change) -> list[File]:
    """The files that differ between base and head, by path."""
    words = ("diff", "--raw", "--numstat", "-z", *_PLAIN, change.base or repo.empty_tree, change.head, "--")
    states: dict[str, str] = {}
    binary: set[str] = set()
    fields = _run(repo, *words).decode("utf-8", "replace").split("\0")
    at = 0
    while at < len(fields) and fields[at].startswith(":"):
        states[fields[at + 1]] = fields[at].rsplit(" ", 1)[1][:1]
        at += 2
    for line in fields[at:]:
        added, _, rest = line.partition("\t")
        if added == "-":
            binary.add(rest.partition("\t")[2])
    return [File(path, state, path in binary) for path, state in states.items()]


def patch(repo: Repository, change: Change, commits: list[Commit]) -> bytes:
    """The difference from base to head and, if there is more than one commit, what each of them changed."""
    base = change.base or repo.empty_tree
    data = _run(repo, "diff", "--stat", "--patch", *_PLAIN, base, change.head, "--")
    if len(commits) > 1:
        data += b"\n==== What each of the commits changed, the oldest first ====\n\n"
        if len(commits) > _EACH_MAX:
            data += b"[... %d commits are too many to be shown here; ask git ...]\n" % len(commits)
        else:
            since = [f"^{oid}" for oid in change.covered]
            data += _run(repo, "log", "--reverse", "--patch", "--cc", *_PLAIN, *since, change.head, "--")
    if len(data) > _DIFF_MAX:
        data = data[:_DIFF_MAX] + b"\n[... cut here: %d bytes more; ask git ...]\n" % (len(data) - _DIFF_MAX)
    return data


def policy_text(repo: Repository, change: Change) -> str | None:
    """The policy, None if there is none."""
    if change.policy is None:
        return None
    (blob,) = repo.objects([change.policy])
    return None if blob is None else blob.data.decode("utf-8", "replace")


# -- the patch file -----------------------------------------------------------------------------------


def patch_file(repo: Repository, session: str) -> Path:
    """Where the patch is put for peers that may read files and run nothing."""
    return (repo.git_dir / "relay" if repo.top is None else repo.top / ".relay") / f"{session}.diff"


def put_patch(repo: Repository, change: Change, commits: list[Commit]) -> Patch | None:
    """Write the patch where every peer can read it: not all may run git. None if that cannot be done."""
    path, data = patch_file(repo, change.session), patch(repo, change, commits)
    with contextlib.suppress(OSError, RelayError):  # a convenience: without it the reviewer has git
        Ledger(repo).state.prepare()
        if repo.top is not None:
            SessionWorktree(repo, Ledger(repo).state, change.session).make_home()
        write_whole(path, data)
        return Patch(str(path.relative_to(repo.place)), hashlib.sha256(data).hexdigest())
    return None


def is_as_written(repo: Repository, session: str, digest: str) -> bool:
    """Whether the patch file still has the bytes whose sha256 is `digest`."""
    path = patch_file(repo, session)
    try:
        return not path.is_symlink() and hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except OSError:
        return False


def remove_patch(repo: Repository, session: str) -> None:
    with contextlib.suppress(OSError):
        patch_file(repo, session).unlink(missing_ok=True)


def _run(repo: Repository, *words: str) -> bytes:
    """stdout of git with no attributes of the working tree, the index or the machine."""
    with _nowhere(repo) as folder:
        env = {
            "GIT_DIR": str(repo.common_dir),
            "GIT_WORK_TREE": str(folder),
            "GIT_INDEX_FILE": str(folder / "index"),
            "GIT_ATTR_SOURCE": repo.empty_tree,  # git 2.41 and newer may take them from a tree
        }
        return repo.run(*words, env=env, place=folder)


@contextlib.contextmanager
def _nowhere(repo: Repository) -> Iterator[Path]:
    Ledger(repo).state.prepare()
    with tempfile.TemporaryDirectory(prefix="empty-", dir=repo.common_dir / "relay") as name:
        yield Path(name)
