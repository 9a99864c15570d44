"""The relay branches of one repository, for a caller in one of its working trees."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gitrelay.errors import Code, IntegrityError, RelayError, UsageError
from gitrelay.git import version
from gitrelay.git.faults import BRING_BACK
from gitrelay.git.objects import Object, TreeEntry
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.ledger import roots
from gitrelay.ledger.worktree import folder_of
from gitrelay.protocol import names
from gitrelay.protocol.message import FILE, request_file, response_file
from gitrelay.protocol.record import ARCHIVE, BINDING, BRANCHES, parse_raw
from gitrelay.state.calls import identity_of
from gitrelay.state.files import write_whole
from gitrelay.state.folder import State
from gitrelay.workspace.opening import repository

if TYPE_CHECKING:
    from gitrelay.redact import Redactor


@dataclass(frozen=True)
class Tip:
    """The state of a session: its last commit and the files in it.

    `head` is the caller's HEAD when this was read, for the trailer Relay-Head: a commit, or `unborn`. `data` is
    the commit as git holds it, empty if this process has just written it.
    """

    commit: str
    entries: tuple[TreeEntry, ...]
    head: str = "unborn"
    data: bytes = field(default=b"", repr=False, compare=False)

    @property
    def binding(self) -> dict[str, str]:
        """What a request that waits for its answer is bound to, trailer by trailer."""
        if BINDING.encode() not in self.data:
            return {}
        trailers = parse_raw(self.commit, self.data).trailers
        return {key: value for key, value in trailers.items() if key.startswith(BINDING)}

    @cached_property
    def ids(self) -> Sequence[str]:
        """The ids of all requests, in turn order; a one-shot's own id comes first."""
        end = request_file("")
        found = dict.fromkeys(name.removesuffix(end) for _, name, _ in self.entries if name.endswith(end))
        turns = [id_ for id_ in found if names.is_turn(id_)]
        return [*(id_ for id_ in found if names.is_one_shot(id_)), *sorted(turns, key=int)]

    @cached_property
    def pending(self) -> str | None:
        """The id of the request that has no response, None if all are answered."""
        files = {name for _, name, _ in self.entries}
        return next((i for i in self.ids if response_file(i) not in files), None)

    def checks(self, id_: str) -> int:
        """How many checks of an exchange are recorded."""
        return self._count(id_, "check")

    def applies(self, id_: str) -> int:
        """How often an exchange was applied, or not for a conflict."""
        return self._count(id_, "apply")

    def _count(self, id_: str, kind: str) -> int:
        ours = [name for _, name, _ in self.entries if name.startswith(f"{id_}.")]
        return sum(1 for name in ours if (m := FILE.fullmatch(name)) and m[1] == id_ and m[2].startswith(kind))

    @property
    def next_id(self) -> str:
        ids = self.ids
        if not ids:
            return names.turn_id(1)
        return names.turn_id(int(ids[-1]) + 1 if names.is_turn(ids[-1]) else 2)


def open_ledger(folder: Path) -> Ledger:
    """The ledger of the repository that `folder` is in. Raises UsageError if there is none."""
    return Ledger(repository(folder))


