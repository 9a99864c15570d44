"""Pushes and fetches of the queue: exactly one URL, one atomic push with a lease for every ref, decided by looking.

Neither the exit code nor the words of a push say who has won: over http git sends a push again by itself if the answer
was lost, and is refused then because of its own first one. After anything but a clean success the refs are fetched.

What is fetched lies below `refs/relay/seen/<process>/`, a folder for each process, which goes with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from gitrelay.errors import Code, RelayError, UsageError
from gitrelay.git.faults import Hangs, last_line
from gitrelay.git.repository import Repository
from gitrelay.git.run import execute
from gitrelay.ground.text import plain, quote
from gitrelay.ground.value import dataclass
from gitrelay.protocol import names
from gitrelay.remote import address
from gitrelay.remote.queue.jobs import Unreachable, Update

SEEN: Final = "refs/relay/seen/"
LIMIT: Final = 120.0  # seconds for one push or fetch of ids
FILES_LIMIT: Final = 1800.0  # of files
_FETCH: Final = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--refmap=",
)
_AT_ONCE: Final = 5000  # commits; their ids go on a command line
_ALL: Final = ("refs/heads/relay/*", "refs/relay/*")
_MANY: Final = 20  # refs of one push
_WORDS: Final = 200  # characters of what a remote says that are shown
_MISSING: Final = re.compile(r"^fatal: couldn't find remote ref (\S+)$", re.MULTILINE)
# What a person has set for pushes and fetches of their own must not change ours.
_SETTINGS: Final = (
    "protocol.version=2",  # older ones list every ref of the remote at each poll
    "push.followTags=false",
    "push.gpgSign=false",
    "push.recurseSubmodules=no",
    "push.useForceIfIncludes=false",
    "push.negotiate=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "fetch.fsckObjects=true",
    "fetch.output=full",
    "credential.interactive=false",
    "http.lowSpeedLimit=1",  # a connection on which nothing moves is given up
    "http.lowSpeedTime=60",
)


class Outcome(Enum):
    """What became of a push: ours is there; another's is; everything is as before."""

    WON = "won"
    LOST = "lost"
    REFUSED = "refused"


@dataclass(frozen=True)
class Swap:
    """The outcome of a push, told by its first ref. `seen` is where its refs were afterwards, '' for none.

    `words` are the remote's, if it refused something; to be shown, never to be relied on.
    """

    outcome: Outcome
    seen: dict[str, str]
    words: str = ""


def wire_of(repo: Repository, remote: str) -> Wire:
    """The remote called `remote`, with the programs that are set for it. Raises UsageError as `url_of` does."""
    found = _one_of(repo, remote)
    return Wire(repo, found.url, found.upload, found.receive)


def url_of(repo: Repository, remote: str) -> str:
    """The one URL of the remote called `remote`. Raises UsageError if there is none, or if it has several."""
    return _one_of(repo, remote).url


def _one_of(repo: Repository, remote: str) -> address.Remote:
    found = address.remote(repo, remote)
    reads = repo.run("remote", "get-url", "--all", "--", found.name).decode("utf-8", "surrogateescape").splitlines()
    if reads != [found.url]:
        raise UsageError(
            f"remote {quote(remote)} is read at one address and written at another, and a queue has one place",
            hint=f"git config --unset-all remote.{found.name}.pushurl, or a remote of its own for the queue",
            code=Code.UNFIT_REMOTE,
        )
    return found


