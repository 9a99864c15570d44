"""A hub and machines around it, for tests of the queue: each machine is a clone with an engine of its own.

As a program it is a worker that is told each step on stdin: `python -m support.queues FOLDER URL LEASE [BROKER]`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gitrelay import environment
from gitrelay.git.repository import Repository
from gitrelay.protocol.record import BRANCHES, Identity
from gitrelay.remote.queue import jobs, record
from gitrelay.remote.queue.engines.git import GitQueue
from gitrelay.remote.queue.engines.natsplace import Credentials, Place
from gitrelay.remote.queue.jobs import Dispatch, Job, Lease, Unreachable, Update
from gitrelay.remote.queue.record import Published
from gitrelay.remote.queue.wire import Wire

AUTHOR = Identity("uma", "uma@example.invalid")
LONG = 3600.0  # a lease that does not end in a test
SHORT = 0.3
PEERS = ("codex", "claude", "gemini")


@dataclass
class Machine:
    """A clone, and what it says to the hub."""

    repo: Repository
    wire: Wire
    queue: Dispatch
    answers: dict[tuple[str, int], str] = field(default_factory=dict)

    @property
    def refs(self) -> GitQueue:
        """The queue, which is the git engine."""
        assert isinstance(self.queue, GitQueue)
        return self.queue

    def request(
        self,
        session: str,
        *,
        peer: str = "codex",
        prio: int = 5,
        submit: bool = True,
        told: list[float] | None = None,
    ) -> Job:
        """A request on the hub, in a session of its own, and the job for it; `told` gets when it was announced."""
        commit = self.commit([], f"req 01 {session}")
        job = Job(jobs.new_id(), peer, prio, session, commit)
        joined = [self.queue.enrolment(job)] if submit else []
        assert self.wire.swap([Update(BRANCHES + session, "", commit), *joined]).outcome.value == "won"
        if told is not None:
            told.append(time.monotonic())
        if submit:
            self.queue.announce(job)
        return job

    def commit(self, parents: Iterable[str], text: str) -> str:
        return self.repo.commit(self.repo.empty_tree, list(parents), text + "\n", AUTHOR, sign=False)

    def bring(self, session: str) -> None:
        """Have the objects of the session here."""
        record.there(self.wire, session)

    def publish(self, lease: Lease, text: str = "res 01") -> Published:
        """Publish the worker's answer, which is the same commit each time."""
        self.bring(lease.job.session)
        said = f"{text} by {self.queue.worker}, attempt {lease.attempt}"
        key = (lease.job.id, lease.attempt)
        answer = self.answers[key] = self.answers.get(key) or self.commit([lease.job.request], said)
        return record.publish_for(self.wire, self.queue, lease, answer, None)


@dataclass
class Hub:
    """The remote: a bare repository at `path`, reached at `url`; machines are made in `folder`.

    `broker` is what `relay.<remote>.queue` says, '' for the git engine.
    """

    path: Path
    url: str
    folder: Path
    broker: str = ""
    machines: list[Machine] = field(default_factory=list)

    def machine(self, name: str, lease: float = LONG) -> Machine:
        made = machine(self.folder / name, self.url, name, lease, self.broker)
        self.machines.append(made)
        return made

    def close(self) -> None:
        """End the connections of its machines."""
        for one in self.machines:
            one.queue.close()

    def answers(self, session: str) -> list[str]:
        return self.git("log", "--reverse", "--format=%s", BRANCHES + session).splitlines()

    def refs(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname)").splitlines()

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", "-C", str(self.path), *words], capture_output=True, text=True, check=True)
        return done.stdout

    def hook(self, name: str, script: str) -> None:
        path = self.path / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def machine(folder: Path, url: str, name: str, lease: float, broker: str = "", *, made: bool = False) -> Machine:
    """A machine of that name; with a `broker`, a lease that is not LONG becomes the queue's, unless that is `made`."""
    if not folder.exists():
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
    repo = Repository.open(folder)
    wire = Wire(repo, url)
    if not broker:
        return Machine(repo, wire, GitQueue(wire, worker=name, lease=lease, pauses=(0.02, 0.05)))
    from gitrelay.remote.queue.engines.nats import NatsQueue

    queue = NatsQueue(place(broker), wire, worker=name, lease=lease)
    if lease != LONG and not made:
        queue.make(PEERS, lease)
    return Machine(repo, wire, queue)


def place(broker: str) -> Place:
    """What the address of a broker without users names: nats://HOST:PORT/NAME."""
    parts = urlsplit(broker)
    assert parts.hostname and parts.port
    return Place(parts.hostname, parts.port, False, parts.path.removeprefix("/"), Credentials())


def main() -> None:
    environment.scrub()
    folder, url, lease = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    own = machine(folder, url, folder.name, lease, *sys.argv[4:])
    held: Lease | None = None
    for line in sys.stdin:
        said = "none"
        try:
            if line.strip() == "take":
                held = own.queue.take(["codex"], 30)
                said = "taken" if held else "none"
            elif line.strip() == "renew" and held is not None:
                renewed = own.queue.renew(held)
                held, said = renewed or held, "renewed" if renewed else "lost"
            elif line.strip() == "publish" and held is not None:
                said = own.publish(held).value
        except Unreachable:
            said = "unreachable"
        print(said, flush=True)


if __name__ == "__main__":
    main()
