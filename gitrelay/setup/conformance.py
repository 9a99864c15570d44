"""What every peer must be able to do, tried on the real one: named cases, in a throw-away repository.

No case knows the model: it asks for something that any agent can do, and looks at what was recorded and at
what is in the working tree. The peer's own settings are taken along; its processes carry a mark in
their environment, by which one that stays behind is found.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from gitrelay import environment
from gitrelay.calls import ask, inflight, readonly, settings
from gitrelay.calls.order import Order
from gitrelay.calls.settings import Given
from gitrelay.errors import Code, RelayError, UsageError
from gitrelay.git.opening import create_repository
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger, open_ledger
from gitrelay.peers import probe, registry
from gitrelay.peers.base import Peer
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import Trailer

PASS: Final = "pass"
FAIL: Final = "fail"
SKIP: Final = "skip"
DEFAULT_LIMIT: Final = "5m"  # for one call; a question takes seconds, a slow model's edit a minute
_MARK: Final = "GITRELAY_CONFORMANCE"
_GONE: Final = 10.0  # seconds in which a cancelled peer's processes have to be gone; ending them takes up to 7
_PAUSE: Final = 0.2  # seconds between two looks
_CALLER: Final = "conformance"

_QUESTION = "Answer with the one word 'ready'. Look at no file and change nothing."
_AGAIN = "Which word did you answer with? Answer with that word. Look at no file and change nothing."
_FORBIDDEN = (
    "This is a test of your access, which is read-only: try once to create the file forbidden.txt with the "
    "text 'x' in the current folder, with whatever tool you have. Then answer whether it was refused."
)
_FILE = "Create the file written.txt in the current folder. Its content is the one word 'written'. Change nothing else."
_COMMAND = "Run this shell command in the foreground and wait for it: touch begun.txt; sh -c 'sleep 300; true'"


class _Failed(Exception):
    """What a case found wrong, in one line."""


class _Skipped(Exception):
    """Why a case could not be tried."""


@dataclass(frozen=True)
class Result:
    """One case: `outcome` is pass, fail or skip; `detail` says why, '' for a plain pass; `seconds` it took."""

    case: str
    outcome: str
    detail: str
    seconds: float


@dataclass
class _Bench:
    """The throw-away repository, and what earlier cases left for later ones."""

    place: Path
    peer: Peer
    limit: str
    mark: str
    asked: Exchange | None = field(default=None)

    def given(self, access: str) -> Given:
        return Given(access=access, timeout=self.limit, idle_timeout="none", first_output="none")

    @property
    def calm(self) -> str:
        """The access for a call that is to change nothing."""
        able = self.peer.capabilities.access
        return "read" if "read" in able else able[0]

    def ask(self, task: str, access: str, session: str) -> Exchange:
        ledger, address = self.start(task, access, session)
        return inflight.wait(ledger, address, None)

    def start(self, task: str, access: str, session: str) -> tuple[Ledger, Address]:
        order = Order(task, (self.peer.name,), from_=_CALLER, session=session, given=self.given(access))
        ledger, asked = ask.ask(self.place, order)
        return ledger, asked.address

    @property
    def processes(self) -> list[psutil.Process]:
        """The peer's live processes, by their mark."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(_MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


def _version(bench: _Bench) -> None:
    repo = Repository.open(bench.place)
    env = environment.for_peer(os.environ, settings.peer_environment(repo, bench.peer.name))
    program = probe.find(bench.peer.capabilities.program, env)
    if program.path is None:
        raise _Failed(probe.missing(bench.peer.capabilities.program))
    if not bench.peer.capabilities.minimum:
        raise _Skipped("the version of a configured program is not asked")
    version = probe.version(Ledger(repo).state, program, bench.peer.capabilities)
    if version is None or not version.text:
        raise _Failed(f"{program.path} --version says none")
    if not version.supported:
        raise _Failed(version.complaint(bench.peer))


def _answers(bench: _Bench) -> None:
    bench.asked = bench.ask(_QUESTION, bench.calm, "talk")
    _check_answered(bench.asked)


def _recorded(bench: _Bench) -> None:
    asked = _earlier(bench)
    if asked.recorded != "peer":
        raise _Failed(f"it is recorded by {asked.recorded}: {_why(asked)}")


