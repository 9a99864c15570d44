"""Reading a repository whose objects may be missing, damaged or not in it yet: a few git processes for any number.

Every object is checked against the hash it is named by. One that git cannot read is told apart from the
rest: git ends at some kinds of damage, and is then started again behind it.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitrelay.audit.steps import CORRUPT, MISSING
from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository


@dataclass(frozen=True)
class ObjectStore:
    """The objects of `repo`, and those in the object folder `extra`, such as a push's quarantine."""

    repo: Repository
    extra: Path | None = None
    _env: Mapping[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.extra is not None:
            object.__setattr__(self, "_env", {"GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(self.extra)})

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
        """The kind of each object, MISSING where it is not there."""
        found: list[str] = []
        while len(found) < len(oids):
            stdin = "".join(f"{oid}\n" for oid in oids[len(found) :])
            lines = self._git("cat-file", "--batch-check", stdin=stdin, ok=(0, 128)).decode().splitlines()
            found += [line.split(" ")[1] for line in lines]
            if len(found) < len(oids):
                found.append(CORRUPT)
        return dict(zip(oids, found, strict=True))

    def commits(self, tips: Sequence[str]) -> list[str]:
        """The commits that can be reached from `tips`, none where one of them cannot be read."""
        try:
            return self._git("rev-list", "--stdin", stdin="".join(f"{tip}\n" for tip in tips)).decode().split()
        except GitError:
            return []

    def graph(self, tips: Sequence[str]) -> dict[str, tuple[str, tuple[str, ...]]] | None:
        """(tree, parents) of the commits that can be reached from `tips`; None where one of them cannot be read."""
        if not tips:
            return {}  # git would take HEAD
        try:
            out = self._git("log", "--stdin", "--format=%H %T %P", stdin="".join(f"{tip}\n" for tip in tips))
        except GitError:
            return None
        rows = (line.split(" ") for line in out.decode().splitlines())
        return {oid: (tree, tuple(parent for parent in parents if parent)) for oid, tree, *parents in rows}

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
        return self.repo.run(*words, stdin=stdin.encode(), env=self._env, ok=ok)


def remote_refs(repo: Repository, remote: str, *patterns: str) -> dict[str, str]:
    """The refs of a remote that match, and what they stand for."""
    out = repo.run("ls-remote", "--quiet", "--refs", "--", remote, *patterns).decode("utf-8", "replace")
    return {ref: oid for oid, _, ref in (line.partition("\t") for line in out.splitlines())}


@contextlib.contextmanager
def fetched(repo: Repository, remote: str, refs: Sequence[str]) -> Iterator[ObjectStore]:
    """A store that has the objects of the remote's `refs` too, while it is in use: nothing is written to `repo`."""
    with tempfile.TemporaryDirectory(prefix="git-relay-witness-") as folder:
        env = {
            "GIT_OBJECT_DIRECTORY": folder,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(repo.common_dir / "objects"),
        }
        words = ("--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules", "--no-write-fetch-head", "--refmap=")
        repo.run("fetch", *words, "--stdin", "--", remote, stdin="".join(f"{r}\n" for r in refs).encode(), env=env)
        yield ObjectStore(repo, Path(folder))


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
