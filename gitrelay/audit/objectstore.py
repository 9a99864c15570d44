"""Reading a repository whose objects may be missing, damaged or not in it yet: a few git processes for any number.

Every object is checked against the hash it is named by. One that git cannot read is kept apart from the
rest: git ends at some kinds of damage, and is then started again behind it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gitrelay.audit.steps import CORRUPT, MISSING
from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.state.files import remove_tree

# parents are those that the commits say: no grafts, no shallow cut; replace refs are switched off for all of our git
_PAST_FILES: Final = {"GIT_GRAFT_FILE": os.path.join(os.devnull, "none"), "GIT_SHALLOW_FILE": ""}
_PAST_CACHES: Final = ("-c", "core.commitGraph=false")  # a file of git's own that repeats what commits say
_SCRATCH: Final = "git-relay-witness-"
_LEFT: Final = 3600.0  # seconds
_AT_ONCE: Final = 5000  # commits; their ids go on a command line
_BROUGHT: Final = re.compile(r"fetch|pull|push|clone|branch|update by push", re.IGNORECASE)  # begins a reflog entry


@dataclass(frozen=True)
class ObjectStore:
    """The objects of `repo`, and those in the object folder `extra`, such as a push's quarantine."""

    repo: Repository
    extra: Path | None = None
    _env: Mapping[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        env = dict(_PAST_FILES)
        if self.extra is not None:
            env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = _quoted(self.extra)
        object.__setattr__(self, "_env", env)

    @property
    def environment(self) -> Mapping[str, str]:
        """What git needs to see the same objects."""
        return self._env

    def read(self, kind: str, oids: Sequence[str]) -> dict[str, bytes | str]:
        """The bytes of each object of `kind`; for one that cannot be had a str that says why."""
        found: dict[str, bytes | str] = {}
        wanted = list(dict.fromkeys(oids))
        hasher = hashlib.sha256 if self.repo.object_format == "sha256" else hashlib.sha1
        while len(found) < len(wanted):
            rest = wanted[len(found) :]
            out = self._git("cat-file", "--batch", "--buffer", stdin="\n".join(rest) + "\n", ok=(0, 128))
            for oid, head, data in _answers(out, rest):
                if data is None:
                    found[oid] = MISSING
                elif not head.startswith(kind.encode()):
                    found[oid] = f"is a {head.partition(b' ')[0].decode()}"
                else:
                    digest = hasher(head + b"\0")
                    digest.update(data)
                    found[oid] = data if digest.hexdigest() == oid else CORRUPT
            if len(found) < len(wanted):
                found[wanted[len(found)]] = CORRUPT  # the one at which git ended
        return found

    def kinds(self, oids: Sequence[str]) -> dict[str, str]:
        """The kind of each object, MISSING if it is not there."""
        found: list[str] = []
        while len(found) < len(oids):
            stdin = "".join(f"{oid}\n" for oid in oids[len(found) :])
            lines = self._git("cat-file", "--batch-check", stdin=stdin, ok=(0, 128)).decode().splitlines()
            found += [line.split(" ")[1] for line in lines]
            if len(found) < len(oids):
                found.append(CORRUPT)
        return dict(zip(oids, found, strict=True))

    def commits(self, tips: Sequence[str]) -> list[str]:
        """The commits that can be reached from `tips`, none if one of them cannot be read."""
        try:
            return self._git("rev-list", "--stdin", stdin="".join(f"{tip}\n" for tip in tips)).decode().split()
        except GitError:
            return []

    def graph(self, tips: Sequence[str]) -> dict[str, tuple[str, tuple[str, ...]]] | None:
        """(tree, parents) of the commits that can be reached from `tips`; None if one of them cannot be read."""
        if not tips:
            return {}  # git would take HEAD
        try:
            out = self._git("log", "--stdin", "--format=%H %T %P", stdin="".join(f"{tip}\n" for tip in tips))
        except GitError:
            return None
        rows = (line.split(" ") for line in out.decode().splitlines())
        return {oid: (tree, tuple(parent for parent in parents if parent)) for oid, tree, *parents in rows}

    def named_trees(self, tip: str) -> frozenset[str] | None:
        """The values of Relay-Tree in the commits that can be reached from `tip`; None if one cannot be read."""
        try:
            out = self._git("log", "--format=%(trailers:key=Relay-Tree,valueonly)", "--end-of-options", tip, "--")
        except GitError:
            return None
        return frozenset(out.decode("utf-8", "replace").split())

    def is_session(self, tip: str) -> bool:
        """Whether a commit that can be reached from `tip` says that it is gitrelay's."""
        try:
            out = self._git("log", "--format=%B", "--end-of-options", tip, "--")
        except GitError:
            return False
        return re.search(rb"^Relay-(?:Version|Id): ", out, re.MULTILINE) is not None

    def written_here(self, refs: Sequence[str]) -> dict[str, frozenset[str]]:
        """The commits of each of the branches `refs` that gitrelay wrote in this repository, as its reflog tells.

        All of the branch, if it began here and nothing was ever brought from elsewhere. One git process.
        """
        if not refs:
            return {}
        words = ("log", "-g", "--format=%gD%x00%H%x00%gs", "--end-of-options", *refs, "--")
        out = self._git(*words, ok=(0, 128)).decode("utf-8", "replace")
        moves: dict[str, list[tuple[str, str]]] = {}
        for line in out.splitlines():
            name, _, rest = line.partition("\0")
            oid, _, why = rest.partition("\0")
            moves.setdefault(name.rpartition("@{")[0], []).append((oid, why))
        return {ref: self._written(ref, moves.get(ref, [])) for ref in refs}

    def _written(self, ref: str, moves: Sequence[tuple[str, str]]) -> frozenset[str]:
        """`moves` are (the commit, why), the latest first."""
        if moves and moves[-1][1].startswith("gitrelay: open ") and not any(_BROUGHT.match(why) for _, why in moves):
            return frozenset(self.commits([ref]))
        return frozenset(oid for oid, why in moves if why.startswith("gitrelay: "))

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` is `old` or goes on from it; False too if one of them cannot be read."""
        try:
            return not self._git("rev-list", "--max-count=1", f"{new}..{old}", "--").strip()
        except GitError:
            return False

    def signatures(self, oids: Sequence[str], allowed_signers: Path | None) -> dict[str, tuple[str, str]]:
        """git's verdict (%G?) on the signature of each commit, and the key. git starts gpg or ssh-keygen for each."""
        if not oids:
            return {}  # git would take HEAD
        settings = [] if allowed_signers is None else ["-c", f"gpg.ssh.allowedSignersFile={allowed_signers}"]
        format_ = "--format=%H%x00%G?%x00%GK"
        out = self._git(
            *settings, "log", "--no-walk=unsorted", "--stdin", format_, stdin="".join(f"{oid}\n" for oid in oids)
        )
        rows = (line.split("\0") for line in out.decode("utf-8", "replace").splitlines())
        return {oid: (verdict, key) for oid, verdict, key in rows}

    def _git(self, *words: str, stdin: str = "", ok: Sequence[int] = (0,)) -> bytes:
        return self.repo.run(*_PAST_CACHES, *words, stdin=stdin.encode(), env=self._env, ok=ok)


@contextlib.contextmanager
def fetched(
    repo: Repository,
    remote: str,
    prefixes: Sequence[str],
    *,
    folder: Path | None = None,
    settings: Sequence[str] = (),
    options: Sequence[str] = (),
    exact: bool = False,
    commits: Sequence[str] = (),
) -> Iterator[tuple[dict[str, str], ObjectStore]]:
    """(the remote's refs that begin with `prefixes`, a store that has their objects too) while it is in use.

    `folder` is where the objects are kept meanwhile; `settings` and `options` are more words for git and its fetch;
    `exact`: the prefixes are whole names, of refs that are there. `commits` are fetched too, by their ids.

    Nothing is written to `repo`: objects go into a folder of their own, and FETCH_HEAD into a git directory that has
    the repository's settings and refs and nothing else. The server is asked for these refs only (protocol 2), as
    `ls-remote` with a pattern does not: it transfers every ref. Raises GitError.
    """
    _remove_left(folder)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as scratch:
        place, objects = Path(scratch) / "git", Path(scratch) / "objects"
        place.mkdir()
        objects.mkdir()
        (place / "HEAD").write_text("ref: refs/heads/.none\n")
        (place / "commondir").write_text(f"{repo.common_dir}\n")
        (place / "reftable").mkdir()  # for a repository that keeps its refs so
        env = {
            "GIT_DIR": str(place),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(repo.common_dir / "objects"),
        }
        words = (*settings, "-c", "protocol.version=2", "fetch", "--quiet", "--no-tags", "--no-prune")
        words = (*words, "--no-recurse-submodules", *options)
        # git wants a place for what a pattern matches; one below refs/worktree/ is in `place`, not in `repo`
        wanted = [f"+{prefix}:refs/worktree/{prefix}" for prefix in (p + "*" * (not exact) for p in prefixes)]
        for start in range(0, max(1, len(commits)), _AT_ONCE):
            more = commits[start : start + _AT_ONCE]
            if wanted or more:
                repo.run(*words, "--append", "--refmap=", "--", remote, *wanted, *more, env=env)
            wanted = []
        yield _fetch_head(place / "FETCH_HEAD", prefixes), ObjectStore(repo, objects)


def _remove_left(folder: Path | None) -> None:
    """Remove what fetches that were killed have left in `folder`; one that runs ends within `git.run.LIMIT`."""
    for path in folder.glob(f"{_SCRATCH}*") if folder is not None else ():
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > _LEFT:
                remove_tree(path)


_FETCHED: Final = re.compile(r"([0-9a-f]{40,64})\t(?:not-for-merge)?\t(branch )?'([^']+)' of ")


def _fetch_head(path: Path, prefixes: Sequence[str]) -> dict[str, str]:
    """The refs that FETCH_HEAD names, and what they stand for."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    rows = (_FETCHED.match(line) for line in text.splitlines())
    refs = {("refs/heads/" if row[2] else "") + row[3]: row[1] for row in rows if row is not None}
    return {ref: oid for ref, oid in refs.items() if ref.startswith(tuple(prefixes))}


def _quoted(path: Path) -> str:
    """A path as one of git's list of object folders, which is separated by ':'."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _answers(out: bytes, oids: Sequence[str]) -> Iterator[tuple[str, bytes, bytes | None]]:
    """The answers of `cat-file --batch` for `oids`, as far as they are whole: oid, `kind size`, the bytes or None."""
    at = 0
    for oid in oids:
        end = out.find(b"\n", at)
        if end < 0:
            return
        head = out[at + len(oid) + 1 : end]
        if head == b"missing":
            at = end + 1
            yield oid, head, None
        else:
            at = end + 2 + int(head[head.index(b" ") :])
            if at > len(out):
                return
            yield oid, head, out[end + 1 : at - 1]
