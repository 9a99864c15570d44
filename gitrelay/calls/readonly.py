"""Whether read access was kept: all that outlives a call, compared before and after.

What a CLI's read-only mode promises is not taken on trust. docs/access.md lists the places that are compared, and
those that are not. The cost is one walk of the working trees, as `git status` makes, and a git process for each
index, for the refs and for the configuration.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from gitrelay.calls.places import Look, Walk
from gitrelay.errors import RelayError
from gitrelay.git.repository import Repository
from gitrelay.ground.value import dataclass
from gitrelay.ledger.worktree import FOLDER
from gitrelay.protocol import names
from gitrelay.protocol.record import ARCHIVE, ASIDE, BRANCHES, CODE, STEPS, Trailer, name_of, parse

_NAMED_MAX: Final = 20
_SESSIONS: Final = (BRANCHES, ARCHIVE, CODE, STEPS, ASIDE)  # may grow: other calls are recorded meanwhile
_OTHERS: Final = ("refs/relay/", "refs/prefetch/")  # gitrelay's other refs, and what `git maintenance` fetches
# settings that name a file or a folder of hooks, and what git reads if they are not there
_NAMING: Final = ("include.path", "core.attributesfile", "core.excludesfile", "core.hookspath")
_WORKTREE: Final = re.compile(r"^\s*worktree\s*=\s*(.*)$", re.MULTILINE)
_DEFAULTS: Final = ("attributes", "ignore")


@dataclass(frozen=True)
class Print:
    """What a repository looked like.

    `files`: path below the top -> what lstat says; `places`: a place -> what it holds; `sessions`: gitrelay's own
    refs -> commit. `fault`: why this could not be told, '' if it was.
    """

    files: Mapping[str, Look] = field(default_factory=dict)
    places: Mapping[str, object] = field(default_factory=dict)
    sessions: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True)
class Changes:
    """What differs, in words that a person knows: in the caller's working tree, and outside of it.

    `never` is what no call of gitrelay does: to another session, or to what is compared. `inside` is in the call's
    own workspace, if it has one.
    """

    here: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.here or self.shared or self.never or self.inside)

    def named(self) -> list[str]:
        """At most a handful: `changed src/a.py`, `new b.txt`, `the index`."""
        found = [*self.inside, *self.here, *self.shared, *self.never]
        return found if len(found) <= _NAMED_MAX else [*found[:_NAMED_MAX], f"{len(found) - _NAMED_MAX} more"]


def take(repo: Repository) -> Print:
    """The state now. Never raises: what went wrong is in `fault`."""
    if repo.top is None:
        return Print(fault="a bare repository has no working files")
    try:
        refs, sessions = _refs(repo)
        return Print(dict(_files(repo, repo.top)), refs | dict(_places(repo)), sessions)
    except (OSError, OverflowError) as e:
        return Print(fault=str(e))
    except RelayError as e:
        return Print(fault=e.message)


def files_in(repo: Repository, place: str) -> Print:
    """The files of a workspace now, and what its `.git` says. Never raises."""
    top, walk = Path(place), Walk()
    try:
        found: dict[str, Look] = dict(walk.tree(top))
        found |= dict(walk.git_folder(top / ".git", ".git/"))
        return Print(found, {"the index": _digest(_index_file(repo, top / ".git/index"))})
    except (OSError, OverflowError) as e:
        return Print(fault=str(e))
    except RelayError as e:
        return Print(fault=e.message)


def _index_file(repo: Repository, index: Path) -> bytes:
    """What an index of a workspace holds, read with the user's git directory; the same if git refreshes it."""
    return repo.run("ls-files", "--stage", "-v", "-z", env={"GIT_INDEX_FILE": str(index)}) if index.exists() else b""


def compare_files(before: Print, after: Print) -> tuple[str, ...]:
    """What differs between two looks at a workspace."""
    if after.fault or (before.files and not after.files):
        return (f"its workspace: {after.fault or 'it is gone'}",)
    files = [words for words, _ in _differences(before.files, after.files)]
    places = [name for _, name in _differences(before.places, after.places)]
    return tuple(f"{words} in its workspace" for words in (*files, *places))


