"""A workspace: made for a session from the caller's repository as it is now, and removed.

The peer's `git status`, `git diff`, `git diff --cached` and `git log main..HEAD` say there what they say to the caller;
what it does with git stays there. gitrelay looks at its files as `seen` gives them, never through its `.git`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from gitrelay.errors import CannotRecord, Code, RelayError
from gitrelay.git.elsewhere import Elsewhere, module_at
from gitrelay.git.faults import Damaged, GitError, last_line
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote_path
from gitrelay.ground.value import dataclass
from gitrelay.state.calls import identity_of
from gitrelay.state.files import cannot_write, make_folder, write_whole
from gitrelay.state.folder import State
from gitrelay.workspace import alone as without_a_past
from gitrelay.workspace import borrow, committed, copying, included, index, keep, place, where
from gitrelay.workspace.looking import Facts, look, together
from gitrelay.workspace.place import FOLDER, Note, Stage

_DEPTH: Final = 16  # repositories inside repositories


@dataclass(frozen=True)
class Workspace:
    """A workspace that is ready. `left_out` are the paths that could not be copied, with the reason."""

    note: Note
    left_out: Mapping[str, str]

    @property
    def path(self) -> Path:
        return self.note.path


def make(
    repo: Repository, state: State, session: str, named: Sequence[str] = (), at: str = "", *, alone: bool = False
) -> Workspace:
    """Make the session's workspace again; one that is there gives way. `named`: ignored files it gets too.

    Its files are removed by `sweep`, later: ext4 makes files five times as slowly after it has removed as many.

    With `at` it has the files of that commit, and HEAD there; the caller's changes are not in it. If it is
    also `alone`, `at` may be a tree; it is outside of the caller's tree and knows of nothing else (`workspace.alone`).

    Raises CannotRecord if the repository is bare, if something else is in the way, or if the disk does not let it.
    """
    if repo.top is None:
        raise CannotRecord("a bare repository has no files to isolate", hint="use a clone", code=Code.BARE_REPOSITORY)
    note = where.note_for(repo, session, where.apart(repo) if alone else None)
    state.prepare()
    before = place.read_note(state.root, session)
    remove(repo, state, session, later=True)
    try:
        place.write_note(state.root, note)
        make_folder(place.index_path(state.root, session).parent)
        ignore = repo.top / ".relay/.gitignore"
        note = _folder(state, note)
        if not alone:
            where.point_back(note)
        if not note.outside and not ignore.exists():
            write_whole(ignore, b"*\n")
        place.write_note(state.root, note)
        filling = _Filling(state.root, session, named)
        seen = (lambda: without_a_past.NOTHING) if alone else (lambda: look(repo))
        facts, tree = together(seen, lambda: committed.tree_of(repo, at) if at else keep.index_tree(repo))
        facts = committed.facts_at(facts, at) if at and not alone else facts
        top, path, line = repo.top, note.path, place.line_of(note)
        together(
            lambda: (
                filling.fill_at(repo, facts, top, path, at, alone=alone)
                if at
                else filling.fill(repo, facts, top, path, b"")
            ),
            lambda: keep.keep(repo, session, line, facts, tree),
        )
        modules = tuple(os.fsdecode(name) for name in filling.indexes[1:])
        note = replace(note, stage=Stage.READY, modules=modules)
        place.write_note(state.root, note)
    except OSError as e:
        _give_up(repo, state, session)
        if before is not None and e.errno == errno.ENOSPC:
            return make(repo, state, session, named, at, alone=alone)  # there is more room now
        raise cannot_write(note.path, e) from e
    except GitError as e:
        _give_up(repo, state, session)
        raise _unreadable(e) from e
    except BaseException:
        _give_up(repo, state, session)
        raise
    return Workspace(note, {os.fsdecode(name): why for name, why in filling.left_out.items()})


def _folder(state: State, note: Note) -> Note:
    """Make the folder of a new workspace. Raises CannotRecord if something that is not gitrelay's is in the way."""
    try:
        return place.make_folder(note)
    except OSError as e:
        if e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            place.forget(state.root, note.session)
            raise CannotRecord(
                f"no workspace can be made at {quote_path(note.path)}: {e.strerror}",
                hint="git config relay.workspaces names another folder; --shared works in your tree",
                code=Code.BAD_FOLDER,
            ) from e
        if e.errno not in (errno.EEXIST, errno.ENOTDIR, errno.ELOOP):
            raise
        place.forget(state.root, note.session)  # nothing was made
        raise CannotRecord(
            f"no workspace can be made at {quote_path(note.path)}: something else is there, or above it",
            hint=f"ls -ld {shlex.quote(str(note.path.parent))}; move what is not gitrelay's away",
            code=Code.BAD_FOLDER,
        ) from e


