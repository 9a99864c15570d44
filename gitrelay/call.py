"""One call: open the session, record the request, hand over to the supervisor, wait, read the answer from git."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from gitrelay import history, message, names, peers, settings, supervisor
from gitrelay.errors import Busy, CannotRecord, Interrupted, UsageError
from gitrelay.gitcmd import Repository
from gitrelay.history import Exchange
from gitrelay.ledger import ARCHIVE, BRANCHES, Ledger, Session, Tip
from gitrelay.message import BadMessage, Request, Response
from gitrelay.names import Address
from gitrelay.settings import CallSettings
from gitrelay.state import Call, CallFolder, Limits

_CANCEL_LIMIT: Final = 30.0  # seconds for a cancelled peer to end and be recorded; TERM_GRACE and SIGKILL fit in
_MANUAL_PAUSE: Final = 0.5  # seconds between two looks for an answer that a person records


@dataclass(frozen=True)
class Asked:
    """A request that is recorded: where it stands in git, and in the worktree."""

    address: Address
    file: Path
    notes: tuple[str, ...] = ()


def open_ledger(folder: Path) -> Ledger:
    return Ledger(Repository.open(folder))


def ask(
    folder: Path,
    *,
    task: str,
    to: str,
    from_: str | None = None,
    session: str | None = None,
    name: str | None = None,
    files: Sequence[str] = (),
    access: str | None = None,
    model: str | None = None,
    effort: str | None = None,
    timeout: str | None = None,
    idle_timeout: str | None = None,
    first_output: str | None = None,
    invoke: bool = True,
) -> tuple[Ledger, Asked]:
    """Record a request in the repository that `folder` is in and, with `invoke`, set its peer to work.

    Raises UsageError, Busy, CannotRecord, Interrupted; where one is raised before the request was
    recorded, nothing was.
    """
    starting = supervisor.launched(folder) if invoke else contextlib.nullcontext()
    with starting as waiting:
        repo = Repository.open(folder)
        ledger = Ledger(repo)
        if invoke and repo.top is None:
            raise UsageError(
                f"{names.quote_path(repo.git_dir)} is a bare repository: a peer has no working tree to work in",
                hint="call from a clone or a linked worktree; '--no-invoke' only records the request",
                code="bare-repository",
            )
        peer = peers.find(repo, to) if invoke else None
        chosen = (
            settings.for_call(
                repo,
                peer,
                access=access,
                model=model,
                effort=effort,
                timeout=timeout,
                idle_timeout=idle_timeout,
                first_output=first_output,
            )
            if peer is not None
            else CallSettings(access or "write", model, effort, Limits())
        )
        if invoke:
            settings.peer_environment(repo, to)  # a bad one is a usage error now, not a failed call later
        caller = settings.caller(repo, from_)
        text = _task(task, files)
        if session is not None:
            names.check_session(session, "--session")
        one_shot_name = names.check_slug(name, "--name") if name is not None else names.name_of_task(task)
        with _open_session(ledger, session, one_shot_name, caller) as (held, tip):
            return ledger, _record_request(
                held,
                tip,
                text,
                to=names.check_slug(to, "--to"),
                from_=caller,
                chosen=chosen,
                one_shot=session is None,
                waiting=waiting,
            )


def _task(task: str, files: Sequence[str]) -> str:
    """The task with its file references. Raises UsageError for an empty, too large or binary one."""
    if not task.strip():
        raise UsageError("the task is empty", hint="say what the peer is to do, or pipe it in", code="empty-task")
    if files:
        task = task + "\n\nFiles:\n" + "\n".join(f"- {file}" for file in files)
    try:
        data = task.encode()
        if len(data) > message.MAX_BYTES - 4096:
            raise UsageError(
                f"the task has {len(data)} bytes; at most {message.MAX_BYTES - 4096} can be recorded",
                hint="put the material into a file and refer to it with --file",
                code="task-too-large",
            )
        message.decode(data)
    except UnicodeEncodeError as e:
        raise UsageError(
            f"the task is not valid text: {names.quote(task[max(0, e.start - 10) : e.end + 10])}",
            hint="it must be UTF-8",
            code="bad-task",
        ) from None
    except BadMessage as e:
        raise UsageError(
            f"the task is not text: {e}", hint="refer to binary files with --file", code="bad-task"
        ) from None
    return task


@contextlib.contextmanager
def _open_session(ledger: Ledger, session: str | None, name: str, caller: str) -> Iterator[tuple[Session, Tip]]:
    """(the session under its lock, its tip): a named session, opened where it is new, or a new one-shot.

    A session that was opened here is taken back where the request could not be recorded in it.
    """
    if session is not None:
        with ledger.session(session) as held:
            tip, archived = _ready(held)
            if tip is not None:
                yield held, tip
                return
            if archived is not None:
                raise UsageError(
                    f"session {names.quote(session)} is archived",
                    hint=f"git relay archive --restore {session}",
                    code="archived",
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
        with ledger.session(candidate) as held, _opened(held, caller) as root:
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
    if not supervisor.heal(held, folder):
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
    task: str,
    *,
    to: str,
    from_: str,
    chosen: CallSettings,
    one_shot: bool,
    waiting: supervisor.Launched | None,
) -> Asked:
    ledger = held.ledger
    repo = ledger.repo
    request = Request(held.name if one_shot else tip.next_id, from_, to, task, held.name)
    trailers = {"Relay-Access": chosen.access}
    if waiting is None:
        tip = held.append_request(tip, request, trailers)
        return Asked(Address(held.name, request.id), held.worktree.path / request.file, tuple(held.notes))
    call = Call(
        session=held.name,
        id=request.id,
        from_=from_,
        to=to,
        top=str(repo.top),
        access=chosen.access,
        started=time.time(),
        limits=chosen.limits,
        one_shot=one_shot,
        model=chosen.model,
        effort=chosen.effort,
    )
    folder = ledger.state.call(held.name)
    folder.create(call)
    try:
        tip = held.append_request(tip, request, trailers, synchronise=not one_shot)
        call = replace(call, request_commit=tip.commit)
        folder.save(call)
        if not waiting.hand_over(folder.path):
            supervisor.heal(held, folder)
    except KeyboardInterrupt:
        _give_up(held, folder, call)
        raise Interrupted("interrupted", hint=f"'git relay show {call.address}' shows what was recorded") from None
    except BaseException:
        supervisor.heal(held, folder)
        raise
    return Asked(call.address, held.worktree.path / request.file, tuple(held.notes))


def _give_up(held: Session, folder: CallFolder, call: Call) -> None:
    """Ctrl-C while the request was being recorded: a started supervisor is told to stop; else the end is recorded."""
    with contextlib.suppress(OSError):
        folder.request_cancel("Ctrl-C")
        folder.keep_answer(
            supervisor.failed(call, "cancelled", "cancelled by Ctrl-C before the peer was started").to_json()
        )
    supervisor.heal(held, folder)


# -- waiting ---------------------------------------------------------------------------------------


def wait(ledger: Ledger, address: Address, limit: float | None) -> Exchange:
    """The exchange once it is answered; still pending where `limit` seconds have passed.

    A call whose supervisor died is recorded as lost by this look. Raises UsageError for an unknown address.
    """
    deadline = None if limit is None else time.monotonic() + limit
    folder = ledger.state.call(address.session)
    pause = 0.002
    while True:
        if not _is_running(folder, address):
            found = look(ledger, address)
            if found.response is not None:
                return found
            if not folder.is_alive():
                pause = _MANUAL_PAUSE
        if deadline is not None and time.monotonic() >= deadline:
            return history.exchange(ledger, address)
        time.sleep(pause if deadline is None else min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.2, 0.1) if pause < _MANUAL_PAUSE else pause


def _is_running(folder: CallFolder, address: Address) -> bool:
    if not folder.is_alive():
        return False
    call = folder.load()
    return call is not None and call.id == address.id


def look(ledger: Ledger, address: Address) -> Exchange:
    """The exchange as it stands; a call that has died is recorded first.

    Raises CannotRecord where it has ended and cannot be recorded; what is known of it is kept for the next look.
    """
    found = history.exchange(ledger, address)
    folder = ledger.state.call(address.session)
    if found.response is not None or not folder.path.exists():
        return found
    try:
        with ledger.session(address.session) as held:
            supervisor.heal(held, folder)
    except CannotRecord as e:
        raise CannotRecord(
            f"{address} has ended but cannot be recorded: {e.message}",
            hint=f"mend that, then 'git relay wait {address}' records it",
            code=e.code,
        ) from e
    return history.exchange(ledger, address)


def cancel(ledger: Ledger, address: Address, by: str) -> Exchange:
    """Stop the peer and return the exchange once that is recorded. A request nobody runs is closed as cancelled.

    An exchange that is answered already is returned as it is. Raises Busy where the peer would not end.
    """
    found = look(ledger, address)
    if found.response is not None:
        return found
    folder = ledger.state.call(address.session)
    if _is_running(folder, address):
        with contextlib.suppress(FileNotFoundError):
            folder.request_cancel(by)
        found = wait(ledger, address, _CANCEL_LIMIT)
        if found.response is None:
            raise Busy(
                f"{address} did not end within {_CANCEL_LIMIT:g} s of being cancelled",
                hint="look again later",
            )
        return found
    with ledger.session(address.session) as held:
        tip = held.tip()
        if tip is not None and tip.pending == address.id:
            call = Call(
                address.session,
                address.id,
                found.from_,
                found.to,
                str(ledger.repo.place),
                "write",
                time.time(),
                Limits(),
            )
            verdict = supervisor.failed(call, "cancelled", f"cancelled by {by}; no peer was running")
            held.append_response(tip, verdict.response, {"Relay-Recorded": "gitrelay"})
    return history.exchange(ledger, address)


def respond(
    ledger: Ledger, *, session: str, re: str, from_: str, to: str, status: str, verify: str, body: str
) -> Exchange:
    """Record an answer that a peer or a person gives itself. Raises UsageError where it does not fit the request."""
    names.check_session(session, "--session")
    address = names.parse_address(f"{session}/{re}")
    found = history.exchange(ledger, address)
    for option, given, wanted in (("--from", from_, found.to), ("--to", to, found.from_)):
        if given != wanted:
            raise UsageError(
                f"{option} {names.quote(given)} does not fit: {address} is from {found.from_} to {found.to}",
                hint=f"use {option} {wanted}",
                code="wrong-party",
            )
    if not body.strip():
        raise UsageError("the answer is empty", hint="say something, or pipe it in", code="empty-body")
    try:
        message.decode(body.encode())
    except (BadMessage, UnicodeEncodeError) as e:
        raise UsageError(f"the answer is not text: {e}", code="bad-body") from None
    with ledger.session(session) as held:
        tip = held.tip()
        if tip is None:
            raise UsageError(
                f"session {names.quote(session)} is archived", hint=f"git relay archive --restore {session}"
            )
        response = Response(re, from_, to, status, verify, body)
        held.append_response(tip, response, {"Relay-Recorded": "peer"})
    return history.exchange(ledger, address)


def running(ledger: Ledger) -> list[tuple[Call, CallFolder]]:
    """The calls that run now, the oldest first; calls that have died are recorded by this look."""
    found = []
    for folder in ledger.state.calls():
        if not folder.is_alive():
            with contextlib.suppress(CannotRecord, Busy), ledger.session(folder.session, limit=1.0) as held:
                supervisor.heal(held, folder)
        call = folder.load()
        if call is not None and folder.is_alive():
            found.append((call, folder))
    return found