def compare(repo: Repository, before: Print, after: Print, own: str = "") -> Changes:
    """What differs. The session `own` must be the same; other sessions may have grown."""
    if after.fault:
        return Changes(never=(f"what can be compared: {after.fault}",))
    files = list(_differences(before.files, after.files))
    elsewhere = [words for words, path in files if path.startswith("../")]
    here = [words for words, path in files if not path.startswith("../")]
    places = [name if name.startswith("the ") else words for words, name in _differences(before.places, after.places)]
    return Changes(tuple(here), (*elsewhere, *places), tuple(_sessions(repo, before.sessions, after.sessions, own)))


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield f"{'new' if old is None else 'deleted' if new is None else 'changed'} {name}", name


# -- files ---------------------------------------------------------------------------------------------


def _files(repo: Repository, top: Path) -> Iterator[tuple[str, Look]]:
    walk = Walk()
    others = [place for place, _ in _other_worktrees(repo)]
    apart = {top, *others}  # one may lie in another
    yield from walk.tree(top, apart=apart)
    for place in others:
        yield from walk.tree(place, os.path.relpath(place, top) + "/", apart=apart)


def _other_worktrees(repo: Repository) -> Iterator[tuple[Path, Path]]:
    """(working tree, its git folder) of the repository's other working trees, without those of sessions."""
    if repo.git_dir != repo.common_dir and repo.common_dir.name == ".git":
        yield repo.common_dir.parent, repo.common_dir
    for admin in sorted((repo.common_dir / "worktrees").glob("*")):
        named = _text(admin / "gitdir").strip()
        if not named:
            continue  # `git worktree add` has just begun, as for a session that is opened meanwhile
        place = Path(os.path.normpath(admin / named)).parent  # it may be relative
        if admin != repo.git_dir and not _is_sessions(repo, admin, place):
            yield place, admin


def _is_sessions(repo: Repository, admin: Path, place: Path) -> bool:
    """Whether a linked working tree belongs to a session."""
    return place.parent.name == FOLDER or repo.common_dir / "relay" in place.parents


def _text(path: Path) -> str:
    return _read(path).decode("utf-8", "surrogateescape")


def _read(path: Path) -> bytes:
    """'' for a file that is not there."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""


# -- what git says -------------------------------------------------------------------------------------


def _places(repo: Repository) -> Iterator[tuple[str, object]]:
    yield "the index", _digest(_index(repo, repo.place))
    walk = Walk()
    yield from walk.git_folder(repo.common_dir, ".git/", main=True)
    for folder in {repo.common_dir, repo.git_dir}:
        short = ".git" if folder == repo.common_dir else f".git/worktrees/{folder.name}"
        yield f"{short}/FETCH_HEAD", _digest(_read(folder / "FETCH_HEAD"))
    if (repo.common_dir / "reftable").is_dir():
        yield ".git/HEAD", _main_head(repo)
    if repo.git_dir != repo.common_dir:
        yield from walk.git_folder(repo.git_dir, f".git/worktrees/{repo.git_dir.name}/")
    for place, admin in _other_worktrees(repo):
        if admin != repo.common_dir:
            yield from walk.git_folder(admin, f".git/worktrees/{admin.name}/")
        yield f"the index of {place}", _digest(_other_index(repo, place))
    for place in _submodules(repo):
        yield f"the index of {os.path.relpath(place, repo.place)}", _digest(_other_index(repo, place))
    yield from _settings(repo, walk)


def _index(repo: Repository, place: Path) -> bytes:
    """What the index holds, with the flags of its entries; this stays the same if git refreshes it."""
    return repo.run("ls-files", "--stage", "-v", "-z", place=place)


def _main_head(repo: Repository) -> str:
    """HEAD of the main working tree: in a repository with a reftable the file says nothing of it."""
    head = "main-worktree/HEAD"
    try:
        return repo.run("rev-parse", head, "--symbolic-full-name", head).decode("utf-8", "replace")
    except RelayError:  # a branch without a commit
        try:
            return repo.run("symbolic-ref", head).decode("utf-8", "replace")
        except RelayError as e:
            return e.message


def _other_index(repo: Repository, place: Path) -> bytes:
    try:
        return _index(repo, place) if (place / ".git").exists() else b""
    except RelayError as e:
        return e.message.encode()


def _submodules(repo: Repository) -> Iterator[Path]:
    """The working trees of submodules, those of submodules of submodules too, as their git folders tell."""
    waiting = [repo.common_dir / "modules"]
    while waiting:
        folder = waiting.pop()
        if not folder.is_dir():
            continue
        if not (folder / "HEAD").is_file() or not (folder / "objects").is_dir():
            waiting += sorted(folder.iterdir())
            continue
        waiting.append(folder / "modules")
        place = _WORKTREE.search(_text(folder / "config"))
        if place is not None:
            yield Path(os.path.normpath(folder / place[1].strip().strip('"')))


def _settings(repo: Repository, walk: Walk) -> Iterator[tuple[str, object]]:
    """The files that the configuration is read from, the user's own too, and what its settings name."""
    files = {repo.common_dir / "config", repo.git_dir / "config.worktree", repo.common_dir / "config.worktree"}
    folders: set[Path] = set()
    home = Path(os.path.expanduser("~"))
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "git"
    files |= {config_home / name for name in _DEFAULTS}
    fields = iter(repo.run("config", "--null", "--show-origin", "--list", users=True).split(b"\0"))
    for origin in fields:
        item = next(fields, b"")
        source = origin.decode("utf-8", "surrogateescape")
        base = repo.place
        if source.startswith("file:"):
            path = repo.place / source.removeprefix("file:")
            files.add(path)
            base = path.parent
        name, _, value = item.decode("utf-8", "surrogateescape").partition("\n")
        if value and (name in _NAMING or (name.startswith("includeif.") and name.endswith(".path"))):
            named = base / os.path.expanduser(value)
            (folders if name == "core.hookspath" else files).add(named)
    top = repo.common_dir
    for path in sorted({Path(os.path.normpath(path)) for path in files}):
        shown = f".git/{path.relative_to(top)}" if path.is_relative_to(top) else str(path)
        yield shown, _digest(_read(path))
    for folder in folders:
        if folder.is_dir():
            for name, look in walk.tree(folder):
                yield str(folder / name), look