def _unreadable(error: GitError) -> RelayError:
    """What is told if git cannot read the caller's repository; what is damaged has an error of its own."""
    if isinstance(error, Damaged):
        return error
    return CannotRecord(
        f"no workspace can be made, git cannot read your files: {last_line(error.stderr)}",
        hint="'git status' shows what is wrong; --shared works in your tree",
        code=Code.GIT,
    )


def seen(repo: Repository, state: State, session: str) -> Elsewhere | None:
    """The repository with the files of the session's workspace; None if there is no finished one."""
    note = note_of(repo, state, session)
    return None if note is None or not place.is_sound(note) else seen_by(repo, state.root, note)


def note_of(repo: Repository, state: State, session: str) -> Note | None:
    """The note of the session's workspace, wherever the repository has been moved since; None if there is none."""
    note = place.read_note(state.root, session)
    return None if note is None else place.followed(note, repo.top)


def seen_by(repo: Repository, root: Path, note: Note) -> Elsewhere:
    """The same for the workspace of a note; `root` is the folder of this machine's state."""
    origin = repo.origin if isinstance(repo, Elsewhere) else repo
    modules: dict[bytes, Elsewhere] = {}
    whole = Elsewhere(origin, note.path, place.index_path(root, note.session), modules)
    by_path = {b"": whole}
    for number, name in enumerate(note.modules, start=1):
        path = os.fsencode(name)
        above = max((one for one in by_path if not one or path.startswith(one + b"/")), key=len)
        outer = by_path[above]
        inside = path[len(above) + 1 :] if above else path
        module = module_at(outer.origin, inside)
        if module is not None:
            found = Elsewhere(module, note.path / name, place.index_path(root, note.session, number), {})
            by_path[path] = found
            outer.modules[inside] = found
    return whole


def sweep(note: Note) -> None:
    """Remove the files of the workspaces that have given way beside this one. Never raises."""
    place.sweep(note.home, str(Path(note.name).parent))


def remove(repo: Repository, state: State, session: str, *, later: bool = False) -> None:
    """Remove the session's workspace, finished or not, and what was kept for it; `later` leaves its files to `sweep`.

    Raises CannotRecord if something that gitrelay did not make is there.
    """
    note = note_of(repo, state, session)
    if note is None and not _may_be_there(repo, session):
        return
    if note is None:
        note = place.parse_note(keep.kept_note(repo, session), session, identity_of(repo.common_dir))
    try:
        if note is not None:
            place.write_note(state.root, replace(note, stage=Stage.REMOVING))
            if (
                not place.remove_folder(note, later=later) and note.inode
            ):  # without an inode, nothing of ours was there yet
                raise CannotRecord(
                    f"{quote_path(note.path)} is not the folder that gitrelay made",
                    hint="move it away, then try again",
                    code=Code.BAD_FOLDER,
                )
        keep.let_go(repo, session)
        place.forget(state.root, session)
    except OSError as e:
        raise cannot_write(note.path if note is not None else place.note_path(state.root, session), e) from e
    if note is not None:
        where.forget(note)
        if not later:
            sweep(note)


