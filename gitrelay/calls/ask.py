"""One call: open the session, record the request, hand over to the supervisor, wait, read the answer from git."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gitrelay.calls import inflight, plan, recording
from gitrelay.calls.launch import Launched, launched
from gitrelay.calls.outcome import failed
from gitrelay.calls.plan import Plan
from gitrelay.calls.settings import Given
from gitrelay.errors import Busy, Code, Interrupted, UsageError
from gitrelay.git.repository import Repository
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger import snapshot
from gitrelay.ledger.ledger import Ledger, Tip
from gitrelay.ledger.session import Session, locked
from gitrelay.protocol import names
from gitrelay.protocol.message import Request
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import ARCHIVE, BRANCHES, Trailer
from gitrelay.state.calls import Call, CallFolder
from gitrelay.text import quote

KEY_LIMIT: Final = 30.0  # seconds; a key is held for the time of recording a request


@dataclass(frozen=True)
class Asked:
    """A request that is recorded: where it stands in git, and in the worktree."""

    address: Address
    file: Path
    notes: tuple[str, ...] = ()
    replayed: bool = False  # it was recorded before, under the same key


def ask(
    folder: Path,
    *,
    task: str,
    to: str,
    from_: str | None = None,
    session: str | None = None,
    name: str | None = None,
    files: Sequence[str] = (),
    given: Given = Given(),  # noqa: B008 - a frozen value
    key: str | None = None,
    invoke: bool = True,
    binding: Mapping[str, str] = MappingProxyType({}),
    bound: str = "",
) -> tuple[Ledger, Asked]:
    """Record a request in the repository that `folder` is in and, with `invoke`, set its peer to work.

    With a `key` that an exchange of this repository already has, that exchange is returned and nothing
    is started; an exchange that gitrelay had to end itself does not hold its key. `binding` are trailers
    that bind the request to commits (`ledger.BINDING`) of the branch `bound`; its answer repeats them. Raises
    UsageError, Busy, CannotRecord, Interrupted; where one is raised before the request was recorded, nothing was.
    """
    starting = launched(folder) if invoke else contextlib.nullcontext()
    asked: Asked | None = None
    try:
        with starting as waiting:
            ledger = Ledger(Repository.open(folder))
            request = plan.make(
                ledger.repo, task=task, to=to, from_=from_, files=files, given=given, key=key, invoke=invoke
            )
            if session is not None:
                names.check_session(session, "--session")
            one_shot_name = names.check_slug(name, "--name") if name is not None else _name_of(ledger, task)
            with _key_held(ledger, key) as recorded:
                if recorded is not None:
                    return ledger, Asked(recorded.address, ledger.place_of(recorded.address), replayed=True)
                with _open_session(ledger, session, one_shot_name, request.from_) as (held, tip):
                    asked = _record_request(
                        held, tip, request, binding, bound, one_shot=session is None, waiting=waiting
                    )
        return ledger, asked
    except KeyboardInterrupt:
        if asked is None or not invoke:
            raise
        # the call runs already, and the locks are being given back
        inflight.cancel(ledger, asked.address, "Ctrl-C")
        raise Interrupted("interrupted", hint=f"git relay show {asked.address}") from None


def ask_each(
    folder: Path,
    *,
    task: str,
    to: Sequence[str],
    from_: str | None = None,
    session: str | None = None,
    name: str | None = None,
    files: Sequence[str] = (),
    given: Given = Given(),  # noqa: B008 - a frozen value
    key: str | None = None,
) -> tuple[Ledger, list[Asked]]:
    """Ask several peers the same, side by side: one exchange each, in a session named after each.

    The sessions are `<session>-<peer>`, the one-shots `<name>-<peer>`, the keys `<key> <peer>`. Every
    peer is checked before the first is asked; where one cannot be asked after all, those that run are
    cancelled. Raises what `ask` raises.
    """
    if len(set(to)) < len(to):
        raise UsageError(f"--to {quote(' '.join(to))} names a peer twice", hint="ask each once", code=Code.TWICE)
    repo = Repository.open(folder)
    for peer in to:
        plan.make(repo, task=task, to=peer, from_=from_, files=files, given=given, key=key, invoke=True)
        if session is not None:
            names.check_session(f"{session}-{peer}", "--session")
        if name is not None:
            names.check_slug(f"{name}-{peer}", "--name")
    asked: list[Asked] = []
    ledger = Ledger(repo)
    try:
        for peer in to:
            ledger, one = ask(
                folder,
                task=task,
                to=peer,
                from_=from_,
                session=None if session is None else f"{session}-{peer}",
                name=None if session is not None else f"{name or _name_of(ledger, task)}-{peer}",
                files=files,
                given=given,
                key=None if key is None else f"{key} {peer}",
            )
            asked.append(one)
    except BaseException:
        for one in asked:
            inflight.cancel(ledger, one.address, "a call beside it that could not be made")
        raise
    return ledger, asked


def _name_of(ledger: Ledger, task: str) -> str:
    """The default name of a one-shot; a task may begin with a secret, and the name becomes a branch."""
    return names.name_of_task(ledger.redactor.redact(task).text)


@contextlib.contextmanager
def _key_held(ledger: Ledger, key: str | None) -> Iterator[Exchange | None]:
    """The exchange that holds `key`, None where it is free; until the end nobody else can take it."""
    if key is None:
        yield None
        return
    ledger.state.prepare()
    with ledger.state.lock(f".key-{hashlib.sha256(key.encode()).hexdigest()[:32]}") as lock:
        lock.acquire(KEY_LIMIT, what=f"key {key}")
        found = exchanges.by_key(ledger, key)
        if found is not None and found.response is None:
            found = inflight.look(ledger, found.address)
        failed = found is not None and found.recorded == "gitrelay"
        yield None if failed else found


@contextlib.contextmanager
def _open_session(ledger: Ledger, session: str | None, name: str, caller: str) -> Iterator[tuple[Session, Tip]]:
    """(the session under its lock, its tip): a named session, opened where it is new, or a new one-shot.

    A session that was opened here is taken back where the request could not be recorded in it.
    """
    if session is not None:
        with locked(ledger, session) as held:
            tip, archived = _ready(held)
            if tip is not None:
                yield held, tip
                return
            if archived is not None:
                raise UsageError(
                    f"session {quote(session)} is archived",
                    hint=f"git relay archive --restore {session}",
                    code=Code.ARCHIVED,
                )
            with _opened(held, caller) as root:
                if root is None:
                    raise Busy(f"session {session} was opened by another process just now", hint="try again")
                yield held, root
        return
    taken = ledger.taken(names.one_shot_id(name, datetime.now()))
    for again in range(1, 10_000):
        candidate = names.one_shot_id(name, datetime.now(), again)
        if candidate in taken:
            continue
        with locked(ledger, candidate) as held, _opened(held, caller) as root:
            if root is not None:
                yield held, root
                return
    raise Busy(f"ten thousand one-shots named {name!r} in one minute", hint="give this one a --name of its own")


@contextlib.contextmanager
def _opened(held: Session, caller: str) -> Iterator[Tip | None]:
    """A session opened now, None where another process was first; taken back if nothing gets recorded in it."""
    root = held.open(caller, held.ledger.repo.ref("HEAD") or "unborn")
    try:
        yield root
    except BaseException:
        if root is not None:
            held.abandon(root)
        raise


def _ready(held: Session) -> tuple[Tip | None, Tip | None]:
    """(the session's tip after healing, that of its archived namesake). Raises Busy while a turn is in flight."""
    folder = held.ledger.state.call(held.name)
    if not recording.heal(held, folder):
        raise _busy(held.name, folder.load())
    tip, archived = held.ledger.tips([BRANCHES + held.name, ARCHIVE + held.name])
    if tip is not None and tip.pending is not None:
        address = Address(held.name, tip.pending)
        raise Busy(
            f"session {held.name} waits for an answer to {address}",
            hint=f"git relay res --session {held.name} --re {tip.pending} ... or git relay cancel {address}",
        )
    return tip, archived


def _busy(session: str, call: Call | None) -> Busy:
    if call is None:
        return Busy(f"session {session} has a turn in flight", hint="'git relay status' shows it; wait or try again")
    since = datetime.fromtimestamp(call.started).strftime("%H:%M:%S")
    return Busy(
        f"session {session} has a turn in flight: {call.address}, {call.from_} -> {call.to}, since {since}",
        hint=f"git relay wait {call.address}, or use another session",
    )


def _record_request(
    held: Session,
    tip: Tip,
    wanted: Plan,
    binding: Mapping[str, str],
    bound: str,
    *,
    one_shot: bool,
    waiting: Launched | None,
) -> Asked:
    ledger = held.ledger
    repo = ledger.repo
    request = Request(held.name if one_shot else tip.next_id, wanted.from_, wanted.to, wanted.task, held.name)
    chosen = wanted.chosen
    trailers = {Trailer.ACCESS: chosen.access, Trailer.KEY: wanted.key or "", **binding}
    files = snapshot.take(repo, held.name)
    if waiting is None:
        tip = held.append_request(tip, request, trailers, files=files)
        return Asked(Address(held.name, request.id), held.worktree.path / request.file, tuple(held.notes))
    call = Call(
        session=held.name,
        id=request.id,
        from_=wanted.from_,
        to=wanted.to,
        top=str(repo.top),
        access=chosen.access,
        started=time.time(),
        limits=chosen.limits,
        one_shot=one_shot,
        model=chosen.model,
        effort=chosen.effort,
        checks=wanted.checks,
        check_limit=wanted.check_limit,
        bound=bound,
    )
    folder = ledger.state.call(held.name)
    folder.create(call)
    try:
        tip = held.append_request(tip, request, trailers, files=files, synchronise=not one_shot)
        call = replace(call, request_commit=tip.commit)
        folder.save(call)
        if not waiting.hand_over(folder.path):
            recording.heal(held, folder)
    except KeyboardInterrupt:
        _give_up(held, folder, call)
        raise Interrupted("interrupted", hint=f"'git relay show {call.address}' shows what was recorded") from None
    except BaseException:
        recording.heal(held, folder)
        raise
    return Asked(call.address, held.worktree.path / request.file, tuple(held.notes))


def _give_up(held: Session, folder: CallFolder, call: Call) -> None:
    """Ctrl-C while the request was being recorded: a started supervisor is told to stop; else the end is recorded."""
    with contextlib.suppress(OSError):
        folder.request_cancel("Ctrl-C")
        folder.keep_answer(failed(call, "cancelled", "cancelled by Ctrl-C before the peer was started").to_json())
    recording.heal(held, folder)
