"""A call that a worker answers: the request sent with its job in one atomic push, and the answer checked and taken.

What this machine knows of a call that is away is in `.git/relay/away/<session>`; the record itself is in git.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gitrelay.calls import ask, inflight, recording
from gitrelay.calls.ask import Asked
from gitrelay.calls.order import Order
from gitrelay.errors import Busy, Code, Conflict, Reason, UsageError
from gitrelay.git.faults import GitError
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger, open_ledger
from gitrelay.protocol import names
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import BRANCHES, CODE, Trailer
from gitrelay.remote import dispatch, jobs, queueprobe, queuerecord, queuetrust, submittedanswer
from gitrelay.remote.jobs import Job, Known, Unreachable, Update
from gitrelay.remote.queuerecord import Published
from gitrelay.remote.queuewire import FILES_LIMIT, Outcome, wire_of
from gitrelay.state.files import is_own_folder, make_folder, write_whole

DEADLINE: Final = 86400.0  # seconds in which a worker may take a job, unless the caller says otherwise
_VERSION: Final = 1
_PAUSES: Final = (1.0, 10.0)  # seconds between two looks at the remote
_TRIES: Final = 5


@dataclass(frozen=True)
class Away:
    """A call that is away: its remote, its job, and where the session and its files were there before it, '' for none.

    `sent`: the remote has it.
    """

    remote: str
    address: Address
    job: Job
    sent: bool


def of_session(ledger: Ledger, session: str) -> Away | None:
    """The call of `session` that is away, None if there is none."""
    try:
        value = json.loads(_path(ledger, session).read_bytes())
        if value["version"] != _VERSION:
            return None
        job = Job(value["job"], value["peer"], int(value["prio"]), session, value["request"])
        return Away(str(value["remote"]), Address(session, value["id"]), job, bool(value["sent"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def all_away(ledger: Ledger) -> list[Away]:
    """Every call of this clone that is away."""
    folder = ledger.state.root / "away"
    try:
        found = sorted(path.name for path in folder.iterdir() if names.is_session(path.name))
    except OSError:
        return []
    return [away for name in found if (away := of_session(ledger, name)) is not None]


def _path(ledger: Ledger, session: str) -> Path:
    return ledger.state.root / "away" / session


def _note(ledger: Ledger, away: Away) -> None:
    path, job = _path(ledger, away.address.session), away.job
    value: dict[str, Any] = {"version": _VERSION, "remote": away.remote, "id": away.address.id, "sent": away.sent}
    value |= {"job": job.id, "peer": job.peer, "prio": job.prio, "request": job.request}
    make_folder(path.parent)
    write_whole(path, json.dumps(value).encode())


def _forget(ledger: Ledger, away: Away) -> None:
    path = _path(ledger, away.address.session)
    if is_own_folder(path.parent):
        path.unlink(missing_ok=True)
    inflight.forget_person(ledger, away.address.session)


class Remote:
    """The calls of one clone that one remote's workers answer."""

    def __init__(self, ledger: Ledger, remote: str) -> None:
        """Raises UsageError for a remote that is not there, or a bad `relay.<remote>.queue`."""
        self.ledger = ledger
        self.name = remote
        self.wire = wire_of(ledger.repo, remote)
        self.queue = dispatch.engine(ledger.repo, remote, self.wire)

    # -- sending ----------------------------------------------------------------------------------

    def send(self, away: Away) -> bool:
        """Send the request, its files and its job; True once the remote has them. Raises Unreachable, Conflict."""
        repo, name, job = self.ledger.repo, away.address.session, away.job
        branch, code = BRANCHES + name, CODE + name
        words = ""
        for _ in range(_TRIES):
            there = queuerecord.there(self.wire, name)
            if there.session == job.request:
                self.queue.submit(job)
                break
            if there.session and not _is_ancestor(repo.run, there.session, job.request):
                raise Conflict(
                    f"session {name} has gone on at {self.name}: it is at {there.session[:12]} there",
                    hint=f"git relay cancel {away.address}, and ask in a session of another name",
                )
            files = repo.ref(code) or ""
            now, now_code = there.refs
            updates = [Update(branch, now, job.request)]
            updates += [Update(code, now_code, files)] if files != now_code else []
            swap = self.wire.swap([*updates, self.queue.enrolment(job)], limit=FILES_LIMIT)
            if swap.outcome == Outcome.WON:
                self.queue.announce(job)
                break
            words = swap.words
        else:
            raise Unreachable(f"{self.name} does not take the request: {words}", hint="its log says why; try again")
        _note(self.ledger, replace(away, sent=True))
        return True

    # -- waiting ----------------------------------------------------------------------------------

    def look(self, away: Away) -> tuple[Exchange, str]:
        """(the exchange as it is now, what is known of its job in words). An answer is checked and taken.

        Raises Unreachable. What was not sent yet is sent now.
        """
        found = exchanges.exchange(self.ledger, away.address)
        if found.response is not None:
            self._publish_ours(away)
            return found, "answered"
        if not away.sent:
            self.send(away)
        there = queuerecord.there(self.wire, away.address.session)
        if there.session == away.job.request:
            known = self.queue.find(away.job)
            if _is_over(found) and (known is None or not known.is_held):
                recording.close_unanswered(self.ledger, found, Reason.EXPIRED, "no worker took it in time", files=False)
                self._publish_ours(away)
                return exchanges.exchange(self.ledger, away.address), "expired"
            return found, self._told(away, known)
        repo = self.ledger.repo
        if not there.session or _is_ancestor(repo.run, there.session, away.job.request):
            self.send(away)  # the remote has forgotten it: it was set up again, or brought back from a backup
            return found, "sent again: the remote had lost it"
        why = self._unsigned(there.session) or submittedanswer.fault(self.ledger, away.job, found, there)
        if why:
            submittedanswer.reject(self.ledger, away.job, there, why)
            what = f"the answer that {self.name} has was refused: {why}. It is kept below refs/relay/rejected/"
            recording.close_unanswered(self.ledger, found, Reason.BAD_OUTPUT, what, files=False)
        else:
            submittedanswer.take(self.ledger, away.job, there)
        _forget(self.ledger, away)
        return exchanges.exchange(self.ledger, away.address), "answered"

    def _told(self, away: Away, known: Known | None) -> str:
        """What is known of a job in words; one that the queue has lost is put there again."""
        if known is not None:
            return told(known)
        if queuerecord.there(self.wire, away.address.session, files=False).session == away.job.request:
            self.queue.submit(away.job)
            return "put into the queue again: it had lost the job"
        return "just answered"

    def _unsigned(self, answer: str) -> str:
        """Why the answer counts for nothing if only those of some workers count, '' if it counts."""
        repo = self.ledger.repo
        values = repo.config.get(f"relay.{self.name}.workers")
        if not values:
            return ""
        path = Path(values[-1][0]).expanduser()
        if not path.is_absolute() or not path.is_file():
            raise UsageError(
                f"relay.{self.name}.workers {quote(values[-1][0])} is no file",
                hint="the absolute path of a file in the form of ssh-keygen's ALLOWED SIGNERS",
                code=Code.BAD_CONFIG,
            )
        return "" if queuetrust.signer_of(repo, answer, path, None) else "no worker of yours has signed it"

    def wait(self, away: Away, limit: float | None, tell: Callable[[str], None]) -> Exchange:
        """The exchange once it is answered; still pending if `limit` seconds have passed. `tell` takes what is new."""
        deadline = None if limit is None else time.monotonic() + limit
        pause, last = _PAUSES[0], ""
        while True:
            try:
                found, words = self.look(of_session(self.ledger, away.address.session) or away)
            except Unreachable as e:
                found, words = exchanges.exchange(self.ledger, away.address), e.message
            if found.response is not None:
                return found
            if words.partition(",")[0] != last:
                last, pause = words.partition(",")[0], _PAUSES[0]
                tell(f"{away.address}: {words}")
            left = pause if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return found
            time.sleep(min(left, pause))
            pause = min(pause * 1.3, _PAUSES[1])

    # -- ending -----------------------------------------------------------------------------------

    def cancel(self, away: Away, by: str) -> Exchange:
        """End the call: the answer is this machine's, and no worker's counts any more.

        Raises Unreachable if the remote is not told yet; the next look tells it.
        """
        try:
            found, _ = self.look(away)
        except (Unreachable, Conflict):
            found = exchanges.exchange(self.ledger, away.address)
        if found.response is not None:
            return found
        recording.close_unanswered(self.ledger, found, Reason.CANCELLED, f"cancelled by {by}", files=False)
        self._publish_ours(away)
        return exchanges.exchange(self.ledger, away.address)

    def _publish_ours(self, away: Away) -> None:
        """Make the answer that this machine has recorded the remote's, so that no worker's counts any more."""
        ledger, name, job = self.ledger, away.address.session, away.job
        if queuerecord.there(self.wire, name).session == job.request or away.sent:
            answer = ledger.repo.ref(BRANCHES + name) or ""
            done = queuerecord.answer_instead(self.wire, job, answer, None, lambda: self.queue.ending(job))
            if done == Published.ANSWERED:
                there = queuerecord.there(self.wire, name)
                submittedanswer.reject(ledger, job, there, "it came after the call had ended here")
            with contextlib.suppress(Unreachable):
                self.queue.withdraw(job)  # a worker that takes it all the same sees that it is answered
        _forget(ledger, away)

    def close(self) -> None:
        self.queue.close()
        self.wire.close()


