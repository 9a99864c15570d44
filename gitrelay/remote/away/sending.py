"""A call that a worker answers: the request sent with its job in one atomic push, and the answer checked and taken.

What this machine knows of a call that is away is in `.git/relay/away/<session>`; the record itself is in git.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from gitrelay.calls import inflight, recording
from gitrelay.errors import Code, Conflict, Reason, UsageError
from gitrelay.git.faults import GitError
from gitrelay.ground import duration
from gitrelay.ground.text import plain, quote
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.record import BRANCHES, CODE, Trailer
from gitrelay.remote.away import answers, checking, travelling
from gitrelay.remote.queue import abilities, dispatch, record, trust
from gitrelay.remote.queue.jobs import Job, Known, Unreachable, Update
from gitrelay.remote.queue.record import Published, There
from gitrelay.remote.queue.wire import FILES_LIMIT, Outcome, wire_of
from gitrelay.state import away as aways
from gitrelay.state.away import Away

_PAUSES: Final = (1.0, 10.0)  # seconds between two looks at the remote
_LONG: Final = 120.0  # seconds that no worker has taken a job, after which that is said
_TRIES: Final = 5
_LOCKED: Final = 10.0  # seconds; a note is written in milliseconds
_SAYS_MAX: Final = 160  # characters of what a worker says


def of_session(ledger: Ledger, session: str) -> Away | None:
    """The call of `session` that is away, None if there is none."""
    return aways.of_session(ledger.state.root, session)


def all_away(ledger: Ledger) -> list[Away]:
    """Every call of this clone that is away."""
    return aways.everything(ledger.state.root)


def _job(away: Away) -> Job:
    return Job(away.job, away.peer, away.prio, away.session, away.request)


def _note(ledger: Ledger, away: Away) -> None:
    """Remember what is new of the call, unless it has ended meanwhile: another command may look at it too."""
    with ledger.state.lock(f".away-{away.session}") as lock, contextlib.suppress(OSError):
        lock.acquire(_LOCKED, what=f"what is known of {away.address}")
        latest = of_session(ledger, away.session)
        if latest is not None and latest.request == away.request:
            aways.note(ledger.state.root, away)


def _forget(ledger: Ledger, away: Away) -> None:
    with ledger.state.lock(f".away-{away.session}") as lock:
        lock.acquire(_LOCKED, what=f"what is known of {away.address}")
        aways.forget(ledger.state.root, away.session)
    inflight.forget_person(ledger, away.session)


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
        """Send the request, its files and its job; True once the remote has them. Raises Unreachable, Conflict.

        Raises UsageError if the remote cannot hold a queue.
        """
        repo, name, job = self.ledger.repo, away.session, _job(away)
        abilities.require(self.ledger.state, self.wire)
        branch, code = BRANCHES + name, CODE + name
        words = ""
        for _ in range(_TRIES):
            there = record.there(self.wire, name)
            if there.session == job.request:
                self.queue.announce(job)
                self.queue.submit(job)
                break
            if there.session and not is_ancestor(repo.run, there.session, job.request):
                raise Conflict(
                    f"session {name} has gone on at {self.name}: it is at {there.session[:12]} there",
                    hint=f"git relay cancel {away.address}, and ask in a session of another name",
                )
            files = repo.ref(code) or ""
            now, now_code = there.refs
            updates = [Update(branch, now, job.request)]
            updates += [Update(code, now_code, files)] if files != now_code else []
            updates += self._reviewed(away)
            swap = self.wire.swap([*updates, self.queue.enrolment(job)], limit=FILES_LIMIT)
            if swap.outcome == Outcome.WON:
                self.queue.announce(job)
                break
            words = swap.words
        else:
            raise Unreachable(f"{self.name} does not take the request: {words}", hint="its log says why; try again")
        known = replace(away, sent=True, said="no worker has taken it", said_at=time.time())
        _note(self.ledger, known)
        return True

    def _reviewed(self, away: Away) -> list[Update]:
        """The commits that a worker is to review, which nobody may have pushed yet."""
        head = travelling.change(exchanges.exchange(self.ledger, away.address).request)
        ref = travelling.CHANGES + away.session
        there = self.wire.look(ref, limit=FILES_LIMIT).get(ref, "") if head else head
        return [Update(ref, there, head)] if head != there else []

    # -- waiting ----------------------------------------------------------------------------------

    def look(self, away: Away, *, checks: bool = False) -> tuple[Exchange, str]:
        """(the exchange as it is now, what is known of its job in words). An answer is checked and taken.

        `checks`: whether commands may be run now. An answer that has checks is only taken then, and they are run on it.
        Raises Unreachable. What was not sent yet is sent now.
        """
        found, words = self._looked(away, checks=checks)
        if found.response is None:
            latest = of_session(self.ledger, away.session)
            if latest is not None:
                _note(self.ledger, replace(latest, said=words, said_at=time.time()))
        return found, words

    def _looked(self, away: Away, *, checks: bool) -> tuple[Exchange, str]:
        found = exchanges.exchange(self.ledger, away.address)
        if found.response is not None:
            latest = of_session(self.ledger, away.session)
            if latest is not None and latest.taken:
                return self._checked(latest, checks=checks)
            if latest is not None:
                self._publish_ours(away)
            return found, "answered"
        if not away.sent:
            self.send(away)
        there = record.there(self.wire, away.session)
        if there.session == away.request:
            return self._waits(away, found)
        repo = self.ledger.repo
        if not there.session or is_ancestor(repo.run, there.session, away.request):
            self.send(away)  # the remote has forgotten it: it was set up again, or brought back from a backup
            return found, "sent again: the remote had lost it"
        if away.checks and not checks:
            return found, f"answered; 'git relay wait {away.address}' takes the answer and runs its checks"
        return self._arrived(away, found, there)

    def _waits(self, away: Away, found: Exchange) -> tuple[Exchange, str]:
        known = self.queue.find(_job(away))
        if not _is_over(found) or (known is not None and known.is_held):
            return found, self._told(away, known)
        recording.close_unanswered(self.ledger, found, Reason.EXPIRED, "no worker took it in time", files=False)
        self._publish_ours(away)
        return exchanges.exchange(self.ledger, away.address), "expired"

    def _arrived(self, away: Away, found: Exchange, there: There) -> tuple[Exchange, str]:
        """The exchange with the remote's answer, its checks run, or with the reason for which it is refused."""
        job = _job(away)
        why = self._unsigned(there.session) or answers.fault(self.ledger, job, found, there)
        if why:
            answers.reject(self.ledger, job, there, why)
            what = f"the answer that {self.name} has was refused: {why}. It is kept below refs/relay/rejected/"
            recording.close_unanswered(self.ledger, found, Reason.BAD_OUTPUT, what, files=False)
            _forget(self.ledger, away)
            return exchanges.exchange(self.ledger, away.address), "refused"
        away = replace(away, taken=True)
        if away.checks:  # noted first: a crash in between leaves no answer unchecked
            _note(self.ledger, away)
        answers.take(self.ledger, self.name, job, there)
        return self._checked(away, checks=True)

    def _checked(self, away: Away, *, checks: bool) -> tuple[Exchange, str]:
        """The exchange once the checks of its answer are run; pending if this process may not run them, or need not."""
        lock = self.ledger.state.lock(f".checks-{away.session}")
        why = "" if checks or not away.checks else f"answered; 'git relay wait {away.address}' runs the checks left"
        if not why and away.checks and not lock.try_acquire():
            why = "answered; another command runs its checks"
        if why:
            found = exchanges.exchange(self.ledger, away.address)
            return replace(found, response=None, response_data=b""), why
        with lock:
            checking.run(self.ledger, away)
            _forget(self.ledger, away)
        return exchanges.exchange(self.ledger, away.address), "answered"

    def _told(self, away: Away, known: Known | None) -> str:
        """What is known of a job in words; one that the queue has lost is put there again."""
        if known is not None:
            return told(known)
        if record.there(self.wire, away.session, files=False).session == away.request:
            self.queue.submit(_job(away))
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
        return "" if trust.signer_of(repo, answer, path, None) else "no worker of yours has signed it"

    def wait(self, away: Away, limit: float | None, tell: Callable[[str], None], *, progress: bool = False) -> Exchange:
        """The exchange once it is answered; still pending if `limit` seconds have passed. `tell` takes what is new.

        `progress`: what the worker says of its peer is told too.
        """
        deadline = None if limit is None else time.monotonic() + limit
        pause, last = _PAUSES[0], ""
        while True:
            try:
                found, words = self.look(of_session(self.ledger, away.session) or away, checks=True)
            except Unreachable as e:
                found, words = exchanges.exchange(self.ledger, away.address), e.message
            if found.response is not None:
                return found
            news = aways.news(words) if progress else words.partition(",")[0]
            if news != last:
                last, pause = news, _PAUSES[0]
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
        latest = of_session(self.ledger, away.session)
        if latest is not None and latest.taken:
            checking.lose(self.ledger, latest, f"cancelled by {by}")
            _forget(self.ledger, latest)
        if found.response is not None:
            return exchanges.exchange(self.ledger, away.address)
        recording.close_unanswered(self.ledger, found, Reason.CANCELLED, f"cancelled by {by}", files=False)
        self._publish_ours(away)
        return exchanges.exchange(self.ledger, away.address)

    def _publish_ours(self, away: Away) -> None:
        """Make the answer that this machine has recorded the remote's, so that no worker's counts any more."""
        ledger, name, job = self.ledger, away.session, _job(away)
        there, answer = record.there(self.wire, name), ledger.repo.ref(BRANCHES + name) or ""
        has_ours = there.session not in ("", job.request) and is_ancestor(ledger.repo.run, there.session, answer)
        if not has_ours and (there.session == job.request or away.sent):
            done = record.answer_instead(self.wire, job, answer, None, lambda: self.queue.ending(job))
            if done == Published.ANSWERED:
                there = record.there(self.wire, name)
                answers.reject(ledger, job, there, "it came after the call had ended here")
            with contextlib.suppress(Unreachable):
                self.queue.withdraw(job)  # a worker that takes it all the same sees that it is answered
        _forget(ledger, away)

    def close(self) -> None:
        self.queue.close()
        self.wire.close()


