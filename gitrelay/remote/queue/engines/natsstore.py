"""What a NATS server keeps of one queue: the jobs that are open, and the claim of each."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Final

from gitrelay.errors import CannotRecord, Code
from gitrelay.ground.text import plain
from gitrelay.remote.queue.engines import natswords
from gitrelay.remote.queue.engines.natslink import Absent, Link, Reply
from gitrelay.remote.queue.engines.natsplace import Place
from gitrelay.remote.queue.engines.natswords import FREE, Claim, Strange, Waiting
from gitrelay.remote.queue.jobs import Job, Unreachable

_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_TWICE: Final = 10077  # the server's numbers of errors: the job's subject has a message
_MOVED: Final = 10071  # the claim is another
_NOT_THERE: Final = (10014, 10037, 10059)  # no such consumer, message, stream
_NEXT: Final = 2.0  # seconds
_ALREADY: Final = 10058  # the stream is there, with other settings: an administrator's


class Store:
    """The streams of a queue. `strange` counts messages that are none of a queue; each method may raise Unreachable."""

    def __init__(self, place: Place, link: Link) -> None:
        self.place = place
        self.name = place.name
        self.link = link
        self.strange = 0

    # -- making it --------------------------------------------------------------------------------

    def make_streams(self) -> None:
        for own in (natswords.stream_config(self.name), natswords.claims_config(self.name)):
            answer = self._api(f"STREAM.CREATE.{own['name']}", own)
            if _error(answer) != _ALREADY:
                self._check(answer)

    def make_consumer(self, peer: str, prio: int, lease: float) -> None:
        stream = natswords.stream(self.name)
        own = natswords.consumer_config(self.name, peer, prio, lease)
        where = f"{stream}.{natswords.durable(peer, prio)}"
        self._check(self._api(f"CONSUMER.DURABLE.CREATE.{where}", {"stream_name": stream, "config": own}))

    def lease_of(self, peer: str, prio: int) -> float | None:
        """The length of the leases that the consumer gives, in seconds; None if there is no such consumer."""
        answer = self._api(f"CONSUMER.INFO.{natswords.stream(self.name)}.{natswords.durable(peer, prio)}")
        if _error(answer) in _NOT_THERE:
            return None
        self._check(answer)
        try:
            return natswords.lease_of(answer.get("config") or {})
        except Strange as e:
            raise CannotRecord(f"{self.place.shown}: {e}", hint="git relay queue REMOTE --init") from e

    # -- jobs -------------------------------------------------------------------------------------

    def add(self, waiting: Waiting) -> bool:
        """Keep the job's message; False if it is there."""
        answer = self._published(natswords.subject(self.name, waiting.job), natswords.render_job(waiting))
        if _error(answer) == _TWICE:
            return False
        self._check(answer)
        return True

    def next(self, peer: str, prio: int) -> Reply | None:
        """The message of the next job, handed out to us; None if none waits."""
        where = f"{natswords.stream(self.name)}.{natswords.durable(peer, prio)}"
        ask = json.dumps({"batch": 1, "no_wait": True}).encode()
        try:
            found = self.link.handed_out(f"$JS.API.CONSUMER.MSG.NEXT.{where}", ask, _NEXT)
        except Absent as e:
            raise self._no_queue() from e
        except Unreachable:
            # 2.9 says nothing if there is no such consumer, and if somebody deleted a message that waited
            if self.lease_of(peer, prio) is None:
                raise self._no_queue() from None
            return None
        return found if not found.status else None

    def stored(self, id_: str) -> tuple[str, bytes, int] | None:
        """The job's message: its subject, its data, its number; None if the server does not have it."""
        return self._last(natswords.stream(self.name), f"relay.{self.name}.job.*.*.{id_}")

    def all(self) -> list[tuple[str, int, str]]:
        """The (peer, priority, id) of each job that the server has."""
        found: list[tuple[str, int, str]] = []
        offset = 0
        while True:
            ask = {"subjects_filter": f"relay.{self.name}.job.>", "offset": offset}
            answer = self._api(f"STREAM.INFO.{natswords.stream(self.name)}", ask)
            if _error(answer) in _NOT_THERE:
                return found
            self._check(answer)
            subjects = (answer.get("state") or {}).get("subjects") or {}
            for subject in subjects:
                try:
                    found.append(natswords.parse_subject(self.name, str(subject)))
                except Strange:
                    self.strange += 1
            offset += len(subjects)
            if not subjects or offset >= int(answer.get("total") or 0):
                return found

    # -- claims -----------------------------------------------------------------------------------

    def claim(self, job: Job, claim: Claim) -> int | None:
        """The number of the claim, which follows number `claim.after`, 0 for none; None if that is not the last."""
        at = natswords.claim_subject(self.name, job.id)
        answer = self._published(at, natswords.render_claim(claim), {_EXPECTED: str(claim.after)})
        if _error(answer) == _MOVED:
            return None
        self._check(answer)
        return int(answer.get("seq", 0))

    def claim_of(self, id_: str) -> Claim | None:
        """The last claim of the job, None if there is none; one that is not of the form can be followed."""
        there = self._last(natswords.claims(self.name), natswords.claim_subject(self.name, id_))
        if there is None:
            return None
        try:
            return natswords.parse_claim(there[1], there[2])
        except Strange:
            return Claim("nobody", 0, FREE, 0.0, there[2])

    # -- asking -----------------------------------------------------------------------------------

    def _last(self, stream: str, at: str) -> tuple[str, bytes, int] | None:
        answer = self._api(f"STREAM.MSG.GET.{stream}", {"last_by_subj": at})
        if _error(answer) in _NOT_THERE:
            return None
        self._check(answer)
        with contextlib.suppress(Strange):
            return natswords.stored(answer)
        return None

    def _published(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """The server's answer to a message that a stream is to keep; the streams are made if they are not there."""
        try:
            return _parsed(self.link.request(subject, data, headers))
        except Absent:
            self.make_streams()
        try:
            return _parsed(self.link.request(subject, data, headers))
        except Absent as e:
            raise self._no_queue() from e

    def _api(self, what: str, ask: dict[str, Any] | None = None) -> dict[str, Any]:
        data = b"" if ask is None else json.dumps(ask).encode()
        try:
            return _parsed(self.link.request(f"$JS.API.{what}", data))
        except Absent as e:
            raise CannotRecord(
                f"{self.place.shown} has no JetStream", hint="nats-server -js", code=Code.UNFIT_REMOTE
            ) from e

    def _no_queue(self) -> CannotRecord:
        return CannotRecord(
            f"there is no queue at {self.place.shown}", hint="git relay queue REMOTE --init", code=Code.UNFIT_REMOTE
        )

    def _check(self, answer: dict[str, Any]) -> None:
        """Raise Unreachable for an answer that says an error."""
        error = answer.get("error")
        if error is not None or not answer:
            said = error.get("description", "") if isinstance(error, dict) else ""
            raise Unreachable(
                f"the queue at {self.place.shown} does not do that: {plain(str(said), 200) or 'no reason given'}",
                hint="its log says why; try again",
            )


def _parsed(reply: Reply) -> dict[str, Any]:
    try:
        value = json.loads(reply.data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _error(answer: dict[str, Any]) -> int:
    """The number of the error that an answer says, 0 for none."""
    error = answer.get("error")
    number = error.get("err_code") if isinstance(error, dict) else 0
    return number if isinstance(number, int) else 0