def _is_over(found: Exchange) -> bool:
    """Whether the time in which a worker may take the request has passed."""
    until = found.request.trailers.get(Trailer.NOT_AFTER, "")
    return until.isdecimal() and int(until) < time.time()


def told(known: Known) -> str:
    """What is known of a job in words."""
    if not known.is_held:
        return "no worker has taken it" + (f", {known.attempt} have given it back" if known.attempt else "")
    ago = max(0, int(time.time() - known.seen))
    return f"taken by {known.worker}, last seen {ago} s ago, attempt {known.attempt}"


def submit(folder: Path, order: Order, remote: str, *, prio: int = jobs.PRIORITY) -> tuple[Ledger, Asked, Away | None]:
    """Record the request of `order` and send it to the workers of `remote`; None if it was recorded before.

    If the remote cannot be reached once the request is recorded, it is sent by the next `wait`. Raises UsageError if
    the remote cannot hold a queue, Conflict if the session has gone on there, Unreachable if it never answered.
    """
    ledger = open_ledger(folder)
    there = Remote(ledger, remote)
    try:
        ledger.prepare()
        queueprobe.require(ledger.state, there.wire)
        _refuse_gone_on(ledger, there, order.session)
        id_ = jobs.new_id()
        own: Mapping[str, str] = {
            Trailer.JOB: id_,
            Trailer.REPOSITORY: queuetrust.repository_id(ledger.repo),
            Trailer.NOT_AFTER: str(int(time.time() + DEADLINE)),
        }
        ledger, asked = ask.ask(folder, replace(order, invoke=False, binding={**order.binding, **own}))
        if asked.replayed:
            return ledger, asked, None
        (peer,) = order.to
        request = ledger.repo.ref(BRANCHES + asked.address.session) or ""
        away = Away(remote, asked.address, Job(id_, peer, prio, asked.address.session, request), False)
        _note(ledger, away)
        try:
            there.send(away)
        except Unreachable as e:
            asked = replace(asked, notes=(*asked.notes, f"not sent yet: {e.message}; 'git relay wait' sends it"))
        return ledger, asked, of_session(ledger, asked.address.session)
    finally:
        there.close()


def _refuse_gone_on(ledger: Ledger, remote: Remote, session: str | None) -> None:
    """Raise Conflict if the remote has more of the session than this clone, before anything is recorded."""
    if session is None or not names.is_session(session):
        return
    if of_session(ledger, session) is not None:
        raise Busy(f"session {session} has a call that is away", hint=f"git relay wait {session}")
    try:
        there = queuerecord.there(remote.wire, session, files=False)
    except Unreachable:
        return  # it is told when it is sent
    here = ledger.repo.ref(BRANCHES + session)
    if there.session and (here is None or not _is_ancestor(ledger.repo.run, there.session, here)):
        raise Conflict(
            f"session {session} has gone on at {remote.name}: it is at {there.session[:12]} there",
            hint=f"git relay fetch {remote.name} {session}, or use a session of another name",
        )


def _is_ancestor(run: Callable[..., bytes], one: str, other: str) -> bool:
    try:
        run("merge-base", "--is-ancestor", one, other)
    except GitError:
        return False
    return True
