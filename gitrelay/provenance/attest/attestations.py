"""Where signed statements are kept: the layout that in-toto's ITE-13 proposes, so that other tools find them.

`refs/attestations/trees` (and `commits`): a tree with a folder for each object, in it `NAME.intoto.jsonl`, an envelope
a line; the latest commit is the state. The refs move by compare-and-swap, and what is there stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gitrelay.errors import Busy, Code, UsageError
from gitrelay.git import graft
from gitrelay.git.faults import GitError
from gitrelay.git.objects import FILE_MODE
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.protocol.record import Identity
from gitrelay.provenance.attest.dsse import Envelope
from gitrelay.provenance.attest.statements import Statement

PREFIX: Final = "refs/attestations/"
NAME: Final = "gitrelay.intoto.jsonl"
_FOLDERS: Final = {"gitTree": "trees", "gitCommit": "commits"}  # digest -> ref; a subject's first one counts
_TRIES: Final = 20
_AUTHOR: Final = Identity("gitrelay", "gitrelay@gitrelay.invalid")


def store(repo: Repository, signed: Sequence[tuple[Statement, Envelope]]) -> list[str]:
    """Add each envelope to the file of its subject; the full names of the refs that have it. Raises Busy, GitError."""
    wanted: dict[str, dict[str, list[str]]] = {}
    for statement, envelope in signed:
        kind, oid = _subject(statement)
        wanted.setdefault(PREFIX + _FOLDERS[kind], {}).setdefault(f"{oid}/{NAME}", []).append(envelope.line())
    for ref, files in wanted.items():
        _add(repo, ref, files)
    return sorted(wanted)


def read(repo: Repository, ref: str) -> list[bytes]:
    """The envelopes of all files below a ref, as lines. Raises UsageError if there is no such ref."""
    tree = repo.objects([f"{ref}^{{tree}}"])[0]
    if tree is None:
        raise UsageError(
            f"{quote(ref)} is no ref with attestations",
            hint="git relay attest --store ADDRESS; git fetch REMOTE 'refs/attestations/*:refs/attestations/*'",
            code=Code.UNKNOWN_REVISION,
        )
    out = repo.run("ls-tree", "-r", "-z", "--name-only", tree.oid).decode("utf-8", "surrogateescape")
    names = [name for name in out.split("\0") if name.endswith(".intoto.jsonl") and "\n" not in name]
    blobs = repo.objects([f"{tree.oid}:{name}" for name in names])
    return [line for blob in blobs if blob is not None for line in blob.data.splitlines() if line.strip()]


def _add(repo: Repository, ref: str, files: Mapping[str, Sequence[str]]) -> None:
    for _ in range(_TRIES):
        old, tree, *there = repo.objects([ref, f"{ref}^{{tree}}", *(f"{ref}:{name}" for name in files)])
        changes: dict[bytes, tuple[str, str] | None] = {}
        for (name, lines), blob in zip(files.items(), there, strict=True):
            known = blob.data.decode("utf-8", "replace").splitlines() if blob is not None else []
            data = "".join(f"{line}\n" for line in dict.fromkeys([*known, *lines]))
            changes[name.encode()] = (FILE_MODE, repo.write_data(data.encode()))
        made = graft.graft(repo, tree, changes)
        if tree is not None and made == tree.oid:
            return
        parents = [old.oid] if old is not None else []
        commit = repo.commit(made, parents, "Add attestations\n", _AUTHOR, sign=False)
        try:
            repo.move_refs([(ref, commit, old.oid if old is not None else repo.no_object)], "attest")
        except GitError:
            continue  # another process was first: what it has added is read again
        return
    raise Busy(f"{ref} is being written to all the time", hint="try again")


def _subject(statement: Statement) -> tuple[str, str]:
    digest = statement["subject"][0]["digest"]
    kind = next(kind for kind in _FOLDERS if kind in digest)
    return kind, digest[kind]
