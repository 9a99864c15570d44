"""The subjects, streams and messages of a queue on a NATS server. What comes from there is read strictly.

A job is one message on `relay.NAME.job.PEER.PRIORITY.ID` in the work queue RELAY_NAME: names and ids, never content.
Who holds it is the last message on `relay.NAME.claim.ID` in RELAY_NAME_CLAIMS, which moves by compare-and-swap.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Final

from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass
from gitrelay.protocol import names
from gitrelay.remote.queue.jobs import ULID, Job
from gitrelay.remote.queue.text import LEASE_MAX, is_worker

PRIORITIES: Final = range(10)
_LARGEST: Final = 4096  # bytes of a message
_SAYS: Final = 200  # characters
_KEPT: Final = 8 * 86400  # seconds that a claim is kept: longer than a request may wait
_NANO: Final = 1_000_000_000
_OID: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


HELD: Final = "held"
FREE: Final = "free"  # given back
OVER: Final = "over"  # its caller has answered it, or took it back: who is handed it out lets it go


class Strange(ValueError):
    """A message that is not of the queue's form."""


@dataclass(frozen=True)
class Claim:
    """Who has a job, or had it: `state` is HELD, FREE or OVER.

    `attempt` counts its workers; `time` is the worker's clock, to be shown only. `after` is the number of the message
    in its stream: the next claim must name it. `says` is what the worker's peer did last, in one line. `loose`:
    the server has lost the job that its worker took, and what it hands out is the same job submitted again.
    """

    worker: str
    attempt: int
    state: str
    time: float
    after: int = 0
    says: str = ""
    loose: bool = False

    @property
    def is_held(self) -> bool:
        return self.state == HELD


def stream(name: str) -> str:
    return f"RELAY_{name}"


def claims(name: str) -> str:
    return f"RELAY_{name}_CLAIMS"


def durable(peer: str, prio: int) -> str:
    """The consumer that hands out the jobs of one urgency for one peer: those of a work queue must not overlap."""
    return f"{peer}_{prio}"


def subject(name: str, job: Job) -> str:
    return f"relay.{name}.job.{job.peer}.{job.prio}.{job.id}"


def claim_subject(name: str, id_: str) -> str:
    return f"relay.{name}.claim.{id_}"


def ring_subject(name: str, peer: str) -> str:
    """On which a worker that cannot take a job passes the word on."""
    return f"relay.{name}.ring.{peer}"


def stream_config(name: str) -> dict[str, Any]:
    """One message a job while that is open: a second one is refused, however late it comes."""
    return {
        "name": stream(name),
        "description": "calls that wait for a worker (git relay)",
        "subjects": [f"relay.{name}.job.>"],
        "retention": "workqueue",
        "storage": "file",
        "discard": "new",
        "discard_new_per_subject": True,
        "max_msgs_per_subject": 1,
        "max_msg_size": _LARGEST,
        "num_replicas": 1,
    }


def claims_config(name: str) -> dict[str, Any]:
    return {
        "name": claims(name),
        "description": "which worker holds a call (git relay)",
        "subjects": [f"relay.{name}.claim.*"],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_msgs_per_subject": 1,
        "max_age": _KEPT * _NANO,
        "max_msg_size": _LARGEST,
        "num_replicas": 1,
    }


def consumer_config(name: str, peer: str, prio: int, lease: float) -> dict[str, Any]:
    """A job that was handed out comes again `lease` seconds after the last word of its worker, for ever."""
    return {
        "durable_name": durable(peer, prio),
        "filter_subject": f"relay.{name}.job.{peer}.{prio}.*",
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "replay_policy": "instant",
        "ack_wait": round(lease * _NANO),
        "max_deliver": -1,  # the worker counts: a message that the server gave up would block its job for ever
        "max_ack_pending": -1,
    }


def lease_of(consumer: dict[str, Any]) -> float:
    """The length of a lease in seconds, as a consumer's configuration says. Raises Strange."""
    value = consumer.get("ack_wait")
    if not isinstance(value, int) or not 0 < value <= LEASE_MAX * _NANO:
        raise Strange("a consumer's ack_wait is out of range")
    return value / _NANO


