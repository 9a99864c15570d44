"""What a remote's default branch has: where the changes of a push begin.

A remote-tracking ref is a file of this clone, and anybody who can write it could make a change look old. So a tip
counts once the remote was seen to have it; what was seen is kept in `<git common dir>/relay/known.json`, by the
hash of the remote's address. Only a push and a request for a review ask the network; `check` takes the refs as
they are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gitrelay.errors import RelayError
from gitrelay.gate.updates import is_name
from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.state.files import write_whole

_DEFAULTS: Final = ("HEAD", "main", "master")
_SLOW: Final = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=20")  # bytes a second, seconds


@dataclass(frozen=True)
class Tip:
    """A default branch as this clone has it: `tracking` is the ref here, `ref` the branch on the remote."""

    remote: str
    tracking: str
    ref: str
    oid: str


@dataclass(frozen=True)
class Covered:
    """What need not be reviewed: the history of `commits`.

    `sure`: every remote was seen to have them. `pins` are the refs here that they were told from; while these stay the
    same, so does the answer.
    """

    commits: tuple[str, ...]
    sure: bool
    pins: tuple[str, ...] = ()


@dataclass
class Remotes:
    """The remotes of a clone. With `tell` they are asked what they have, each once, and it is told what is odd."""

    repo: Repository
    branches: Sequence[str] = ()
    tell: Callable[[str], None] | None = None
    _asked: dict[str, dict[str, str]] = field(default_factory=dict)

    def covered(self, remote: str, there: dict[str, str]) -> Covered:
        """What the default branches of all remotes have; `there` is what git says that refs of `remote` are at."""
        tips = default_tips(self.repo, self.branches)
        commits: list[str] = []
        sure = True
        for tip in tips:
            seen, certain = self._seen(tip, there if tip.remote == remote else {})
            commits += seen
            sure = sure and certain
        if not tips:
            found = self._default_of(remote)
            commits += found or []
            sure = found is not None
        here = self.repo.objects([f"{oid}^{{commit}}" for oid in dict.fromkeys(commits)])
        pins = pinned(self.repo, self.branches)
        return Covered(tuple(dict.fromkeys(o.oid for o in here if o is not None)), sure, pins)

    def _seen(self, tip: Tip, there: dict[str, str]) -> tuple[list[str], bool]:
        """(commits that the remote has on that branch, whether it was seen to have them)."""
        url = self.repo.setting(f"remote.{tip.remote}.url") or tip.remote
        if tip.ref in there:  # git has just heard it from the remote
            _note(self.repo, url, {tip.ref: there[tip.ref]})
        known = there.get(tip.ref) or read_known(self.repo).get(_key(url), {}).get(tip.ref)
        if known is not None and self._has(known, tip.oid):
            return [known, tip.oid], True
        if self.tell is None:
            return [tip.oid], False
        try:
            now = self.ask(tip.remote, url).get(tip.ref)
        except RelayError as e:
            self.tell(
                f"WARNING: remote {quote(tip.remote)} could not be asked for its branches ({e.message}): "
                f"{tip.tracking} is taken as it was fetched"
            )
            return [tip.oid], False
        if now is None:
            self.tell(f"remote {quote(tip.remote)} has no branch {quote(tip.ref)}: {tip.tracking} does not count")
            return self._default_of(tip.remote) or [], True
        if not self._is_here(now):
            self._fetch(tip.remote, tip.ref)
        if now != tip.oid and not self._has(now, tip.oid):
            self.tell(f"remote {quote(tip.remote)} does not have {tip.tracking} as it is here: it does not count")
            return [now], True
        return [now, tip.oid], True

    def _default_of(self, remote: str) -> list[str] | None:
        """The default branch of a remote as it is there, not as it is known here; None if it cannot be told."""
        if self.tell is None or not remote:
            return None
        try:
            found = self.ask(remote, self.repo.setting(f"remote.{remote}.url") or remote)
        except RelayError:
            return None
        wanted = [found.get("HEAD", ""), *(f"refs/heads/{name}" for name in self.branches)]
        for ref in wanted:
            if ref in found and not self._is_here(found[ref]):
                self._fetch(remote, ref)
        return [found[ref] for ref in wanted if ref in found]

    def ask(self, remote: str, url: str) -> dict[str, str]:
        """ref -> commit of the branches of a remote, and the name of its default branch as HEAD. Raises RelayError."""
        if url not in self._asked:
            words = (*_SLOW, "ls-remote", "--quiet", "--symref", "--", remote if is_name(remote) else url)
            found: dict[str, str] = {}
            for line in self.repo.run(*words, users=True).decode("utf-8", "replace").splitlines():
                value, _, ref = line.partition("\t")
                if value.startswith("ref: refs/heads/") and ref == "HEAD":
                    found["HEAD"] = value.removeprefix("ref: ")
                elif names.is_object_id(value) and ref.startswith("refs/heads/"):
                    found[ref] = value
            self._asked[url] = found
            kept = [found.get("HEAD", ""), *(f"refs/heads/{name}" for name in (*_DEFAULTS, *self.branches))]
            _note(self.repo, url, {ref: found[ref] for ref in kept if ref in found})
        return self._asked[url]

    def _has(self, tip: str, oid: str) -> bool:
        """Whether the history of `tip` holds `oid`; False if `tip` is not in this clone."""
        return tip == oid or is_ancestor(self.repo, oid, tip)

    def _is_here(self, oid: str) -> bool:
        return self.repo.objects([f"{oid}^{{commit}}"])[0] is not None

    def _fetch(self, remote: str, ref: str) -> None:
        """Bring the commits of a remote's branch here; no ref is moved. If that fails they are not here."""
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--refmap=")
        with contextlib.suppress(RelayError):
            self.repo.run(*_SLOW, *words, "--end-of-options", remote, ref, users=True)


