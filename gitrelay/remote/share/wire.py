"""What crosses to a remote: its refs are listed, objects are taken into a folder of their own, a push is tried.

A push is never believed: its words and its exit code may be lost or wrong on the way (an http client that sends again
is told that it lost what it has won). Who pushes lists the refs again and compares.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from types import MappingProxyType
from typing import Final

from gitrelay.audit.objectstore import ObjectStore, fetched
from gitrelay.errors import CannotRecord, Code, RelayError
from gitrelay.git.faults import last_line
from gitrelay.git.repository import Repository
from gitrelay.git.run import execute
from gitrelay.ground.text import plain, quote
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.protocol.record import ARCHIVE, BRANCHES, CODE, STEPS
from gitrelay.remote.address import Remote
from gitrelay.remote.queue import finished
from gitrelay.remote.queue.finished import Ended
from gitrelay.remote.queue.wire import Wire
from gitrelay.state.files import make_folder

_BESIDE: Final = (CODE, STEPS)  # of a session, and not the session itself
PREFIXES: Final = (BRANCHES, ARCHIVE, *_BESIDE)
_PROTOCOL: Final = ("-c", "protocol.version=2")  # version 0 lists every ref of the server
_SAID: Final = 200  # characters of what a server says
_CHECKED: Final = ("-c", "fetch.fsckObjects=true", "-c", "transfer.fsckObjects=true")


@dataclass(frozen=True)
class There:
    """The refs of a remote that are about sessions: the full name of each, and what it stands for.

    `finished` are its sessions that have none of their own any more, by name.
    """

    refs: Mapping[str, str]
    finished: Mapping[str, Ended] = field(default_factory=dict)

    @property
    def sessions(self) -> set[str]:
        return {name_in(ref) for ref in self.refs if not ref.startswith(_BESIDE)} | {*self.finished}

    def heads(self, session: str) -> list[tuple[str, bool]]:
        """(tip, whether it is archived) of a session's branch, its archived ref and the list of finished ones."""
        places = [(self.refs.get(BRANCHES + session), False), (self.refs.get(ARCHIVE + session), True)]
        ended = self.finished.get(session)
        places += [(ended.tip, True)] if ended is not None else []
        return [(tip, archived) for tip, archived in places if tip is not None]

    def code(self, session: str) -> str | None:
        """The session's files: of its ref, or else as the list of finished ones says."""
        ended = self.finished.get(session)
        return self.refs.get(CODE + session) or (ended.code if ended is not None else "") or None

    def is_finished(self, session: str, tip: str) -> bool:
        """Whether the list of finished sessions has it at `tip`."""
        ended = self.finished.get(session)
        return ended is not None and ended.tip == tip


def name_in(ref: str) -> str:
    """The session that a ref of PREFIXES is about."""
    return next(ref.removeprefix(prefix) for prefix in PREFIXES if ref.startswith(prefix))


def listed(repo: Repository, remote: Remote) -> There:
    """The sessions' refs of a remote. Raises CannotRecord if it cannot be read."""
    rows = _list(repo, remote, [*(f"{prefix}*" for prefix in PREFIXES), finished.INDEX])
    ended = finished_of(repo, remote) if any(ref == finished.INDEX for _, ref in rows) else {}
    return There({ref: oid for oid, ref in rows if _is_wanted(ref)}, ended)


def finished_of(repo: Repository, remote: Remote) -> Mapping[str, Ended]:
    """The finished sessions of a remote that have no refs of their own there. Raises CannotRecord."""
    wire = Wire(repo, remote.url, remote.upload)
    try:
        return finished.read(wire).sessions
    finally:
        wire.close()


def has(repo: Repository, remote: Remote, ref: str, oid: str) -> bool:
    """Whether a ref of the remote is `oid`. Raises CannotRecord if it cannot be read."""
    return (oid, ref) in _list(repo, remote, [ref])


def _list(repo: Repository, remote: Remote, patterns: Sequence[str]) -> list[tuple[str, str]]:
    """(object, ref) of what the remote lists."""
    words = [*_PROTOCOL, "ls-remote", "--refs", *remote.upload, "--", remote.url, *patterns]
    status, out, err = execute(repo.home, words)
    if status != 0:
        raise unreachable(remote, err)
    rows = (line.partition("\t") for line in out.decode("utf-8", "replace").splitlines())
    return [(oid, ref) for oid, _, ref in rows if names.is_object_id(oid)]


def _is_wanted(ref: str) -> bool:
    return ref.startswith(PREFIXES) and names.is_session(name_in(ref))


def unreachable(remote: Remote, err: str) -> CannotRecord:
    """The error for a remote that git could not talk to; nothing is known about what it has."""
    said = [line for line in err.splitlines() if not line.startswith(("hint:", "fatal: Could not read from remote"))]
    words = plain(last_line("\n".join(said)) if said else last_line(err), _SAID)
    return CannotRecord(
        f"remote {remote.name} cannot be read: {words}",
        hint=f"git ls-remote {remote.name} shows what git says; nothing was changed",
        code=Code.UNREACHABLE,
    )


