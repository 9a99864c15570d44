"""One call: open the session, record the request, hand over to the supervisor, wait, read the answer from git."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from gitrelay import __version__
from gitrelay.calls import below, budget, context, inflight, isolation, plan, recording, within
from gitrelay.calls.launch import Launched, launched
from gitrelay.calls.order import Order
from gitrelay.calls.outcome import failed
from gitrelay.calls.plan import Plan
from gitrelay.calls.within import Within
from gitrelay.errors import Busy, Code, Interrupted, Reason, RelayError, UsageError
from gitrelay.ground.text import plain, quote
from gitrelay.ground.value import dataclass
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger import fetching, snapshot
from gitrelay.ledger.ledger import Ledger, Tip, open_ledger
from gitrelay.ledger.session import Session, locked
from gitrelay.ledger.snapshot import Snapshot
from gitrelay.protocol import names
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import Parties, Request, task_of
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import ARCHIVE, BRANCHES, STARTED_IN, TRACKED, Trailer, remote_of
from gitrelay.protocol.words import Access, Recorded
from gitrelay.state import away as aways
from gitrelay.state.calls import Call, CallFolder, identity_of

KEY_LIMIT: Final = 30.0  # seconds; a key is held for the time of recording a request


@dataclass(frozen=True)
class Asked:
    """A request that is recorded: where it is in git, and in the worktree."""

    address: Address
    file: Path
    notes: tuple[str, ...] = ()
    replayed: bool = False  # it was recorded before, under the same key


def ask(folder: Path, order: Order) -> tuple[Ledger, Asked]:
    """Record a request to one peer in the repository that `folder` is in and, with `invoke`, set the peer to work.

    With a `key` that an exchange of this repository already has, that exchange is returned and nothing
    is started; an exchange that gitrelay had to end itself does not hold its key. Raises UsageError, Busy,
    CannotRecord, Interrupted; if one is raised before the request was recorded, nothing was.
    """
    asked: list[Asked] = []
    with _cancelled_unless_returned(folder, asked), _launched(folder, order) as waiting:
        ledger = open_ledger(folder)
        (wanted,) = plan.make(ledger.repo, order)
        asked.append(_ask(ledger, wanted, waiting))
    return ledger, asked[0]


def ask_each(folder: Path, order: Order) -> tuple[Ledger, list[Asked]]:
    """Ask several peers the same, at the same time: one exchange each, in a session named after each.

    Every peer is checked before the first is asked; if one cannot be asked after all, those that run are
    cancelled. Raises what `ask` raises.
    """
    ledger = open_ledger(folder)
    asked: list[Asked] = []
    with _cancelled_unless_returned(folder, asked):
        for wanted in plan.make(ledger.repo, order):
            with _launched(folder, order) as waiting:
                asked.append(_ask(ledger, wanted, waiting))
    return ledger, asked


@contextlib.contextmanager
def _cancelled_unless_returned(folder: Path, asked: list[Asked]) -> Iterator[None]:
    """Cancel the calls of `asked` if the block fails: their caller will never know of them."""
    try:
        yield
    except BaseException as e:
        for one in asked:
            if not one.replayed:
                interrupted = isinstance(e, KeyboardInterrupt)
                why = "Ctrl-C" if interrupted else "a call of the same request that could not be made"
                inflight.cancel(open_ledger(folder), one.address, why)
        if asked and isinstance(e, KeyboardInterrupt):
            raise Interrupted("interrupted", hint=f"git relay show {asked[0].address}") from None
        raise


def _launched(folder: Path, order: Order) -> contextlib.AbstractContextManager[Launched | None]:
    return launched(folder) if order.invoke else contextlib.nullcontext()


def _ask(ledger: Ledger, wanted: Plan, waiting: Launched | None) -> Asked:
    asked: Asked | None = None
    try:
        with _key_held(ledger, wanted.key) as recorded:
            if recorded is not None:
                _refuse_another_request(ledger, recorded, wanted)
                return Asked(recorded.address, ledger.place_of(recorded.address), replayed=True)
            with _open_session(ledger, wanted) as (held, tip):
                asked = _record_request(held, tip, wanted, waiting)
        return asked
    except KeyboardInterrupt:
        if asked is None or waiting is None:
            raise
        # the call runs already, and the locks are being given back
        inflight.cancel(ledger, asked.address, "Ctrl-C")
        raise Interrupted("interrupted", hint=f"git relay show {asked.address}") from None


@contextlib.contextmanager
def _key_held(ledger: Ledger, key: str | None) -> Iterator[Exchange | None]:
    """The exchange that holds `key`, None if it is free; until the end nobody else can take it."""
    if key is None:
        yield None
        return
    ledger.state.prepare()
    with ledger.state.lock(f".key-{hashlib.sha256(key.encode()).hexdigest()[:32]}") as lock:
        lock.acquire(KEY_LIMIT, what=f"key {key}")
        found = exchanges.by_key(ledger, key)
        if found is not None and found.response is None:
            found = inflight.look(ledger, found.address)
        without_answer = found is not None and found.recorded == Recorded.GITRELAY
        yield None if without_answer else found


@contextlib.contextmanager
def _open_session(ledger: Ledger, wanted: Plan) -> Iterator[tuple[Session, Tip]]:
    """(the session under its lock, its tip): a named session, opened if it is new, or a new one-shot.

    A session that was opened here is taken back where the request could not be recorded in it.
    """
    session, name = wanted.session, wanted.name
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
            if not wanted.binding:  # a review is asked for, no matter who reviewed before
                _refuse_fork(ledger, session)
            with _opened(held, wanted.from_) as root:
                if root is None:
                    raise Busy(f"session {session} was opened by another process just now", hint="try again")
                yield held, root
        return
    taken = ledger.taken(names.one_shot_id(name, datetime.now()))
    for again in range(1, 10_000):
        candidate = names.one_shot_id(name, datetime.now(), again)
        if candidate in taken:
            continue
        with locked(ledger, candidate) as held, _opened(held, wanted.from_) as root:
            if root is not None:
                yield held, root
                return
    raise Busy(f"ten thousand one-shots named {name!r} in one minute", hint="give this one a --name of its own")


def _refuse_fork(ledger: Ledger, session: str) -> None:
    """Raise UsageError if a remote has a session of that name which is not here: two would be one for nobody."""
    for (ref,) in ledger.repo.each_ref("%(refname)", TRACKED.removesuffix("*") + session):
        raise UsageError(
            f"session {quote(session)} is one of {remote_of(ref)}, and not here yet",
            hint=f"git relay fetch {remote_of(ref)} {session}, or use another name",
            code=Code.NOT_HERE,
        )


@contextlib.contextmanager
def _opened(held: Session, caller: str) -> Iterator[Tip | None]:
    """A session opened now, None if another process was first; taken back if nothing gets recorded in it."""
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
        by_hand = f"git relay res --session {held.name} --re {tip.pending} ..."
        is_away = aways.of_session(held.ledger.state.root, held.name) is not None
        raise Busy(
            f"session {held.name} waits for an answer to {address}",
            hint=f"{f'git relay wait {address}' if is_away else by_hand} or git relay cancel {address}",
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


def _record_request(held: Session, tip: Tip, wanted: Plan, waiting: Launched | None) -> Asked:
    ledger = held.ledger
    repo = ledger.repo
    outer = within.enclosing(ledger)
    id_ = held.name if wanted.one_shot else tip.next_id
    request = Request(id_, wanted.from_, wanted.to, wanted.task, held.name, wanted.form)
    chosen = wanted.chosen
    trailers = {
        Trailer.ACCESS: chosen.access,
        Trailer.KEY: wanted.key or "",
        Trailer.TOOL: f"gitrelay {__version__}",
        Trailer.ASKED_CHECKS: _asked_checks(ledger, wanted),
        Trailer.ASKED_MODEL: chosen.model or "",
        Trailer.ASKED_EFFORT: chosen.effort or "",
        Trailer.ASKED_LIMITS: _asked_limits(wanted) if waiting is not None else "",
        Trailer.CONTEXT: context.to_trailer(wanted.context),
        **wanted.binding,
    }
    holds = budget.held(ledger, wanted.caps, outer)
    trailers[Trailer.BUDGET] = holds.to_trailer()
    held.notes += [*fetching.told_once(ledger), *isolation.told_once(ledger, wanted.excess)]
    refused = outer is not None and not outer.access.covers(wanted.needs)
    here, made, files = ledger, False, None
    if wanted.isolated and not refused:
        here, made, files, told = isolation.prepared(
            ledger, held.name, wanted.keep, wanted.files, wanted.at, alone=wanted.alone is not None
        )
        held.notes += told
    if here is not ledger and not below.is_there(here.repo, wanted.below):
        if made:
            isolation.done(ledger, held.name)
        raise below.not_copied(wanted.below)
    if waiting is not None:
        trailers[Trailer.WORKSPACE] = isolation.ISOLATED if here is not ledger else isolation.SHARED
    if waiting is None and wanted.at:
        files = snapshot.of_commit(repo, held.name, wanted.at)
    files = files or snapshot.take(here.repo, held.name)
    if outer is not None and refused:
        return _refuse(held, tip, request, trailers, files, outer, wanted)
    if waiting is None:
        tip = held.append_request(tip, request, trailers, files=files)
        inflight.note_for_a_person(ledger, Address(held.name, request.id))
        return Asked(Address(held.name, request.id), held.worktree.path / request.file, (*held.notes, *wanted.notes))
    call = Call(
        session=held.name,
        id=request.id,
        from_=wanted.from_,
        to=wanted.to,
        top=str(repo.top),
        access=chosen.access,
        started=time.time(),
        limits=chosen.limits,
        one_shot=wanted.passing,
        model=chosen.model,
        effort=chosen.effort,
        checks=wanted.checks,
        check_limit=wanted.check_limit,
        bound=wanted.bound,
        budget=trailers[Trailer.BUDGET],
        within=holds.within,
        hand_back=wanted.hand_back,
        workspace=str(here.repo.top) if here is not ledger else "",
        below=wanted.below,
        passing=here is not ledger and (wanted.passing or (made and chosen.access == Access.READ)),
        alone=wanted.alone is not None,
        earlier=wanted.alone.earlier if wanted.alone is not None else "",
    )
    folder = ledger.state.call(held.name)
    folder.create(call)
    try:
        said = [f"{STARTED_IN}{wanted.below}/."] if wanted.below else []
        tip = held.append_request(tip, request, trailers, notes=said, files=files, synchronise=not wanted.passing)
        call = replace(call, request_commit=tip.commit, home=identity_of(repo.common_dir))
        with contextlib.suppress(OSError):  # if the folder was deleted, the supervisor makes it again
            folder.save(call)
        if not waiting.hand_over(ledger, call):
            recording.never_started(held, folder, call)
    except KeyboardInterrupt:
        _give_up(held, folder, call)
        raise Interrupted("interrupted", hint=f"'git relay show {call.address}' shows what was recorded") from None
    except BaseException:
        recording.heal(held, folder)
        raise
    return Asked(call.address, held.worktree.path / request.file, (*held.notes, *wanted.notes))


def _refuse(
    held: Session,
    tip: Tip,
    request: Request,
    trailers: Mapping[str, str],
    files: Snapshot | None,
    outer: Within,
    wanted: Plan,
) -> Asked:
    """Record a request that asks for more access than the call it runs in has, and that it was refused."""
    words = f"git relay req --to {wanted.to} --access {wanted.chosen.access}{' --check' if wanted.checks else ''}"
    why = outer.refuse(wanted.needs, words)
    address = Address(held.name, request.id)
    tip = held.append_request(tip, request, trailers, files=files, synchronise=False)
    answer = failed(Parties(request.id, wanted.from_, wanted.to), Reason.ACCESS, why)
    own = {Trailer.RECORDED: answer.recorded, Trailer.IN: outer.address}
    after = snapshot.take(held.ledger.repo, held.name)
    held.append_response(tip, answer.response, own, files=after, synchronise=not wanted.one_shot)
    if wanted.one_shot:
        with contextlib.suppress(RelayError, OSError):
            held.worktree.remove()
    return Asked(address, held.worktree.path / request.file, tuple(held.notes))


def _refuse_another_request(ledger: Ledger, recorded: Exchange, wanted: Plan) -> None:
    """Raise UsageError if the exchange that holds the key was asked something else than `wanted`."""
    session, request = recorded.address.session, recorded.request
    told: list[tuple[str, str, str]] = []  # (what, as recorded, as wanted) where they differ
    task = ledger.redactor.redact(wanted.task).text
    with contextlib.suppress(BadMessage):
        before = task_of(recorded.request_data)
        if before != task:
            told.append(("task", before, task))
    if wanted.to != recorded.to:
        told.append(("--to", recorded.to, wanted.to))
    if wanted.session is not None and wanted.session != session:
        told.append(("--session", session, wanted.session))
    if wanted.one_shot and not re.fullmatch(rf"\d{{8}}-\d{{4}}-{re.escape(wanted.name)}(-\d+)?", session):
        told.append(("--name", session, wanted.name))
    if request.access is not None and wanted.chosen.access != request.access:
        told.append(("--access", request.access, wanted.chosen.access))
    if Trailer.TOOL in request.trailers:  # older ones do not say which checks were asked for
        before, now = request.trailers.get(Trailer.ASKED_CHECKS, ""), plain(_asked_checks(ledger, wanted))
        if before != now:
            told.append(("--check", before or "none", now or "none"))
    if told:
        what, before, now = told[0]
        raise UsageError(
            f"key {quote(wanted.key or '')} belongs to {recorded.address}, another request: "
            f"its {what} is {quote(before)}, not {quote(now)}",
            hint=f"git relay show {recorded.address}, or use a key of its own for this request",
            code=Code.BAD_KEY,
        )


def _asked_checks(ledger: Ledger, wanted: Plan) -> str:
    """The checks as JSON, each as its own record will have it; empty if there are none."""
    commands = [ledger.redactor.redact(command).text for command in wanted.checks]
    return json.dumps(commands, ensure_ascii=False) if commands else ""


def _asked_limits(wanted: Plan) -> str:
    """The limits as JSON: seconds, null for none."""
    limits = wanted.chosen.limits
    held = {"timeout": limits.wall, "idle-timeout": limits.idle, "first-output": limits.first_output}
    return json.dumps(held | ({"check": wanted.check_limit} if wanted.checks else {}))


def _give_up(held: Session, folder: CallFolder, call: Call) -> None:
    """Ctrl-C while the request was being recorded: a started supervisor is told to stop; else the end is recorded."""
    with contextlib.suppress(OSError):
        folder.request_cancel("Ctrl-C")
        outcome = failed(call.parties, Reason.CANCELLED, "cancelled by Ctrl-C before the peer was started")
        folder.keep_answer(outcome.to_json())
    recording.heal(held, folder)
