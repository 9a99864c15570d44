"""Real workers that are killed and stopped at random while they answer: does every job get exactly one answer?

    python benchmarks/queue_load.py [--over=folder|ssh|nats] [--workers=5] [--jobs=200] [--minutes=8] [--seed=1]

Every worker is `git relay worker` in a clone of its own, with a lease of ten seconds; ssh is a real sshd on 127.0.0.1,
nats a NATS server there and the remote as a folder.
The caller has the remote as a folder, and submits while they work.
Every few seconds one is killed with SIGKILL, and started again, or stopped for longer than its lease. In the end the
commits of each session are counted at the remote, and `git relay fsck` reads them all.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from helping import helped

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

LEASE = 10.0  # seconds
_BETWEEN = (3.0, 8.0)  # seconds between two faults


def option(name: str, default: str) -> str:
    found = [word.partition("=")[2] for word in sys.argv[1:] if word.startswith(f"--{name}=")]
    return found[-1] if found else default


class Fleet:
    """The workers, and what is done to them. `faults` counts it."""

    def __init__(self, clones: list[Path], log: Path) -> None:
        self.clones = clones
        self.log = log
        self.faults: collections.Counter[str] = collections.Counter()
        self.running = [self._start(clone) for clone in clones]
        self._stopped: dict[int, float] = {}

    def _start(self, clone: Path) -> subprocess.Popen[bytes]:
        words = ("worker", "--remote", "origin", "--peers", "shell", "--unsigned", "--poll", "1s")
        with (self.log / f"{clone.name}.log").open("ab") as log:
            command = [sys.executable, "-P", "-m", "gitrelay", *words, "--lease", f"{LEASE:.0f}s"]
            return subprocess.Popen(command, cwd=clone, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def hurt(self, dice: random.Random) -> None:
        """Kill or stop one that runs."""
        at = dice.randrange(len(self.running))
        if at in self._stopped:
            return
        if dice.random() < 0.5:
            self.running[at].kill()
            self.running[at].wait()
            self.running[at] = self._start(self.clones[at])
            self.faults["killed"] += 1
        else:
            self.running[at].send_signal(signal.SIGSTOP)
            self._stopped[at] = time.monotonic() + 1.5 * LEASE
            self.faults["stopped"] += 1

    def wake(self, *, all_of_them: bool = False) -> None:
        for at, until in list(self._stopped.items()):
            if all_of_them or time.monotonic() > until:
                self.running[at].send_signal(signal.SIGCONT)
                del self._stopped[at]

    def end(self) -> None:
        self.wake(all_of_them=True)
        for one in self.running:
            one.terminate()
        for one in self.running:
            try:
                one.wait(60)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()


@contextlib.contextmanager
def reached(place: Path, over: str) -> Iterator[str]:
    """The URL of the hub in `place` over a transport."""
    from support import natsserver, sshserver

    if over == "folder":
        yield str(place / "hub.git")
        return
    if over == "nats":
        (place / "nats").mkdir()
        with natsserver.serving(place / "nats") as broker:
            # each clone of this run, and no other one, has the setting
            settings = {"COUNT": "1", "KEY_0": "relay.origin.queue", "VALUE_0": f"{broker.url}/load"}
            os.environ.update({f"GIT_CONFIG_{name}": value for name, value in settings.items()})
            yield str(place / "hub.git")
        return
    with sshserver.serving(place / "d") as server:
        os.environ["GIT_SSH_COMMAND"] = server.command
        yield server.url(place / "hub.git")


def git(place: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=place, check=True, capture_output=True, text=True).stdout


class Caller(threading.Thread):
    """Submits the jobs. `done` are those that the remote has."""

    def __init__(self, clone: Path, jobs: int) -> None:
        super().__init__(daemon=True)
        self.clone = clone
        self.jobs = jobs
        self.done = 0

    def run(self) -> None:
        from gitrelay.calls.order import Order
        from gitrelay.remote.away import asking

        for n in range(self.jobs):
            asking.submit(self.clone, Order(f"echo answer of {n}", ("shell",), session=f"s{n}"), "origin")
            self.done = n + 1


def run(place: Path, over: str, workers: int, jobs: int, seconds: float, seed: int) -> bool:
    """Whether all that is promised held."""
    from support.repo import with_one_commit

    clone = with_one_commit(place, dict(os.environ)).path
    git(place, "clone", "-q", "--bare", "repo", "hub.git")
    with reached(place, over) as url:
        git(clone, "remote", "add", "origin", str(place / "hub.git"))
        clones = [place / f"w{n}" for n in range(workers)]
        for one in clones:
            git(place, "clone", "-q", url, str(one))
        caller, fleet, dice, begun = Caller(clone, jobs), Fleet(clones, place), random.Random(seed), time.monotonic()
        caller.start()
        left, hurt, told = jobs, begun, begun
        while left and time.monotonic() - begun < seconds:
            time.sleep(0.5)
            fleet.wake()
            if time.monotonic() > hurt:
                fleet.hurt(dice)
                hurt = time.monotonic() + dice.uniform(*_BETWEEN)
            waiting = len(git(place / "hub.git", "for-each-ref", "refs/relay/queue").splitlines())
            left = jobs - caller.done + waiting
            if time.monotonic() - told > 60:
                told = time.monotonic()
                print(
                    f"{told - begun:.0f} s: {caller.done} submitted, {waiting} wait; {dict(fleet.faults)}", flush=True
                )
        took = time.monotonic() - begun
        fleet.end()
        print(f"{jobs - left} of {jobs} jobs ended in {took:.0f} s by {workers} workers; {dict(fleet.faults)}")
        return judged(place, jobs, left)


def judged(place: Path, jobs: int, left: int) -> bool:
    subjects = [
        git(place / "hub.git", "log", "--format=%s", f"refs/heads/relay/s{n}", "--").splitlines() for n in range(jobs)
    ]
    answers = [[line for line in one if line.startswith("res ")] for one in subjects]
    counts = collections.Counter(len(one) for one in answers)
    words = collections.Counter(one[0].partition(": ")[2] for one in answers if one)
    takes = collections.Counter(
        line.partition("Relay-Epoch: ")[2]
        for line in git(place / "hub.git", "log", "--branches=relay/*", "--format=%b").splitlines()
        if line.startswith("Relay-Epoch: ")
    )
    print(f"answers of a session -> sessions: {dict(counts)}; what they say: {dict(words)}")
    print(f"attempt that answered -> jobs: {dict(sorted(takes.items()))}")
    reader = place / "reader"  # one that has asked nothing, so that it takes all answers as they are
    git(place, "clone", "-q", "hub.git", "reader")
    fetch = [sys.executable, "-P", "-m", "gitrelay", "fetch"]
    fetched = subprocess.run(fetch, cwd=reader, capture_output=True, text=True)
    fsck = subprocess.run([*fetch[:-1], "fsck"], cwd=reader, capture_output=True, text=True)
    print(f"git relay fetch: {fetched.returncode}, {(fetched.stdout + fetched.stderr).splitlines()[-1:]}")
    print(f"git relay fsck: {fsck.returncode}, {(fsck.stdout + fsck.stderr).splitlines()[-1:]}")
    return counts == {1: jobs} and not left and fsck.returncode == 0 and fetched.returncode == 0


def main() -> None:
    from support.repo import sealed_environment

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        env = sealed_environment(place / "home")
        os.environ.clear()
        os.environ.update(env)
        words = (option("over", "ssh"), int(option("workers", "5")), int(option("jobs", "200")))
        held = run(place, *words, float(option("minutes", "8")) * 60, int(option("seed", "1")))
    print("held" if held else "DID NOT HOLD")
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    helped(__doc__)
    main()
