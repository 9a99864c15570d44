"""The caller's working files as a tree: what a request was asked on, and what was there after the answer.

Tracked, changed and untracked files, not ignored ones. The user's index is read, never written; a clean tree costs
one `git status` and is HEAD's own tree, another one what has changed costs on top of that, however many files there
are. What cannot be read, or the rules leave out (`leavingout`), is named and stays in the tree as it was.

The trees of a session are kept alive by one ref, `refs/relay/code/<session>`, a line of commits each of which holds
one. A submodule with changes inside is recorded in the same way, in its own repository: in the caller's tree its place
has a commit of the changed files, which the submodule's own ref keeps.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Final

from gitrelay.errors import RelayError
from gitrelay.git import graft, indexing, merge, userfiles
from gitrelay.git.elsewhere import module_at
from gitrelay.git.indexing import LeftOut
from gitrelay.git.objects import Object
from gitrelay.git.repository import Repository
from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass
from gitrelay.ledger import leavingout
from gitrelay.protocol.record import CODE, NOT_RECORDED, Identity, Trailer
from gitrelay.state.folder import State

_AUTHOR: Final = Identity("gitrelay", "gitrelay@gitrelay.invalid")
_NAMED_MAX: Final = 100  # paths that a commit's body names
_DEPTH_MAX: Final = 5  # submodules within submodules


@dataclass(frozen=True)
class Snapshot:
    """The tree of the working files, and where the session's code ref stood: a commit and its tree, or None.

    `left`: what the tree does not hold as it is. `source`: whose files they are. `modules`: the submodules that were
    recorded in their own repositories, each with the commit that has its place in the tree.
    """

    tree: str
    kept: str | None
    kept_tree: str | None
    left: tuple[LeftOut, ...] = ()
    modules: tuple[tuple[Repository, Snapshot, str], ...] = ()
    source: Repository | None = None
    commit: str = ""  # whose tree it is, if it is not that of working files

    def again(self, session: str) -> Snapshot | None:
        """The same files as they are now."""
        if self.source is not None and self.commit:
            return of_commit(self.source, session, self.commit)
        return take(self.source, session) if self.source is not None else None

    def keep(self, repo: Repository, session: str, why: str, *others: str) -> list[tuple[str, str, str]]:
        """The ref move that keeps the tree and the commits `others` alive, none if it is the last one already.

        Writes the commit; the refs of submodules are moved at once.
        """
        for module, files, commit in self.modules:
            with contextlib.suppress(RelayError):  # the files are in the record all the same, until git cleans up
                if moves := files.keep(module, session, why, commit):
                    module.move_refs(moves, why)
        if self.tree == self.kept_tree:
            return []
        parents = [self.kept] if self.kept else []
        commit = repo.commit(self.tree, [*parents, *others], f"{why}\n", _AUTHOR, sign=False)
        return [(CODE + session, commit, self.kept or repo.no_object)]

    @property
    def trailers(self) -> dict[str, str]:
        return {Trailer.TREE: self.tree, Trailer.LEFT_OUT: str(len(self.left))}

    @property
    def lines(self) -> list[str]:
        """What was left out, as lines of a commit's body."""
        named = [f"{NOT_RECORDED}{shown(one.path)} ({one.why})" for one in self.left[:_NAMED_MAX]]
        more = len(self.left) - len(named)
        return [*named, f"{NOT_RECORDED}{more} more"] if more else named

    def told(self, before: str) -> list[str]:
        """What a person has to know of what is left out and is not in the text `before`, the last commit's."""
        new = [line.removeprefix(NOT_RECORDED) for line in self.lines if line not in before]
        if not new:
            return []
        secret = next((one for one in self.left if one.why.startswith("a secret")), None)
        told = f"not in the record of your files: {', '.join(new[:5])}"
        told += f" and {len(new) - 5} more" if len(new) > 5 else ""
        if secret is None:
            return [told]
        pattern = f"'!{shown(secret.path)}'"
        return [f"{told}; to record such a file all the same: git config --add relay.snapshotExclude {pattern}"]


def shown(path: bytes) -> str:
    return plain(path.decode("utf-8", "backslashreplace"), 300)


def take(repo: Repository, session: str) -> Snapshot | None:
    """The working files now, None in a bare repository or if nothing can be told of them."""
    if repo.top is None:
        return None
    try:
        return _take(repo, session, 0)
    except (RelayError, OSError):
        return None  # the disk is full, the index damaged: the call goes on, and the record has no tree


def _take(repo: Repository, session: str, depth: int) -> Snapshot:
    head, kept, kept_tree = repo.objects(["HEAD^{tree}", CODE + session, f"{CODE}{session}^{{tree}}"])
    last = kept_tree.oid if kept_tree else None
    made = _tree(repo, session, head, last, depth)
    return replace(made, kept=kept.oid if kept else None, kept_tree=last, source=repo)


def of_commit(repo: Repository, session: str, commit: str) -> Snapshot | None:
    """The files of a commit; None if it is not in the repository."""
    tree, kept, kept_tree = repo.objects([f"{commit}^{{tree}}", CODE + session, f"{CODE}{session}^{{tree}}"])
    if tree is None:
        return None
    last = (kept.oid if kept else None, kept_tree.oid if kept_tree else None)
    return Snapshot(tree.oid, *last, source=repo, commit=commit)