@dataclass(frozen=True)
class Waiting:
    """A job as its message says it, and when it was submitted. `again`: it may have been handed out before."""

    job: Job
    time: float
    again: bool


def render_job(waiting: Waiting) -> bytes:
    job = waiting.job
    value = {"v": 1, "session": job.session, "request": job.request, "time": int(waiting.time), "again": waiting.again}
    return json.dumps(value).encode()


def parse_job(name: str, at: str, data: bytes) -> Waiting:
    """What a message on the subject `at` says. Raises Strange."""
    peer, prio, id_ = parse_subject(name, at)
    value = _object(data, {"v", "session", "request", "time", "again"})
    session, request = value["session"], value["request"]
    if not isinstance(session, str) or not names.is_session(session):
        raise Strange("its session is none")
    if not isinstance(request, str) or _OID.fullmatch(request) is None:
        raise Strange("its request is no commit")
    if type(value["again"]) is not bool:
        raise Strange("it does not say whether it is new")
    return Waiting(Job(id_, peer, prio, session, request), _time(value["time"]), value["again"])


def parse_subject(name: str, at: str) -> tuple[str, int, str]:
    """(peer, priority, id) of a job's subject. Raises Strange."""
    words = at.removeprefix(f"relay.{name}.job.").split(".")
    if len(words) != 3 or at.count(".") != name.count(".") + 5:
        raise Strange("its subject is none of a job")
    peer, prio, id_ = words
    if not names.is_slug(peer) or re.fullmatch("[0-9]", prio, re.ASCII) is None or ULID.fullmatch(id_) is None:
        raise Strange("its subject is none of a job")
    return peer, int(prio), id_


def render_claim(claim: Claim) -> bytes:
    value = {"v": 1, "worker": claim.worker, "attempt": claim.attempt, "state": claim.state, "time": int(claim.time)}
    value |= {"says": plain(claim.says, _SAYS), "loose": claim.loose}
    return json.dumps(value).encode()


def parse_claim(data: bytes, after: int) -> Claim:
    """The claim that a message says, which is number `after` of its stream. Raises Strange."""
    value = _object(data, {"v", "worker", "attempt", "state", "time", "says", "loose"})
    worker, attempt, state = value["worker"], value["attempt"], value["state"]
    if not isinstance(worker, str) or not is_worker(worker):
        raise Strange("its worker is none")
    if type(attempt) is not int or not 0 <= attempt < 1_000_000 or state not in (HELD, FREE, OVER):
        raise Strange("its attempt is none")
    if not isinstance(value["says"], str) or type(value["loose"]) is not bool:
        raise Strange("what it says is no text")
    return Claim(worker, attempt, state, _time(value["time"]), after, plain(value["says"], _SAYS), value["loose"])


def _object(data: bytes, keys: set[str]) -> dict[str, Any]:
    try:
        value = json.loads(data[: _LARGEST + 1]) if len(data) <= _LARGEST else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or set(value) != keys or value["v"] != 1:
        raise Strange("it has other fields")
    return value


def _time(value: object) -> float:
    if type(value) is not int or not 0 <= value < 10**12:
        raise Strange("its time is none")
    return float(value)


def stored(answer: dict[str, Any]) -> tuple[str, bytes, int] | None:
    """(subject, data, number) of the message that STREAM.MSG.GET gave; None if there is none. Raises Strange."""
    message = answer.get("message")
    if message is None:
        return None
    try:
        data = base64.b64decode(message.get("data", ""), validate=True)
        return str(message["subject"]), data, int(message["seq"])
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise Strange("a message of the stream is none") from e


def delivery(reply: str) -> tuple[int, int]:
    """(how often it was handed out, its number in the stream) of a message that is acknowledged at `reply`.

    Raises Strange.
    """
    words = reply.split(".")
    first = 4 if len(words) == 9 else 6  # servers may name a domain and an account before the stream
    try:
        return int(words[first]), int(words[first + 1])
    except (ValueError, IndexError) as e:
        raise Strange("a message has no place to acknowledge it") from e