def _stdin(bench: _Bench) -> None:
    asked = _earlier(bench)
    if asked.reason in ("timeout", "idle", "no-output"):
        raise _Failed(f"it did not end by itself: {_why(asked)}")


def _second_turn(bench: _Bench) -> None:
    first = _earlier(bench)
    second = bench.ask(_AGAIN, bench.calm, "talk")
    _check_answered(second)
    assert second.response is not None and first.response is not None
    how = second.response.trailers.get(Trailer.CONTINUATION)
    told = first.response.peer_session  # an agent may say that it continues nothing
    if bench.peer.capabilities.resumes and first.recorded == "peer" and told and how != "native":
        raise _Failed("its own conversation was not continued")


def _read_access(bench: _Bench) -> None:
    if "read" not in bench.peer.capabilities.access:
        raise _Skipped("it cannot be held to read access, or is not told of it")
    repo = Repository.open(bench.place)
    before = readonly.take(repo)
    asked = bench.ask(_FORBIDDEN, "read", "look")
    after = readonly.take(repo)
    changed = readonly.compare(repo, before, after).named()
    if changed:
        raise _Failed(f"with read access: {'; '.join(changed)}")
    if asked.recorded != "peer":
        raise _Failed(_why(asked))


def _write_access(bench: _Bench) -> None:
    if "write" not in bench.peer.capabilities.access:
        raise _Skipped("it cannot be given write access")
    asked = bench.ask(_FILE, "write", "work")
    _check_answered(asked)
    path = bench.place / "written.txt"
    try:
        text = path.read_text("utf-8", "replace")
    except OSError as e:
        raise _Failed(f"it says done, and the file is not there: {e.strerror}") from None
    if text.strip() != "written":
        raise _Failed(f"the file holds {quote(text[:80])}, asked was 'written'")


def _cancel(bench: _Bench) -> None:
    if "write" not in bench.peer.capabilities.access:
        raise _Skipped("it cannot be given write access, so it runs no command")
    ledger, address = bench.start(_COMMAND, "write", "stop")
    begun = bench.place / "begun.txt"
    while not begun.exists():
        found = inflight.wait(ledger, address, _PAUSE)
        if found.response is not None and not begun.exists():
            if found.recorded == "peer":
                raise _Skipped("it answered without running the command, so there was nothing to cancel")
            raise _Failed(_why(found))
    found = inflight.cancel(ledger, address, _CALLER)
    if found.reason != "cancelled":
        raise _Failed(f"cancelled while its command ran, it is recorded as {found.reason or found.status}")
    deadline = time.monotonic() + _GONE
    while (left := bench.processes) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    if left:
        raise _Failed(f"processes of it are left: {', '.join(str(process.pid) for process in left)}")


def _not_found(bench: _Bench) -> None:
    if os.path.isabs(os.path.expanduser(bench.peer.capabilities.program)):
        raise _Skipped("its program is configured by its whole path")
    repo = Repository.open(bench.place)
    repo.run("config", "--add", f"relay.{bench.peer.name}.env", f"PATH={bench.place / 'nowhere'}")
    asked = bench.ask(_QUESTION, bench.calm, "lost")
    if asked.reason != "unavailable":
        raise _Failed(f"with nothing on PATH it is recorded as {asked.reason or asked.status}")


@dataclass(frozen=True)
class _Case:
    name: str
    try_: Callable[[_Bench], None]
    needs: str | None = None  # the access without which it is skipped
    paid: bool = True  # it asks a model
    decides: bool = False  # if it fails, the others would only say the same


CASES: Final = (
    _Case("version", _version, paid=False, decides=True),
    _Case("answers a question", _answers),
    _Case("the answer is its own", _recorded, paid=False),
    _Case("ends by itself with stdin closed", _stdin, paid=False),
    _Case("a second turn", _second_turn),
    _Case("read access leaves all as it was", _read_access, needs="read"),
    _Case("write access creates a file", _write_access, needs="write"),
    _Case("cancelled, it leaves no process", _cancel, needs="write"),
    _Case("not found is unavailable", _not_found, paid=False),
)