class Wire:
    """One remote, as one process sees it. `close` takes away what it has fetched to look at."""

    def __init__(self, repo: Repository, url: str, upload: Sequence[str] = (), receive: Sequence[str] = ()) -> None:
        """`upload` and `receive` are options of git: the programs that it starts there to fetch and to push."""
        self.repo = repo
        self.url = url
        self._upload = upload
        self._receive = receive
        self.space = f"{SEEN}{os.getpid()}-{secrets.token_hex(4)}/"

    def swap(self, updates: Sequence[Update], *, limit: float = LIMIT) -> Swap:
        """Move all refs or none; what became of it is told by the first. Raises Unreachable if that is unknown."""
        clean, words = self._push(updates, limit)
        if clean:
            return Swap(Outcome.WON, {update.ref: update.new for update in updates})
        refs = [update.ref for update in updates]
        seen = self.look(*refs) if len(refs) <= _MANY else self.listed(*_ALL)  # a fetch names one missing ref at a time
        first = updates[0]
        there = seen.get(first.ref, "")
        outcome = Outcome.WON if there == first.new else Outcome.REFUSED if there == first.old else Outcome.LOST
        return Swap(outcome, {update.ref: seen.get(update.ref, "") for update in updates}, words)

    def _push(self, updates: Sequence[Update], limit: float) -> tuple[bool, str]:
        """(whether every ref was moved just now, the remote's words if not). Raises nothing for a remote's fault."""
        leases = [f"--force-with-lease={update.ref}:{update.old}" for update in updates]
        moves = [f"{update.new}:{update.ref}" for update in updates]
        words = ["push", "--porcelain", "--no-verify", "--atomic", "--no-thin", "--no-signed", *self._receive, *leases]
        status, out, err = self._git(limit, *words, "--", self.url, *moves)
        flags = {}
        for line in out.decode("utf-8", "replace").splitlines():
            flag, _, rest = line.partition("\t")
            name, _, said = rest.partition("\t")
            if len(flag) == 1 and name:
                flags[name.rpartition(":")[2]] = (flag, said)
        # '=' is no success: git compared nothing, because the ref has that value already
        clean = status == 0 and all(flags.get(update.ref, ("!",))[0] in " +-*" for update in updates)
        refused = next((said for flag, said in flags.values() if flag == "!" and "atomic push failed" not in said), "")
        faults = [line for line in err.splitlines() if line.startswith(("fatal: ", "error: "))]
        return clean, plain(refused or last_line(faults[0] if faults else err), _WORDS)

    def look(self, *patterns: str, limit: float = LIMIT) -> dict[str, str]:
        """Where the remote's refs are: full names, or all below a prefix that ends with '*'. Raises Unreachable.

        The objects are here afterwards.
        """
        left = list(dict.fromkeys(patterns))
        while left:
            specs = [f"+{pattern}:{self._here(pattern)}" for pattern in left]
            status, _, err = self._git(limit, *_FETCH, "--prune", *self._upload, "--", self.url, *specs)
            if status == 0:
                break
            gone = {name for name in _MISSING.findall(err) if name in left}
            if not gone:
                raise _no_answer(err)
            self._forget(self._here(name) for name in gone)
            left = [pattern for pattern in left if pattern not in gone]
        wanted = [self._here(pattern).removesuffix("*") for pattern in left]
        rows = self.repo.each_ref("%(refname)%00%(objectname)", self.space.rstrip("/")) if wanted else []
        exact = {self._here(pattern) for pattern in left}
        return {
            "refs/" + name.removeprefix(self.space): oid
            for name, oid in rows
            if name in exact or any(name.startswith(start) and start + "*" in exact for start in wanted)
        }

    def listed(self, *patterns: str, limit: float = LIMIT) -> dict[str, str]:
        """Where the remote's refs are that match `patterns`; no object is fetched. Raises Unreachable."""
        status, out, err = self._git(limit, "ls-remote", "--refs", *self._upload, "--", self.url, *patterns)
        if status != 0:
            raise _no_answer(err)
        rows = (line.partition("\t") for line in out.decode("utf-8", "replace").splitlines())
        return {ref: oid for oid, _, ref in rows if names.is_object_id(oid)}

    def bring(self, commits: Sequence[str], *, limit: float = FILES_LIMIT) -> None:
        """Have these commits here, and all behind them, which no ref of the remote need name. Raises Unreachable."""
        words = (*_FETCH, *self._upload, "--", self.url)
        for start in range(0, len(commits), _AT_ONCE):
            status, _, err = self._git(limit, *words, *commits[start : start + _AT_ONCE])
            if status != 0:
                raise _no_answer(err)

    def close(self) -> None:
        """Forget what was fetched to look at, of this process and of those that died. Never fails."""
        with contextlib.suppress(RelayError, OSError):
            left = [name for (name,) in self.repo.each_ref("%(refname)", SEEN.rstrip("/"))]
            owners = {name: name.removeprefix(SEEN).partition("-")[0] for name in left}
            dead = {owner for owner in {*owners.values()} if owner.isdigit() and not _runs(int(owner))}
            self._forget(name for name in left if name.startswith(self.space) or owners[name] in dead)

    def _here(self, pattern: str) -> str:
        return self.space + pattern.removeprefix("refs/")

    def _forget(self, names: Iterable[str]) -> None:
        lines = "".join(f"delete {name}\0\0" for name in names)
        if lines:
            self.repo.run("update-ref", "--no-deref", "-z", "--stdin", stdin=lines.encode())

    def _git(self, limit: float, *args: str) -> tuple[int, bytes, str]:
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        try:
            return execute(self.repo.home, [*settings, *args], limit=limit)
        except Hangs as e:
            return 128, b"", f"fatal: {e.message}"


def _no_answer(err: str) -> Unreachable:
    faults = [line for line in err.splitlines() if line.startswith(("fatal: ", "error: ", "ssh: "))]
    return Unreachable(
        f"the remote gives no answer: {plain(faults[0] if faults else last_line(err), _WORDS)}",
        hint="check the network, and 'git ls-remote' for its URL; what was asked of it may have happened",
    )


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