class Ledger:
    """The relay branches of one repository, for a caller in one of its working trees."""

    def __init__(self, repo: Repository) -> None:
        self.repo = repo
        _ = self.identity  # while it is here
        self.state = State(repo.common_dir, self._configured, lambda: repo.setting("core.sharedrepository"))

    def prepare(self) -> None:
        """Make the folder of the state, and note git's version there. Raises what `State.prepare` raises."""
        self.state.prepare()
        told = version.news()
        if told is not None:
            with contextlib.suppress(OSError):
                write_whole(self.state.root / version.FILE, told)

    def _configured(self) -> Redactor:
        from gitrelay.ledger import redaction

        return redaction.redactor(self.repo)

    @cached_property
    def identity(self) -> str:
        """What tells this repository from a copy of it, wherever it is moved."""
        return identity_of(self.repo.common_dir)

    def follow(self, common_dir: Path) -> None:
        """The repository has been moved, and its git folder is `common_dir` now: be there, and not at the old place.

        A caller's linked worktree does not find a repository that was moved: then its main working tree is used.
        """
        repo, old = self.repo, self.repo.common_dir
        tops = [common_dir.parent] if common_dir.name == ".git" else [common_dir]
        if repo.top is not None and old.name == ".git" and repo.top.is_relative_to(old.parent):
            tops.insert(0, common_dir.parent / repo.top.relative_to(old.parent))
        found = Repository(None, common_dir, common_dir, repo.object_format)
        for top in tops:
            with contextlib.suppress(RelayError):
                there = Repository.open(top)
                if os.path.samefile(there.common_dir, common_dir):
                    found = there
                    break
        repo.top, repo.git_dir, repo.common_dir, repo.place = found.top, found.git_dir, common_dir, found.place
        self.state.root = common_dir / "relay"

    @property
    def redactor(self) -> Redactor:
        """What takes secrets out of text. Raises UsageError for a bad pattern of the user's."""
        return self.state.redactor

    def tip(self, session: str, *, archived: bool = False) -> Tip | None:
        """The session's tip without its lock. Raises IntegrityError if the ref is not a commit."""
        return self.tips([(ARCHIVE if archived else BRANCHES) + session])[0]

    def tips(self, revs: Sequence[str]) -> list[Tip | None]:
        """The state at each of `revs` (full ref names or commit ids), None for what is missing: one git process."""
        head, *found = self.repo.objects(["HEAD", *(name for rev in revs for name in (rev, f"{rev}^{{tree}}"))])
        tips: list[Tip | None] = []
        for i, rev in enumerate(revs):
            commit, tree = found[2 * i], found[2 * i + 1]
            if commit is None:
                tips.append(None)
                continue
            if commit.kind == "commit" and tree is None:
                raise IntegrityError(
                    f"the tree of {rev} is gone from the repository", hint=BRING_BACK, code=Code.DAMAGED
                )
            if commit.kind != "commit" or tree is None:
                raise IntegrityError(
                    f"{rev} is not a session: it is a {commit.kind}",
                    hint="'git show-ref' tells what it is",
                    code=Code.NOT_A_SESSION,
                )
            self._refuse_strange(rev, commit)
            entries = tuple(self.repo.tree_entries(tree.data))
            tips.append(Tip(commit.oid, entries, head.oid if head else "unborn", commit.data))
        return tips

    def _refuse_strange(self, rev: str, commit: Object) -> None:
        """Raise UsageError for somebody's own branch that is named as a session's is: nothing is written to it.

        If a call runs, or has left its folder, the branch was a session's: who moved it since is no reason to lose
        the answer.
        """
        if b"\nRelay-" in commit.data or not rev.startswith((BRANCHES, ARCHIVE)):
            return
        call = self.state.call(rev.removeprefix(BRANCHES).removeprefix(ARCHIVE))
        if call.path.is_dir() or roots.begins(self.repo, commit.oid):
            return
        raise UsageError(
            f"{quote(rev.removeprefix('refs/heads/'))} is somebody's own branch: gitrelay did not begin it",
            hint="use another name, or rename the branch with 'git branch -m'",
            code=Code.NOT_A_SESSION,
        )

    def place_of(self, address: names.Address) -> Path:
        """The path of the request's file in the session's worktree, while there is one."""
        return folder_of(self.repo, address.session) / request_file(address.id)

    def taken(self, prefix: str) -> set[str]:
        """The names of sessions, archived ones too, that begin with `prefix`."""
        rows = self.repo.each_ref("%(refname)", f"{BRANCHES}{prefix}*", f"{ARCHIVE}{prefix}*")
        return {row[0].removeprefix(BRANCHES).removeprefix(ARCHIVE) for row in rows}

    def names_taken_by_user(self) -> None:
        """Raise UsageError if a branch named `relay` is in the way of `relay/<session>`."""
        if self.repo.ref("refs/heads/relay") is not None:
            raise UsageError(
                "branch 'relay' is in the way: git cannot hold it beside relay/<session>",
                hint="rename it: git branch -m relay <other-name>",
                code=Code.BRANCH_IN_THE_WAY,
            )