def here(repo: Repository) -> Snapshot:
    """The working files now, for no session. Raises RelayError."""
    return _tree(repo, None, repo.objects(["HEAD^{tree}"])[0], None, _DEPTH_MAX)


def _tree(repo: Repository, session: str | None, base: Object | None, last: str | None, depth: int) -> Snapshot:
    """The tree `base` with what has changed; what is left out is in it as in the tree `last`, else as in `base`."""
    State(repo.common_dir).prepare()
    with tempfile.TemporaryDirectory(prefix="index-", dir=repo.common_dir / "relay") as scratch:
        folder = Path(scratch)
        status = _status(repo, folder)
        left = [LeftOut(path + b"/", why) for path, why in status.unread.items()]
        left += leavingout.left_out(repo, status.changed, last)
        out = {one.path for one in left}
        changed = [one for one in status.changed if one.path not in out and not _is_own(one)]
        found: dict[bytes, tuple[str, str]] = {}
        if changed:
            found, unread = indexing.contents(repo, folder / "index", changed)
            left += unread
            out |= {one.path for one in unread}
    changes = {one.path: found.get(one.path) for one in changed if one.path not in out} | found
    changes = {path: entry for path, entry in changes.items() if path not in out}
    modules = []
    for path in status.modules:
        if not os.path.lexists(os.path.join(os.fsencode(repo.place), path)):
            changes[path] = None
            continue
        module = None if session is None else _module(repo, session, path, depth)
        if module is None:
            left.append(LeftOut(path + b"/", "changes inside a submodule"))
            continue
        changes[path] = (merge.LINK, module[2])
        if module[1].tree != module[3]:
            modules.append(module[:3])
        left += [LeftOut(path + b"/" + one.path, one.why) for one in module[1].left]
    nested = [one.path for one in changed if one.nested and one.path in found]
    left += [LeftOut(path + b"/", "another repository, of which the commit is recorded") for path in nested]
    changes |= _as_before(repo, last, out)
    tree = graft.graft(repo, base, changes) if changes else base.oid if base is not None else repo.write_tree([])
    return Snapshot(tree, None, None, tuple(left), tuple(modules))


def _is_own(one: userfiles.Changed) -> bool:
    """Whether it is gitrelay's: `.relay/.gitignore` hides that, and anybody may have removed it."""
    return one.entry is None and (one.path == b".relay" or one.path.startswith(b".relay/"))


def _status(repo: Repository, folder: Path) -> userfiles.Status:
    """`git status`, also of the files that git was told not to look at; those are listed at the same time."""
    hidden: list[tuple[list[bytes], list[bytes]]] = []

    def look() -> None:
        try:
            hidden.append(userfiles.flagged(repo))
        except (RelayError, OSError):
            hidden.clear()  # git status will say what is wrong

    beside = threading.Thread(target=look)
    beside.start()
    try:
        status = userfiles.changed(repo)
    finally:
        beside.join()
    if not hidden or not any(hidden[0]):
        return status
    index = userfiles.with_all(repo, folder, *hidden[0])
    return status if index is None else userfiles.changed(repo, index)


def _as_before(repo: Repository, last: str | None, paths: set[bytes]) -> dict[bytes, tuple[str, str]]:
    """path -> its entry in the tree `last`, of those that are files in there."""
    if last is None or not paths:
        return {}
    return {path: entry for path, entry in merge.entries(repo, last, sorted(paths)) if entry[0] != merge.LINK}


def trees_of_module(repo: Repository, path: bytes, link: merge.Difference) -> tuple[Repository, str, str] | None:
    """The submodule at `path` and its files' trees on both sides; None if they are not here."""
    sides = [entry[1] for entry in (link.before, link.after) if entry is not None and entry[0] == merge.LINK]
    module = module_at(repo, path) if len(sides) == 2 else None
    if module is None:
        return None
    before, after = module.objects([f"{side}^{{tree}}" for side in sides])
    return (module, before.oid, after.oid) if before is not None and after is not None else None


def _module(repo: Repository, session: str, path: bytes, depth: int) -> tuple[Repository, Snapshot, str, str] | None:
    """The files of the submodule at `path`, a commit of them, and HEAD's tree; None if they cannot be recorded."""
    module = module_at(repo, path) if depth < _DEPTH_MAX else None
    if module is None:
        return None
    try:
        files = _take(module, session, depth + 1)
        head, tree = module.objects(["HEAD", "HEAD^{tree}"])
        if head is None or tree is None:
            return None
        commit = head.oid if files.tree == tree.oid else _commit_of(module, files.tree, head.oid)
        return module, files, commit, tree.oid
    except (RelayError, OSError):
        return None


def _commit_of(module: Repository, tree: str, at: str) -> str:
    """A commit of a submodule's changed files; the same one for the same files, or every call would differ."""
    who = {"NAME": _AUTHOR.name, "EMAIL": _AUTHOR.email, "DATE": "1970-01-01T00:00:00Z"}
    env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    message = f"changed files on {at}\n".encode()
    return module.run("commit-tree", "--no-gpg-sign", "-F", "-", tree, stdin=message, env=env).decode().strip()
