"""What a commit of the queue says: the state of one job, as lines that are read back strictly.

A job is one ref, whose value is the last of a line of commits with the empty tree:

    open     by the submitter
     - claim     by a worker, with the number of the attempt and the length of its lease
        - renew     by the same worker, again and again; it may say what its peer did last
        - release   by the same worker: free for the next

Each has a nonce, so that no two machines ever push the same commit and both believe that they have won.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Final

from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass
from gitrelay.protocol.names import SLUG_MAX
from gitrelay.remote.queue.jobs import ULID, Job

QUEUE: Final = "refs/relay/queue/"
OPEN: Final = "open"
CLAIM: Final = "claim"
RENEW: Final = "renew"
RELEASE: Final = "release"
LEASE_MAX: Final = 86400.0  # seconds
_SUBJECT: Final = "relay queue: "
_LARGEST: Final = 4096  # bytes of a commit; ours have 500
_SLUG: Final = rf"[a-z0-9][a-z0-9-]{{0,{SLUG_MAX - 1}}}"
_REF: Final = re.compile(rf"{QUEUE}({_SLUG})/([0-9])-({ULID.pattern})")
_OID: Final = r"[0-9a-f]{40}(?:[0-9a-f]{24})?"
_WORKER: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_OF_ALL: Final = {
    "Relay-Queue": "1",
    "Relay-Job": ULID.pattern,
    "Relay-To": _SLUG,
    "Relay-Priority": r"[0-9]",
    "Relay-Session": r"[a-z0-9][a-z0-9-]{0,199}",
    "Relay-Request": _OID,
}
_OF_A_WORKER: Final = {
    "Relay-Worker": _WORKER.pattern,
    "Relay-Epoch": r"[1-9][0-9]{0,5}",
    "Relay-Lease": r"[0-9]{1,5}(?:\.[0-9]{1,3})?",
}
SAYS_MAX: Final = 160  # characters
_SAYS: Final = {"Relay-Says": r'"[ -~]{1,2000}"'}  # JSON
_NONCE: Final = {"Relay-Nonce": r"[0-9a-f]{32}"}
_HEADERS: Final = re.compile(
    rf"tree ({_OID})\n((?:parent {_OID}\n)*)author [^\n]*\ncommitter [^\n]*> ([0-9]{{1,12}}) [+-][0-9]{{4}}\n\n"
)


class Strange(ValueError):
    """A ref or a commit that is not of the queue's form; the message says why."""


@dataclass(frozen=True)
class State:
    """The state of a job. `worker`, `epoch` (the attempt, from 1 on) and `lease` (seconds) are of a claim and later.

    `says` is what the peer of a renewal did last, in one line, '' if it does not say. `time` is what the clock of the
    machine that wrote it said, seconds since the epoch. Both are to be shown, never to be relied on.
    """

    kind: str
    job: Job
    worker: str = ""
    epoch: int = 0
    lease: float = 0.0
    time: int = 0
    says: str = ""

    @property
    def is_held(self) -> bool:
        return self.kind in (CLAIM, RENEW)


def ref_of(job: Job) -> str:
    return f"{QUEUE}{job.peer}/{job.prio}-{job.id}"


def is_worker(name: str) -> bool:
    """Whether a worker may be called so."""
    return _WORKER.fullmatch(name) is not None


def render(state: State) -> str:
    """The message of a new commit that says so, with a nonce of its own."""
    job = state.job
    lines = [
        "Relay-Queue: 1",
        f"Relay-Job: {job.id}",
        f"Relay-To: {job.peer}",
        f"Relay-Priority: {job.prio}",
        f"Relay-Session: {job.session}",
        f"Relay-Request: {job.request}",
    ]
    if state.kind != OPEN:
        lease = f"{state.lease:.3f}".rstrip("0").rstrip(".")
        lines += [f"Relay-Worker: {state.worker}", f"Relay-Epoch: {state.epoch}", f"Relay-Lease: {lease}"]
    says = plain(state.says, SAYS_MAX)
    if state.kind == RENEW and says:
        lines.append(f"Relay-Says: {json.dumps(says)}")
    lines.append(f"Relay-Nonce: {secrets.token_hex(16)}")
    return f"{_SUBJECT}{state.kind}\n\n" + "\n".join(lines) + "\n"


def parse(ref: str, data: bytes, empty_tree: str) -> State:
    """The state that the raw commit `data` at `ref` says. Raises Strange.

    The fields, their order and their form are exact, so that no other commit can be taken for one of these.
    """
    named = _REF.fullmatch(ref)
    if named is None:
        raise Strange("its name is none of a job")
    if len(data) > _LARGEST:
        raise Strange(f"its commit has {len(data)} bytes")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")  # the committer's name may be any
    head = _HEADERS.match(text)
    if head is None:
        raise Strange("it is no plain commit")
    subject, _, body = text[head.end() :].partition("\n\n")
    kind = subject.removeprefix(_SUBJECT)
    if not subject.startswith(_SUBJECT) or kind not in (OPEN, CLAIM, RENEW, RELEASE):
        raise Strange("its subject is none of the queue")
    if head[1] != empty_tree:
        raise Strange("it has files")
    if head[2].count("\n") != (0 if kind == OPEN else 1):
        raise Strange("it has another number of parents")
    found = _fields(body, kind)
    peer, prio, id_ = named.groups()
    if (found["Relay-To"], found["Relay-Priority"], found["Relay-Job"]) != (peer, prio, id_):
        raise Strange("it says another job than its name")
    lease = float(found.get("Relay-Lease", "0"))
    if kind != OPEN and not 0 < lease <= LEASE_MAX:
        raise Strange("its lease is out of range")
    job = Job(id_, peer, int(prio), found["Relay-Session"], found["Relay-Request"])
    worker, epoch = found.get("Relay-Worker", ""), int(found.get("Relay-Epoch", "0"))
    return State(kind, job, worker, epoch, lease, int(head[3]), _says(found.get("Relay-Says", '""')))


def _says(value: str) -> str:
    try:
        return plain(str(json.loads(value)), SAYS_MAX)
    except ValueError:
        raise Strange("its field Relay-Says is malformed") from None


def _fields(body: str, kind: str) -> dict[str, str]:
    lines = body.split("\n")
    said = kind == RENEW and len(lines) > 2 and lines[-3].startswith("Relay-Says: ")
    forms = {**_OF_ALL, **({} if kind == OPEN else _OF_A_WORKER), **(_SAYS if said else {}), **_NONCE}
    if len(lines) != len(forms) + 1 or lines[-1]:
        raise Strange("it has other fields")
    found = {}
    for line, (name, form) in zip(lines, forms.items(), strict=False):
        value = line.removeprefix(f"{name}: ")
        if value == line or re.fullmatch(form, value, re.ASCII) is None:
            raise Strange(f"its field {name} is missing or malformed")
        found[name] = value
    return found
