"""Finished sessions of a remote that have no refs of their own there: one list of them, and one ref that keeps them.

A push downloads the name of every ref of the remote, so ten thousand finished sessions would cost a megabyte for each
claim. `INDEX` is a commit whose files list the sessions, a line each; it is small and the only thing that is read.
`KEPT` is a line of commits whose parents are the tips, so that the remote keeps them; nobody has to fetch it, because
a session that is listed can be fetched by its commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Final

from gitrelay.git.objects import TreeEntry
from gitrelay.git.repository import Repository
from gitrelay.ground.value import dataclass
from gitrelay.protocol import names
from gitrelay.protocol.record import Identity
from gitrelay.remote.queue.wire import Wire

INDEX: Final = "refs/relay/finished/index"
KEPT: Final = "refs/relay/finished/kept"
_HERE: Final = "refs/relay/finished/"  # and a hash of the remote's URL, which may hold a password
_AUTHOR: Final = Identity("gitrelay", "gitrelay@gitrelay.invalid")
_LISTS: Final = 20_000  # files of an index, 1 MB each at most: what is larger is not ours
_LARGEST: Final = 1024 * 1024
_PARENTS: Final = 100  # of one commit that keeps tips


@dataclass(frozen=True)
class Ended:
    """Where a finished session was, and its files, '' for none: commits that the remote keeps."""

    tip: str
    code: str = ""


@dataclass(frozen=True)
class Finished:
    """The finished sessions that a remote lists. `at` is the commit that says so, '' for none; `lists` its files."""

    at: str = ""
    sessions: Mapping[str, Ended] = field(default_factory=dict)
    lists: Sequence[TreeEntry] = ()


def read(wire: Wire) -> Finished:
    """The list of the remote as it is now; what was read of it before is not read again. Raises Unreachable."""
    repo, here = wire.repo, _HERE + hashlib.sha256(wire.url.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    at = wire.look(f"{INDEX}*").get(INDEX, "")
    before = repo.ref(here) or ""
    found = parse(repo, at)
    if found.at and at != before:
        repo.run("update-ref", "--no-deref", here, at)  # so that the next fetch brings only what is new
    return found


def parse(repo: Repository, at: str) -> Finished:
    """What the commit `at` lists; nothing if it is not one of ours. Of a session that is listed twice the last."""
    (tree,) = repo.objects([f"{at}^{{tree}}"]) if at else (None,)
    if tree is None:
        return Finished()
    lists = [entry for entry in repo.tree_entries(tree.data) if entry.mode == "100644"][:_LISTS]
    ids = "".join(f"{entry.oid}\n" for entry in lists).encode()
    rows = repo.run("cat-file", "--batch-check=%(objecttype) %(objectsize)", stdin=ids).decode().splitlines()
    small = [entry for entry, row in zip(lists, rows, strict=True) if _is_small(row)]
    found: dict[str, Ended] = {}
    for blob in repo.objects([entry.oid for entry in small]):
        for line in blob.data.decode("utf-8", "replace").splitlines() if blob is not None else ():
            name, _, rest = line.partition(" ")
            tip, _, code = rest.partition(" ")
            if names.is_session(name) and names.is_object_id(tip) and (code == "-" or names.is_object_id(code)):
                found[name] = Ended(tip, "" if code == "-" else code)
    return Finished(at, found, lists)


def _is_small(row: str) -> bool:
    kind, _, size = row.partition(" ")
    return kind == "blob" and size.isdecimal() and int(size) <= _LARGEST


def extended(repo: Repository, before: Finished, more: Mapping[str, Ended]) -> str:
    """A new index commit, behind `before`, that lists `more` too."""
    text = "".join(f"{name} {one.tip} {one.code or '-'}\n" for name, one in sorted(more.items()))
    name = f"{len(before.lists):06}"
    while name in {entry.name for entry in before.lists}:
        name += "x"
    lists = [*before.lists, TreeEntry("100644", name, repo.write_data(text.encode()))]
    subject = f"relay finished: {len(more)} sessions\n"
    return repo.commit(repo.write_tree(lists), [before.at] if before.at else [], subject, _AUTHOR, sign=False)


def keeping(repo: Repository, before: str, more: Mapping[str, Ended]) -> str:
    """A new commit for `KEPT`, behind the commit `before` ('' for none), from which all of `more` can be reached."""
    tips = sorted({oid for one in more.values() for oid in (one.tip, one.code) if oid})
    for start in range(0, len(tips), _PARENTS):
        parents = [*([before] if before else []), *tips[start : start + _PARENTS]]
        before = repo.commit(repo.empty_tree, parents, "relay finished: kept\n", _AUTHOR, sign=False)
    return before
