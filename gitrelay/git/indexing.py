"""The blobs of the user's files as they are now: each that git can read, and of each other one why it cannot.

One odd path must not cost the others: git stops at the first that it cannot take (a filter that fails, a repository
without a commit, a file that nobody may read), so the rest is tried again without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gitrelay.git.faults import classified
from gitrelay.git.repository import Repository
from gitrelay.git.run import execute
from gitrelay.git.userfiles import Changed
from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass

_TRIES: Final = 400  # git processes for what cannot be read; each takes some 5 ms
# what is the machine's fault and no path's
_MACHINE: Final = re.compile(
    r"No space left|quota exceeded|insufficient permission for adding|Read-only file system|unable to create temporary"
    r"|Unable to create '"
)
_NAMED: Final = re.compile(
    r"(?:fatal: |error: )(?:Unable to process path (?P<a>.*)|(?P<b>.*): (?:clean|smudge) filter .* failed"
    r"|.* would be replaced by .* in (?P<c>.*?)\.?)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class LeftOut:
    """A path of the working tree that a recorded tree does not hold as it is, and why, in a few words."""

    path: bytes
    why: str


def contents(
    repo: Repository, index: Path, paths: Sequence[Changed]
) -> tuple[dict[bytes, tuple[str, str]], list[LeftOut]]:
    """path -> (mode, object id) as each of `paths` is in the working tree, without those that are gone.

    Their blobs are written. A new index is made at `index` that holds these paths alone: one of all files would
    cost more than `git status` does in a large repository. Raises CannotRecord if the machine is at fault.
    """
    env = {"GIT_INDEX_FILE": str(index)}
    known = b"".join(
        b"%s %s\t%s\0" % (one.entry[0].encode(), one.entry[1].encode(), one.path) for one in paths if one.entry
    )
    if known:  # git keeps a mode that the file system cannot hold, and line ends that are in the index
        repo.run("update-index", "-z", "--index-info", stdin=known, env=env, users=True)
    left = _add(repo, env, [one.path for one in paths if one.read])
    found = {}
    for line in repo.run("ls-files", "--stage", "-z", env=env, users=True).split(b"\0")[:-1]:
        head, _, path = line.partition(b"\t")
        mode, oid, _ = head.decode().split(" ")
        found[path] = (mode, oid)
    return found, left


def _add(repo: Repository, env: Mapping[str, str], paths: Sequence[bytes]) -> list[LeftOut]:
    """Take `paths` into the index of `env`; returns those that git cannot take."""
    # one sync for all new blobs, where git can (2.36); one for each would cost more than the rest
    words = ("-c", "core.fsyncMethod=batch", "update-index", "--add", "--remove", "-z", "--stdin")
    left: list[LeftOut] = []
    waiting = [list(paths)] if paths else []
    for _ in range(_TRIES):
        if not waiting:
            return left
        batch = waiting.pop()
        stdin = b"".join(path + b"\0" for path in batch)
        status, _, err = execute(repo.place, words, stdin, {**repo.env, **env}, users=True, limit=repo.users_limit)
        if status == 0:
            continue
        if status < 0 or _MACHINE.search(err):
            raise classified(words[2:], status, err)
        at = 0 if len(batch) == 1 else _named(err, batch)
        if at is not None:
            left.append(LeftOut(batch[at], _reason(err)))
        halves = [batch[len(batch) // 2 :], batch[: len(batch) // 2]]
        waiting += [part for part in (halves if at is None else [batch[at + 1 :], batch[:at]]) if part]
    return [*left, *(LeftOut(path, "too many others cannot be read") for batch in waiting for path in batch)]


def _named(err: str, batch: Sequence[bytes]) -> int | None:
    """The place in `batch` of the path that git stopped at, None if it does not say."""
    for match in _NAMED.finditer(err):
        path = (match["a"] or match["b"] or match["c"]).encode("utf-8", "surrogateescape")
        for at, one in enumerate(batch):
            if one == path:
                return at
    return None


def _reason(err: str) -> str:
    lines = [line for line in err.splitlines() if line.startswith(("error: ", "fatal: "))] or [err]
    died = [line for line in lines if line.startswith("fatal: ") and "Unable to process path" not in line]
    return plain((died or lines)[0].partition(": ")[2], 160)