def end_here(ledger: Ledger, away: Away, by: str) -> Exchange:
    """End a call whose remote this clone does not know any more; it cannot be told."""
    found = exchanges.exchange(ledger, away.address)
    recording.close_unanswered(ledger, found, Reason.CANCELLED, f"cancelled by {by}", files=False)
    _forget(ledger, away)
    return exchanges.exchange(ledger, away.address)


def _is_over(found: Exchange) -> bool:
    """Whether the time in which a worker may take the request has passed."""
    until = found.request.trailers.get(Trailer.NOT_AFTER, "")
    return until.isdecimal() and int(until) < time.time()


def told(known: Known) -> str:
    """What is known of a job in words."""
    if not known.is_held:
        waited = time.time() - known.seen
        since = f", asked {duration.ago(waited)}" if waited >= _LONG else ""
        return "no worker has taken it" + (f", {known.attempt} have given it back" if known.attempt else since)
    ago = max(0, int(time.time() - known.seen))
    says = plain(known.says, _SAYS_MAX)
    words = f"taken by {known.worker}, last seen {ago} s ago, attempt {known.attempt}"
    return f"{words}; it says: {says}" if says else words


def is_ancestor(run: Callable[..., bytes], one: str, other: str) -> bool:
    try:
        run("merge-base", "--is-ancestor", one, other)
    except GitError:
        return False
    return True
