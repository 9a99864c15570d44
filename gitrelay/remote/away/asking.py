"""Asks the workers of a remote: each request recorded here first, then sent with its job."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gitrelay.calls import ask, plan
from gitrelay.calls.ask import Asked
from gitrelay.calls.order import Order
from gitrelay.calls.plan import Plan
from gitrelay.errors import Busy, Conflict, RelayError
from gitrelay.history import exchanges
from gitrelay.ledger.ledger import Ledger, open_ledger
from gitrelay.protocol import names
from gitrelay.protocol.record import BRANCHES
from gitrelay.remote import address, known
from gitrelay.remote.away import travelling
from gitrelay.remote.away.sending import Remote, is_ancestor, of_session
from gitrelay.remote.away.travelling import Extra
from gitrelay.remote.queue import abilities, jobs, record
from gitrelay.remote.queue.jobs import Unreachable
from gitrelay.remote.share import push
from gitrelay.remote.share.compare import Compared, State
from gitrelay.state import away as aways
from gitrelay.state.away import Away


def submit(
    folder: Path, order: Order, remote: str, *, expires: str | None = None, checks: Sequence[str] = ()
) -> tuple[Ledger, list[Asked]]:
    """Record the request of `order` to each of its peers and send it to the workers of `remote`.

    `checks`: commands that the worker is to run. `expires`: how long a worker may take to take it, as it was typed. If
    the remote cannot be reached, what is recorded is sent by the next `wait` or `status`. Raises UsageError if the
    remote is known to be unable to hold a queue, Conflict if the session has gone on there.
    """
    ledger = open_ledger(folder)
    there = Remote(ledger, remote)
    try:
        ledger.prepare()
        extra = travelling.extra(ledger, order.given, expires, checks)
        plans = plan.make(ledger.repo, replace(order, invoke=False))
        with contextlib.suppress(Unreachable):  # it is tried when the request is sent
            abilities.require(ledger.state, there.wire)
        for one in plans:
            if one.key is None or exchanges.by_key(ledger, one.key) is None:
                _refuse_gone_on(ledger, there, one.session)
        asked: list[Asked] = []
        try:
            for one in plans:
                asked.append(_submitted(folder, there, order, one, extra))
        except BaseException:
            _take_back(there, asked)
            raise
        return ledger, asked
    finally:
        there.close()


def _submitted(folder: Path, remote: Remote, order: Order, wanted: Plan, extra: Extra) -> Asked:
    """One request of a plan, recorded, noted and sent if the remote can be reached."""
    ledger, id_ = remote.ledger, jobs.new_id()
    own = travelling.trailers(ledger.repo, wanted, id_, extra)
    one = replace(order, to=(wanted.to,), invoke=False, key=wanted.key, binding={**order.binding, **own})
    one = replace(one, session=wanted.session, name=wanted.name if wanted.one_shot else None)
    _, asked = ask.ask(folder, one)
    address = asked.address
    if asked.replayed:
        travelling.same_checks(exchanges.exchange(ledger, address), extra)
    if asked.replayed or exchanges.exchange(ledger, address).response is not None:  # the call it is in may not ask
        return asked
    request = ledger.repo.ref(BRANCHES + address.session) or ""
    away = Away(remote.name, address.session, address.id, id_, wanted.to, jobs.PRIORITY, request)
    away = replace(away, checks=wanted.checks, check_limit=wanted.check_limit)
    away = replace(away, said="not sent yet", said_at=time.time())
    aways.note(ledger.state.root, away)
    try:
        remote.send(away)
    except Unreachable as e:
        asked = replace(asked, notes=(*asked.notes, f"not sent yet: {e.message}; 'git relay wait' sends it"))
    return asked


def _take_back(remote: Remote, asked: list[Asked]) -> None:
    for one in asked:
        away = of_session(remote.ledger, one.address.session)
        if away is not None and not one.replayed:
            with contextlib.suppress(RelayError):
                remote.cancel(away, "a call of the same request that could not be made")


def _refuse_gone_on(ledger: Ledger, remote: Remote, session: str | None) -> None:
    """Raise Conflict if the remote has more of the session than this clone, before anything is recorded."""
    if session is None or not names.is_session(session):
        return
    if of_session(ledger, session) is not None:
        raise Busy(f"session {session} has a call that is away", hint=f"git relay wait {session}")
    try:
        there = record.there(remote.wire, session, files=False)
    except Unreachable:
        return  # it is told when it is sent
    here, shown = ledger.repo.ref(BRANCHES + session), known.read(ledger.repo, remote.name).heads.get(session)
    if there.session and shown and not is_ancestor(ledger.repo.run, shown, there.session):
        is_older = is_ancestor(ledger.repo.run, there.session, shown)
        state = State.MOVED_BACK if is_older else State.REWRITTEN
        raise push.lost(address.remote(ledger.repo, remote.name), Compared(session, state, here, there.session, shown))
    if there.session and (here is None or not is_ancestor(ledger.repo.run, there.session, here)):
        raise Conflict(
            f"session {session} has gone on at {remote.name}: it is at {there.session[:12]} there",
            hint=f"git relay fetch {remote.name} {session}, or use a session of another name",
        )