def _may_be_there(repo: Repository, session: str) -> bool:
    """Whether a workspace without a note, or the ref of one, may be there; told without git if the refs are files."""
    if (repo.common_dir / "reftable").exists() or (repo.top is not None and (repo.top / FOLDER / session).exists()):
        return True
    ref = keep.KEPT + session
    try:
        packed = (repo.common_dir / "packed-refs").read_bytes()
    except FileNotFoundError:
        packed = b""
    return (repo.common_dir / ref).exists() or ref.encode() in packed


def _give_up(repo: Repository, state: State, session: str) -> None:
    with contextlib.suppress(RelayError, OSError):  # the note says what is left, and the next command tries again
        remove(repo, state, session)


class _Filling:
    """Fills a workspace: a repository, and those inside it.

    `indexes`: the place of each submodule below the top, that of the top first, in the order of their indexes.
    """

    def __init__(self, root: Path, session: str, named: Sequence[str]) -> None:
        self._root = root
        self._named = named
        self._session = session
        self.indexes: list[bytes] = []
        self.left_out: dict[bytes, str] = {}

    def fill(self, repo: Repository, facts: Facts, top: Path, target: Path, prefix: bytes, depth: int = 0) -> None:
        """Fill `target` with the repository at `top`; `prefix` is its path below the caller's top, with a slash."""
        borrow.make(repo, target, facts)
        names = [name for name in facts.paths if name != b".relay" and not name.startswith(b".relay/")]
        more, left = included.chosen(repo, names, self._named) if not prefix else ([], {})
        copied = copying.copy([*names, *more], top, target)
        self.left_out |= left
        _write_index(repo, target, copied)
        if not prefix or self._is_module(repo):
            mine = target / ".git/index"
            kept = place.index_path(self._root, self._session, len(self.indexes))
            if mine.exists():
                shutil.copyfile(mine, kept)
            self.indexes.append(prefix.rstrip(b"/"))
        self.left_out |= {prefix + name: why for name, why in copied.left_out.items()}
        for folder in copied.folders:
            below, inside = top / os.fsdecode(folder), target / os.fsdecode(folder)
            inside.mkdir(parents=True, exist_ok=True)
            if depth < _DEPTH and os.path.lexists(below / ".git"):
                try:
                    module = module_at(repo, folder) or Repository.open(below)
                    self.fill(module, look(module), below, inside, prefix + folder + b"/", depth + 1)
                except RelayError as e:
                    self.left_out[prefix + folder + b"/"] = e.message

    def fill_at(
        self, repo: Repository, facts: Facts, top: Path, target: Path, commit: str, *, alone: bool = False
    ) -> None:
        """Fill `target` with the files of `commit`, and with the ignored files that are included."""
        if alone:
            without_a_past.make(repo, target, committed.tree_of(repo, commit))
        else:
            borrow.make(repo, target, facts, under_way=False)
        names, left = committed.fill(repo, target, commit)
        more, others = included.chosen(repo, [*names, *facts.paths], self._named)
        below = os.fsencode(target)
        copied = copying.copy([one for one in more if not os.path.lexists(os.path.join(below, one))], top, target)
        self.left_out |= left | others | copied.left_out
        shutil.copyfile(target / ".git/index", place.index_path(self._root, self._session))
        self.indexes.append(b"")

    def _is_module(self, repo: Repository) -> bool:
        return isinstance(repo, Elsewhere) or "modules" in repo.git_dir.parts


def _write_index(repo: Repository, target: Path, copied: copying.Copied) -> None:
    try:
        data, written = repo.index.read_bytes(), repo.index.stat().st_mtime
    except FileNotFoundError:
        return
    mine = target / ".git/index"
    try:
        mine.write_bytes(index.restated(data, copied.stats, repo.object_format, written))
    except index.Unknown:
        mine.write_bytes(data)
        # with the caller's git directory: its filters and settings are the user's own
        env = {"GIT_INDEX_FILE": str(mine), "GIT_WORK_TREE": str(target), "GIT_DIR": str(repo.git_dir)}
        repo.run("update-index", "-q", "--refresh", env=env, ok=(0, 1), users=True)