def default_tips(repo: Repository, branches: Sequence[str] = ()) -> list[Tip]:
    """The default branch of every remote, as far as it was fetched, and the `branches` that count like it."""
    found: list[Tip] = []
    rows = repo.each_ref("%(refname)%00%(objectname)%00%(symref)", *_tracking(repo, branches))
    there = {row[0]: row[1:] for row in rows}
    for remote in remotes(repo):
        prefix = f"refs/remotes/{remote}/"
        default = next((name for name in _DEFAULTS if prefix + name in there), None)
        for name in dict.fromkeys([*([default] if default else []), *branches]):
            if prefix + name not in there:
                continue
            oid, symref = there[prefix + name]
            branch = symref.removeprefix(prefix) if symref.startswith(prefix) else name
            found.append(Tip(remote, prefix + name, f"refs/heads/{branch}", oid))
    return found


def pinned(repo: Repository, branches: Sequence[str] = ()) -> tuple[str, ...]:
    """The refs that `default_tips` looks at, those too that are not there."""
    return tuple(_tracking(repo, branches))


def remotes(repo: Repository) -> list[str]:
    """The names of the remotes that the configuration gives an address."""
    found = (re.fullmatch(r"remote\.(.+)\.url", key) for key in repo.config)
    return sorted({match[1] for match in found if match is not None and is_name(match[1])})


def _tracking(repo: Repository, branches: Sequence[str]) -> list[str]:
    return [f"refs/remotes/{remote}/{name}" for remote in remotes(repo) for name in (*_DEFAULTS, *branches)]


def merge_base(repo: Repository, head: str, others: Sequence[str]) -> str | None:
    """The last commit of `head`'s history that one of `others` has too."""
    if not others:
        return None
    out = repo.run("merge-base", head, *others, ok=(0, 1)).decode().split()
    return out[0] if out else None


def is_ancestor(repo: Repository, old: str, new: str) -> bool:
    """Whether `new` goes on from `old`; False if one of them is not in this clone."""
    try:
        return merge_base(repo, old, [new]) == old
    except GitError:
        return False


def is_cut(repo: Repository, commits: Iterable[str]) -> bool:
    """Whether the history of this clone is cut off at one of `commits` (a shallow clone)."""
    try:
        cut = set((repo.common_dir / "shallow").read_text("ascii").split())
    except (OSError, ValueError):
        return False
    return not cut.isdisjoint(commits)


def is_shallow(repo: Repository) -> bool:
    return (repo.common_dir / "shallow").exists()


# -- what remotes were seen to have ------------------------------------------------------------------


def read_known(repo: Repository) -> dict[str, dict[str, str]]:
    """Hash of the address -> ref -> commit, as remotes have shown them; empty if there is nothing to be read."""
    try:
        value = json.loads((repo.common_dir / "relay" / "known.json").read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {
        str(url): {str(ref): oid for ref, oid in refs.items() if isinstance(oid, str) and names.is_object_id(oid)}
        for url, refs in value.items()
        if isinstance(refs, dict)
    }


def _key(url: str) -> str:
    """An address may hold a password, so it is not what is kept."""
    return hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()


def _note(repo: Repository, url: str, refs: dict[str, str]) -> None:
    known, key = read_known(repo), _key(url)
    if not refs or refs.items() <= known.get(key, {}).items():
        return
    known[key] = known.get(key, {}) | refs
    with contextlib.suppress(OSError, RelayError):
        Ledger(repo).state.prepare()
        write_whole(repo.common_dir / "relay" / "known.json", json.dumps(known, indent=1).encode())
