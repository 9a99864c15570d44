"""Several objects written by one git process, as a pack that git takes apart.

`hash-object`, `mktree` and `commit-tree` would be three processes, and each would sync what it writes by itself.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Sequence
from typing import Final

from gitrelay.git.faults import GitError
from gitrelay.git.objects import FILE_MODE, TreeEntry
from gitrelay.git.repository import Repository
from gitrelay.protocol.record import Identity

_TYPES: Final = {"commit": 1, "tree": 2, "blob": 3}
_CRUD: Final = " \t.,:;<>\"\\'"  # what git takes off the ends of a name, in one version or another


def pack(objects: Sequence[tuple[str, bytes]], object_format: str) -> bytes:
    """A pack of whole objects, (kind, data), as gitformat-pack(5) has it."""
    pieces = [b"PACK", (2).to_bytes(4, "big"), len(objects).to_bytes(4, "big")]
    for kind, data in objects:
        size = len(data)
        head = [_TYPES[kind] << 4 | size & 0x0F]
        size >>= 4
        while size:
            head[-1] |= 0x80
            head.append(size & 0x7F)
            size >>= 7
        pieces += [bytes(head), zlib.compress(data, 0)]
    whole = b"".join(pieces)
    return whole + hashlib.new(object_format, whole).digest()


def write(repo: Repository, objects: Sequence[tuple[str, bytes]], *, strict: bool = False, users: bool = False) -> None:
    """Write all of `objects`, synced once. With `strict` what they name has to be there. Raises GitError."""
    words = ("-c", "core.fsyncMethod=batch", "unpack-objects", "-q", *(["--strict"] if strict else []))
    repo.run(*words, stdin=pack(objects, repo.object_format), users=users)


def commit_files(
    repo: Repository,
    entries: Sequence[TreeEntry],
    new: Sequence[bytes],
    parents: Sequence[str],
    message: str,
    author: Identity,
) -> str:
    """A commit of a tree of files, with those of them that are `new`: the id. Moves nothing; raises what git raises.

    What git has to sign or to put right is left to its own commands, and so are the words for what it cannot write.
    """
    plain = _plain(repo, entries, parents, message, author)
    if plain is not None:
        tree, commit = plain
        try:
            write(repo, [*(("blob", data) for data in new), ("tree", tree), ("commit", commit)], strict=True)
            return repo.object_id("commit", commit)
        except GitError:
            pass
    for data in new:
        repo.write_data(data)
    return repo.commit(repo.write_tree(entries), parents, message, author)


def _plain(
    repo: Repository, entries: Sequence[TreeEntry], parents: Sequence[str], message: str, author: Identity
) -> tuple[bytes, bytes] | None:
    """(tree, commit) as git would write them; None if it would sign, or change a word."""
    people = (author, repo.identity)
    if repo.signs or repo.setting("extensions.compatobjectformat") or "\0" in message or not message.endswith("\n"):
        return None
    if any(entry.mode != FILE_MODE for entry in entries) or not all(_is_clean(one) for one in people):
        return None
    rows = sorted((entry.name.encode("utf-8", "surrogateescape"), entry.oid) for entry in entries)
    tree = b"".join(b"%s %s\0%s" % (FILE_MODE.encode(), name, bytes.fromhex(oid)) for name, oid in rows)
    now = int(time.time())
    minutes = time.localtime(now).tm_gmtoff // 60
    when = f"{now} {'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
    lines = [
        f"tree {repo.object_id('tree', tree)}",
        *(f"parent {parent}" for parent in parents),
        *(f"{word} {one.name} <{one.email}> {when}" for word, one in zip(("author", "committer"), people, strict=True)),
    ]
    try:
        return tree, ("\n".join(lines) + "\n\n" + message).encode()
    except UnicodeEncodeError:
        return None


def _is_clean(one: Identity) -> bool:
    return all(
        text and text == text.strip(_CRUD) and text.isprintable() and not set(text) & {"<", ">"}
        for text in (one.name, one.email)
    )