def find(folder: Path, name: str) -> tuple[Repository, Peer]:
    """The peer of that name, as configured in the repository of `folder`. Raises UsageError if it cannot be tried."""
    repo = Repository.open(folder)
    peer = registry.find(repo, name)
    if peer.name == "shell" and peer is registry.BUILT_IN["shell"]:
        raise UsageError(
            "the embedded peer runs commands and understands no tasks",
            hint="'git relay demo' shows that it works",
            code=Code.EMBEDDED,
        )
    return repo, peer


def paid_calls(peer: Peer) -> int:
    """How many calls to a model a whole run makes."""
    return sum(case.paid and (case.needs is None or case.needs in peer.capabilities.access) for case in CASES)


def run(repo: Repository, peer: Peer, limit: str | None = None) -> Iterator[Result]:
    """Try every case in turn, each call for at most `limit` (as `--timeout` takes it); results as they come.

    A program that is not there, or is too old, ends it with its first case.

    Whatever is still running when the iteration ends is cancelled, and the repository is removed.
    """
    place = Path(tempfile.mkdtemp(prefix="git-relay-conformance-"))
    try:
        bench = _Bench(place, peer, limit or DEFAULT_LIMIT, uuid.uuid4().hex)
        _prepare(bench, repo)
        for case in CASES:
            begin = time.monotonic()
            outcome, detail = PASS, ""
            try:
                case.try_(bench)
            except _Failed as e:
                outcome, detail = FAIL, str(e)
            except _Skipped as e:
                outcome, detail = SKIP, str(e)
            except RelayError as e:
                outcome, detail = FAIL, e.message
            yield Result(case.name, outcome, detail, time.monotonic() - begin)
            if outcome == FAIL and case.decides:
                return
    finally:
        _clear(place)


def _prepare(bench: _Bench, repo: Repository) -> None:
    """A repository with one commit, the peer's settings, and the mark in its environment; nothing is signed."""
    create_repository(bench.place)
    name = bench.peer.name
    lines = ["[commit]", "\tgpgSign = false", "[relay]", "\tsign = false"]
    for prefix, section in (("relay.", "[relay]"), (f"relay.{name}.", f'[relay "{name}"]')):
        for key, values in repo.config.items():
            rest = key.removeprefix(prefix)
            if rest != key and "." not in rest and rest != "sign":
                lines += [section, *(f'\t{rest} = "{_escaped(value)}"' for value, _ in values)]
    lines += [f'[relay "{name}"]', f"\tenv = {_MARK}={bench.mark}"]
    with (bench.place / ".git" / "config").open("a", encoding="utf-8") as f:  # not by argv: env may hold keys
        f.write("\n".join(lines) + "\n")
    (bench.place / "README.md").write_text("A repository to try a peer in; it is removed afterwards.\n")
    here = Repository.open(bench.place)
    here.run("add", "README.md")
    identity = ("-c", "user.name=gitrelay", "-c", "user.email=gitrelay@gitrelay.invalid")
    here.run(*identity, "commit", "--quiet", "--no-verify", "-m", "A file to look at")


def _escaped(value: str) -> str:
    """As git reads it back from between quotes in a configuration file."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")


def _clear(place: Path) -> None:
    with contextlib.suppress(RelayError):
        ledger = open_ledger(place)
        for running, _ in inflight.running(ledger):
            with contextlib.suppress(RelayError):
                inflight.cancel(ledger, running.address, _CALLER)
    shutil.rmtree(place, ignore_errors=True)


def _earlier(bench: _Bench) -> Exchange:
    if bench.asked is None:
        raise _Skipped("the question could not be asked")
    return bench.asked


def _check_answered(asked: Exchange) -> None:
    if asked.recorded != "peer":
        raise _Failed(_why(asked))
    if asked.status != "done":
        raise _Failed(f"it answered status: {asked.status}: {_first_line(asked)}")
    if asked.answer is None or not asked.answer.body.strip():
        raise _Failed("its answer is empty")


def _why(asked: Exchange) -> str:
    return f"{asked.reason or asked.status}: {_first_line(asked)}"


def _first_line(asked: Exchange) -> str:
    return asked.answer.body.strip().partition("\n")[0] if asked.answer else "no answer"
