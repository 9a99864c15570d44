"""Bringing what a call changed into a working tree: merged first, written only if there is no conflict.

Only files are written, never the index. A submodule's files are brought into its own working tree.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from pathlib import Path

from gitrelay.errors import Conflict
from gitrelay.git import graft, merge, userfiles
from gitrelay.git.elsewhere import Elsewhere
from gitrelay.git.faults import GitError
from gitrelay.git.merge import Entry
from gitrelay.git.repository import Repository
from gitrelay.git.userfiles import Change
from gitrelay.ground.value import dataclass
from gitrelay.ledger import snapshot, unfinished
from gitrelay.ledger.snapshot import Snapshot, shown


@dataclass(frozen=True)
class Applied:
    """What was changed here, and what could not be brought: a path and why, as one line each.

    `marked` are the paths with conflict markers in them.
    """

    changes: list[Change] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Way:
    """How conflicts are settled: the paths that are taken as the call left them, and whether the rest gets markers."""

    theirs: tuple[str, ...] = ()
    markers: bool = False
    name: str = "theirs"  # of their side, in a marker

    def takes(self, path: bytes) -> bool:
        """Whether `path`, below the top, is taken as it is."""
        text = os.fsdecode(path)
        wanted = [one.rstrip("/") for one in self.theirs]
        return any(one in (text, ".") or text.startswith(f"{one}/") for one in wanted)


@dataclass(frozen=True)
class _Plan:
    """What has to be written in one repository: path -> entry, None for what goes."""

    repo: Repository
    prefix: str
    changes: dict[bytes, Entry | None]
    shown: list[Change]
    before: dict[bytes, Entry]


@dataclass()
class _Found:
    """What planning has found so far."""

    plans: list[_Plan] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)


def apply(repo: Repository, before: str, after: str, way: Way | None = None, files: Snapshot | None = None) -> Applied:
    """Bring what changed from the tree `before` to `after` into the working tree of `repo`, merging three ways.

    `files`: what is in the working tree, if that is known.

    Raises Conflict, which names the files, if something else is here; then nothing has changed.
    """
    if repo.top is None:
        raise repo.has_no_tree("a bare repository has no files to change", hint="use a clone")
    todo = _Found()
    conflicts = _plan(repo, (before, after), "", todo, way or Way(), files)
    if conflicts:
        named = ", ".join(conflicts[:10]) + (f" and {len(conflicts) - 10} more" if len(conflicts) > 10 else "")
        raise Conflict(
            f"the changes do not apply here: conflicts in {named}",
            hint="nothing was changed; --theirs PATH takes a file as the call left it, --merge leaves conflict markers",
        )
    parts = [(plan.repo, plan.before, plan.changes) for plan in todo.plans]
    with contextlib.nullcontext() if isinstance(repo, Elsewhere) else unfinished.noted(repo, parts):
        for plan in todo.plans:
            _write(plan.repo, plan.changes)
    changes = [replace(one, path=plan.prefix + one.path) for plan in todo.plans for one in plan.shown]
    return Applied(changes, todo.left, todo.marked)


def _plan(
    repo: Repository, trees: tuple[str, str], prefix: str, todo: _Found, way: Way, files: Snapshot | None = None
) -> list[str]:
    """Add what is to be written in `repo` and its submodules; returns the paths in conflict."""
    files = files or snapshot.here(repo)
    with tempfile.TemporaryDirectory(prefix="merge-", dir=repo.common_dir / "relay") as folder:
        merged = merge.merge(repo, Path(folder), trees[0], files.tree, trees[1])
        for path, sides in merged.sides.items():
            _settle(repo, Path(folder), path, sides, way, prefix, merged, todo)
    unheld = {one.path for one in files.left}
    there = dict(merge.entries(repo, files.tree, merged.changes))
    changes = {path: entry for path, entry in merged.changes.items() if there.get(path) != entry}
    conflicts = {*merged.conflicts, *(path for path in changes if path in unheld)}
    added = [path for path, entry in changes.items() if entry is not None]
    conflicts |= {path for path in added if _in_the_way(repo, path, there, changes)}
    found = [prefix + shown(path) for path in sorted(conflicts)]
    if not found and changes:
        base = repo.objects([files.tree])[0]
        tree = graft.graft(repo, base, changes)
        todo.plans.append(_Plan(repo, prefix, changes, userfiles.changes(repo, files.tree, tree), there))
    for path, link in merged.links.items():
        found += _plan_module(repo, path, link, prefix, todo, way)
    return found


def _settle(
    repo: Repository,
    folder: Path,
    path: bytes,
    sides: tuple[Entry | None, Entry | None, Entry | None],
    way: Way,
    prefix: str,
    merged: merge.Merged,
    todo: _Found,
) -> None:
    """Take a path in conflict as `way` says, if it says anything of it."""
    if path not in merged.conflicts:
        return
    if way.takes(os.fsencode(prefix) + path):
        merged.changes[path] = sides[2]
    elif way.markers:
        entry = merge.with_markers(repo, folder, sides, ("yours", way.name))
        if entry is None:
            return
        merged.changes[path] = entry
        todo.marked.append(prefix + shown(path))
    else:
        return
    merged.conflicts.remove(path)


def _plan_module(
    repo: Repository, path: bytes, link: merge.Difference, prefix: str, todo: _Found, way: Way
) -> list[str]:
    """The same for a submodule that is checked out here; one whose commits are not here is left, and named."""
    name = prefix + shown(path)
    found = snapshot.trees_of_module(repo, path, link)
    if found is not None:
        module, before, after = found
        return _plan(module, (before, after), f"{name}/", todo, way)
    todo.left.append(f"{name}: another repository, whose commits are not here")
    return []


def _in_the_way(repo: Repository, path: bytes, there: dict[bytes, Entry], changes: dict[bytes, Entry | None]) -> bool:
    """Whether something that no record holds (an ignored file, a link) is at `path` or where a folder must be."""
    top = os.fsencode(repo.top or repo.place)
    parts = path.split(b"/")
    for n in range(1, len(parts)):
        above = b"/".join(parts[:n])
        full = os.path.join(top, above)
        if os.path.lexists(full) and (os.path.islink(full) or not os.path.isdir(full)):
            return changes.get(above, b"") is not None
    full = os.path.join(top, path)
    if path in there or not os.path.lexists(full):
        return False
    if os.path.isdir(full) and not os.path.islink(full):  # it goes with the last file in it
        return any(
            os.path.relpath(os.path.join(folder, name), top) not in changes
            for folder, _, names in os.walk(full)
            for name in names
        )
    return True


def finish(repo: Repository) -> None:
    """Finish an apply that was killed while it wrote. Never fails."""
    unfinished.finish(repo, _write)


def _write(repo: Repository, changes: Mapping[bytes, Entry | None]) -> None:
    """Take away what goes, then write the rest as git would, with the user's line ends and filters."""
    top = os.fsencode(repo.top or repo.place)
    _remove(top, (path for path, entry in changes.items() if entry is None))
    wanted = {path: entry for path, entry in changes.items() if entry is not None}
    if not wanted:
        return
    with tempfile.TemporaryDirectory(prefix="index-", dir=repo.common_dir / "relay") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        lines = b"".join(f"{mode} {oid}\t".encode() + path + b"\0" for path, (mode, oid) in wanted.items())
        try:
            repo.run("update-index", "-z", "--index-info", stdin=lines, env=env, users=True)
            repo.run("checkout-index", "--force", "--all", "--quiet", env=env, users=True)
        except GitError as e:
            raise Conflict(
                f"the changes could not all be written: {e.message}", hint="'git status' shows what was written"
            ) from e


def _remove(top: bytes, paths: Iterable[bytes]) -> None:
    """Remove files, and the folders that are empty then."""
    for path in sorted(paths, reverse=True):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(os.path.join(top, path))
        folder = os.path.dirname(path)
        with contextlib.suppress(OSError):
            while folder:
                os.rmdir(os.path.join(top, folder))
                folder = os.path.dirname(folder)
