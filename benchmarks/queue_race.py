"""Workers that only take jobs and publish answers, killed and stalled at random: the queue without the cost of calls.

    python benchmarks/queue_race.py [--engine=git|nats] [--workers=20] [--jobs=500] [--minutes=6] [--seed=1]

The remote is a folder. One delivery in ten sleeps beyond its lease, says no word meanwhile, and publishes then; one in
fifty ends its worker, which is started again. In the end the answers of each session are counted at the remote. Before
that, one worker waits for jobs one by one: how long from a job's announcement, and from its push, to the claim.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from helping import helped
from queue_load import git, option

if TYPE_CHECKING:
    from support.queues import Machine

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

LEASE = 3.0  # seconds
STALLS, DEATHS = 0.1, 0.02  # of all deliveries
_AT_ONCE = 25  # requests in one push
_ROUNDS = 30  # of the latency


def work(folder: Path, url: str, broker: str, seed: int) -> None:
    """Be a worker until nothing comes any more; each delivery is a line."""
    from gitrelay.remote.queue.jobs import Unreachable
    from support.queues import machine

    dice = random.Random(seed)
    own = machine(folder, url, folder.name, LEASE, broker, made=True)
    while True:
        try:
            lease = own.queue.take(["codex"], 5.0)
            if lease is None:
                continue
            fate = dice.random()
            print("taken", lease.attempt, flush=True)
            if fate < DEATHS:
                os._exit(9)
            if fate < DEATHS + STALLS:
                time.sleep(1.5 * LEASE)
            print(own.publish(lease).value, flush=True)
            own.queue.settle(lease)
        except Unreachable as e:
            print("unreachable", e.message, flush=True)


class Fleet:
    """The workers; one that ended is started again."""

    def __init__(self, place: Path, broker: str, count: int, seed: int) -> None:
        self.place, self.broker, self.seed = place, broker, seed
        self.running = {n: self._start(n) for n in range(count)}

    def _start(self, n: int) -> subprocess.Popen[bytes]:
        self.seed += 1
        with (self.place / f"w{n}.log").open("ab") as log:
            words = [f"--work=w{n}", f"--place={self.place}", f"--broker={self.broker}", f"--seed={self.seed}"]
            return subprocess.Popen([sys.executable, __file__, *words], stdout=log, stderr=log)

    def mend(self) -> None:
        for n, one in self.running.items():
            if one.poll() is not None:
                self.running[n] = self._start(n)

    def end(self) -> None:
        for one in self.running.values():
            one.kill()
            one.wait()

    def said(self) -> collections.Counter[str]:
        lines = [line for n in self.running for line in (self.place / f"w{n}.log").read_text().splitlines()]
        return collections.Counter(line if line.startswith("taken") else line.split()[0] for line in lines if line)


@contextlib.contextmanager
def engine(place: Path, name: str) -> Iterator[str]:
    """The broker's address, '' for the git engine."""
    from support import natsserver

    if name == "git":
        yield ""
        return
    (place / "nats").mkdir()
    with natsserver.serving(place / "nats") as server:
        yield f"{server.url}/race"


def latency(place: Path, broker: str) -> None:
    from support.queues import machine

    url = str(place / "hub.git")
    caller = machine(place / "caller", url, "caller", LEASE, broker)
    worker = machine(place / "waits", url, "waits", LEASE, broker)
    since_push, since_announced = list[float](), list[float]()
    for n in range(_ROUNDS):
        claimed: list[float] = []

        def take(claimed: list[float] = claimed) -> None:
            lease = worker.queue.take(["codex"], 60)
            claimed.append(time.monotonic())
            assert lease is not None
            worker.publish(lease)
            worker.queue.settle(lease)

        waiting = threading.Thread(target=take)
        waiting.start()
        time.sleep(0.3)  # it is idle
        begun = time.monotonic()
        told: list[float] = []
        caller.request(f"latency-{n}", told=told)
        waiting.join()
        since_push.append(claimed[0] - begun)
        since_announced.append(claimed[0] - told[0])
    for what, found in (("announced", since_announced), ("pushed", since_push)):
        found.sort()
        print(
            f"{what} -> claimed: median {1000 * statistics.median(found):.1f} ms, "
            f"nine of ten {1000 * found[len(found) * 9 // 10]:.1f} ms, at most {1000 * found[-1]:.1f} ms"
        )
    caller.queue.close()
    worker.queue.close()


def submit(caller: Machine, numbers: range) -> None:
    """Requests for these sessions in one push, and their jobs."""
    from gitrelay.protocol.record import BRANCHES
    from gitrelay.remote.queue import jobs
    from gitrelay.remote.queue.jobs import Job, Update

    made = [(f"s{n}", caller.commit([], f"req 01 s{n}")) for n in numbers]
    told = [Job(jobs.new_id(), "codex", 5, session, commit) for session, commit in made]
    updates = [Update(BRANCHES + one.session, "", one.request) for one in told]
    assert caller.wire.swap([*updates, *(caller.queue.enrolment(one) for one in told)]).outcome.value == "won"
    for one in told:
        caller.queue.announce(one)


def race(place: Path, broker: str, workers: int, jobs: int, seconds: float, seed: int) -> bool:
    from support.queues import machine

    caller = machine(place / "caller", str(place / "hub.git"), "caller", LEASE, broker)
    begun = time.monotonic()
    fleet = Fleet(place, broker, workers, seed)
    for first in range(0, jobs, _AT_ONCE):
        submit(caller, range(first, min(first + _AT_ONCE, jobs)))
        fleet.mend()
    submitted = time.monotonic() - begun
    left = jobs
    while left and time.monotonic() - begun - submitted < seconds:
        time.sleep(0.5)
        fleet.mend()
        left = len(git(place / "hub.git", "for-each-ref", "refs/relay/queue").splitlines())
    took = time.monotonic() - begun
    fleet.end()
    waiting = list(caller.queue.pending())
    caller.queue.close()
    names = [f"s{n}" for n in range(jobs)]
    answers = [
        git(place / "hub.git", "log", "--format=%s", f"refs/heads/relay/{one}", "--").splitlines() for one in names
    ]
    counts = collections.Counter(len(one) - 1 for one in answers)
    print(f"{jobs} jobs submitted in {submitted:.1f} s, {jobs - left} answered in {took:.1f} s by {workers} workers")
    print(f"answers of a session -> sessions: {dict(counts)}; still in the queue: {len(waiting)}")
    print(f"what workers said: {dict(sorted(fleet.said().items()))}")
    found = subprocess.run(["git", "fsck", "--strict"], cwd=place / "hub.git", capture_output=True, text=True)
    print(f"git fsck: {found.returncode}")
    return counts == {1: jobs} and not left and found.returncode == 0


def main() -> None:
    from gitrelay import environment

    environment.scrub()
    if option("work", ""):
        place = Path(option("place", ""))
        work(place / option("work", ""), str(place / "hub.git"), option("broker", ""), int(option("seed", "1")))
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        git(place, "init", "-q", "--bare", "hub.git")
        with engine(place, option("engine", "nats")) as broker:
            latency(place, broker)
            limits = (float(option("minutes", "6")) * 60, int(option("seed", "1")))
            held = race(place, broker, int(option("workers", "20")), int(option("jobs", "500")), *limits)
    print("held" if held else "DID NOT HOLD")
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    if not option("work", ""):
        helped(__doc__)
    main()