# -- refs ----------------------------------------------------------------------------------------------


def _refs(repo: Repository) -> tuple[dict[str, str], dict[str, str]]:
    """(refs, gitrelay's sessions and what belongs to them): the full name -> what it stands for."""
    refs, sessions = {}, {}
    for name, oid, target in repo.each_ref("%(refname)%00%(objectname)%00%(symref)"):
        if name.startswith(_SESSIONS):
            sessions[name] = f"{oid} {target}".rstrip()
        elif not name.startswith(_OTHERS):
            refs[name] = f"{oid} {target}".rstrip()
    return refs, sessions


def _sessions(repo: Repository, before: Mapping[str, str], after: Mapping[str, str], own: str) -> Iterator[str]:
    """What happened to sessions and is not that they grew, or that one was archived or brought back."""
    kept = {BRANCHES + own, CODE + own, STEPS + own}
    for ref, old in sorted(before.items()):
        now = after.get(ref) or after.get(_twin(ref))
        if now is None:
            yield f"deleted {ref}"
        elif now != old and (ref in kept or not _grew(repo, ref, old, now)):
            yield f"changed {ref}"
    for ref in sorted(after.keys() - before.keys()):
        if _twin(ref) not in before and not _grew(repo, ref, "", after[ref]):
            yield f"new {ref}"


def _twin(ref: str) -> str:
    """The archived ref of a branch, the branch of an archived ref; '' for others."""
    if ref.startswith((BRANCHES, ARCHIVE)):
        return (BRANCHES if ref.startswith(ARCHIVE) else ARCHIVE) + name_of(ref)
    return ""


def _grew(repo: Repository, ref: str, old: str, new: str) -> bool:
    """Whether only commits were added, and to a session only such as gitrelay writes; `old` '' for a new ref."""
    if not names.is_object_id(new) or (old and not names.is_object_id(old)):
        return False  # a symbolic ref is no session
    try:
        if old and repo.run("rev-list", "--max-count=1", f"{new}..{old}").strip():
            return False
        if not ref.startswith((BRANCHES, ARCHIVE)):
            return True
        since = [f"^{old}"] if old else []
        rows = repo.run("log", "--format=%H%x00%P%x00%B%x01", new, *since, "--").decode("utf-8", "replace")
        commits = [row.lstrip("\n").split("\0", 2) for row in rows.split("\x01")[:-1]]
    except RelayError:
        return False
    return all(len(parents.split()) <= 1 and _is_ours(oid, text) for oid, parents, text in commits)


def _is_ours(oid: str, text: str) -> bool:
    trailers = parse(oid, "", text).trailers
    return Trailer.ID in trailers or Trailer.VERSION in trailers


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