@contextlib.contextmanager
def arrived(
    ledger: Ledger,
    remote: Remote,
    refs: Sequence[str] = PREFIXES,
    *,
    exact: bool = False,
    ended: Mapping[str, Ended] = MappingProxyType({}),
) -> Iterator[tuple[There, Arrived]]:
    """(the refs of `remote` that begin with `refs`, their objects) while they are in a folder of their own.

    `exact`: `refs` are whole names, of refs that are there. `ended`: finished sessions to be read as well. git checks
    each object, and nothing is in the repository before `Arrived.admit`. Raises CannotRecord.
    """
    ledger.prepare()
    make_folder(ledger.state.root)
    oids = sorted({oid for one in ended.values() for oid in (one.tip, one.code) if oid})
    lacking = [oid for oid, here in zip(oids, ledger.repo.objects(oids), strict=True) if here is None]
    with contextlib.ExitStack() as stack:
        try:
            words, folder = (*_PROTOCOL, *_CHECKED), ledger.state.root
            reading = fetched(
                ledger.repo,
                remote.url,
                refs,
                folder=folder,
                settings=words,
                options=remote.upload,
                exact=exact,
                commits=lacking,
            )
            found, store = stack.enter_context(reading)
        except RelayError as e:
            raise unreachable(remote, getattr(e, "stderr", "") or e.message) from e
        yield There({ref: oid for ref, oid in found.items() if _is_wanted(ref)}, ended), Arrived(ledger.repo, store)


class Arrived:
    """Objects of a remote that are not in the repository yet."""

    def __init__(self, repo: Repository, store: ObjectStore) -> None:
        self.repo = repo
        self.store = store

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` is `old` or goes on from it; False if one of them is not there."""
        return self.store.is_ancestor(old, new)

    def largest(self, tips: Sequence[str]) -> int:
        """The bytes of the largest object behind `tips` that is not in the repository; what hides behind a ref."""
        listed = self._new(tips)
        out = self._run("cat-file", "--buffer", "--batch-check=%(objectsize)", stdin=listed)
        return max(map(int, out.split()), default=0)

    def admit(self, tips: Sequence[str]) -> None:
        """Bring what is behind the commits `tips` into the repository, as one pack whose index comes last."""
        if not tips:
            return
        objects = self._new(tips)
        if objects:
            place = self.repo.common_dir / "objects" / "pack"
            place.mkdir(exist_ok=True)
            self._run("pack-objects", "-q", str(place / "pack"), stdin=objects)

    def _new(self, tips: Sequence[str]) -> bytes:
        """The ids of the objects behind `tips` that no ref of the repository leads to, one a line."""
        words = ("rev-list", "--objects", "--no-object-names", "--stdin", "--not", "--all")
        return self._run(*words, stdin="".join(f"{tip}\n" for tip in tips).encode())

    def _run(self, *words: str, stdin: bytes) -> bytes:
        return self.repo.run(*words, stdin=stdin, env=self.store.environment)


@dataclass(frozen=True)
class Move:
    """A ref of the remote that is to go from `old` ('' : it is not there yet) to `new`."""

    ref: str
    old: str
    new: str


_REFUSED: Final = re.compile(r"^!\t[^\t]*:(?P<ref>refs/[^\t]+)\t(?P<why>.*)$", re.MULTILINE)


def push(repo: Repository, remote: Remote, moves: Sequence[Move]) -> tuple[str, str]:
    """Try to make all `moves`, or none; returns what git and the server said: (porcelain lines, the rest).

    Each ref is compared with what it is expected to be. Whether a push may be forced is not the server's word alone:
    who calls this has made sure that each `new` goes on from its `old`.
    """
    leases = [f"--force-with-lease={move.ref}:{move.old}" for move in moves]
    options = ("--porcelain", "--atomic", "--no-verify", "--no-follow-tags", "--no-signed", "--recurse-submodules=no")
    specs = [f"{move.new}:{move.ref}" for move in moves]
    words = [*_PROTOCOL, "push", *options, *remote.receive, *leases, "--", remote.url, *specs]
    _, out, err = execute(repo.home, words)
    return out.decode("utf-8", "replace"), err


def refused(remote: Remote, out: str, err: str) -> CannotRecord:
    """The error for a push that did not land, by what git and the server said."""
    if "does not support --atomic" in err:
        return CannotRecord(
            f"the server of {remote.name} cannot take several refs at once (no atomic push); nothing was sent",
            hint="git config receive.advertiseAtomic true, on the server",
            code=Code.NO_ATOMIC,
        )
    for found in _REFUSED.finditer(out):
        if "hidden ref" in found["why"]:
            return hidden(remote, found["ref"])
    remarks = [plain(line.removeprefix("remote:"), _SAID) for line in err.splitlines() if line.startswith("remote:")]
    whys = [plain(found["why"], _SAID) for found in _REFUSED.finditer(out)]
    why = next((why for why in whys if "atomic" not in why), whys[0] if whys else plain(last_line(err), _SAID))
    said = "; ".join(line for line in remarks[:3] if line)
    return CannotRecord(
        f"{remote.name} did not take the push: {why}" + (f" (it says: {quote(said)})" if said else ""),
        hint="nothing of it is there; try again, or ask who runs the server",
        code=Code.PUSH_REFUSED,
    )


def hidden(remote: Remote, ref: str) -> CannotRecord:
    """The error for a server that takes no refs of a namespace."""
    return CannotRecord(
        f"the server of {remote.name} takes no refs as {quote(ref)}: hidden there, or a rule is against them",
        hint="git relay push --no-code sends branches only; or allow refs/relay/* on the server",
        code=Code.HIDDEN_REFS,
    )
